//! [`crate::op::Op::MaxPool2d`] and [`crate::op::Op::AvgPool2d`].

use super::lanes::{max, sum};
use super::window::{Place, output};
use super::{Facts, Ranges, count, dims, dtype, requant};
use crate::check::{CheckError, chunks};
use crate::op::{Requant, Window};
use crate::reads::Reads;
use crate::types::{DType, TensorType};

pub(crate) fn facts(window: &Window, operands: &[TensorType]) -> Result<Facts, CheckError> {
    count(operands, 1)?;
    dtype(operands, 0, DType::I8)?;
    let [n, height, width, channels] = dims::<4>(operands, 0)?;
    let [out_height, out_width] = output(window, [height, width])?;
    let (rows, columns) = (u64::from(window.kernel[0]), u64::from(window.kernel[1]));
    // Padding can make a kernel of any size fit: the product is bounded here, not by an operand.
    let taps = rows.saturating_mul(columns);
    Ok(Facts {
        result: TensorType::new(DType::I8, &[n, out_height, out_width, channels])
            .ok_or(CheckError::ResultTooLarge)?,
        taps,
        read_chunks: match contiguous(window, channels) {
            true => rows.saturating_mul(chunks(columns)),
            false => taps,
        },
    })
}

/// Whether the taps of one row of the window are one range of the image.
fn contiguous(window: &Window, channels: u32) -> bool {
    channels == 1 && window.dilations[1] == 1
}

fn place(
    window: &Window,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
) -> Option<(Place, u32)> {
    let [_, height, width, channels] = dims::<4>(operands, 0).ok()?;
    let result: [u32; 4] = result.shape.dims().try_into().ok()?;
    Some((
        Place::new(window, [height, width], result, element),
        channels,
    ))
}

/// The image's values under the window, row by row and tap by tap, what is outside left out.
pub(crate) fn reads(
    window: &Window,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
    reads: &mut Reads,
) -> Option<()> {
    let (place, channels) = place(window, operands, result, element)?;
    let (first, end) = place.inside_columns(window.kernel[1]);
    for row in (0..window.kernel[0]).filter_map(|u| place.row(u)) {
        if contiguous(window, channels) {
            if let Some(column) = place.column(first).filter(|_| first < end) {
                reads.push(0, place.pixel(row, column), u64::from(end - first))?;
            }
        } else {
            for column in (first..end).filter_map(|v| place.column(v)) {
                let start = place.pixel(row, column) * u64::from(channels) + place.channel;
                reads.push(0, start, 1)?;
            }
        }
    }
    Some(())
}

/// Calls `each` with the taps inside of the image, in ranges as [`reads`] reads them, and says how
/// many they are.
fn taps(
    window: &Window,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
    ranges: &mut Ranges,
    mut each: impl FnMut(&[u8]),
) -> Option<u64> {
    let (place, channels) = place(window, operands, result, element)?;
    let (first, end) = place.inside_columns(window.kernel[1]);
    let columns = usize::try_from(end - first).ok()?;
    let (of_row, len) = match contiguous(window, channels) {
        true => (usize::from(first < end), columns),
        false => (columns, 1),
    };
    let rows = (0..window.kernel[0]).filter_map(|u| place.row(u)).count();
    for _ in 0..rows.checked_mul(of_row)? {
        each(ranges.take(len)?);
    }
    (rows as u64).checked_mul(columns as u64)
}

pub(crate) fn eval_max(
    window: &Window,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
    ranges: &mut Ranges,
) -> Option<i32> {
    let mut largest = i8::MIN;
    taps(window, operands, result, element, ranges, |values| {
        largest = max(largest, values);
    })?;
    Some(i32::from(largest))
}

pub(crate) fn eval_average(
    window: &Window,
    pad_value: i8,
    offset: i32,
    requant: &Requant,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
    ranges: &mut Ranges,
) -> Option<i32> {
    let mut total = offset;
    let inside = taps(window, operands, result, element, ranges, |values| {
        total = total.wrapping_add(sum(values));
    })?;
    let taps = u64::from(window.kernel[0]) * u64::from(window.kernel[1]);
    // At most 2^17 taps passed the check.
    let outside = i32::try_from(taps.checked_sub(inside)?).ok()?;
    Some(requant::requant(
        total.wrapping_add(outside.wrapping_mul(i32::from(pad_value))),
        requant.multiplier,
        i32::from(requant.shift),
        &requant.range,
    ))
}
