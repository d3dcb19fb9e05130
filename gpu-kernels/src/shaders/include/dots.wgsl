// Four i8 values with those of four columns: four sums, modulo 2^32.
fn dots(x: u32, w: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(
        bitcast<u32>(dot4I8Packed(x, w.x)),
        bitcast<u32>(dot4I8Packed(x, w.y)),
        bitcast<u32>(dot4I8Packed(x, w.z)),
        bitcast<u32>(dot4I8Packed(x, w.w)),
    );
}
