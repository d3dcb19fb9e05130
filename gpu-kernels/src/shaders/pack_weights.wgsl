// The right operand of a matrix product, or a convolution's weights, where they are a value of
// the program and not a parameter: from rows of words to the order that matmul and conv2d
// read, zero past the last row and past the last element of a row. One word an item.
// Twin: `gpu::layout::pack_weights`, which packs parameters.
// Includes: grid, divide.

struct Params {
    per_request: vec2<u32>,    // divisor: words of the result of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    per_inner: vec2<u32>,      // divisor: words of one inner index of the result, 4 * blocks
    per_row: vec2<u32>,        // divisor: words of one padded row
    inner_words: u32,          // 4 * blocks
    rows: u32,                 // output columns or channels
    inner: u32,                // words of x for one of them, which are some padded rows
    row_words: u32,            // words of one padded row
    last_mask: u32,            // which bytes of a padded row's last word are elements
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
    let inner = divide(place, p.per_inner);
    let row = place - inner * p.inner_words;
    if row >= p.rows {
        y[item] = 0u;
        return;
    }
    let word = x[request * p.x_stride + row * p.inner + inner];
    let in_row = inner - divide(inner, p.per_row) * p.row_words;
    y[item] = word & select(0xffffffffu, p.last_mask, in_row + 1u == p.row_words);
}
