//! Portable Rust: 8 columns, 2 products a lane.

use super::drive::{Tile, drive};
use super::{GROUP_BYTES, Left, Right, Weights};

const WIDTH: usize = 8;

struct Scalar;

impl Tile<WIDTH> for Scalar {
    const ROWS: [usize; 3] = [4, 0, 0];

    #[inline(always)]
    unsafe fn tile<const M: usize, const P: usize>(
        rows: &[*const u8; M],
        segments: &[usize],
        groups: usize,
        weights: *const u8,
        panel: usize,
        offset: *const i32,
    ) -> [[[i32; WIDTH]; P]; M] {
        // SAFETY: as the trait says.
        unsafe {
            let mut acc = [[[0i32; WIDTH]; P]; M];
            for row in &mut acc {
                for (p, acc) in row.iter_mut().enumerate() {
                    *acc = offset
                        .add(p * WIDTH)
                        .cast::<[i32; WIDTH]>()
                        .read_unaligned();
                }
            }
            let mut weights = weights;
            for segment in segments {
                for group in 0..groups {
                    let at = segment + group * GROUP_BYTES;
                    for p in 0..P {
                        let w = weights.add(p * panel).cast::<[[i16; 2]; WIDTH]>();
                        let w = w.read_unaligned();
                        for r in 0..M {
                            let x = rows[r].add(at).cast::<[i16; 2]>().read_unaligned();
                            let x = x.map(i32::from);
                            for (acc, w) in acc[r][p].iter_mut().zip(w) {
                                let sum = x[0] * i32::from(w[0]) + x[1] * i32::from(w[1]);
                                *acc = acc.wrapping_add(sum);
                            }
                        }
                    }
                    weights = weights.add(WIDTH * GROUP_BYTES);
                }
            }
            acc
        }
    }
}

pub(super) unsafe fn multiply(left: Left, rows: usize, weights: &Weights, out: Right) {
    // SAFETY: passed on.
    unsafe { drive::<Scalar, WIDTH>(left, rows, weights, out) }
}
