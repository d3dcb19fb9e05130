// Op::MaxPool2d: one pixel by 4 channels, a word, an item.
// Twin: assay_tensor's evaluation of Op::MaxPool2d.
// Includes: grid, divide.

struct Params {
    per_request: vec2<u32>,    // divisor: words of the result of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    per_pixel: vec2<u32>,      // divisor: words of a pixel
    per_image: vec2<u32>,      // divisor: pixels of an output image
    per_line: vec2<u32>,       // divisor: pixels of an output line
    pixel_words: u32,          // words of a pixel, of input and result
    image_pixels: u32,         // output height * output width
    line_pixels: u32,          // output width
    height: u32,               // of the input
    breadth: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    top: u32,
    left: u32,
    x_stride: u32,             // words from one request to the next; 0 if all share it
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = item_of(group, lane, p.begin, p.width);
    if item >= p.end {
        return;
    }
    let request = divide(item, p.per_request);
    let place = item - request * p.items;
    let pixel = divide(place, p.per_pixel);
    let word = place - pixel * p.pixel_words;
    let image = divide(pixel, p.per_image);
    let in_image = pixel - image * p.image_pixels;
    let out_line = divide(in_image, p.per_line);
    let out_column = in_image - out_line * p.line_pixels;

    let start = request * p.x_stride + image * p.height * p.breadth * p.pixel_words + word;
    var best = vec4<i32>(-128i);
    for (var u = 0u; u < p.kernel_height; u++) {
        let line = out_line * p.stride_y - p.top + u * p.dilation_y;
        for (var v = 0u; v < p.kernel_width; v++) {
            let column = out_column * p.stride_x - p.left + v * p.dilation_x;
            if line < p.height && column < p.breadth {
                let tap = unpack4xI8(x[start + (line * p.breadth + column) * p.pixel_words]);
                best = max(best, tap);
            }
        }
    }
    y[item] = pack4xI8Clamp(best);
}
