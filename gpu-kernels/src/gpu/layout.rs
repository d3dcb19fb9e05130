//! How tensors lie in a device's buffers, which are arrays of 32-bit words.
//!
//! A tensor is rows of its last dimension, and each row begins at a word: four `i8` elements a
//! word, the first in the lowest byte, or one `i32`. The bytes of a row's last word that are
//! past its end are unspecified; no kernel lets them reach a result.

use assay_tensor::types::{DType, TensorType};

/// The layout of a tensor's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// The element type.
    pub dtype: DType,
    /// Rows: the product of all dimensions but the last.
    pub rows: u64,
    /// Elements of a row: the last dimension, 1 for a scalar.
    pub row_elements: u32,
    /// Words of a row.
    pub row_words: u32,
}

impl Layout {
    /// The layout of tensors of type `ty`.
    pub fn of(ty: &TensorType) -> Self {
        let row_elements = ty.shape.dims().last().copied().unwrap_or(1);
        Self {
            dtype: ty.dtype,
            rows: ty.shape.elements() / u64::from(row_elements),
            row_elements,
            row_words: match ty.dtype {
                DType::I8 => row_elements.div_ceil(4),
                DType::I32 => row_elements,
            },
        }
    }

    /// Words of the whole tensor, at most 2^31.
    pub fn words(&self) -> u64 {
        self.rows * u64::from(self.row_words)
    }

    /// Whether rows follow each other without a gap.
    fn is_dense(&self) -> bool {
        self.dtype == DType::I32 || self.row_elements.is_multiple_of(4)
    }

    /// Whether the same elements in row-major order are the same words in `other`.
    pub fn same_words(&self, other: &Self) -> bool {
        self.dtype == other.dtype
            && (self.row_elements == other.row_elements || self.is_dense() && other.is_dense())
    }

    fn row_bytes(&self) -> usize {
        self.row_elements as usize * self.dtype.size()
    }

    /// Appends a tensor's bytes to `words`, padded with zero.
    pub fn pack(&self, bytes: &[u8], words: &mut Vec<u32>) {
        let start = words.len();
        words.resize(start + self.words() as usize, 0);
        let packed = bytemuck::cast_slice_mut::<u32, u8>(&mut words[start..]);
        if self.is_dense() {
            packed.copy_from_slice(bytes);
        } else {
            let rows = packed.chunks_exact_mut(self.row_words as usize * 4);
            for (to, from) in rows.zip(bytes.chunks_exact(self.row_bytes())) {
                to[..from.len()].copy_from_slice(from);
            }
        }
    }

    /// Appends the bytes of the tensor in `packed`, which are the bytes of its words.
    pub fn unpack(&self, packed: &[u8], bytes: &mut Vec<u8>) {
        if self.is_dense() {
            bytes.extend_from_slice(packed);
        } else {
            for row in packed.chunks_exact(self.row_words as usize * 4) {
                bytes.extend_from_slice(&row[..self.row_bytes()]);
            }
        }
    }
}

/// The order in which matmul and conv2d read weights: for each inner word, the words of four
/// columns together, block by block; zero past the last column. `rows` are the weights' packed
/// words, `inner` for each column; the result holds the column blocks of `blocks` only.
///
/// The twin of `pack_weights.wgsl`.
pub fn pack_weights(rows: &[u32], inner: u32, blocks: core::ops::Range<u32>) -> Vec<u32> {
    let inner = inner as usize;
    let columns = rows.len() / inner;
    let mut packed = vec![0; inner * blocks.len() * 4];
    for (b, block) in blocks.clone().enumerate() {
        for lane in 0..4 {
            let column = block as usize * 4 + lane;
            if column < columns {
                let row = &rows[column * inner..][..inner];
                for (k, word) in row.iter().enumerate() {
                    packed[(k * blocks.len() + b) * 4 + lane] = *word;
                }
            }
        }
    }
    packed
}

/// Weights `i8[O, taps, C]` as `i8[taps, C, O]`, which conv2d_grouped reads.
pub fn output_channels_last(weights: &[u8], outputs: usize, inner: usize) -> Vec<u8> {
    let mut transposed = vec![0; weights.len()];
    for (o, row) in weights.chunks_exact(inner).enumerate() {
        for (i, byte) in row.iter().enumerate() {
            transposed[i * outputs + o] = *byte;
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_at_words_and_come_back() {
        for (dims, words) in [
            (vec![], 1),
            (vec![3], 1),
            (vec![2, 5], 4),
            (vec![3, 2, 4], 6),
        ] {
            let layout = Layout::of(&TensorType::new(DType::I8, &dims).unwrap());
            assert_eq!(layout.words(), words, "{dims:?}");
            let bytes: Vec<u8> = (1..=dims.iter().product::<u32>() as u8).collect();
            let mut packed = vec![7];
            layout.pack(&bytes, &mut packed);
            let mut back = Vec::new();
            layout.unpack(bytemuck::cast_slice(&packed[1..]), &mut back);
            assert_eq!(back, bytes, "{dims:?}");
        }
    }

    #[test]
    fn weights_are_blocks_of_four_columns() {
        // Five columns of two words each.
        let rows: Vec<u32> = (0..10).collect();
        assert_eq!(
            pack_weights(&rows, 2, 0..2),
            [0, 2, 4, 6, 8, 0, 0, 0, 1, 3, 5, 7, 9, 0, 0, 0]
        );
        assert_eq!(pack_weights(&rows, 2, 1..2), [8, 0, 0, 0, 9, 0, 0, 0]);
    }

    #[test]
    fn output_channels_move_last() {
        assert_eq!(
            output_channels_last(&[1, 2, 3, 4, 5, 6], 2, 3),
            [1, 4, 2, 5, 3, 6]
        );
    }
}
