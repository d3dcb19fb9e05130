//! The operators. Each states its result to the bit, for any operands of its types.
//!
//! Activations are `i8`, accumulators and biases `i32`. Images are channels-last
//! (`[N, H, W, C]`), so that the operands of one output element are few contiguous ranges.
//! Accumulation in `i32` wraps modulo 2^32, so it does not depend on order.
//!
//! Shapes, windows, groups, permutations and ties are as ONNX defines them for `MatMul`, `Conv`,
//! `MaxPool`, `AveragePool` (floor mode), `Transpose` and `ArgMax`, but for the channels being last.

use crate::types::Shape;

/// Requantisation by one multiplier and shift (dyadic scales, as in gemmlowp and I-ViT):
/// `clamp(((acc * multiplier + 2^(shift-1)) >> shift) + zero_point, lo, hi)` in 64 bits,
/// with an arithmetic shift. The zero point is added before the clamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Requant {
    /// In `0..2^31`.
    pub multiplier: i32,
    /// In `1..=62`.
    pub shift: u8,
    /// Clamp, zero point.
    pub range: OutputRange,
}

/// Zero point and clamp of a requantised `i8` result; a fused ReLU is a clamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutputRange {
    /// Added after the shift and before the clamp.
    pub zero_point: i8,
    /// Lower bound, `lo <= hi`.
    pub lo: i8,
    /// Upper bound.
    pub hi: i8,
}

/// What a matrix product or convolution does with its `i32` accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Epilogue {
    /// The result is the accumulators: `i32`.
    Accumulate,
    /// The result is `i8`, requantised per output channel by one more operand:
    /// `scales: i32[channels, 2]`, of which row `c` is `(multiplier, shift)`. As these are
    /// data and every operator is total, the multiplier is taken `& 0x7fff_ffff` and the
    /// shift clamped to `1..=62`.
    Requant(OutputRange),
}

/// A window over the height and width of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width of the kernel.
    pub kernel: [u32; 2],
    /// Steps between windows.
    pub strides: [u32; 2],
    /// Steps between taps of one window.
    pub dilations: [u32; 2],
    /// Padding: top, left, bottom, right.
    pub pads: [u32; 4],
}

/// An operator and its attributes. `check` decides whether it is well-formed for given operand
/// types; operands are listed in the order in which a program names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Matrix product with transposed right operand.
    ///
    /// Operands: `a: i8[..., K]`, `b: i8[N, K]`, `bias: i32[N]`, and `scales: i32[N, 2]`
    /// with [`Epilogue::Requant`]. Result `[..., N]`:
    /// `y[m, n] = epilogue_n(bias[n] + sum_k a[m, k] * b[n, k])`, sum wrapping.
    MatMul(Epilogue),
    /// 2-d convolution, channels last, grouped.
    ///
    /// Operands: `x: i8[N, H, W, C]`, `w: i8[O, KH, KW, C / groups]`, `bias: i32[O]`, and
    /// `scales: i32[O, 2]` with [`Epilogue::Requant`]. Result `[N, OH, OW, O]`:
    /// `y[n, i, j, o] = epilogue_o(bias[o] + sum_{u, v, c} x'[n, i*sh + u*dh - top, j*sw + v*dw - left, g*C/groups + c] * w[o, u, v, c])`
    /// with `g = o / (O / groups)`, where `x'` is `pad_value` outside of the image.
    /// `OH = (H + top + bottom - ((KH - 1) * dh + 1)) / sh + 1`, `OW` alike.
    Conv2d {
        /// Kernel (equal to the weights' `KH, KW`), strides, dilations, padding.
        window: Window,
        /// Groups; `C` for a depthwise convolution.
        groups: u32,
        /// The value outside of the image: the input's zero point.
        pad_value: i8,
        /// What becomes of the accumulators.
        epilogue: Epilogue,
    },
    /// Sum of two `i8` tensors of one shape, or with `b` broadcast: `b`'s shape must equal the
    /// last dimensions of `a`'s. Result like `a`:
    /// `y = clamp(((a * multiplier_a + b * multiplier_b + offset + 2^(shift-1)) >> shift) + zero_point, lo, hi)`
    /// in 64 bits. The operands' zero points are folded into `offset`.
    Add {
        /// Multiplier of `a`, any `i32`.
        multiplier_a: i32,
        /// Multiplier of `b`, any `i32`.
        multiplier_b: i32,
        /// Added before the shift, `|offset| < 2^48`.
        offset: i64,
        /// In `1..=62`.
        shift: u8,
        /// Zero point and clamp.
        range: OutputRange,
    },
    /// `y = table[x + 128]` for each element. Operands: `x: i8[...]`, `table: i8[256]`. Result like
    /// `x`. Any function from `i8` to `i8` is exact.
    Lookup,
    /// Maximum over windows of `x: i8[N, H, W, C]`, the taps outside of the image left out
    /// (`-128` if all are). Result `i8[N, OH, OW, C]`, with `OH`, `OW` as of [`Op::Conv2d`].
    MaxPool2d(Window),
    /// Requantised sum over windows of `x: i8[N, H, W, C]`: `requant(offset + sum of taps)`, taps outside of
    /// the image counting `pad_value`; sum wrapping `i32`. Result `i8[N, OH, OW, C]`.
    /// An average is a multiplier that holds one over the window's area.
    AvgPool2d {
        /// Kernel, strides, dilations, padding.
        window: Window,
        /// The value outside of the image.
        pad_value: i8,
        /// Added to each sum: `-area * zero point` of the input.
        offset: i32,
        /// From the sum to the result.
        requant: Requant,
    },
    /// The same elements in row-major order under another shape of as many elements. Operand of
    /// either type, result of the same.
    Reshape(Shape),
    /// `y[i_0, ..., i_r] = x[...]` with `y`'s dimension `d` being `x`'s dimension `permutation[d]`.
    /// The first `rank` entries are a permutation, the rest zero. Operand of either type, result of
    /// the same.
    Transpose([u8; crate::types::MAX_RANK]),
    /// Index of the largest element of each row of the last dimension, the lowest index
    /// among equals. Operand `i8` or `i32` `[..., K]`, result `i32[...]`.
    ArgMax,
}
