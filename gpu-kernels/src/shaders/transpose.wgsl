// Op::Transpose: one word of the result an item (four i8 elements or one i32).
// Twin: assay_tensor's evaluation of Op::Transpose; for parameters `gpu::layout::transpose`.
// Includes: grid, divide, bytes.

struct Params {
    per_request: vec2<u32>,    // divisor: words of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    per_row: vec2<u32>,        // divisor: words of a row of the result
    // Divisors of the result's dimensions 1 to 4, the outer of which are 1.
    per_1: vec2<u32>,
    per_2: vec2<u32>,
    per_3: vec2<u32>,
    per_4: vec2<u32>,
    row_words: u32,            // words of a row of the result
    row_elements: u32,         // the result's dimension 5
    size_1: u32,               // the result's dimensions 1 to 4
    size_2: u32,
    size_3: u32,
    size_4: u32,
    // Steps in x for a step in each dimension of the result, in elements of x's padded rows.
    step_0: u32,
    step_1: u32,
    step_2: u32,
    step_3: u32,
    step_4: u32,
    step_5: u32,
    bytes: u32,                // 1: elements are i8; 0: i32
    x_stride: u32,             // words from one request to the next; 0 if all share it
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

// The element of column `column` of the result's row whose elements begin at `at` in x.
fn element(start: u32, at: u32, column: u32) -> i32 {
    let source = at + min(column, p.row_elements - 1u) * p.step_5;
    return byte_of(x[start + (source >> 2u)], source);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = item_of(group, lane, p.begin, p.width);
    if item >= p.end {
        return;
    }
    let request = divide(item, p.per_request);
    let place = item - request * p.items;
    let row = divide(place, p.per_row);
    let word = place - row * p.row_words;
    let q4 = divide(row, p.per_4);
    let q3 = divide(q4, p.per_3);
    let q2 = divide(q3, p.per_2);
    let q1 = divide(q2, p.per_1);
    let at = q1 * p.step_0 + (q2 - q1 * p.size_1) * p.step_1 + (q3 - q2 * p.size_2) * p.step_2
        + (q4 - q3 * p.size_3) * p.step_3 + (row - q4 * p.size_4) * p.step_4;
    let start = request * p.x_stride;
    if p.bytes == 0u {
        y[item] = x[start + at + word * p.step_5];
        return;
    }
    y[item] = pack4xI8Clamp(vec4<i32>(
        element(start, at, word * 4u),
        element(start, at, word * 4u + 1u),
        element(start, at, word * 4u + 2u),
        element(start, at, word * 4u + 3u),
    ));
}
