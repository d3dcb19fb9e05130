//! Sums of `i8` and of their products.
//!
//! They are the bulk of what a step proof computes. On Solana an instruction costs one unit, and there is nothing
//! wider than 64 bits: [`dot`] takes about seven units a product there.

/// `x ^ SIGNS` has `x + 128` of each byte, as unsigned bytes.
const SIGNS: u64 = 0x8080_8080_8080_8080;
/// Two lanes of 32 bits: a byte in each, and what [`SIGNS`] added to it.
const LANES: u64 = 0x0000_00ff_0000_00ff;
const LANE_SIGNS: u64 = 0x0000_0080_0000_0080;

/// The sum of products of two slices of `i8` as bytes, wrapping in `i32`; of the first elements if one
/// is longer. Up to 2^17 elements: an element of an operator reads half of that at most.
///
/// Two products a multiplication: `(x0 + x1 2^32)(y1 + y0 2^32)` has `x0 y0 + x1 y1` at `2^32`, and at
/// `2^0` a sum that stays within `2^31` over all elements, so that rounding removes it.
pub(crate) fn dot(a: &[u8], b: &[u8]) -> i32 {
    // One length for both, or the loop tests both.
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = 0u64;
    for (a, b) in a.iter().zip(b) {
        // Byte `k` of one meets byte `7 - k` of the other.
        let a = u64::from_le_bytes(*a) ^ SIGNS;
        let b = u64::from_be_bytes(*b) ^ SIGNS;
        for i in 0..4 {
            let x = ((a >> (8 * i)) & LANES).wrapping_sub(LANE_SIGNS);
            let y = ((b >> (24 - 8 * i)) & LANES).wrapping_sub(LANE_SIGNS);
            lanes = lanes.wrapping_add(x.wrapping_mul(y));
        }
    }
    let sum = (lanes.wrapping_add(1 << 31) as i64 >> 32) as i32;
    let products = a_rest.iter().zip(b_rest);
    products
        .map(|(x, y)| i32::from(*x as i8) * i32::from(*y as i8))
        .fold(sum, i32::wrapping_add)
}

/// The sum of `i8` as bytes, wrapping in `i32`.
pub(crate) fn sum(values: &[u8]) -> i32 {
    values
        .iter()
        .fold(0, |sum: i32, v| sum.wrapping_add(i32::from(*v as i8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn plain(a: &[u8], b: &[u8]) -> i32 {
        a.iter()
            .zip(b)
            .map(|(x, y)| i32::from(*x as i8) * i32::from(*y as i8))
            .fold(0, i32::wrapping_add)
    }

    proptest! {
        #[test]
        fn lanes_do_not_meet(pairs in prop::collection::vec(any::<(u8, u8)>(), 0..300)) {
            let (a, b): (vec::Vec<u8>, vec::Vec<u8>) = pairs.into_iter().unzip();
            prop_assert_eq!(dot(&a, &b), plain(&a, &b));
        }
    }

    #[test]
    fn the_longest_and_largest_are_exact() {
        for (x, y) in [(0x80, 0x80), (0x80, 0x7f), (0x7f, 0x80), (0x7f, 0x7f)] {
            for len in [0, 1, 7, 8, 9, (1 << 17) - 1, 1 << 17] {
                let (a, b) = (vec![x; len], vec![y; len]);
                assert_eq!(dot(&a, &b), plain(&a, &b));
                // Only one lane, so that the low sum is largest against a high one of zero.
                let odd = |v| (0..len).map(move |i| if i % 2 == 0 { v } else { 0 });
                let even = |v| (0..len).map(move |i| if i % 2 == 1 { v } else { 0 });
                let (a, b): (vec::Vec<u8>, vec::Vec<u8>) = (odd(x).collect(), even(y).collect());
                assert_eq!(dot(&a, &b), 0);
                assert_eq!(dot(&b, &a), 0);
            }
        }
        assert_eq!(sum(&[0x80, 0x7f, 1, 0xff]), -1);
    }
}
