//! Division by a number known only at run time, as the shaders do it.

/// What `divide` in `include/divide.wgsl` takes for a divisor: a multiplier, and two shifts in
/// the low bytes of the second word (Granlund and Montgomery, "Division by Invariant Integers
/// using Multiplication", figure 4.1). Exact for every 32-bit dividend.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Divisor([u32; 2]);

impl Divisor {
    /// The divisor for division by `d`; by 1 if `d` is 0.
    pub fn new(d: u32) -> Self {
        let d = u64::from(d.max(1));
        let l = (d - 1).checked_ilog2().map_or(0, |log| log + 1); // ceil(log2(d)), at most 32
        let multiplier = ((((1u64 << l) - d) << 32) / d + 1) as u32;
        Self([multiplier, l.min(1) | l.saturating_sub(1) << 8])
    }

    /// `n / d`: the shader's steps in Rust.
    pub fn divide(self, n: u32) -> u32 {
        let Self([multiplier, shifts]) = self;
        let t = ((u64::from(n) * u64::from(multiplier)) >> 32) as u32;
        (t + ((n - t) >> (shifts & 31))) >> ((shifts >> 8) & 31)
    }
}

#[cfg(test)]
mod tests {
    use super::Divisor;

    #[test]
    fn divides_exactly() {
        let edges = |v: u32| [v.wrapping_sub(1), v, v.wrapping_add(1)];
        let mut numbers: Vec<u32> = (0..32).flat_map(|b| edges(1 << b)).collect();
        numbers.extend([
            3,
            7,
            10,
            641,
            65_537,
            0x5555_5555,
            0xaaaa_aaab,
            u32::MAX - 1,
        ]);
        numbers.extend((0..2_000u32).map(|i| i.wrapping_mul(2_654_435_761)));
        for d in numbers.iter().copied().filter(|d| *d > 0) {
            let divisor = Divisor::new(d);
            for n in numbers.iter().copied() {
                assert_eq!(divisor.divide(n), n / d, "{n} / {d}");
            }
            let multiple = (u32::MAX / d) * d;
            for n in edges(multiple) {
                assert_eq!(divisor.divide(n), n / d, "{n} / {d}");
            }
        }
    }
}
