//! An outbox tree with paths: what a withdrawal or a job's result is proven against.

use assay_ledger::Hash;
use assay_ledger::merkle::{EMPTY_LEAF, node};
use assay_ledger::outbox::{DEPTH, OutboxLeaf};
use assay_ledger::state::TreeHead;

/// The leaves of an outbox.
#[derive(Clone, Debug, Default)]
pub struct OutboxTree {
    /// In the order of their indices.
    pub leaves: Vec<OutboxLeaf>,
}

impl OutboxTree {
    /// Appends a leaf and returns its index.
    pub fn push(&mut self, leaf: OutboxLeaf) -> u64 {
        self.leaves.push(leaf);
        self.leaves.len() as u64 - 1
    }

    /// Count and root.
    pub fn head(&self) -> TreeHead {
        TreeHead {
            count: self.leaves.len() as u64,
            root: self.walk(0).0,
        }
    }

    /// The siblings of leaf `index`, from the leaf's level to the root's.
    pub fn path(&self, index: u64) -> Vec<Hash> {
        self.walk(index as usize).1
    }

    fn walk(&self, mut at: usize) -> (Hash, Vec<Hash>) {
        let mut level: Vec<Hash> = self.leaves.iter().map(OutboxLeaf::hash).collect();
        let mut empty = EMPTY_LEAF;
        let mut siblings = Vec::new();
        for _ in 0..DEPTH {
            siblings.push(level.get(at ^ 1).copied().unwrap_or(empty));
            level = level
                .chunks(2)
                .map(|pair| node(&pair[0], pair.get(1).unwrap_or(&empty)))
                .collect();
            empty = node(&empty, &empty);
            at /= 2;
        }
        (level.first().copied().unwrap_or(empty), siblings)
    }
}
