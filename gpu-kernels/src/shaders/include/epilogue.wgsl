// What matmul and the convolutions do with accumulators: bias, requantisation, storing. Uses
// the bindings and parameters of the kernel that includes it. Needs wide.wgsl.

fn requantised(sum: u32, request: u32, column: u32) -> i32 {
    let n = min(column, p.columns - 1u);
    let acc = bitcast<i32>(sum + bitcast<u32>(bias[request * p.bias_stride + n]));
    let s = request * p.scales_stride + n * 2u;
    return requantise(acc, scales[s], scales[s + 1u], p.zero_point, p.lo, p.hi);
}

fn store(sum: u32, request: u32, out: u32, column: u32) {
    if column < p.columns {
        y[out + column] = sum + bitcast<u32>(bias[request * p.bias_stride + column]);
    }
}

// Stores the four columns of `block` in the row of the result that begins at word `out`.
fn finish(sums: vec4<u32>, request: u32, out: u32, block: u32) {
    let column = block * 4u;
    if p.requantised == 0u {
        store(sums.x, request, out, column);
        store(sums.y, request, out, column + 1u);
        store(sums.z, request, out, column + 2u);
        store(sums.w, request, out, column + 3u);
    } else {
        y[out + block] = pack4xI8Clamp(vec4<i32>(
            requantised(sums.x, request, column),
            requantised(sums.y, request, column + 1u),
            requantised(sums.z, request, column + 2u),
            requantised(sums.w, request, column + 3u),
        ));
    }
}
