// Op::MatMul: 4 rows by 4 columns of the result an item.
// Twin: assay_tensor's evaluation of Op::MatMul.
// Includes: grid, divide, wide, dots, epilogue.

struct Params {
    per_request: vec2<u32>,    // divisor: items of a request
    begin: u32,                // items of this dispatch: begin..end
    end: u32,
    width: u32,                // workgroups in a row of the dispatch
    items: u32,                // of a request
    per_row: vec2<u32>,        // divisor: column blocks of this shard
    blocks: u32,               // column blocks of this shard
    first_block: u32,          // the shard's first column block
    rows: u32,                 // of a request
    columns: u32,
    inner: u32,                // words of a row of a
    a_stride: u32,             // words from one request to the next; 0 if all share it
    b_stride: u32,             // in vec4
    bias_stride: u32,
    scales_stride: u32,
    y_stride: u32,
    y_row: u32,                // words of a row of the result
    requantised: u32,          // 0: the result is the accumulators
    zero_point: i32,
    lo: i32,
    hi: i32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<u32>;
// [inner][blocks] of the words of four columns, zero past the last column and past K.
@group(0) @binding(2) var<storage, read> b: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> bias: array<i32>;
@group(0) @binding(4) var<storage, read> scales: array<i32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = item_of(group, lane, p.begin, p.width);
    if item >= p.end {
        return;
    }
    let request = divide(item, p.per_request);
    let place = item - request * p.items;
    let row_block = divide(place, p.per_row);
    let block = place - row_block * p.blocks;
    let row = row_block * 4u;
    let last = p.rows - 1u;

    let start = request * p.a_stride;
    let a0 = start + row * p.inner;
    let a1 = start + min(row + 1u, last) * p.inner;
    let a2 = start + min(row + 2u, last) * p.inner;
    let a3 = start + min(row + 3u, last) * p.inner;
    var w = request * p.b_stride + block;
    var acc0 = vec4<u32>();
    var acc1 = vec4<u32>();
    var acc2 = vec4<u32>();
    var acc3 = vec4<u32>();
    for (var k = 0u; k < p.inner; k++) {
        let weights = b[w];
        w += p.blocks;
        acc0 += dots(a[a0 + k], weights);
        acc1 += dots(a[a1 + k], weights);
        acc2 += dots(a[a2 + k], weights);
        acc3 += dots(a[a3 + k], weights);
    }
    let column_block = p.first_block + block;
    let out = request * p.y_stride + row * p.y_row;
    finish(acc0, request, out, column_block);
    if row < last {
        finish(acc1, request, out + p.y_row, column_block);
    }
    if row + 1u < last {
        finish(acc2, request, out + 2u * p.y_row, column_block);
    }
    if row + 2u < last {
        finish(acc3, request, out + 3u * p.y_row, column_block);
    }
}
