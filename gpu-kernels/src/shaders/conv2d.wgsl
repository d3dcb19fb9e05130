// Op::Conv2d where the channels of a group fill whole words: 4 pixels by 4 output channels an
// item, as a matrix product whose rows are gathered.
// Twin: assay_tensor's evaluation of Op::Conv2d.
// Includes: grid, divide, wide, dots, epilogue.

struct Params {
    per_request: vec2<u32>,    // divisor: items of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    per_pixel: vec2<u32>,      // divisor: channel blocks of this shard
    per_image: vec2<u32>,      // divisor: pixels of an output image
    per_line: vec2<u32>,       // divisor: pixels of an output line
    per_group: vec2<u32>,      // divisor: channel blocks of a group
    blocks: u32,               // channel blocks of this shard
    first_block: u32,          // the shard's first channel block
    pixels: u32,               // of a request: images * output height * output width
    image_pixels: u32,         // output height * output width
    line_pixels: u32,          // output width
    columns: u32,              // output channels
    height: u32,               // of the input
    breadth: u32,
    x_pixel: u32,              // words of a pixel of the input
    group_words: u32,          // words of a group's channels
    kernel_height: u32,
    kernel_width: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    top: u32,
    left: u32,
    pad_word: u32,             // the pad value in each byte
    x_stride: u32,             // words from one request to the next; 0 if all share it
    w_stride: u32,             // in vec4
    bias_stride: u32,
    scales_stride: u32,
    y_stride: u32,
    y_pixel: u32,              // words of a pixel of the result
    requantised: u32,          // 0: the result is the accumulators
    zero_point: i32,
    lo: i32,
    hi: i32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
// [kernel height][kernel width][group words][blocks] of the words of four output channels,
// zero past the last channel of input or output.
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> bias: array<i32>;
@group(0) @binding(4) var<storage, read> scales: array<i32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;

// Of output pixel `pixel` (the last, if there is none such): first word of its image, and line
// and column of its window's corner, modulo 2^32 where they lie outside.
fn corner(pixel: u32, start: u32) -> vec3<u32> {
    let at = min(pixel, p.pixels - 1u);
    let image = divide(at, p.per_image);
    let in_image = at - image * p.image_pixels;
    let line = divide(in_image, p.per_line);
    let column = in_image - line * p.line_pixels;
    return vec3<u32>(
        start + image * p.height * p.breadth * p.x_pixel,
        line * p.stride_y - p.top,
        column * p.stride_x - p.left,
    );
}

// Whether the tap at (dy, dx) of a window is in the image, and its first word.
fn tap(c: vec3<u32>, dy: u32, dx: u32) -> vec2<u32> {
    let line = c.y + dy;
    let column = c.z + dx;
    let inside = line < p.height && column < p.breadth;
    let word = c.x + (line * p.breadth + column) * p.x_pixel;
    return vec2<u32>(select(0u, word, inside), select(0u, 1u, inside));
}

fn load(t: vec2<u32>, word: u32) -> u32 {
    if t.y == 0u {
        return p.pad_word;
    }
    return x[t.x + word];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = item_of(group, lane, p.begin, p.width);
    if item >= p.end {
        return;
    }
    let request = divide(item, p.per_request);
    let place = item - request * p.items;
    let pixel_block = divide(place, p.per_pixel);
    let block = place - pixel_block * p.blocks;
    let pixel = pixel_block * 4u;

    let start = request * p.x_stride + divide(p.first_block + block, p.per_group) * p.group_words;
    let c0 = corner(pixel, start);
    let c1 = corner(pixel + 1u, start);
    let c2 = corner(pixel + 2u, start);
    let c3 = corner(pixel + 3u, start);
    var w = request * p.w_stride + block;
    var acc0 = vec4<u32>();
    var acc1 = vec4<u32>();
    var acc2 = vec4<u32>();
    var acc3 = vec4<u32>();
    for (var u = 0u; u < p.kernel_height; u++) {
        for (var v = 0u; v < p.kernel_width; v++) {
            let t0 = tap(c0, u * p.dilation_y, v * p.dilation_x);
            let t1 = tap(c1, u * p.dilation_y, v * p.dilation_x);
            let t2 = tap(c2, u * p.dilation_y, v * p.dilation_x);
            let t3 = tap(c3, u * p.dilation_y, v * p.dilation_x);
            for (var c = 0u; c < p.group_words; c++) {
                let four = weights[w];
                w += p.blocks;
                acc0 += dots(load(t0, c), four);
                acc1 += dots(load(t1, c), four);
                acc2 += dots(load(t2, c), four);
                acc3 += dots(load(t3, c), four);
            }
        }
    }
    let channel_block = p.first_block + block;
    let out = request * p.y_stride + pixel * p.y_pixel;
    finish(acc0, request, out, channel_block);
    if pixel + 1u < p.pixels {
        finish(acc1, request, out + p.y_pixel, channel_block);
    }
    if pixel + 2u < p.pixels {
        finish(acc2, request, out + 2u * p.y_pixel, channel_block);
    }
    if pixel + 3u < p.pixels {
        finish(acc3, request, out + 3u * p.y_pixel, channel_block);
    }
}
