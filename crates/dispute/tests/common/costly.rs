//! The operators whose elements are the costliest to open, at the very end of what their check lets through.
#![allow(dead_code)]

use assay_tensor::op::{Epilogue, Op, OutputRange, Requant, Window};
use assay_tensor::types::{DType, TensorType};

/// An operator, its operands' types, and an element of its value.
pub type Costly = (&'static str, Op, Vec<TensorType>, u64);

pub const ALL: OutputRange = OutputRange {
    zero_point: 0,
    lo: -128,
    hi: 127,
};

fn i8s(dims: &[u32]) -> TensorType {
    TensorType::new(DType::I8, dims).unwrap()
}

fn i32s(dims: &[u32]) -> TensorType {
    TensorType::new(DType::I32, dims).unwrap()
}

fn window(kernel: [u32; 2], strides: [u32; 2]) -> Window {
    Window {
        kernel,
        strides,
        dilations: [1; 2],
        pads: [0; 4],
    }
}

/// A convolution.
pub fn conv(window: Window) -> Op {
    Op::Conv2d {
        window,
        groups: 1,
        pad_value: -3,
        epilogue: Epilogue::Requant(ALL),
    }
}

/// An average over a window.
pub fn average(window: Window) -> Op {
    Op::AvgPool2d {
        window,
        pad_value: 5,
        offset: -7,
        requant: Requant {
            multiplier: 1 << 20,
            shift: 40,
            range: ALL,
        },
    }
}

/// With weights of these dimensions, a bias and scales.
pub fn weighed(image: TensorType, weights: &[u32]) -> Vec<TensorType> {
    let filters = weights[0];
    Vec::from([image, i8s(weights), i32s(&[filters]), i32s(&[filters, 2])])
}

/// Rows that are not aligned touch a chunk or two more each than they have bytes for, and where the middle of each
/// row of a huge image lies in them, each brings two siblings of nearly every level.
pub fn costly() -> Vec<Costly> {
    let middle = 1 << 24;
    // Each of 63 rows of 1,026 bytes is in four chunks: the last byte of one, two, the first of one.
    let wide = window([63, 1_026], [1, 1]);
    let image = i8s(&[1, 64, 2 * middle, 1]);
    let at = u64::from(middle) - 513;
    vec![
        (
            "Conv2d, 61 rows of 537",
            conv(window([61, 537], [1, 2_024])),
            weighed(i8s(&[1, 61, 4_096, 1]), &[1, 61, 537, 1]),
            1,
        ),
        (
            "Conv2d, 61 rows of 537, of 2 GiB",
            conv(window([61, 537], [1, middle - 257])),
            weighed(i8s(&[1, 64, 2 * middle, 1]), &[60_000, 61, 537, 1]),
            // In the second column, of a filter whose weights are in the middle and not aligned.
            60_000 + 32_768,
        ),
        (
            "MaxPool2d, 64 rows of 1,024",
            Op::MaxPool2d(window([64, 1_024], [1, 1])),
            vec![i8s(&[1, 64, 4_096, 1])],
            511,
        ),
        (
            "MaxPool2d, 63 rows of 1,026, of 2 GiB",
            Op::MaxPool2d(wide),
            vec![image],
            at,
        ),
        (
            "AvgPool2d, 63 rows of 1,026, of 2 GiB",
            average(wide),
            vec![image],
            at,
        ),
        (
            "ArgMax, of 65,535 of 2 GiB",
            Op::ArgMax,
            vec![i8s(&[32_768, 65_535])],
            16_383,
        ),
        (
            "ArgMax, of 16,383 of 8 GiB",
            Op::ArgMax,
            vec![i32s(&[131_072, 16_383])],
            65_535,
        ),
        (
            "MatMul, inner size 32,761, of 2 GiB",
            Op::MatMul(Epilogue::Requant(ALL)),
            weighed(i8s(&[2, 32_761]), &[65_000, 32_761]),
            65_000 + 32_767,
        ),
    ]
}
