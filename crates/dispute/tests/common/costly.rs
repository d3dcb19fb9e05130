//! The operators whose elements are the costliest to open, at the very end of what their check lets through, on
//! operands as large as there can be.
#![allow(dead_code)]

use assay_tensor::check::{MAX_READ_CHUNKS, chunks};
use assay_tensor::commit::CHUNK;
use assay_tensor::op::{Epilogue, Op, OutputRange, Requant, Window};
use assay_tensor::types::{DType, MAX_ELEMENTS, TensorType};

/// An operator, its operands' types, and an element of its value.
pub type Costly = (String, Op, Vec<TensorType>, u64);

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

fn window(kernel: [u32; 2], strides: [u32; 2], dilation: u32) -> Window {
    Window {
        kernel,
        strides,
        dilations: [1, dilation],
        pads: [0; 4],
    }
}

/// A convolution.
pub fn conv(window: Window, groups: u32) -> Op {
    Op::Conv2d {
        window,
        groups,
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

/// The elements of the largest image, and of the largest weights.
const MOST: u32 = MAX_ELEMENTS as u32;

/// Every way to spend the chunks that an element may read, by how many lie together.
///
/// What an element costs are the chunks, the nodes above them and the bytes in the ranges. More chunks in a range are
/// more bytes and fewer nodes: a chunk brings a sibling on each level unless the next one does, so two far from the
/// next two, on both sides of a boundary of high subtrees, bring as many as two alone. How many of the chunks
/// are in one range is therefore all that there is to vary; each tensor is as large as can be and the ranges are
/// evenly far apart.
pub fn costly() -> Vec<Costly> {
    let mut all = alone();
    for of_row in 1..=MAX_READ_CHUNKS {
        for pooled in [true, false] {
            // Rows of as many bytes as lie in so many chunks. The bias and the scales take four more.
            let columns = (of_row - 1) * CHUNK as u64 + 1;
            let fits = |rows: &u64| {
                let filter = chunks(rows * columns) + chunks(4) + chunks(8);
                rows * of_row + if pooled { 0 } else { filter } <= MAX_READ_CHUNKS
            };
            let Some(most) = (1..=MAX_READ_CHUNKS).rev().find(fits) else {
                continue;
            };
            // A power of two lets a row have a larger subtree.
            let mut counts = vec![most, 1 << most.ilog2()];
            counts.dedup();
            for rows in counts {
                all.extend(rows_of(rows as u32, columns as u32, of_row, pooled));
            }
        }
    }
    all.extend(whole_rows());
    all
}

/// Elements that read so many rows, each across the middle of a row of the image.
fn rows_of(rows: u32, columns: u32, of_row: u64, pooled: bool) -> Vec<Costly> {
    // Single bytes lie anywhere.
    let height = match columns {
        1 => rows,
        _ => rows.next_power_of_two(),
    };
    let width = MOST / height;
    // In the second column of the result.
    let first = width / 2 + (CHUNK as u32 - 1) - (of_row as u32 / 2) * CHUNK as u32;
    let window = window([rows, columns], [1, first], 1);
    let image = i8s(&[1, height, width, 1]);
    let name = |kind| format!("{kind}, {rows} rows of {columns}");
    if pooled {
        return vec![
            (name("MaxPool2d"), Op::MaxPool2d(window), vec![image], 1),
            (name("AvgPool2d"), average(window), vec![image], 1),
        ];
    }
    let filters = MOST / (rows * columns);
    let types = weighed(image, &[filters, rows, columns, 1]);
    let filter = u64::from(filters) + u64::from(filters / 2);
    vec![(name("Conv2d"), conv(window, 1), types, filter)]
}

/// Taps that lie apart, each in one chunk, or across a boundary of two.
fn alone() -> Vec<Costly> {
    let taps = MAX_READ_CHUNKS as u32;
    // The filter is in up to two chunks, and so are the bias and the scales.
    let weighted = taps - 6;
    let mut all = Vec::new();
    for upright in [false, true] {
        let turned = |[a, b]: [u32; 2]| if upright { [b, a] } else { [a, b] };
        let [height, width] = turned([1, MOST / 2]);
        let image = i8s(&[1, height, width, 2]);
        // One window.
        let apart = |taps| Window {
            dilations: turned([1, MOST / 2 / taps]),
            ..window(turned([1, taps]), [MOST; 2], 1)
        };
        let [rows, columns] = turned([1, weighted]);
        let filters = MOST / weighted;
        let types = weighed(image, &[filters, rows, columns, 1]);
        let filter = u64::from(filters / 2);
        let of = if upright { "rows" } else { "columns" };
        let name = |kind, taps| format!("{kind}, {taps} taps apart, in {of}");
        all.extend([
            (
                name("MaxPool2d", taps),
                Op::MaxPool2d(apart(taps)),
                vec![image],
                1,
            ),
            (
                name("AvgPool2d", taps),
                average(apart(taps)),
                vec![image],
                1,
            ),
            (
                name("Conv2d", weighted),
                conv(apart(weighted), 2),
                types,
                filter,
            ),
        ]);
    }
    // 32 groups of three channels; taps 3 * 2^23 bytes apart, of which one begins a byte before 2^22.
    let (group, column) = (21, 43_690);
    all.push((
        "Conv2d, 64 taps across boundaries".into(),
        conv(window([1, 64], [1, column], 1 << 18), 32),
        weighed(i8s(&[1, 1, MOST / 96, 96]), &[1 << 16, 1, 64, 3]),
        (1 << 16) + (group << 11),
    ));
    all
}

/// Operators that read whole rows.
fn whole_rows() -> Vec<Costly> {
    let (row, words) = (68_097, 17_024);
    let inner = 32_769;
    vec![
        (
            format!("ArgMax, of {row} of 2 GiB"),
            Op::ArgMax,
            vec![i8s(&[MOST / row, row])],
            u64::from(MOST / row / 2),
        ),
        (
            format!("ArgMax, of {words} of 8 GiB"),
            Op::ArgMax,
            vec![i32s(&[MOST / words, words])],
            u64::from(MOST / words / 2),
        ),
        (
            format!("MatMul, inner size {inner}, of 2 GiB"),
            Op::MatMul(Epilogue::Requant(ALL)),
            weighed(i8s(&[2, inner]), &[MOST / inner, inner]),
            u64::from(MOST / inner * 3 / 2),
        ),
    ]
}
