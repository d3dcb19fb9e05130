//! [`crate::op::Op::Conv2d`].

use super::lanes::{dot, sum};
use super::window::{Place, output};
use super::{Facts, Ranges, dims, dtype, requant, size};
use crate::check::{CheckError, chunks};
use crate::op::{Epilogue, Window};
use crate::reads::Reads;
use crate::types::{DType, TensorType};

pub(crate) fn facts(
    window: &Window,
    groups: u32,
    epilogue: &Epilogue,
    operands: &[TensorType],
) -> Result<Facts, CheckError> {
    let (out, of_epilogue) = requant::check_operands(epilogue, operands)?;
    dtype(operands, 0, DType::I8)?;
    dtype(operands, 1, DType::I8)?;
    let [n, height, width, channels] = dims::<4>(operands, 0)?;
    let [filters, ..] = dims::<4>(operands, 1)?;
    for channels in [channels, filters] {
        if groups == 0 || channels % groups != 0 {
            return Err(CheckError::Groups { groups, channels });
        }
    }
    let per_group = channels / groups;
    size(operands, 1, 1, u64::from(window.kernel[0]))?;
    size(operands, 1, 2, u64::from(window.kernel[1]))?;
    size(operands, 1, 3, u64::from(per_group))?;
    requant::check_channels(epilogue, operands, filters)?;
    let [out_height, out_width] = output(window, [height, width])?;

    // The weights of one filter: at most their tensor's elements.
    let taps = operands[1].shape.elements() / u64::from(filters);
    let [rows, columns] = window.kernel.map(u64::from);
    let per_group = u64::from(per_group);
    let of_image = match contiguous(window, groups) {
        true => rows * chunks(columns * per_group),
        false => rows * columns * chunks(per_group),
    };
    Ok(Facts {
        result: TensorType::new(out, &[n, out_height, out_width, filters])
            .ok_or(CheckError::ResultTooLarge)?,
        taps,
        read_chunks: of_image + chunks(taps) + of_epilogue,
    })
}

/// Whether the taps of one row of the kernel are one range of the image.
fn contiguous(window: &Window, groups: u32) -> bool {
    groups == 1 && window.dilations[1] == 1
}

/// What `reads` and `eval` derive alike from the types.
struct Site {
    place: Place,
    /// Channels of the image.
    channels: u64,
    /// Channels of the image that a filter sees, and the first of them.
    per_group: u64,
    first: u64,
    kernel: [u32; 2],
}

fn site(
    window: &Window,
    groups: u32,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
) -> Option<Site> {
    let [_, height, width, channels] = dims::<4>(operands, 0).ok()?;
    let result: [u32; 4] = result.shape.dims().try_into().ok()?;
    let place = Place::new(window, [height, width], result, element);
    let filters_per_group = u64::from(result[3].checked_div(groups)?);
    let per_group = u64::from(channels.checked_div(groups)?);
    let group = place.channel.checked_div(filters_per_group)?;
    Some(Site {
        place,
        channels: u64::from(channels),
        per_group,
        first: group * per_group,
        kernel: window.kernel,
    })
}

/// The image's values under the kernel, row by row and tap by tap, what is outside left out;
/// then the filter, its bias and its scale.
pub(crate) fn reads(
    window: &Window,
    groups: u32,
    epilogue: &Epilogue,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
    reads: &mut Reads,
) -> Option<()> {
    let s = site(window, groups, operands, result, element)?;
    let (first, end) = s.place.inside_columns(s.kernel[1]);
    for row in (0..s.kernel[0]).filter_map(|u| s.place.row(u)) {
        if contiguous(window, groups) {
            if let Some(column) = s.place.column(first).filter(|_| first < end) {
                let start = s.place.pixel(row, column) * s.channels;
                reads.push(0, start, u64::from(end - first) * s.channels)?;
            }
        } else {
            for column in (first..end).filter_map(|v| s.place.column(v)) {
                let start = s.place.pixel(row, column) * s.channels + s.first;
                reads.push(0, start, s.per_group)?;
            }
        }
    }
    let filter = u64::from(s.kernel[0]) * u64::from(s.kernel[1]) * s.per_group;
    reads.push(1, s.place.channel * filter, filter)?;
    requant::reads(epilogue, s.place.channel, reads)
}

pub(crate) fn eval(
    window: &Window,
    groups: u32,
    pad_value: i8,
    epilogue: &Epilogue,
    operands: &[TensorType],
    result: &TensorType,
    element: u64,
    ranges: &mut Ranges,
) -> Option<i32> {
    let s = site(window, groups, operands, result, element)?;
    let (first, end) = s.place.inside_columns(s.kernel[1]);
    let tap = usize::try_from(s.per_group).ok()?;
    let of_taps = |taps: u32| usize::try_from(taps).ok()?.checked_mul(tap);
    let (before, inside, row_len) = (
        of_taps(first)?,
        of_taps(end - first)?,
        of_taps(s.kernel[1])?,
    );
    let rows = usize::try_from(s.kernel[0]).ok()?;
    // The image's ranges come first, the filter behind them.
    let mut image = Ranges(ranges.0);
    let of_row = match contiguous(window, groups) {
        true => usize::from(first < end),
        false => usize::try_from(end - first).ok()?,
    };
    let rows_inside = (0..s.kernel[0]).filter_map(|u| s.place.row(u)).count();
    ranges.0 = ranges.0.get(rows_inside.checked_mul(of_row)?..)?;
    let mut filter = ranges.take(row_len.checked_mul(rows)?)?;

    let outside = |weights: &[u8]| sum(weights).wrapping_mul(i32::from(pad_value));
    let mut total = 0i32;
    for u in 0..s.kernel[0] {
        let (weights, rest) = filter.split_at_checked(row_len)?;
        filter = rest;
        if s.place.row(u).is_none() {
            total = total.wrapping_add(outside(weights));
            continue;
        }
        let (left, weights) = weights.split_at_checked(before)?;
        let (weights, right) = weights.split_at_checked(inside)?;
        total = total
            .wrapping_add(outside(left))
            .wrapping_add(outside(right));
        if let Some(len) = inside.checked_div(of_row) {
            for weights in weights.chunks(len) {
                total = total.wrapping_add(dot(image.take(len)?, weights));
            }
        }
    }
    requant::finish(epilogue, total, ranges)
}
