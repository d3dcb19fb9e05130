//! The loops around a kernel's tiles, the same for all kernels.

use super::{Left, Right, Weights};

/// A kernel's innermost loop.
pub(super) trait Tile<const W: usize> {
    /// Rows of a tile of one, two and four panels: as many as fit the registers; zero where
    /// there are no tiles of as many panels.
    const ROWS: [usize; 3];

    /// Accumulators of `M` rows and `P` panels.
    ///
    /// # Safety
    /// The kernel's instructions are there; each of `rows`, with each of `segments` added, points
    /// to `groups` groups; `weights` to `P` panels, one each `panel` bytes; `offset` to `P * W`.
    unsafe fn tile<const M: usize, const P: usize>(
        rows: &[*const u8; M],
        segments: &[usize],
        groups: usize,
        weights: *const u8,
        panel: usize,
        offset: *const i32,
    ) -> [[[i32; W]; P]; M];
}

/// What does not change from tile to tile.
#[derive(Clone, Copy)]
struct Job<'a> {
    left: Left<'a>,
    weights: &'a Weights,
    panel_bytes: usize,
}

/// [`super::multiply`] by a kernel's tiles.
///
/// # Safety
/// As of [`Tile::tile`]; and [`super::multiply`] has asserted the buffers' lengths.
#[inline(always)]
pub(super) unsafe fn drive<T: Tile<W>, const W: usize>(
    left: Left,
    rows: usize,
    weights: &Weights,
    mut out: Right,
) {
    let panels = weights.columns.div_ceil(W);
    let job = Job {
        left,
        weights,
        panel_bytes: weights.panel_bytes(),
    };
    let mut panel = 0;
    while panel < panels {
        let left_over = panels - panel;
        // SAFETY: passed on; `panel` and those beside it exist.
        unsafe {
            if left_over >= 4 && T::ROWS[2] > 0 {
                column::<T, W, 4>(job, panel, rows, T::ROWS[2], &mut out);
                panel += 4;
            } else if left_over >= 2 && T::ROWS[1] > 0 {
                column::<T, W, 2>(job, panel, rows, T::ROWS[1], &mut out);
                panel += 2;
            } else {
                column::<T, W, 1>(job, panel, rows, T::ROWS[0], &mut out);
                panel += 1;
            }
        }
    }
}

/// All rows of `P` panels, in tiles of `most` rows.
#[inline(always)]
unsafe fn column<T: Tile<W>, const W: usize, const P: usize>(
    job: Job,
    panel: usize,
    rows: usize,
    most: usize,
    out: &mut Right,
) {
    let mut row = 0;
    while row < rows {
        let count = (rows - row).min(most);
        // SAFETY: passed on.
        unsafe {
            match count {
                12 if most >= 12 => finish::<T, W, 12, P>(job, panel, row, out),
                8.. if most >= 8 => finish::<T, W, 8, P>(job, panel, row, out),
                6.. if most >= 6 => finish::<T, W, 6, P>(job, panel, row, out),
                4.. if most >= 4 => finish::<T, W, 4, P>(job, panel, row, out),
                3 => finish::<T, W, 3, P>(job, panel, row, out),
                2 => finish::<T, W, 2, P>(job, panel, row, out),
                _ => finish::<T, W, 1, P>(job, panel, row, out),
            }
        }
        row += match count {
            12 if most >= 12 => 12,
            8.. if most >= 8 => 8,
            6.. if most >= 6 => 6,
            4.. if most >= 4 => 4,
            few => few.min(3),
        };
    }
}

/// One tile and its epilogue.
#[inline(always)]
unsafe fn finish<T: Tile<W>, const W: usize, const M: usize, const P: usize>(
    job: Job,
    panel: usize,
    row: usize,
    out: &mut Right,
) {
    let Job {
        left,
        weights,
        panel_bytes,
    } = job;
    let mut rows = [left.data.as_ptr(); M];
    for (r, pointer) in rows.iter_mut().enumerate() {
        // SAFETY: row `row + r` exists, and offsets are inside of `data`.
        *pointer = unsafe { pointer.add(*left.rows.0.get_unchecked(row + r)) };
    }
    let first = panel * W;
    // SAFETY: passed on.
    let acc = unsafe {
        T::tile::<M, P>(
            &rows,
            &left.segments.0,
            weights.groups,
            weights.bytes().as_ptr().add(panel * panel_bytes),
            panel_bytes,
            weights.channels.offset.as_ptr().add(first),
        )
    };
    for (r, acc) in acc.iter().enumerate() {
        let to = (row + r) * out.stride + out.first;
        for (p, acc) in acc.iter().enumerate() {
            let first = first + p * W;
            let count = (weights.columns - first).min(W);
            match &weights.channels.scale {
                Some(scale) => {
                    let values = scale.apply(acc, first);
                    let to = &mut out.data[to + first..][..count];
                    if let Some(whole) = to.first_chunk_mut::<W>() {
                        *whole = values;
                    } else {
                        to.copy_from_slice(&values[..count]);
                    }
                }
                None => {
                    let (words, _) = out.data.as_chunks_mut::<4>();
                    let to = &mut words[to + first..][..count];
                    for (to, value) in to.iter_mut().zip(acc) {
                        *to = value.to_le_bytes();
                    }
                }
            }
        }
    }
}
