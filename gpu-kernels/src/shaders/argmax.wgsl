// Op::ArgMax: one row an item.
// Twin: assay_tensor's evaluation of Op::ArgMax.
// Includes: grid, divide, bytes.

struct Params {
    per_request: vec2<u32>,    // divisor: rows of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    row_words: u32,            // words of a row of x
    row_elements: u32,
    bytes: u32,                // 1: elements are i8; 0: i32
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
    let start = request * p.x_stride + (item - request * p.items) * p.row_words;
    var best = 0u;
    var largest = 0i;
    for (var k = 0u; k < p.row_elements; k++) {
        var v: i32;
        if p.bytes == 1u {
            v = byte_of(x[start + (k >> 2u)], k);
        } else {
            v = bitcast<i32>(x[start + k]);
        }
        if k == 0u || v > largest {
            largest = v;
            best = k;
        }
    }
    y[item] = best;
}
