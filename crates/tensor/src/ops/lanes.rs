//! Sums, products and maxima over many `i8`, given as bytes, in the lanes of 64-bit words.
//!
//! They are the bulk of what a step proof computes. On Solana an instruction costs one unit, and there is nothing
//! wider than 64 bits: a product takes about four units there, an element of a maximum two, of a sum one.

/// `x ^ SIGNS` has `x + 128` of each byte, as unsigned bytes.
const SIGNS: u64 = 0x8080_8080_8080_8080;
/// A one in each byte.
const LOW: u64 = 0x0101_0101_0101_0101;
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

/// Four lanes of 16 bits.
const FOUR_LANES: u64 = 0x00ff_00ff_00ff_00ff;
/// How many words [`sum`] adds up in lanes of 16 bits, two bytes each: `2 * 128 * 255 < 2^16`.
const BLOCK: usize = 128;

/// The sum of `i8` as bytes, wrapping in `i32`.
pub(crate) fn sum(values: &[u8]) -> i32 {
    let (words, rest) = values.as_chunks::<8>();
    let mut total = 0i32;
    for block in words.chunks(BLOCK) {
        let mut lanes = 0u64;
        for word in block {
            // Each byte plus 128.
            let word = u64::from_le_bytes(*word) ^ SIGNS;
            lanes = lanes.wrapping_add(word & FOUR_LANES);
            lanes = lanes.wrapping_add((word >> 8) & FOUR_LANES);
        }
        let biased = (0..4).map(|i| (lanes >> (16 * i)) as i32 & 0xffff);
        let bias = block.len() as i32 * (8 * 128);
        total = total.wrapping_add(biased.sum::<i32>() - bias);
    }
    rest.iter()
        .map(|v| i32::from(*v as i8))
        .fold(total, i32::wrapping_add)
}

/// Each byte's lower seven bits.
const SEVEN_BITS: u64 = !SIGNS;

/// The largest of `largest` and of `i8` as bytes.
///
/// A word is looked at closer only if something in it is larger, which happens 255 times at most: who goes on with
/// more values hands in what it has.
pub(crate) fn max(largest: i8, values: &[u8]) -> i8 {
    let (words, rest) = values.as_chunks::<8>();
    let biased = |value: i8| value as u8 ^ 0x80;
    // In each byte 255 - (largest + 128).
    let below = |largest: i8| LOW * u64::from(!biased(largest));
    let (mut largest, mut least) = (largest, below(largest));
    for word in words {
        let biased = u64::from_le_bytes(*word) ^ SIGNS;
        // Half of the sum of the bytes, rounded down: a high bit where the sum has a carry.
        let half = (biased & least).wrapping_add(((biased ^ least) >> 1) & SEVEN_BITS);
        if half & SIGNS != 0 {
            largest = word.iter().map(|v| *v as i8).fold(largest, i8::max);
            least = below(largest);
        }
    }
    rest.iter().map(|v| *v as i8).fold(largest, i8::max)
}

/// The place of the first byte that is `value`.
pub(crate) fn position(values: &[u8], value: u8) -> Option<usize> {
    let (words, _) = values.as_chunks::<8>();
    let pattern = LOW * u64::from(value);
    // Not zero exactly if a byte of the word is, once the value is taken out of all of them.
    let has = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word) ^ pattern;
        word.wrapping_sub(LOW) & !word & SIGNS != 0
    };
    let from = words.iter().position(has).unwrap_or(words.len()) * 8;
    let rest = values.get(from..)?.iter();
    rest.zip(from..)
        .find(|(v, _)| **v == value)
        .map(|(_, at)| at)
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
        fn sums_and_maxima_are_plain(values in prop::collection::vec(prop_oneof![any::<u8>(), 0x7eu8..0x82], 0..2_500)) {
            let signed = || values.iter().map(|v| *v as i8);
            prop_assert_eq!(sum(&values), signed().map(i32::from).sum::<i32>());
            for least in [i8::MIN, -1, 0, 100, i8::MAX] {
                prop_assert_eq!(max(least, &values), signed().fold(least, i8::max));
            }
            for value in [0, 1, 0x7f, 0x80, 0x81, 0xff] {
                prop_assert_eq!(position(&values, value), values.iter().position(|v| *v == value));
            }
        }

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
        for len in [0, 7, 8, 1_024, 1_025, 1 << 16] {
            assert_eq!(sum(&vec![0x80; len]), -128 * len as i32);
            assert_eq!(sum(&vec![0x7f; len]), 127 * len as i32);
            let last = len.checked_sub(1);
            for (other, value) in [(0, 1), (1, 0), (0x80, 0x7f), (0xff, 0)] {
                let mut values = vec![other; len];
                assert_eq!(position(&values, value), None);
                values.iter_mut().rev().take(1).for_each(|v| *v = value);
                assert_eq!(position(&values, value), last);
            }
        }
    }
}
