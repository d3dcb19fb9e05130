//! The binary Merkle tree over a list of known length.
//!
//! A list of `n` leaves is a complete tree of depth `ceil(log2(n))`; the places past the
//! end hold [`EMPTY_LEAF`]. The number of leaves is never part of the tree: whatever
//! commits to a root commits to the count beside it.
//!
//! One leaf opens with its path ([`path`], [`verify`]); several open together and share theirs
//! ([`siblings`], [`fold`]).

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
pub const fn depth(count: u64) -> u32 {
    match count {
        0 => 0,
        _ => count.next_power_of_two().trailing_zeros(),
    }
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
    Levels::new(leaves.to_vec()).path(index)
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

/// Whether all places past the end of a list of `count` leaves are empty, as far as the path of leaf `index`
/// shows them: that of the last leaf shows all. A tree with anything there opens all the same, but is not the
/// tree of any list, and nobody who has the list has its root.
pub fn is_padded(count: u64, index: u64, siblings: &[Hash]) -> bool {
    let mut empty = EMPTY_LEAF;
    let levels = (0u32..).zip(siblings);
    levels.fold(true, |padded, (level, sibling)| {
        let first = index.checked_shr(level).unwrap_or(0) ^ 1;
        let inside = first.checked_shl(level).unwrap_or(0) < count;
        let padded = padded && (inside || *sibling == empty);
        empty = node(&empty, &empty);
        padded
    })
}

/// The siblings that [`fold`] needs beside the leaves `indices` of a tree of `depth`, level by
/// level from the left; `node` gives the node at a level (0: the leaves) and index. `indices` are
/// strictly ascending and in the tree. None are needed for no leaves, and none open.
pub fn siblings_with(depth: u32, indices: &[u64], node: impl Fn(u32, u64) -> Hash) -> Vec<Hash> {
    let mut at: Vec<u64> = indices.to_vec();
    let mut siblings = Vec::new();
    for level in 0..depth {
        for (i, index) in at.iter().enumerate() {
            let sibling = index ^ 1;
            let known = if index & 1 == 0 {
                at.get(i + 1) == Some(&sibling)
            } else {
                i > 0 && at[i - 1] == sibling
            };
            if !known {
                siblings.push(node(level, sibling));
            }
        }
        at.iter_mut().for_each(|i| *i >>= 1);
        at.dedup();
    }
    siblings
}

/// The root of a tree of `depth` from some of its `leaves`, in ascending order of their indices,
/// and the `siblings` that they do not cover, level by level from the left. `None` unless the
/// order is strict, the indices are in the tree and the siblings are exactly those needed.
pub fn fold(depth: u32, leaves: &[(u64, Hash)], siblings: &[Hash]) -> Option<Hash> {
    let mut nodes = leaves.to_vec();
    let mut rest = siblings;
    let root = fold_in_place(depth, &mut nodes, &mut rest)?;
    rest.is_empty().then_some(root)
}

/// [`fold`] of the leaves in `nodes`, which it overwrites: nothing is allocated. It takes the
/// siblings that it needs off the front of `siblings`.
pub fn fold_in_place(
    depth: u32,
    nodes: &mut [(u64, Hash)],
    siblings: &mut &[Hash],
) -> Option<Hash> {
    let ordered = nodes.windows(2).all(|w| w[0].0 < w[1].0);
    let inside = nodes.last()?.0.checked_shr(depth).unwrap_or(0) == 0;
    if !ordered || !inside {
        return None;
    }
    let mut next = || {
        let (first, rest) = siblings.split_first()?;
        *siblings = rest;
        Some(first)
    };
    let mut len = nodes.len();
    for _ in 0..depth {
        let mut kept = 0;
        let mut i = 0;
        while i < len {
            // Not copied, which counts on Solana.
            let (index, hash) = &nodes[i];
            let index = *index;
            let parent = if index & 1 == 1 {
                node(next()?, hash)
            } else if i + 1 < len && nodes[i + 1].0 == index + 1 {
                i += 1;
                node(hash, &nodes[i].1)
            } else {
                node(hash, next()?)
            };
            nodes[kept] = (index >> 1, parent);
            kept += 1;
            i += 1;
        }
        len = kept;
    }
    Some(nodes[0].1)
}

/// All nodes of the tree over a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// From the leaves up to the root: the nodes with a leaf of the list under them.
    levels: Vec<Vec<Hash>>,
    /// At each level, the node with none.
    empty: Vec<Hash>,
}

impl Levels {
    /// The tree over `leaves`.
    pub fn new(leaves: Vec<Hash>) -> Self {
        let mut levels = Vec::from([leaves]);
        let mut empty = Vec::from([EMPTY_LEAF]);
        for level in 0..depth(levels[0].len() as u64) as usize {
            let blank = empty[level];
            let above = |pair: &[Hash]| node(&pair[0], pair.get(1).unwrap_or(&blank));
            levels.push(levels[level].chunks(2).map(above).collect());
            empty.push(node(&blank, &blank));
        }
        Self { levels, empty }
    }

    /// The number of leaves of the list.
    pub fn count(&self) -> u64 {
        self.levels[0].len() as u64
    }

    /// The tree's depth.
    pub fn depth(&self) -> u32 {
        self.levels.len() as u32 - 1
    }

    /// The tree's root.
    pub fn root(&self) -> Hash {
        self.node(self.depth(), 0)
    }

    /// Node `index` at `level` (0: the leaves), of a level that the tree has; past the end of the
    /// list it is the root of an empty tree.
    pub fn node(&self, level: u32, index: u64) -> Hash {
        let level = level as usize;
        let node = usize::try_from(index)
            .ok()
            .and_then(|index| self.levels.get(level)?.get(index));
        *node.or(self.empty.get(level)).unwrap_or(&EMPTY_LEAF)
    }

    /// Siblings of leaf `index` from the leaf's level up; `None` if there is no such leaf.
    pub fn path(&self, index: u64) -> Option<Vec<Hash>> {
        self.siblings(&[index])
    }

    /// The siblings that [`fold`] needs beside the leaves `indices`; `None` unless these are
    /// strictly ascending and leaves of the list.
    pub fn siblings(&self, indices: &[u64]) -> Option<Vec<Hash>> {
        let ordered = indices.windows(2).all(|w| w[0] < w[1]);
        let inside = indices.last().is_none_or(|i| *i < self.count());
        (ordered && inside).then(|| {
            siblings_with(self.depth(), indices, |level, index| {
                self.node(level, index)
            })
        })
    }
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

    proptest! {
        #[test]
        fn several_leaves_open_together_and_no_others_do(n in 1u64..70, bits in any::<u128>(), flip in any::<prop::sample::Index>()) {
            let leaves: Vec<Hash> = (0..n).map(|i| leaf(b"test", &[&i.to_le_bytes()])).collect();
            let levels = Levels::new(leaves.clone());
            let r = root(&leaves);
            prop_assert_eq!(levels.root(), r);
            let at: Vec<u64> = (0..n).filter(|i| bits >> i & 1 == 1).collect();
            let siblings = levels.siblings(&at).unwrap();
            let opened: Vec<_> = at.iter().map(|i| (*i, leaves[*i as usize])).collect();
            let folded = fold(depth(n), &opened, &siblings);
            prop_assert_eq!(folded, (!at.is_empty()).then_some(r));
            prop_assert_eq!(levels.siblings(&[&at[..], &[n]].concat()), None);
            if let Some((first, _)) = opened.first() {
                // In place it leaves what follows the siblings.
                let more = [&siblings[..], &[[7; 32]]].concat();
                let mut rest = &more[..];
                let mut nodes = opened.clone();
                prop_assert_eq!(fold_in_place(depth(n), &mut nodes, &mut rest), Some(r));
                prop_assert_eq!(rest, &[[7; 32]]);
                prop_assert_eq!(fold(depth(n), &opened, &more), None);
                let mut other = opened.clone();
                other[flip.index(at.len())].1[0] ^= 1;
                prop_assert_ne!(fold(depth(n), &other, &siblings), Some(r));
                let again = [&opened[..], &[(*first, leaves[0])]].concat();
                prop_assert_eq!(fold(depth(n), &again, &siblings), None);
                if !siblings.is_empty() {
                    prop_assert_eq!(fold(depth(n), &opened, &siblings[1..]), None);
                }
            }
        }
    }

    #[test]
    fn the_path_of_the_last_leaf_shows_all_padding() {
        for count in 1..20u64 {
            let places = count.next_power_of_two();
            let leaves = |junk: Option<u64>| -> Vec<Hash> {
                let place = |i| match i < count || junk == Some(i) {
                    true => leaf(b"test", &[&i.to_le_bytes()]),
                    false => EMPTY_LEAF,
                };
                (0..places).map(place).collect()
            };
            for junk in (count..places).map(Some).chain([None]) {
                let levels = Levels::new(leaves(junk));
                for index in 0..count {
                    let path = levels.path(index).unwrap();
                    assert!(verify(
                        &levels.root(),
                        count,
                        &levels.node(0, index),
                        index,
                        &path
                    ));
                    // The subtree of the path's sibling that the junk is in, if it is past the end as a whole.
                    let shown = junk.is_some_and(|junk| {
                        let level = (junk ^ index).ilog2();
                        junk >> level << level >= count
                    });
                    assert_eq!(is_padded(count, index, &path), !shown);
                    assert!(index + 1 < count || shown == junk.is_some());
                }
            }
        }
    }

    #[test]
    fn an_index_outside_the_tree_opens_nothing() {
        assert_eq!(fold(1, &[(2, [1; 32])], &[[0; 32]]), None);
        assert_eq!(fold(0, &[(0, [1; 32])], &[]), Some([1; 32]));
        assert_eq!(fold(0, &[], &[]), None);
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
