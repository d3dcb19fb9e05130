//! Taking choices off the front of a target's bytes.

use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt::Debug;

/// The first byte, zero if there is none.
pub fn byte(bytes: &mut &[u8]) -> u8 {
    match bytes.split_off_first() {
        Some(byte) => *byte,
        None => 0,
    }
}

/// One of `all`, by the first byte.
pub fn one_of<'a, T>(all: &'a [T], bytes: &mut &[u8]) -> &'a T {
    &all[usize::from(byte(bytes)) % all.len()]
}

/// What is encoded in front.
pub fn front<T: BorshDeserialize>(bytes: &mut &[u8]) -> Option<T> {
    T::deserialize(bytes).ok()
}

/// What these bytes are the borsh encoding of, which is the only one.
pub fn canonical<T: BorshDeserialize + BorshSerialize + PartialEq + Debug>(
    bytes: &[u8],
) -> Option<T> {
    let value = T::try_from_slice(bytes).ok()?;
    assert_eq!(borsh::to_vec(&value).unwrap(), bytes, "{value:?}");
    Some(value)
}

/// A choice followed by bytes.
pub fn with(choice: usize, bytes: &[u8]) -> Vec<u8> {
    [&[choice as u8], bytes].concat()
}
