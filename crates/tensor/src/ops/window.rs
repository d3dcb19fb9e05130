//! Windows over the height and width of an image.

use crate::check::CheckError;
use crate::op::Window;

/// The result's height and width for an image of `image` (height and width).
pub(crate) fn output(window: &Window, image: [u32; 2]) -> Result<[u32; 2], CheckError> {
    let mut out = [0; 2];
    for axis in 0..2 {
        let (kernel, stride, dilation) = (
            window.kernel[axis],
            window.strides[axis],
            window.dilations[axis],
        );
        if kernel == 0 || stride == 0 || dilation == 0 {
            return Err(CheckError::EmptyWindow);
        }
        // (2^32 - 2) * (2^32 - 1) + 1 is below 2^64, and so is the sum of three u32.
        let extent = u64::from(kernel - 1) * u64::from(dilation) + 1;
        let padded = u64::from(image[axis])
            + u64::from(window.pads[axis])
            + u64::from(window.pads[axis + 2]);
        if extent > padded {
            return Err(CheckError::WindowTooLarge {
                dimension: axis + 1,
                window: extent,
                image: padded,
            });
        }
        out[axis] = u32::try_from((padded - extent) / u64::from(stride) + 1)
            .map_err(|_| CheckError::ResultTooLarge)?;
    }
    Ok(out)
}

/// Where the window of one element of the result `[N, OH, OW, C]` lies on its image.
pub(crate) struct Place {
    /// The image.
    pub n: u64,
    /// Row and column of the first tap; outside of the image where negative or too large.
    origin: [i64; 2],
    dilations: [i64; 2],
    image: [i64; 2],
    /// The channel of the result.
    pub channel: u64,
}

impl Place {
    /// The place of element `element` of a result of dimensions `result`, over images of
    /// height and width `image`.
    pub(crate) fn new(window: &Window, image: [u32; 2], result: [u32; 4], element: u64) -> Self {
        let [_, height, width, channels] = result.map(u64::from);
        let (rest, channel) = (element / channels, element % channels);
        let (rest, column) = (rest / width, rest % width);
        let (n, row) = (rest / height, rest % height);
        // Each below 2^63: an index of a window times its stride is within the padded image.
        let origin = |at: u64, axis: usize| {
            at as i64 * i64::from(window.strides[axis]) - i64::from(window.pads[axis])
        };
        Self {
            n,
            origin: [origin(row, 0), origin(column, 1)],
            dilations: window.dilations.map(i64::from),
            image: image.map(i64::from),
            channel,
        }
    }

    fn inside(&self, axis: usize, tap: u32) -> Option<u64> {
        let at = self.origin[axis] + i64::from(tap) * self.dilations[axis];
        (0..self.image[axis]).contains(&at).then_some(at as u64)
    }

    /// The image's row under row `tap` of the kernel.
    pub(crate) fn row(&self, tap: u32) -> Option<u64> {
        self.inside(0, tap)
    }

    /// The image's column under column `tap` of the kernel.
    pub(crate) fn column(&self, tap: u32) -> Option<u64> {
        self.inside(1, tap)
    }

    /// Index of the pixel in row `row` and column `column` of this image, among all images'.
    pub(crate) fn pixel(&self, row: u64, column: u64) -> u64 {
        (self.n * self.image[0] as u64 + row) * self.image[1] as u64 + column
    }

    /// The kernel's columns, of `kernel`, that lie inside of the image: `first..end`, empty if
    /// none does. A tap's position grows with its index, and there may be 2^16 of them, so they
    /// are not tried one by one.
    pub(crate) fn inside_columns(&self, kernel: u32) -> (u32, u32) {
        // The first tap at or behind a column.
        let at_or_behind = |column: i64| {
            let distance = (column - self.origin[1]).max(0) as u64;
            let tap = distance.div_ceil(self.dilations[1] as u64);
            tap.min(u64::from(kernel)) as u32
        };
        (at_or_behind(0), at_or_behind(self.image[1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_inside_are_those_that_are(
            width in 1u32..9,
            kernel in 1u32..9,
            stride in 1u32..5,
            dilation in 1u32..5,
            pads in (0u32..20, 0u32..20),
            element in any::<u32>(),
        ) {
            let window = Window {
                kernel: [1, kernel],
                strides: [1, stride],
                dilations: [1, dilation],
                pads: [0, pads.0, 0, pads.1],
            };
            let Ok([height, columns]) = output(&window, [1, width]) else { return Ok(()) };
            let result = [1, height, columns, 1];
            let place = Place::new(&window, [1, width], result, u64::from(element % columns));
            let (first, end) = place.inside_columns(kernel);
            prop_assert!(first <= end && end <= kernel);
            for tap in 0..kernel {
                prop_assert_eq!(place.column(tap).is_some(), (first..end).contains(&tap));
            }
        }
    }
}
