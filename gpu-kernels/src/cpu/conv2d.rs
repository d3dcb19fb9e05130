//! [`assay_tensor::op::Op::Conv2d`]: each image is padded and converted once, and the pixels
//! under the kernel are read where they lie. Depthwise convolutions go channel by channel.

use super::epilogue::Channels;
use super::gemm::{Layout, Left, Offsets, Right, SLACK, Weights, convert, multiply};
use super::kernel::{Kernel, for_each_kernel};
use super::step::{Batch, Site, Step, buffer};
use assay_tensor::op::{Epilogue, Window};

/// Padding that makes an image larger than this many bytes, and than a few times itself, is not
/// laid out in memory.
const MOST_PADDED: u128 = 1 << 20;
/// Elements of the result's plane that are computed together, or one row of it.
const BLOCK: usize = 4096;

/// Sizes of a convolution.
struct Shape {
    height: usize,
    width: usize,
    channels: usize,
    /// Padded.
    padded: [usize; 2],
    /// Of the result.
    out: [usize; 2],
    filters: usize,
    groups: usize,
    window: Window,
}

struct Conv2d {
    kernel: Kernel,
    epilogue: Epilogue,
    pad_value: i8,
    shape: Shape,
    /// One for each group, or none where an operand is a value: packed for each request then.
    weights: Option<Filters>,
    /// Of one block of the result's rows.
    rows: Offsets,
    segments: Offsets,
    /// Elements of a segment.
    elements: usize,
}

enum Filters {
    /// One for each group.
    Packed(Vec<Weights>),
    Depthwise(Depthwise),
}

/// Prepares a convolution; `None` if its padding is out of all proportion to its images.
pub(crate) fn prepare(
    window: &Window,
    groups: u32,
    pad_value: i8,
    epilogue: &Epilogue,
    site: &Site,
) -> Option<Box<dyn Step>> {
    let (&[_, height, width, channels], &[_, out_height, out_width, filters]) =
        (&site.dims(0)[..], &super::step::dims(&site.result)[..])
    else {
        unreachable!("the check passed")
    };
    let pads = window.pads.map(|pad| pad as usize);
    let padded = [height + pads[0] + pads[2], width + pads[1] + pads[3]];
    let bytes = |size: [usize; 2]| size[0] as u128 * size[1] as u128 * channels as u128;
    if bytes(padded) > MOST_PADDED.max(4 * bytes([height, width])) {
        return None;
    }
    let shape = Shape {
        height,
        width,
        channels,
        padded,
        out: [out_height, out_width],
        filters,
        groups: groups as usize,
        window: *window,
    };
    let element = if shape.depthwise() {
        1
    } else {
        Layout::of(site.kernel).element()
    };
    let (segments, elements) = shape.segments(element);
    let mut step = Conv2d {
        kernel: site.kernel,
        epilogue: *epilogue,
        pad_value,
        rows: shape.rows(element),
        shape,
        weights: None,
        segments: Offsets::new(segments),
        elements,
    };
    step.weights = site.known_from(1).map(|known| step.pack(&known));
    Some(Box::new(step))
}

impl Shape {
    fn depthwise(&self) -> bool {
        self.groups == self.channels && self.filters == self.channels && self.channels > 1
    }

    /// Rows of the result that make a block.
    fn block(&self) -> usize {
        (BLOCK / self.out[1]).clamp(1, self.out[0])
    }

    /// Offset of the first tap of each pixel of the first block of the result, in an image of
    /// `element` bytes an element.
    fn rows(&self, element: usize) -> Offsets {
        let [sh, sw] = self.window.strides.map(|s| s as usize);
        let columns = self.out[1];
        let row = |i| (0..columns).map(move |j| (i, j));
        let at = (0..self.block()).flat_map(row);
        let offset = |(i, j)| (i * sh * self.padded[1] + j * sw) * self.channels * element;
        Offsets::new(at.map(offset).collect())
    }

    /// Offsets of the runs of taps that lie side by side in the image and in a filter, and the
    /// elements of one.
    fn segments(&self, element: usize) -> (Vec<usize>, usize) {
        let [kh, kw] = self.window.kernel.map(|k| k as usize);
        let [dh, dw] = self.window.dilations.map(|d| d as usize);
        let pixel =
            |u: usize, v: usize| (u * dh * self.padded[1] + v * dw) * self.channels * element;
        let per_group = self.channels / self.groups;
        if self.groups == 1 && dw == 1 {
            ((0..kh).map(|u| pixel(u, 0)).collect(), kw * per_group)
        } else {
            let row = |u| (0..kw).map(move |v| pixel(u, v));
            ((0..kh).flat_map(row).collect(), per_group)
        }
    }

    /// Writes an image with its padding to `to`, of `element` bytes an element.
    fn pad(
        &self,
        image: &[u8],
        element: usize,
        to: &mut [u8],
        pad: &[u8],
        copy: impl Fn(&[u8], &mut [u8]),
    ) {
        let [top, left, ..] = self.window.pads.map(|p| p as usize);
        let row = self.padded[1] * self.channels * element;
        let (start, len) = (
            left * self.channels * element,
            self.width * self.channels * element,
        );
        let fill = |to: &mut [u8]| {
            if let [pad] = pad {
                return to.fill(*pad);
            }
            for to in to.chunks_exact_mut(element) {
                to.copy_from_slice(pad);
            }
        };
        if row == len && self.padded[0] == self.height {
            return copy(image, &mut to[..self.height * len]);
        }
        let mut images = image.chunks_exact(self.width * self.channels);
        for (i, to) in to.chunks_exact_mut(row).take(self.padded[0]).enumerate() {
            if i < top || i >= top + self.height {
                fill(to);
                continue;
            }
            fill(&mut to[..start]);
            fill(&mut to[start + len..]);
            copy(images.next().unwrap_or(&[]), &mut to[start..start + len]);
        }
    }
}

impl Conv2d {
    /// Packs the filters, the bias and, where there are any, the scales.
    fn pack(&self, operands: &[&[u8]]) -> Filters {
        let shape = &self.shape;
        let scales = operands.get(2).copied().unwrap_or(&[]);
        if shape.depthwise() {
            let channels =
                Channels::new(&self.epilogue, operands[1], scales, 0, shape.filters, LANES);
            return Filters::Depthwise(Depthwise::new(operands[0], channels, shape.channels));
        }
        let columns = shape.filters / shape.groups;
        let weights = operands[0].chunks_exact(operands[0].len() / shape.groups);
        let pack = |(group, weights)| {
            let channels = |width| {
                let first = group * columns;
                Channels::new(&self.epilogue, operands[1], scales, first, columns, width)
            };
            let segments = self.segments.len();
            Weights::pack(
                self.kernel,
                weights,
                columns,
                segments,
                self.elements,
                channels,
            )
        };
        Filters::Packed(weights.enumerate().map(pack).collect())
    }

    /// The blocks of a result: the byte in an image of `element` bytes an element at which the
    /// first of its windows starts, its pixels, and its part of `out`.
    fn blocks<'a>(
        &self,
        element: usize,
        out: &'a mut [u8],
    ) -> impl Iterator<Item = (usize, usize, &'a mut [u8])> {
        let Shape {
            channels,
            padded,
            out: [height, width],
            window,
            ..
        } = &self.shape;
        let block = self.shape.block();
        let step = block * window.strides[0] as usize * padded[1] * channels * element;
        let row = out.len() / height;
        let width = *width;
        out.chunks_mut(block * row)
            .enumerate()
            .map(move |(i, out)| (i * step, out.len() / row * width, out))
    }

    /// The result of one image.
    fn image(&self, filters: &Filters, image: &[u8], out: &mut [u8], scratch: &mut Vec<u8>) {
        let shape = &self.shape;
        let elements = shape.padded[0] * shape.padded[1] * shape.channels;
        let pad = [self.pad_value as u8];
        match filters {
            Filters::Depthwise(depthwise) => {
                // Vectors of channels reach past the last pixel.
                let data = buffer(scratch, elements + LANES);
                shape.pad(image, 1, data, &pad, |from, to| to.copy_from_slice(from));
                for (start, pixels, out) in self.blocks(1, out) {
                    let rows = self.rows.first(pixels);
                    let taps = self.segments.all();
                    depthwise_image(self.kernel, depthwise, &data[start..], rows, taps, out);
                }
            }
            Filters::Packed(weights) => {
                let layout = Layout::of(self.kernel);
                let element = layout.element();
                let data = buffer(scratch, elements * element + SLACK);
                let mut converted = [0; 2];
                convert(self.kernel, &pad, &mut converted[..element]);
                shape.pad(image, element, data, &converted[..element], |from, to| {
                    convert(self.kernel, from, to);
                });
                let per_group = shape.channels / shape.groups * element;
                for (start, pixels, out) in self.blocks(element, out) {
                    for (group, weights) in weights.iter().enumerate() {
                        let left = Left {
                            data: &data[start + group * per_group..],
                            rows: &self.rows,
                            segments: &self.segments,
                        };
                        let right = Right {
                            data: out,
                            stride: shape.filters,
                            first: group * (shape.filters / shape.groups),
                        };
                        multiply(left, pixels, weights, right);
                    }
                }
            }
        }
    }
}

impl Step for Conv2d {
    fn run(&self, batch: usize, operands: &[Batch], out: &mut [u8], scratch: &mut Vec<u8>) {
        let each = out.len() / batch;
        let image = self.shape.height * self.shape.width * self.shape.channels;
        for (request, out) in out.chunks_exact_mut(each).enumerate() {
            let packed;
            let filters = match &self.weights {
                Some(weights) => weights,
                None => {
                    let rest = operands[1..].iter().map(|operand| operand.of(request));
                    packed = self.pack(&rest.collect::<Vec<_>>());
                    &packed
                }
            };
            let images = operands[0].of(request).chunks_exact(image);
            let result = each / images.len();
            for (image, out) in images.zip(out.chunks_exact_mut(result)) {
                self.image(filters, image, out, scratch);
            }
        }
    }
}

/// Channels that a depthwise convolution computes together.
const LANES: usize = 16;

/// Filters of a depthwise convolution: for each tap the channels' weights, padded with zeros.
struct Depthwise {
    weights: Vec<[i16; LANES]>,
    channels: Channels,
    /// Channels, and vectors of them.
    count: usize,
    vectors: usize,
}

impl Depthwise {
    fn new(filters: &[u8], channels: Channels, count: usize) -> Self {
        let (taps, vectors) = (filters.len() / count, count.div_ceil(LANES));
        let mut weights = vec![[0; LANES]; taps * vectors];
        for (channel, filter) in filters.chunks_exact(taps).enumerate() {
            for (tap, weight) in filter.iter().enumerate() {
                weights[tap * vectors + channel / LANES][channel % LANES] =
                    i16::from(*weight as i8);
            }
        }
        Self {
            weights,
            channels,
            count,
            vectors,
        }
    }
}

for_each_kernel! {
    /// A depthwise convolution of one padded image.
    fn depthwise_image(
        filters: &Depthwise,
        image: &[u8],
        rows: &[usize],
        taps: &[usize],
        out: &mut [u8],
    ) {
        let Depthwise { weights, channels, count, vectors } = filters;
        for (row, start) in rows.iter().enumerate() {
            for vector in 0..*vectors {
                let first = vector * LANES;
                let mut acc: [i32; LANES] = *super::epilogue::part(&channels.offset, first);
                for (tap, at) in taps.iter().enumerate() {
                    let x: &[u8; LANES] = super::epilogue::part(image, start + at + first);
                    let w = &weights[tap * vectors + vector];
                    for i in 0..LANES {
                        // A product of two i8 fits i16.
                        let product = i16::from(x[i] as i8).wrapping_mul(w[i]);
                        acc[i] = acc[i].wrapping_add(i32::from(product));
                    }
                }
                let lanes = (count - first).min(LANES);
                let to = row * count + first;
                match &channels.scale {
                    Some(scale) => {
                        let values = scale.apply(&acc, first);
                        out[to..to + lanes].copy_from_slice(&values[..lanes]);
                    }
                    None => {
                        let (words, _) = out.as_chunks_mut::<4>();
                        for (to, value) in words[to..to + lanes].iter_mut().zip(acc) {
                            *to = value.to_le_bytes();
                        }
                    }
                }
            }
        }
    }
}
