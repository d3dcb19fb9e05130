// Op::Reshape where rows of i8 change their length and are not whole words: one word, four
// elements, an item. Any other reshape costs nothing.
// Twin: assay_tensor's evaluation of Op::Reshape.
// Includes: grid, divide, bytes.

struct Params {
    per_request: vec2<u32>,    // divisor: words of the result of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    per_row: vec2<u32>,        // divisor: words of a row of the result
    per_x_row: vec2<u32>,      // divisor: elements of a row of x
    row_words: u32,            // words of a row of the result
    row_elements: u32,
    x_row_words: u32,
    x_row_elements: u32,
    bytes: u32,                // 1: elements are i8; 0: i32
    x_stride: u32,             // words from one request to the next; 0 if all share it
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

// The element in a row and column of the result.
fn element(start: u32, row: u32, column: u32) -> i32 {
    let at = row * p.row_elements + min(column, p.row_elements - 1u);
    let x_row = divide(at, p.per_x_row);
    let x_column = at - x_row * p.x_row_elements;
    return byte_of(x[start + x_row * p.x_row_words + (x_column >> 2u)], x_column);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = item_of(group, lane, p.begin, p.width);
    if item >= p.end {
        return;
    }
    let request = divide(item, p.per_request);
    let place = item - request * p.items;
    let start = request * p.x_stride;
    if p.bytes == 0u {
        y[item] = x[start + place];
        return;
    }
    let row = divide(place, p.per_row);
    let word = place - row * p.row_words;
    y[item] = pack4xI8Clamp(vec4<i32>(
        element(start, row, word * 4u),
        element(start, row, word * 4u + 1u),
        element(start, row, word * 4u + 2u),
        element(start, row, word * 4u + 3u),
    ));
}
