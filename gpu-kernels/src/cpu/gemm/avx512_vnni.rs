//! AVX-512 VNNI: 16 columns a vector, 4 products a lane and instruction.

use super::drive::{Tile, drive};
use super::{GROUP_BYTES, Left, Right, Weights};
use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512,
};

const WIDTH: usize = 16;

struct Avx512Vnni;

impl Tile<WIDTH> for Avx512Vnni {
    // Of 32 registers 24 accumulate.
    const ROWS: [usize; 3] = [12, 12, 6];

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
            let mut acc = [[_mm512_setzero_si512(); P]; M];
            for row in &mut acc {
                for (p, acc) in row.iter_mut().enumerate() {
                    *acc = _mm512_loadu_si512(offset.add(p * WIDTH).cast());
                }
            }
            let mut weights = weights;
            for segment in segments {
                for group in 0..groups {
                    let mut w = [_mm512_setzero_si512(); P];
                    for (p, w) in w.iter_mut().enumerate() {
                        *w = _mm512_loadu_si512(weights.add(p * panel).cast::<__m512i>());
                    }
                    let at = segment + group * GROUP_BYTES;
                    for r in 0..M {
                        let x = _mm512_set1_epi32(rows[r].add(at).cast::<i32>().read_unaligned());
                        for p in 0..P {
                            acc[r][p] = _mm512_dpbusd_epi32(acc[r][p], x, w[p]);
                        }
                    }
                    weights = weights.add(WIDTH * GROUP_BYTES);
                }
            }
            let mut out = [[[0; WIDTH]; P]; M];
            for r in 0..M {
                for p in 0..P {
                    _mm512_storeu_si512(out[r][p].as_mut_ptr().cast(), acc[r][p]);
                }
            }
            out
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn multiply(left: Left, rows: usize, weights: &Weights, out: Right) {
    // SAFETY: passed on.
    unsafe { drive::<Avx512Vnni, WIDTH>(left, rows, weights, out) }
}
