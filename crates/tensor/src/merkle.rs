//! The binary Merkle tree over a list of known length.
//!
//! A list of `n` leaves is a complete tree of depth `ceil(log2(n))`; the places past the
//! end hold [`EMPTY_LEAF`]. The number of leaves is never part of the tree: whatever
//! commits to a root commits to the count beside it.

use crate::hash::{Hash, hashv};
use alloc::vec::Vec;

/// Prefix of a leaf's preimage.
pub const LEAF: &[u8] = &[0];
/// Prefix of an inner node's preimage.
pub const NODE: &[u8] = &[1];
/// What stands in the places past the end of a list (no preimage is known).
pub const EMPTY_LEAF: Hash = [0; 32];

/// Hash of a leaf: `SHA-256(0x00 || tag || data)`. `tag` names the kind of leaf.
pub fn leaf(tag: &[u8], data: &[&[u8]]) -> Hash {
    match data {
        [a] => hashv(&[LEAF, tag, a]),
        [a, b] => hashv(&[LEAF, tag, a, b]),
        _ => {
            let mut parts = Vec::with_capacity(data.len() + 2);
            parts.extend_from_slice(&[LEAF, tag]);
            parts.extend_from_slice(data);
            hashv(&parts)
        }
    }
}

/// Hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    hashv(&[NODE, left, right])
}

/// Depth of the tree over `count` leaves: `ceil(log2(count))`, 0 for one leaf or none.
pub fn depth(count: u64) -> u32 {
    count.max(1).next_power_of_two().trailing_zeros()
}

/// Root over `leaves`; [`EMPTY_LEAF`] for none.
pub fn root(leaves: &[Hash]) -> Hash {
    root_in_place(&mut leaves.to_vec())
}

/// Root over the leaves in `level`, which it overwrites: nothing is allocated.
pub fn root_in_place(level: &mut [Hash]) -> Hash {
    let mut empty = EMPTY_LEAF;
    let mut len = level.len();
    if len == 0 {
        return empty;
    }
    while len > 1 {
        let half = len.div_ceil(2);
        for i in 0..half {
            let right = if 2 * i + 1 < len {
                level[2 * i + 1]
            } else {
                empty
            };
            level[i] = node(&level[2 * i], &right);
        }
        len = half;
        empty = node(&empty, &empty);
    }
    level[0]
}

/// Siblings of leaf `index` from the leaf's level up; `None` if there is no such leaf.
pub fn path(leaves: &[Hash], index: u64) -> Option<Vec<Hash>> {
    let mut at = usize::try_from(index).ok().filter(|i| *i < leaves.len())?;
    let mut level: Vec<Hash> = leaves.to_vec();
    let mut empty = EMPTY_LEAF;
    let mut siblings = Vec::new();
    while level.len() > 1 {
        siblings.push(level.get(at ^ 1).copied().unwrap_or(empty));
        let half = level.len().div_ceil(2);
        for i in 0..half {
            let right = level.get(2 * i + 1).copied().unwrap_or(empty);
            level[i] = node(&level[2 * i], &right);
        }
        level.truncate(half);
        empty = node(&empty, &empty);
        at /= 2;
    }
    Some(siblings)
}

/// The root that `leaf` at `index` has with `siblings` (from the leaf's level up).
pub fn root_from_path(leaf: &Hash, index: u64, siblings: &[Hash]) -> Hash {
    let mut at = index;
    let mut hash = *leaf;
    for sibling in siblings {
        hash = if at & 1 == 0 {
            node(&hash, sibling)
        } else {
            node(sibling, &hash)
        };
        at >>= 1;
    }
    hash
}

/// Whether `leaf` is leaf `index` of the list of `count` leaves under `root`. A path of
/// another length, or an index past the end, is no proof.
pub fn verify(root: &Hash, count: u64, leaf: &Hash, index: u64, siblings: &[Hash]) -> bool {
    index < count
        && siblings.len() == depth(count) as usize
        && root_from_path(leaf, index, siblings) == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_leaf_opens_and_no_other_does(n in 1u64..70, at in any::<u64>(), flip in any::<u64>()) {
            let leaves: Vec<Hash> = (0..n).map(|i| leaf(b"test", &[&i.to_le_bytes()])).collect();
            let index = at % n;
            let siblings = path(&leaves, index).unwrap();
            let r = root(&leaves);
            prop_assert!(verify(&r, n, &leaves[index as usize], index, &siblings));
            let other = flip % n;
            prop_assert_eq!(verify(&r, n, &leaves[other as usize], index, &siblings), other == index);
            prop_assert!(!verify(&r, n, &leaves[index as usize], index + n.next_power_of_two(), &siblings));
            prop_assert!(path(&leaves, n).is_none());
        }
    }

    #[test]
    fn a_single_leaf_is_its_own_root() {
        let l = leaf(b"test", &[b"x"]);
        assert_eq!(root(&[l]), l);
        assert_eq!(root(&[]), EMPTY_LEAF);
        assert_eq!(
            (depth(0), depth(1), depth(2), depth(3), depth(4), depth(5)),
            (0, 0, 1, 2, 2, 3)
        );
    }
}
