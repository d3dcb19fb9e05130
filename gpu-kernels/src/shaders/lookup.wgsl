// Op::Lookup: one word, four elements, an item.
// Twin: assay_tensor's evaluation of Op::Lookup.
// Includes: grid, divide, bytes.

struct Params {
    per_request: vec2<u32>,    // divisor: words of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    x_stride: u32,             // words from one request to the next; 0 if all share it
    table_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

fn entry(start: u32, v: i32) -> i32 {
    let at = bitcast<u32>(v + 128i);
    return byte_of(table[start + (at >> 2u)], at);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = item_of(group, lane, p.begin, p.width);
    if item >= p.end {
        return;
    }
    let request = divide(item, p.per_request);
    let four = unpack4xI8(x[request * p.x_stride + item - request * p.items]);
    let start = request * p.table_stride;
    y[item] = pack4xI8Clamp(vec4<i32>(
        entry(start, four.x),
        entry(start, four.y),
        entry(start, four.z),
        entry(start, four.w),
    ));
}
