// Op::Conv2d with groups whose channels do not fill words: one pixel by 4 output channels an
// item, byte by byte.
// Twin: assay_tensor's evaluation of Op::Conv2d.
// Includes: grid, divide, wide, bytes, epilogue.

struct Params {
    per_request: vec2<u32>,    // divisor: items of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    per_pixel: vec2<u32>,      // divisor: channel blocks
    per_image: vec2<u32>,      // divisor: pixels of an output image
    per_line: vec2<u32>,       // divisor: pixels of an output line
    per_group: vec2<u32>,      // divisor: output channels of a group
    blocks: u32,               // channel blocks
    image_pixels: u32,         // output height * output width
    line_pixels: u32,          // output width
    columns: u32,              // output channels
    height: u32,               // of the input
    breadth: u32,
    x_pixel: u32,              // words of a pixel of the input
    group_channels: u32,       // input channels of a group
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
    w_stride: u32,
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
// The weights transposed to i8[kernel height, kernel width, group channels, output channels].
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<i32>;
@group(0) @binding(4) var<storage, read> scales: array<i32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;

fn first_channel(column: u32) -> u32 {
    return divide(min(column, p.columns - 1u), p.per_group) * p.group_channels;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = item_of(group, lane, p.begin, p.width);
    if item >= p.end {
        return;
    }
    let request = divide(item, p.per_request);
    let place = item - request * p.items;
    let pixel = divide(place, p.per_pixel);
    let block = place - pixel * p.blocks;
    let image = divide(pixel, p.per_image);
    let in_image = pixel - image * p.image_pixels;
    let out_line = divide(in_image, p.per_line);
    let out_column = in_image - out_line * p.line_pixels;

    // The first input channel of each of the four output channels.
    let first = vec4<u32>(
        first_channel(block * 4u),
        first_channel(block * 4u + 1u),
        first_channel(block * 4u + 2u),
        first_channel(block * 4u + 3u),
    );
    let start = request * p.x_stride + image * p.height * p.breadth * p.x_pixel;
    let pad = unpack4xI8(p.pad_word);
    var w = request * p.w_stride + block;
    var acc = vec4<u32>();
    for (var u = 0u; u < p.kernel_height; u++) {
        let line = out_line * p.stride_y - p.top + u * p.dilation_y;
        for (var v = 0u; v < p.kernel_width; v++) {
            let column = out_column * p.stride_x - p.left + v * p.dilation_x;
            let inside = line < p.height && column < p.breadth;
            let at = start + select(0u, (line * p.breadth + column) * p.x_pixel, inside);
            for (var c = 0u; c < p.group_channels; c++) {
                let channel = first + vec4<u32>(c);
                let bytes = vec4<i32>(
                    byte_of(x[at + (channel.x >> 2u)], channel.x),
                    byte_of(x[at + (channel.y >> 2u)], channel.y),
                    byte_of(x[at + (channel.z >> 2u)], channel.z),
                    byte_of(x[at + (channel.w >> 2u)], channel.w),
                );
                let taps = select(pad, bytes, inside);
                acc += bitcast<vec4<u32>>(taps * unpack4xI8(weights[w]));
                w += p.blocks;
            }
        }
    }

    finish(acc, request, request * p.y_stride + pixel * p.y_pixel, block);
}
