//! AVX-VNNI: 8 columns a vector, 4 products a lane and instruction.

use super::drive::{Tile, drive};
use super::{GROUP_BYTES, Left, Right, Weights};
use std::arch::x86_64::{
    __m256i, _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_storeu_si256,
};

const WIDTH: usize = 8;

struct AvxVnni;

impl Tile<WIDTH> for AvxVnni {
    // Of 16 registers 12 accumulate.
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
            let mut acc = [[_mm256_setzero_si256(); P]; M];
            for row in &mut acc {
                for (p, acc) in row.iter_mut().enumerate() {
                    *acc = _mm256_loadu_si256(offset.add(p * WIDTH).cast());
                }
            }
            let mut weights = weights;
            for segment in segments {
                for group in 0..groups {
                    let mut w = [_mm256_setzero_si256(); P];
                    for (p, w) in w.iter_mut().enumerate() {
                        *w = _mm256_loadu_si256(weights.add(p * panel).cast::<__m256i>());
                    }
                    let at = segment + group * GROUP_BYTES;
                    for r in 0..M {
                        let x = _mm256_set1_epi32(rows[r].add(at).cast::<i32>().read_unaligned());
                        for p in 0..P {
                            acc[r][p] = _mm256_dpbusd_avx_epi32(acc[r][p], x, w[p]);
                        }
                    }
                    weights = weights.add(WIDTH * GROUP_BYTES);
                }
            }
            let mut out = [[[0; WIDTH]; P]; M];
            for r in 0..M {
                for p in 0..P {
                    _mm256_storeu_si256(out[r][p].as_mut_ptr().cast(), acc[r][p]);
                }
            }
            out
        }
    }
}

#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn multiply(left: Left, rows: usize, weights: &Weights, out: Right) {
    // SAFETY: passed on.
    unsafe { drive::<AvxVnni, WIDTH>(left, rows, weights, out) }
}
