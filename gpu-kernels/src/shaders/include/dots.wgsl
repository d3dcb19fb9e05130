// One product of four i8 values with four: a sum, modulo 2^32. A function of its own, as naga's
// Metal output names each operand once a function, and would name a shared one twice.
fn dot_bytes(x: u32, w: u32) -> u32 {
    return bitcast<u32>(dot4I8Packed(x, w));
}

// Four i8 values with those of four columns: four sums, modulo 2^32.
fn dots(x: u32, w: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(dot_bytes(x, w.x), dot_bytes(x, w.y), dot_bytes(x, w.z), dot_bytes(x, w.w));
}
