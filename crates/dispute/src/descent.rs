//! The descent of a Merkle tree to the leftmost leaf that differs.
//!
//! The asserter reveals the nodes some levels below the present one, which must hash to it; the
//! challenger names the leftmost of them that is not its own. So at every point all leaves left of
//! the path are the challenger's too, and the siblings of the path, which are kept, open any of
//! them against the asserter's root.

use crate::Hash;
use alloc::vec::Vec;
use assay_tensor::merkle;
use borsh::{BorshDeserialize, BorshSerialize};

/// Most levels of one reveal: 64 nodes, 2 KiB, for a version-1 transaction.
pub const MAX_LEVELS: u32 = 6;
/// Fewest levels of a reveal that does not reach the leaves: 16 nodes fit a legacy transaction.
pub const MIN_LEVELS: u32 = 4;
/// Deepest tree: the chunks of the largest tensor.
pub const MAX_DEPTH: u32 = 32;

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
    /// Nodes below it that the challenger is to choose from; none while it is the asserter's turn.
    pub revealed: Vec<Hash>,
}

/// Why a move in a tree is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescentError {
    /// The tree has no leaf, or more than any of ours.
    #[error("the tree has a number of leaves that none of ours has")]
    Count,
    /// Nodes are to be revealed, or have been.
    #[error("it is not the turn for this move in the tree")]
    Turn,
    /// Too few or too many nodes.
    #[error("a reveal has 16 to 64 nodes, or all leaves that are left: a power of two")]
    Levels,
    /// They do not hash to the node.
    #[error("the nodes do not hash to the node above them")]
    Nodes,
    /// A node past the list's end is not the empty one.
    #[error("a node past the end of the list is not empty")]
    Padding,
    /// There is no such child, or it is past the list's end.
    #[error("there is no such child")]
    Child,
}

impl Descent {
    /// At the root of a tree of `count` leaves.
    pub fn new(root: Hash, count: u64) -> Result<Self, DescentError> {
        let depth = merkle::depth(count);
        if count == 0 || depth > MAX_DEPTH {
            return Err(DescentError::Count);
        }
        Ok(Self {
            root,
            count,
            // At most 32.
            height: depth as u8,
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

    /// The nodes that are `nodes.len()`'s logarithm levels below the present one, from the left.
    pub fn reveal(&mut self, nodes: &[Hash]) -> Result<(), DescentError> {
        if self.done() || self.choosing() {
            return Err(DescentError::Turn);
        }
        let height = u32::from(self.height);
        let levels = nodes.len().checked_ilog2().unwrap_or(0);
        if !nodes.len().is_power_of_two()
            || levels < height.min(MIN_LEVELS)
            || levels > height.min(MAX_LEVELS)
        {
            return Err(DescentError::Levels);
        }
        if merkle::root(nodes) != self.node {
            return Err(DescentError::Nodes);
        }
        let below = height - levels;
        let mut empty = merkle::EMPTY_LEAF;
        for _ in 0..below {
            empty = merkle::node(&empty, &empty);
        }
        let inside = self.inside(levels);
        if nodes.iter().skip(inside).any(|node| *node != empty) {
            return Err(DescentError::Padding);
        }
        self.revealed = nodes.to_vec();
        Ok(())
    }

    /// How many of the nodes `levels` below the present one hold leaves of the list.
    pub fn inside(&self, levels: u32) -> usize {
        let below = u32::from(self.height).saturating_sub(levels);
        // Counts are below 2^32 and so are indices: nothing here leaves 64 bits.
        let nodes = self.count.div_ceil(1 << below);
        let first = self.index << levels;
        nodes.saturating_sub(first).min(1 << levels) as usize
    }

    /// Goes down to the revealed node number `child`.
    pub fn choose(&mut self, child: u8) -> Result<(), DescentError> {
        let levels = self
            .revealed
            .len()
            .checked_ilog2()
            .ok_or(DescentError::Turn)?;
        let child = usize::from(child);
        let node = *self.revealed.get(child).ok_or(DescentError::Child)?;
        if child >= self.inside(levels) {
            return Err(DescentError::Child);
        }
        // Siblings from the chosen node up, then turned round.
        let path = merkle::path(&self.revealed, child as u64).ok_or(DescentError::Child)?;
        self.siblings.extend(path.iter().rev());
        self.index = (self.index << levels) + child as u64;
        // `reveal` saw to it that there are so many.
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
