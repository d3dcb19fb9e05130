// Division by a number that is known only at run time, without a division: a multiplication
// and shifts (Granlund and Montgomery, "Division by Invariant Integers using Multiplication",
// figure 4.1). The host makes the divisor; its twin is `gpu::divide::Divisor`.

// The high 32 bits of a 64-bit product, by 16-bit limbs; no partial sum overflows.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 16u);
    let middle2 = a0 * b1 + (middle & 0xffffu);
    return a1 * b1 + (middle >> 16u) + (middle2 >> 16u);
}

// n / d for any n, where `divisor` is (multiplier, first shift | second shift << 8) of d.
fn divide(n: u32, divisor: vec2<u32>) -> u32 {
    let t = multiply_high(n, divisor.x);
    return (t + ((n - t) >> (divisor.y & 31u))) >> ((divisor.y >> 8u) & 31u);
}
