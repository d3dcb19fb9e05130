//! NEON: 8 columns in two vectors, a product of `i16` a lane and instruction (`smlal`).

use super::drive::{Tile, drive};
use super::{GROUP_BYTES, Left, Right, Weights};
use std::arch::aarch64::{
    int32x4_t, vdup_n_s16, vdupq_n_s32, vget_high_s16, vget_low_s16, vld1q_s32, vld2q_s16,
    vmlal_s16, vst1q_s32,
};

const WIDTH: usize = 8;

struct Neon;

impl Tile<WIDTH> for Neon {
    // Of 32 registers 24 accumulate.
    const ROWS: [usize; 3] = [8, 6, 0];

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
            let mut acc: [[[int32x4_t; 2]; P]; M] = [[[vdupq_n_s32(0); 2]; P]; M];
            for row in &mut acc {
                for (p, acc) in row.iter_mut().enumerate() {
                    let offset = offset.add(p * WIDTH);
                    *acc = [vld1q_s32(offset), vld1q_s32(offset.add(4))];
                }
            }
            let mut weights = weights;
            for segment in segments {
                for group in 0..groups {
                    let at = segment + group * GROUP_BYTES;
                    for p in 0..P {
                        // Taken apart into the first and the second of each pair.
                        let w = vld2q_s16(weights.add(p * panel).cast());
                        for r in 0..M {
                            let x = rows[r].add(at).cast::<[i16; 2]>().read_unaligned();
                            let (first, second) = (vdup_n_s16(x[0]), vdup_n_s16(x[1]));
                            let [low, high] = acc[r][p];
                            let low = vmlal_s16(low, vget_low_s16(w.0), first);
                            let high = vmlal_s16(high, vget_high_s16(w.0), first);
                            acc[r][p] = [
                                vmlal_s16(low, vget_low_s16(w.1), second),
                                vmlal_s16(high, vget_high_s16(w.1), second),
                            ];
                        }
                    }
                    weights = weights.add(WIDTH * GROUP_BYTES);
                }
            }
            let mut out = [[[0; WIDTH]; P]; M];
            for r in 0..M {
                for p in 0..P {
                    let to = out[r][p].as_mut_ptr();
                    vst1q_s32(to, acc[r][p][0]);
                    vst1q_s32(to.add(4), acc[r][p][1]);
                }
            }
            out
        }
    }
}

#[target_feature(enable = "neon")]
pub(super) unsafe fn multiply(left: Left, rows: usize, weights: &Weights, out: Right) {
    // SAFETY: passed on.
    unsafe { drive::<Neon, WIDTH>(left, rows, weights, out) }
}
