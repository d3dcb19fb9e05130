// 64-bit signed integers as (low, high) pairs in two's complement, and requantisation with
// them. The twin is `assay_tensor`'s requantisation in i64. Needs divide.wgsl.

fn wide_multiply(a: i32, b: i32) -> vec2<u32> {
    let ua = bitcast<u32>(a);
    let ub = bitcast<u32>(b);
    let high = multiply_high(ua, ub) - select(0u, ub, a < 0i) - select(0u, ua, b < 0i);
    return vec2<u32>(ua * ub, high);
}

fn wide_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// (v + 2^(shift - 1)) >> shift, arithmetic, for a shift in 1..=62, where |v| < 2^62; saturated
// to 24 bits, which no clamp to i8 after adding a zero point can tell from the exact value.
fn wide_round(v: vec2<u32>, shift: u32) -> i32 {
    let below = shift - 1u;
    let half = 1u << (below & 31u);
    let r = wide_add(v, select(vec2<u32>(half, 0u), vec2<u32>(0u, half), below >= 32u));
    let high = bitcast<i32>(r.y);
    let sign = high >> 31u;
    let s = shift & 31u;
    let shifted_high = high >> s;
    // For s = 0 the two shifts below would want 32; shift is 32 then, and this is not used.
    let short_low = bitcast<i32>((r.x >> s) | (r.y << ((32u - s) & 31u)));
    let is_long = shift >= 32u;
    let low = select(short_low, shifted_high, is_long);
    let rest = select(shifted_high, sign, is_long);
    let fits = rest == (low >> 31u);
    let value = select(select(0xffffffi, -0x1000000i, sign < 0i), low, fits);
    return max(-0x1000000i, min(0xffffffi, value));
}

// Requantisation of an accumulator. The multiplier is taken & 0x7fffffff and the shift clamped
// to 1..=62, as they can be data; lo <= hi.
fn requantise(acc: i32, multiplier: i32, shift: i32, zero_point: i32, lo: i32, hi: i32) -> i32 {
    let product = wide_multiply(acc, multiplier & 0x7fffffffi);
    let rounded = wide_round(product, bitcast<u32>(max(1i, min(62i, shift))));
    return max(lo, min(hi, rounded + zero_point));
}
