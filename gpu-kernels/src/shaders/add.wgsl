// Op::Add: one word, four elements, an item.
// Twin: assay_tensor's evaluation of Op::Add.
// Includes: grid, divide, wide.

struct Params {
    per_request: vec2<u32>,    // divisor: words of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    per_b: vec2<u32>,          // divisor: words of b
    b_words: u32,
    b_scalar: u32,             // 1: b is one element, for all
    a_stride: u32,             // words from one request to the next; 0 if all share it
    b_stride: u32,
    multiplier_a: i32,
    multiplier_b: i32,
    offset_low: u32,
    offset_high: u32,
    shift: u32,
    zero_point: i32,
    lo: i32,
    hi: i32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

fn sum(left: i32, right: i32) -> i32 {
    let products = wide_add(
        wide_multiply(left, p.multiplier_a),
        wide_multiply(right, p.multiplier_b),
    );
    let total = wide_add(products, vec2<u32>(p.offset_low, p.offset_high));
    return max(p.lo, min(p.hi, wide_round(total, p.shift) + p.zero_point));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = item_of(group, lane, p.begin, p.width);
    if item >= p.end {
        return;
    }
    let request = divide(item, p.per_request);
    let word = item - request * p.items;
    let b_word = word - divide(word, p.per_b) * p.b_words;
    let left = unpack4xI8(a[request * p.a_stride + word]);
    var right = unpack4xI8(b[request * p.b_stride + b_word]);
    if p.b_scalar == 1u {
        right = vec4<i32>(right.x);
    }
    y[item] = pack4xI8Clamp(vec4<i32>(
        sum(left.x, right.x),
        sum(left.y, right.y),
        sum(left.z, right.z),
        sum(left.w, right.w),
    ));
}
