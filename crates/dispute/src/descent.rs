//! The descent of a Merkle tree to the leftmost leaf that differs.
//!
//! The asserter reveals the nodes some levels below the present one, which must hash to it; the
//! challenger names the leftmost of them that is not its own. So at every point all leaves left of
//! the path are the challenger's too, and the siblings of the path, which are kept, open any of
//! them against the asserter's root.
//!
//! Nodes past the end of the list are never revealed: they are the empty ones, or the others do not
//! hash to the node. So a tree that holds anything there cannot be opened by its owner.

use crate::Hash;
use alloc::vec::Vec;
use assay_tensor::merkle;
use borsh::{BorshDeserialize, BorshSerialize};

/// Most levels of one reveal: 64 nodes, 2 KiB, for a version-1 transaction.
pub const MAX_LEVELS: u32 = 6;
/// Fewest levels of a reveal that does not reach the leaves: 16 nodes fit a legacy transaction.
pub const MIN_LEVELS: u32 = 4;
/// Deepest tree: leaves are counted in 32 bits.
pub const MAX_DEPTH: u32 = 32;

/// Reveals and choices, at most, in a tree of this depth.
pub const fn tree_moves(depth: u32) -> u32 {
    2 * depth.div_ceil(MIN_LEVELS)
}

/// Where the two sides are in a tree.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Descent {
    /// The tree's root, as the asserter has it.
    pub root: Hash,
    /// Its leaves.
    pub count: u64,
    /// Levels left below [`Self::node`]; 0 at the leaf.
    pub height: u8,
    /// Place of the node among those of its level; the leaf's index in the end.
    pub index: u64,
    /// The node under which the leftmost difference is.
    pub node: Hash,
    /// Siblings of the path to the node, from the root down.
    pub siblings: Vec<Hash>,
    /// Nodes below it that the challenger is to choose from, those past the end of the list left
    /// out; none while it is the asserter's turn.
    pub revealed: Vec<Hash>,
}

/// Why a move in a tree is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescentError {
    /// The tree has no leaf, or more than any of ours.
    #[error("the tree has a number of leaves that none of ours has")]
    Count,
    /// Nodes are to be revealed, or have been, or the leaf is reached.
    #[error("it is not the turn for this move in the tree")]
    Turn,
    /// Too few or too many nodes.
    #[error("a reveal has all nodes of the list that are 4 to 6 levels down, or its leaves")]
    Levels,
    /// They do not hash to the node.
    #[error("the nodes do not hash to the node above them")]
    Nodes,
    /// There is no such child, or it is past the list's end.
    #[error("there is no such child")]
    Child,
}

impl Descent {
    /// At the root of a tree of `count` leaves.
    pub fn new(root: Hash, count: u64) -> Result<Self, DescentError> {
        if count == 0 || count > 1 << MAX_DEPTH {
            return Err(DescentError::Count);
        }
        Ok(Self {
            root,
            count,
            // At most 32.
            height: merkle::depth(count) as u8,
            index: 0,
            node: root,
            siblings: Vec::new(),
            revealed: Vec::new(),
        })
    }

    /// Whether the leaf is reached.
    pub fn done(&self) -> bool {
        self.height == 0
    }

    /// Whether the challenger is to choose.
    pub fn choosing(&self) -> bool {
        !self.revealed.is_empty()
    }

    /// Whether the asserter is to reveal.
    pub fn revealing(&self) -> bool {
        !self.done() && !self.choosing()
    }

    /// The nodes some levels below the present one, from the left, without those past the end of
    /// the list. Of several numbers of levels with as many nodes the largest is meant.
    pub fn reveal(&mut self, nodes: &[Hash]) -> Result<(), DescentError> {
        if !self.revealing() {
            return Err(DescentError::Turn);
        }
        let levels = self.levels(nodes.len()).ok_or(DescentError::Levels)?;
        if merkle::root_in_place(&mut self.padded(nodes, levels)) != self.node {
            return Err(DescentError::Nodes);
        }
        self.revealed = nodes.to_vec();
        Ok(())
    }

    /// How many of the nodes `levels` below the present one hold leaves of the list.
    pub fn inside(&self, levels: u32) -> usize {
        let below = u32::from(self.height).saturating_sub(levels);
        // Counts are at most 2^32 and so are indices: nothing here leaves 64 bits.
        let nodes = self.count.div_ceil(1 << below);
        let first = self.index << levels;
        nodes.saturating_sub(first).min(1 << levels) as usize
    }

    /// How far a reveal of at most `most` levels goes: the asserter's move has
    /// [`Descent::inside`] of it.
    pub fn step(&self, most: u32) -> u32 {
        let height = u32::from(self.height);
        let most = most.clamp(MIN_LEVELS, MAX_LEVELS).min(height);
        // Where one more level has no more nodes, it costs nothing.
        self.levels(self.inside(most)).unwrap_or(most)
    }

    /// How many levels a reveal of so many nodes goes down, if there may be one.
    pub(crate) fn levels(&self, nodes: usize) -> Option<u32> {
        let height = u32::from(self.height);
        (height.min(MIN_LEVELS)..=height.min(MAX_LEVELS))
            .rev()
            .find(|levels| self.inside(*levels) == nodes)
    }

    /// The nodes with the empty ones behind them that they are hashed with.
    fn padded(&self, nodes: &[Hash], levels: u32) -> Vec<Hash> {
        let mut all = Vec::with_capacity(1 << levels);
        all.extend_from_slice(nodes);
        if all.len() < 1 << levels {
            let mut empty = merkle::EMPTY_LEAF;
            for _ in levels..u32::from(self.height) {
                empty = merkle::node(&empty, &empty);
            }
            all.resize(1 << levels, empty);
        }
        all
    }

    /// Goes down to the revealed node number `child`.
    pub fn choose(&mut self, child: u8) -> Result<(), DescentError> {
        if !self.choosing() {
            return Err(DescentError::Turn);
        }
        let levels = self
            .levels(self.revealed.len())
            .ok_or(DescentError::Levels)?;
        let at = usize::from(child);
        let node = *self.revealed.get(at).ok_or(DescentError::Child)?;
        let all = self.padded(&self.revealed, levels);
        // Siblings from the chosen node up, then turned round.
        let path = merkle::path(&all, u64::from(child)).ok_or(DescentError::Child)?;
        self.siblings.extend(path.iter().rev());
        self.index = (self.index << levels) + u64::from(child);
        // `levels` found no more than there are.
        self.height = self.height.saturating_sub(levels as u8);
        self.node = node;
        self.revealed = Vec::new();
        Ok(())
    }

    /// The siblings of the node, from its level up: with them the leaf opens in the root.
    pub fn path(&self) -> Vec<Hash> {
        self.siblings.iter().rev().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_tensor::merkle::Levels;
    use proptest::prelude::*;

    fn leaves(count: u64) -> Vec<Hash> {
        let leaf = |i: u64| merkle::leaf(b"test", &[&i.to_le_bytes()]);
        (0..count).map(leaf).collect()
    }

    /// The nodes that the owner of the tree reveals next.
    fn nodes(tree: &Levels, descent: &Descent, levels: u32) -> Vec<Hash> {
        let level = u32::from(descent.height) - levels;
        let first = descent.index << levels;
        let nodes = first..first + descent.inside(levels) as u64;
        nodes.map(|i| tree.node(level, i)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        #[test]
        fn every_leaf_is_reached_within_the_moves(
            count in prop_oneof![1u64..70, 1u64..5_000],
            target in any::<prop::sample::Index>(),
            most in prop::collection::vec(MIN_LEVELS..=MAX_LEVELS, 1..8),
        ) {
            let target = target.index(count as usize) as u64;
            let leaves = leaves(count);
            let tree = Levels::new(leaves.clone());
            let mut descent = Descent::new(tree.root(), count).unwrap();
            let mut most = most.iter().cycle();
            let mut moves = 0;
            while !descent.done() {
                prop_assert_eq!(descent.choose(0), Err(DescentError::Turn));
                let levels = descent.step(*most.next().unwrap());
                let nodes = nodes(&tree, &descent, levels);
                descent.reveal(&nodes).unwrap();
                prop_assert_eq!(descent.reveal(&nodes), Err(DescentError::Turn));
                prop_assert_eq!(&descent.revealed, &nodes);
                let level = u32::from(descent.height) - levels;
                let child = (target >> level) - (descent.index << levels);
                let mut past = descent.clone();
                prop_assert_eq!(past.choose(nodes.len() as u8), Err(DescentError::Child));
                prop_assert_eq!(&past, &descent);
                descent.choose(child as u8).unwrap();
                moves += 2;
            }
            prop_assert!(moves <= tree_moves(merkle::depth(count)));
            prop_assert_eq!((descent.index, descent.node), (target, leaves[target as usize]));
            prop_assert!(merkle::verify(&tree.root(), count, &descent.node, target, &descent.path()));
            prop_assert_eq!(descent.reveal(&[]), Err(DescentError::Turn));
            // Any leaf left of the path opens with its own siblings left of the path and the
            // asserter's on it.
            let mut others: Vec<Hash> = leaves[..=target as usize].to_vec();
            others.resize(count as usize, [9; 32]);
            let own = Levels::new(others);
            for left in (0..target).step_by(1 + target as usize / 8) {
                let path: Vec<Hash> = (0..merkle::depth(count)).map(|level| {
                    let sibling = (left >> level) ^ 1;
                    match sibling.cmp(&(target >> level)) {
                        core::cmp::Ordering::Less => own.node(level, sibling),
                        core::cmp::Ordering::Equal => {
                            merkle::root_from_path(&descent.node, target, &descent.path()[..level as usize])
                        }
                        core::cmp::Ordering::Greater => descent.path()[level as usize],
                    }
                }).collect();
                prop_assert!(merkle::verify(&tree.root(), count, &leaves[left as usize], left, &path));
            }
        }
    }

    #[test]
    fn a_tree_has_leaves_and_no_more_than_ours() {
        assert_eq!(Descent::new([1; 32], 0), Err(DescentError::Count));
        let over = (1u64 << MAX_DEPTH) + 1;
        assert_eq!(Descent::new([1; 32], over), Err(DescentError::Count));
        assert_eq!(Descent::new([1; 32], u64::MAX), Err(DescentError::Count));
        assert_eq!(Descent::new([1; 32], over - 1).unwrap().height, 32);
        let one = Descent::new([1; 32], 1).unwrap();
        assert!(one.done() && !one.choosing() && !one.revealing());
        assert_eq!(one.path(), Vec::<Hash>::new());
    }

    #[test]
    fn a_reveal_has_all_nodes_of_a_level_and_they_hash() {
        let tree = Levels::new(leaves(1_000));
        let mut descent = Descent::new(tree.root(), 1_000).unwrap();
        for levels in 0..=10u32 {
            let right = nodes(&tree, &descent, levels);
            let mut after = descent.clone();
            let expected = match levels {
                4..=6 => Ok(()),
                _ => Err(DescentError::Levels),
            };
            assert_eq!(after.reveal(&right), expected, "{levels}");
            assert_eq!(after == descent, expected.is_err());
            if levels < 4 {
                continue;
            }
            let few = &right[1..];
            assert_eq!(after_reveal(&descent, few), Err(DescentError::Levels));
            let mut other = right.clone();
            other[3][0] ^= 1;
            let expected = expected.and(Err(DescentError::Nodes));
            assert_eq!(after_reveal(&descent, &other), expected);
        }
        // 1,000 leaves are in 63 of the 64 nodes.
        assert_eq!(descent.inside(6), 63);
        assert_eq!(after_reveal(&descent, &[]), Err(DescentError::Levels));
        descent.reveal(&nodes(&tree, &descent, 6)).unwrap();
        assert_eq!(
            after_reveal(&descent, &nodes(&tree, &descent, 6)),
            Err(DescentError::Turn)
        );
        descent.choose(62).unwrap();
        // Under the last one there are 8 leaves, half of the 16 places.
        assert_eq!((descent.height, descent.inside(4)), (4, 8));
        descent.reveal(&nodes(&tree, &descent, 4)).unwrap();
        assert_eq!(descent.choose(8), Err(DescentError::Child));
        descent.choose(7).unwrap();
        assert_eq!((descent.index, descent.done()), (999, true));
    }

    fn after_reveal(descent: &Descent, nodes: &[Hash]) -> Result<(), DescentError> {
        let mut after = descent.clone();
        let result = after.reveal(nodes);
        assert_eq!(after == *descent, result.is_err());
        result
    }

    #[test]
    fn what_is_past_the_end_of_the_list_cannot_be_opened() {
        let mut padded = leaves(5);
        padded.push([1; 32]);
        // The tree of five leaves and something in the sixth place.
        let root = merkle::root(&padded);
        let descent = Descent::new(root, 5).unwrap();
        assert_eq!(
            after_reveal(&descent, &padded[..5]),
            Err(DescentError::Nodes)
        );
        assert_eq!(after_reveal(&descent, &padded), Err(DescentError::Levels));
        // Below a node that is partly in the list, and with all others right.
        let mut padded = leaves(17);
        padded.push([1; 32]);
        let tree = Levels::new(padded);
        let mut descent = Descent::new(tree.root(), 17).unwrap();
        descent.reveal(&nodes(&tree, &descent, 4)).unwrap();
        descent.choose(8).unwrap();
        assert_eq!(
            after_reveal(&descent, &nodes(&tree, &descent, 1)),
            Err(DescentError::Nodes)
        );
    }
}
