//! [`assay_tensor::op::Op::MaxPool2d`] and [`assay_tensor::op::Op::AvgPool2d`], all channels of
//! a pixel together.

use super::kernel::{Kernel, for_each_kernel};
use super::step::{Batch, Site, Step, dims};
use assay_tensor::op::{Requant, Window};
use assay_tensor::ops::requant::requant;
use std::ops::Range;

/// What is computed over a window's taps.
enum Pool {
    Max,
    Average {
        pad_value: i8,
        offset: i32,
        requant: Requant,
    },
}

struct Pool2d {
    kernel: Kernel,
    pool: Pool,
    height: usize,
    width: usize,
    channels: usize,
    out: [usize; 2],
    window: Window,
}

/// Prepares a maximum over windows.
pub(crate) fn prepare_max(window: &Window, site: &Site) -> Box<dyn Step> {
    prepare(Pool::Max, window, site)
}

/// Prepares an average over windows.
pub(crate) fn prepare_average(
    window: &Window,
    pad_value: i8,
    offset: i32,
    requant: &Requant,
    site: &Site,
) -> Box<dyn Step> {
    let pool = Pool::Average {
        pad_value,
        offset,
        requant: *requant,
    };
    prepare(pool, window, site)
}

fn prepare(pool: Pool, window: &Window, site: &Site) -> Box<dyn Step> {
    let (&[_, height, width, channels], &[_, out_height, out_width, _]) =
        (&site.dims(0)[..], &dims(&site.result)[..])
    else {
        unreachable!("the check passed")
    };
    Box::new(Pool2d {
        kernel: site.kernel,
        pool,
        height,
        width,
        channels,
        out: [out_height, out_width],
        window: *window,
    })
}

impl Pool2d {
    /// The taps inside of the image of window `at` along `axis`: the first's position, and their
    /// number.
    fn inside(&self, axis: usize, at: usize) -> Inside {
        let image = [self.height, self.width][axis] as i64;
        let (stride, dilation) = (self.window.strides[axis], self.window.dilations[axis]);
        let origin = at as i64 * i64::from(stride) - i64::from(self.window.pads[axis]);
        let dilation = i64::from(dilation);
        let kernel = i64::from(self.window.kernel[axis]);
        // The first tap at or after zero, and the first at or after the end.
        let first = (-origin).max(0).div_ceil_by(dilation).min(kernel);
        let end = (image - origin).max(0).div_ceil_by(dilation).min(kernel);
        let start = origin + first * dilation;
        Inside {
            start: start.max(0) as usize,
            step: dilation as usize,
            count: (end - first).max(0) as usize,
        }
    }

    fn image(&self, image: &[u8], out: &mut [u8], sums: &mut [i32]) {
        let mut out = out.chunks_exact_mut(self.channels);
        for i in 0..self.out[0] {
            let rows = self.inside(0, i);
            for j in 0..self.out[1] {
                let columns = self.inside(1, j);
                let pixel = |(row, column)| {
                    let at = (row * self.width + column) * self.channels;
                    at..at + self.channels
                };
                let row = |row| columns.positions().map(move |column| (row, column));
                let taps = rows.positions().flat_map(row).map(pixel);
                let Some(out) = out.next() else { return };
                match &self.pool {
                    Pool::Max => {
                        out.fill(i8::MIN as u8);
                        for tap in taps {
                            maximum(self.kernel, &image[tap], out);
                        }
                    }
                    Pool::Average {
                        pad_value,
                        offset,
                        requant,
                    } => {
                        let [kh, kw] = self.window.kernel.map(i64::from);
                        // At most 2^17 taps passed the check.
                        let outside = kh * kw - (rows.count * columns.count) as i64;
                        let pads = (outside as i32).wrapping_mul(i32::from(*pad_value));
                        sums.fill(offset.wrapping_add(pads));
                        for tap in taps {
                            sum(self.kernel, &image[tap], sums);
                        }
                        requantise(self.kernel, sums, requant, out);
                    }
                }
            }
        }
    }
}

struct Inside {
    start: usize,
    step: usize,
    count: usize,
}

impl Inside {
    fn positions(&self) -> std::iter::StepBy<Range<usize>> {
        // A count of zero is an empty range whatever the start.
        let end = match self.count {
            0 => self.start,
            count => self.start + (count - 1) * self.step + 1,
        };
        (self.start..end).step_by(self.step)
    }
}

/// Division rounded up, of what is not negative by what is positive.
trait DivCeil {
    fn div_ceil_by(self, by: Self) -> Self;
}

impl DivCeil for i64 {
    fn div_ceil_by(self, by: i64) -> i64 {
        (self as u64).div_ceil(by as u64) as i64
    }
}

for_each_kernel! {
    fn maximum(x: &[u8], out: &mut [u8]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = (*out as i8).max(*x as i8) as u8;
        }
    }
}

for_each_kernel! {
    fn sum(x: &[u8], sums: &mut [i32]) {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = sum.wrapping_add(i32::from(*x as i8));
        }
    }
}

for_each_kernel! {
    fn requantise(sums: &[i32], by: &Requant, out: &mut [u8]) {
        let shift = i32::from(by.shift);
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = requant(*sum, by.multiplier, shift, &by.range) as u8;
        }
    }
}

impl Step for Pool2d {
    fn run(&self, batch: usize, operands: &[Batch], out: &mut [u8], _: &mut Vec<u8>) {
        let image = self.height * self.width * self.channels;
        let result = self.out[0] * self.out[1] * self.channels;
        let each = out.len() / batch;
        let mut sums = vec![0; self.channels];
        for (request, out) in out.chunks_exact_mut(each).enumerate() {
            let images = operands[0].of(request).chunks_exact(image);
            for (image, out) in images.zip(out.chunks_exact_mut(result)) {
                self.image(image, out, &mut sums);
            }
        }
    }
}
