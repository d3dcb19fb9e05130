//! Products of rows of `i8` with packed weights: what matrix products and convolutions are
//! made of.
//!
//! The left operand's rows are runs of elements at given places of one buffer ([`Left`]): a
//! matrix's rows, or the pixels under a convolution's kernel, which need no copy of their own. The
//! weights are packed once ([`Weights`]): panels of as many columns as a vector has lanes, and
//! within them groups of the elements that one instruction multiplies and adds.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod drive;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use super::epilogue::Channels;
use super::kernel::{Kernel, for_each_kernel};

/// Bytes of one row's group in the left operand: four `u8` or two `i16`.
pub(crate) const GROUP_BYTES: usize = 4;
/// Bytes that a buffer of left operands has behind its last element, as groups reach past it.
pub(crate) const SLACK: usize = 64;

/// How a kernel takes its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Groups of four: activations as `u8`, biased by 128, weights as `i8`.
    Quads,
    /// Groups of two, both as `i16`.
    Pairs,
}

impl Layout {
    pub(crate) fn of(kernel: Kernel) -> Self {
        match kernel {
            Kernel::Avx512Vnni | Kernel::AvxVnni => Self::Quads,
            Kernel::Avx2 | Kernel::Neon | Kernel::Scalar => Self::Pairs,
        }
    }

    /// Elements of a group.
    fn group(self) -> usize {
        match self {
            Self::Quads => 4,
            Self::Pairs => 2,
        }
    }

    /// Bytes of an element.
    pub(crate) fn element(self) -> usize {
        GROUP_BYTES / self.group()
    }

    /// Groups that `elements` take.
    pub(crate) fn groups(self, elements: usize) -> usize {
        elements.div_ceil(self.group())
    }
}

/// Columns of a panel: lanes of `i32` in a vector.
fn width(kernel: Kernel) -> usize {
    match kernel {
        Kernel::Avx512Vnni => 16,
        _ => 8,
    }
}

for_each_kernel! {
    /// Activations as [`Layout::Quads`] takes them.
    fn to_biased(from: &[u8], to: &mut [u8]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from ^ 0x80;
        }
    }
}

for_each_kernel! {
    /// Activations as [`Layout::Pairs`] takes them.
    fn to_wide(from: &[u8], to: &mut [u8]) {
        let (to, _) = to.as_chunks_mut::<2>();
        for (to, from) in to.iter_mut().zip(from) {
            *to = i16::from(*from as i8).to_ne_bytes();
        }
    }
}

/// Writes the activations `from` to `to`, which has [`Layout::element`] bytes for each, as the
/// kernel takes them.
pub(crate) fn convert(kernel: Kernel, from: &[u8], to: &mut [u8]) {
    match Layout::of(kernel) {
        Layout::Quads => to_biased(kernel, from, to),
        Layout::Pairs => to_wide(kernel, from, to),
    }
}

/// Weights packed for one kernel, with their epilogue.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    kernel: Kernel,
    columns: usize,
    /// Segments of the left operand's rows, and groups of each.
    segments: usize,
    groups: usize,
    panels: Vec<Line>,
    channels: Channels,
}

/// 64 bytes, aligned: vectors of weights never cross a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl Weights {
    /// Packs `columns` rows of `weights`, each of `segments` times `elements` weights, with the
    /// channels' epilogue, whose offsets are completed for the kernel.
    pub(crate) fn pack(
        kernel: Kernel,
        weights: &[u8],
        columns: usize,
        segments: usize,
        elements: usize,
        channels: impl FnOnce(usize) -> Channels,
    ) -> Self {
        let (layout, width) = (Layout::of(kernel), width(kernel));
        let (group, groups) = (layout.group(), layout.groups(elements));
        let mut channels = channels(width);
        // A group of a panel is `width` columns of four bytes in both layouts.
        let panel = segments * groups * width * GROUP_BYTES;
        let bytes = columns.div_ceil(width) * panel;
        let mut panels = vec![Line([0; 64]); bytes.div_ceil(64)];
        let packed: &mut [[u8; 64]] = as_bytes_mut(&mut panels);
        let packed = packed.as_flattened_mut();
        let row_len = segments * elements;
        for (column, row) in weights
            .chunks_exact(row_len.max(1))
            .take(columns)
            .enumerate()
        {
            let (start, lane) = (column / width * panel, column % width);
            let mut sum = 0i32;
            for (segment, row) in row.chunks_exact(elements.max(1)).enumerate() {
                for (at, weight) in row.iter().enumerate() {
                    let weight = *weight as i8;
                    sum = sum.wrapping_add(i32::from(weight));
                    let in_panel = (segment * groups + at / group) * width + lane;
                    let to = start + in_panel * GROUP_BYTES + at % group * layout.element();
                    match layout {
                        Layout::Quads => packed[to] = weight as u8,
                        Layout::Pairs => {
                            packed[to..to + 2].copy_from_slice(&i16::from(weight).to_ne_bytes());
                        }
                    }
                }
            }
            if layout == Layout::Quads {
                // sum (x + 128) w = sum x w + 128 sum w, modulo 2^32 as everything here.
                let offset = &mut channels.offset[column];
                *offset = offset.wrapping_sub(sum.wrapping_mul(128));
            }
        }
        Self {
            kernel,
            columns,
            segments,
            groups,
            panels,
            channels,
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `Line` is 64 bytes of `u8`, without padding.
        unsafe {
            std::slice::from_raw_parts(self.panels.as_ptr().cast::<u8>(), self.panels.len() * 64)
        }
    }

    /// Bytes of one panel.
    fn panel_bytes(&self) -> usize {
        self.segments * self.groups * width(self.kernel) * GROUP_BYTES
    }
}

fn as_bytes_mut(lines: &mut [Line]) -> &mut [[u8; 64]] {
    // SAFETY: `Line` is 64 bytes of `u8`, without padding, and only its alignment is stricter.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<[u8; 64]>(), lines.len()) }
}

/// Offsets into a buffer, in bytes, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offsets(Vec<usize>);

impl Offsets {
    /// # Panics
    /// If they do not ascend.
    pub(crate) fn new(at: Vec<usize>) -> Self {
        assert!(at.is_sorted(), "offsets ascend");
        Self(at)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[usize] {
        &self.0
    }

    /// The first `count`.
    pub(crate) fn first(&self, count: usize) -> &[usize] {
        &self.0[..count]
    }

    /// The largest of the first `count`.
    fn last(&self, count: usize) -> usize {
        self.first(count).last().copied().unwrap_or(0)
    }
}

/// The left operand: row `r`'s segment `s` is the elements at `rows[r] + segments[s]` of `data`,
/// as [`convert`] writes them.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub data: &'a [u8],
    pub rows: &'a Offsets,
    pub segments: &'a Offsets,
}

/// Where results go: row `r`'s column `c` is element `r * stride + first + c` of `data`.
pub(crate) struct Right<'a> {
    pub data: &'a mut [u8],
    pub stride: usize,
    pub first: usize,
}

/// Computes the first `rows` rows' products with all columns.
///
/// # Panics
/// If an operand or the result is not inside of its buffer.
pub(crate) fn multiply(left: Left, rows: usize, weights: &Weights, out: Right) {
    if rows == 0 {
        return;
    }
    assert_eq!(left.segments.len(), weights.segments, "other segments");
    let last = left.rows.last(rows) + left.segments.last(weights.segments);
    let reach = last + weights.groups * GROUP_BYTES;
    assert!(
        reach <= left.data.len(),
        "the left operand's buffer is too short"
    );
    let size = if weights.channels.scale.is_some() {
        1
    } else {
        4
    };
    let last = (rows - 1) * out.stride + out.first + weights.columns;
    assert!(
        last * size <= out.data.len(),
        "the result's buffer is too short"
    );
    // SAFETY: the operands are inside of their buffers, as just asserted, and the executor
    // packs for kernels whose instructions are there only.
    unsafe {
        match weights.kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => avx512_vnni::multiply(left, rows, weights, out),
            #[cfg(target_arch = "x86_64")]
            Kernel::AvxVnni => avx_vnni::multiply(left, rows, weights, out),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::multiply(left, rows, weights, out),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => neon::multiply(left, rows, weights, out),
            _ => scalar::multiply(left, rows, weights, out),
        }
    }
}
