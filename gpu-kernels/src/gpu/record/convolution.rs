//! Recording of convolutions.

use super::{Recorder, epilogue, pad_word, shard_of};
use crate::gpu::{
    divide::Divisor,
    kernels,
    plan::{Buffer, Step, shards},
};

impl Recorder<'_> {
    pub(super) fn conv2d(&mut self, step: &Step, buffers: &[Buffer]) {
        let Step::Conv2d {
            x,
            w,
            finish,
            y,
            input,
            output,
            window,
            group_words,
            group_blocks,
            pad_value,
            shard,
        } = step
        else {
            return;
        };
        let image_pixels = output.height * output.width;
        let (requests, pixels) = self.merged(output.n * image_pixels, x, w, finish);
        for (index, blocks) in shards(output.channels, *shard).enumerate() {
            let count = blocks.len() as u32;
            let end = epilogue(finish);
            let own = kernels::Conv2d {
                per_pixel: Divisor::new(count),
                per_image: Divisor::new(image_pixels),
                per_line: Divisor::new(output.width),
                per_group: Divisor::new(*group_blocks),
                blocks: count,
                first_block: blocks.start,
                pixels,
                image_pixels,
                line_pixels: output.width,
                columns: output.channels,
                height: input.height,
                breadth: input.width,
                x_pixel: input.pixel_words,
                group_words: *group_words,
                window: window.into(),
                pad_word: pad_word(*pad_value),
                x_stride: x.stride,
                w_stride: w.stride / 4,
                bias_stride: finish.bias.stride,
                scales_stride: end.scales_stride,
                y_stride: y.stride,
                y_pixel: output.pixel_words,
                requantised: end.requantised,
                zero_point: end.zero_point,
                lo: end.lo,
                hi: end.hi,
            };
            let items = pixels.div_ceil(4) * count;
            let taps = u64::from(window.kernel[0]) * u64::from(window.kernel[1]);
            let work = taps * (u64::from(*group_words) * 64 + 32) + 128;
            self.dispatch(shard_of(buffers, index), requests, items, work, &own);
        }
    }

    pub(super) fn conv2d_grouped(&mut self, step: &Step, buffers: Vec<Buffer>) {
        let Step::Conv2dGrouped {
            x,
            w,
            finish,
            y,
            input,
            output,
            window,
            groups,
            pad_value,
        } = step
        else {
            return;
        };
        let blocks = output.channels.div_ceil(4);
        let image_pixels = output.height * output.width;
        let group_channels = input.channels / groups;
        let taps = u64::from(window.kernel[0]) * u64::from(window.kernel[1]);
        let items = output.n * image_pixels * blocks;
        let end = epilogue(finish);
        if group_channels == 1 && input.channels == output.channels {
            let own = kernels::Conv2dDepthwise {
                per_pixel: Divisor::new(blocks),
                per_image: Divisor::new(image_pixels),
                per_line: Divisor::new(output.width),
                blocks,
                image_pixels,
                line_pixels: output.width,
                columns: output.channels,
                height: input.height,
                breadth: input.width,
                x_pixel: input.pixel_words,
                window: window.into(),
                pad_word: pad_word(*pad_value),
                x_stride: x.stride,
                w_stride: w.stride,
                bias_stride: finish.bias.stride,
                scales_stride: end.scales_stride,
                y_stride: y.stride,
                y_pixel: output.pixel_words,
                requantised: end.requantised,
                zero_point: end.zero_point,
                lo: end.lo,
                hi: end.hi,
            };
            self.dispatch(buffers, self.requests, items, taps * 16 + 64, &own);
        } else {
            let own = kernels::Conv2dGrouped {
                per_pixel: Divisor::new(blocks),
                per_image: Divisor::new(image_pixels),
                per_line: Divisor::new(output.width),
                per_group: Divisor::new(output.channels / groups),
                blocks,
                image_pixels,
                line_pixels: output.width,
                columns: output.channels,
                height: input.height,
                breadth: input.width,
                x_pixel: input.pixel_words,
                group_channels,
                window: window.into(),
                pad_word: pad_word(*pad_value),
                x_stride: x.stride,
                w_stride: w.stride,
                bias_stride: finish.bias.stride,
                scales_stride: end.scales_stride,
                y_stride: y.stride,
                y_pixel: output.pixel_words,
                requantised: end.requantised,
                zero_point: end.zero_point,
                lo: end.lo,
                hi: end.hi,
            };
            let work = taps * (u64::from(group_channels) * 32 + 8) + 64;
            self.dispatch(buffers, self.requests, items, work, &own);
        }
    }
}
