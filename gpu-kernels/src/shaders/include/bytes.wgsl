// i8 elements in 32-bit words, the first in the lowest byte. Rows begin at a word.

// Byte `at` (its two low bits count) of a word, widened.
fn byte_of(word: u32, at: u32) -> i32 {
    return bitcast<i32>(word << ((24u - 8u * (at & 3u)) & 31u)) >> 24u;
}
