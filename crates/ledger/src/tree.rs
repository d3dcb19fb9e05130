//! Merkle trees of a fixed depth, filled from the left, with cheap updates and lazy hashing.
//!
//! A tree only remembers which leaves changed; [`Tree::flush`] hashes each changed leaf and each
//! inner node above one once. [`fold`] is the other side: the root from some leaves and the
//! siblings that they do not cover.

use crate::Hash;
use alloc::vec;
use alloc::vec::Vec;
use assay_tensor::merkle;
pub use assay_tensor::merkle::fold;

/// A set of indices with constant-time insertion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    flags: Vec<bool>,
    list: Vec<u64>,
}

impl Touched {
    pub(crate) fn insert(&mut self, index: u64) {
        let at = index as usize;
        if self.flags.len() <= at {
            self.flags.resize(at + 1, false);
        }
        if !core::mem::replace(&mut self.flags[at], true) {
            self.list.push(index);
        }
    }

    /// Empties the set: its members below `count`, in order.
    pub(crate) fn take(&mut self, count: u64) -> Vec<u64> {
        let mut list = core::mem::take(&mut self.list);
        for index in &list {
            self.flags[*index as usize] = false;
        }
        list.retain(|i| *i < count);
        list.sort_unstable();
        list
    }
}

/// A Merkle tree of a fixed depth over leaves that somebody else holds.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Roots of the empty trees of depth 0 to this tree's.
    empty: Vec<Hash>,
    /// From the leaves up to below the root: the nodes that are not empty.
    levels: Vec<Vec<Hash>>,
    root: Hash,
    touched: Touched,
}

impl Tree {
    /// The tree of `depth` without leaves.
    pub fn new(depth: u32) -> Self {
        let mut empty = vec![merkle::EMPTY_LEAF];
        for level in 0..depth as usize {
            empty.push(merkle::node(&empty[level], &empty[level]));
        }
        Self {
            root: empty[depth as usize],
            levels: vec![Vec::new(); depth as usize],
            empty,
            touched: Touched::default(),
        }
    }

    /// Notes that leaf `index` is new, or another one.
    pub fn touch(&mut self, index: u64) {
        self.touched.insert(index);
    }

    /// Brings the hashes up to date: the tree now has the first `count` leaves that `leaf` gives.
    /// Every leaf that differs from the last time must have been touched, new ones included.
    pub fn flush(&mut self, count: u64, leaf: impl Fn(u64) -> Hash) {
        let depth = self.levels.len();
        let shrunk = self.levels.first().is_some_and(|l| l.len() as u64 > count);
        if shrunk && count > 0 {
            // The nodes along the new right edge covered leaves that are gone.
            self.touch(count - 1);
        }
        let mut changed = self.touched.take(count);
        for (level, nodes) in self.levels.iter_mut().enumerate() {
            nodes.resize(count.div_ceil(1 << level) as usize, self.empty[level]);
        }
        if shrunk && count == 0 {
            self.root = self.empty[depth];
        }
        if changed.is_empty() {
            return;
        }
        for index in &changed {
            let hash = leaf(*index);
            match self.levels.first_mut() {
                Some(leaves) => leaves[*index as usize] = hash,
                None => self.root = hash,
            }
        }
        for level in 0..depth {
            changed.iter_mut().for_each(|i| *i >>= 1);
            changed.dedup();
            for index in &changed {
                let hash = merkle::node(
                    &self.node(level, 2 * index),
                    &self.node(level, 2 * index + 1),
                );
                match self.levels.get_mut(level + 1) {
                    Some(nodes) => nodes[*index as usize] = hash,
                    None => self.root = hash,
                }
            }
        }
    }

    /// The root, as of the last flush.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Siblings of leaf `index` from the leaf's level up, as of the last flush.
    pub fn path(&self, index: u64) -> Vec<Hash> {
        (0..self.levels.len())
            .map(|level| self.node(level, (index >> level) ^ 1))
            .collect()
    }

    /// Siblings of leaf `index` in the tree that had only the first `count` of these leaves.
    pub fn path_at(&self, index: u64, count: u64) -> Vec<Hash> {
        (0..self.levels.len())
            .map(|level| self.node_at(level, (index >> level) ^ 1, count))
            .collect()
    }

    /// The siblings that [`fold`] needs beside the leaves `indices`, which are ascending.
    pub fn siblings(&self, indices: &[u64]) -> Vec<Hash> {
        merkle::siblings_with(self.levels.len() as u32, indices, |level, index| {
            self.node(level as usize, index)
        })
    }

    fn node(&self, level: usize, index: u64) -> Hash {
        let nodes = &self.levels[level];
        let at = usize::try_from(index).ok().and_then(|i| nodes.get(i));
        *at.unwrap_or(&self.empty[level])
    }

    fn node_at(&self, level: usize, index: u64, count: u64) -> Hash {
        if index << level >= count {
            self.empty[level]
        } else if (index + 1) << level <= count {
            self.node(level, index)
        } else {
            // On the right edge; never a leaf.
            merkle::node(
                &self.node_at(level - 1, 2 * index, count),
                &self.node_at(level - 1, 2 * index + 1, count),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEPTH: u32 = 7;

    fn leaf(value: u64) -> Hash {
        merkle::leaf(b"test", &[&value.to_le_bytes()])
    }

    /// The root computed the plain way.
    fn plain(values: &[u64]) -> Hash {
        let mut level: Vec<Hash> = (0..1 << DEPTH)
            .map(|i| values.get(i).map_or(merkle::EMPTY_LEAF, |v| leaf(*v)))
            .collect();
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|p| merkle::node(&p[0], &p[1]))
                .collect();
        }
        level[0]
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u64),
        Set(usize, u64),
        Shrink(usize),
        Flush,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<u64>().prop_map(Step::Push),
            4 => any::<(usize, u64)>().prop_map(|(i, v)| Step::Set(i, v)),
            1 => any::<usize>().prop_map(Step::Shrink),
            2 => Just(Step::Flush),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_lazy_tree_is_the_plain_one(steps in prop::collection::vec(step(), 1..80), pick in any::<u64>()) {
            let mut values: Vec<u64> = Vec::new();
            let mut tree = Tree::new(DEPTH);
            for step in steps {
                match step {
                    Step::Push(v) if values.len() < 1 << DEPTH => {
                        tree.touch(values.len() as u64);
                        values.push(v);
                    }
                    Step::Set(i, v) if !values.is_empty() => {
                        let i = i % values.len();
                        values[i] = v;
                        tree.touch(i as u64);
                    }
                    Step::Shrink(n) => {
                        // Never below what the tree saw last without a flush between.
                        values.truncate(n % (values.len() + 1));
                        tree.flush(values.len() as u64, |i| leaf(values[i as usize]));
                    }
                    _ => tree.flush(values.len() as u64, |i| leaf(values[i as usize])),
                }
            }
            tree.flush(values.len() as u64, |i| leaf(values[i as usize]));
            prop_assert_eq!(tree.root(), plain(&values));
            for i in 0..values.len() as u64 {
                let l = leaf(values[i as usize]);
                prop_assert_eq!(merkle::root_from_path(&l, i, &tree.path(i)), tree.root());
                let count = i + 1 + pick % (values.len() as u64 - i);
                let before = plain(&values[..count as usize]);
                prop_assert_eq!(merkle::root_from_path(&l, i, &tree.path_at(i, count)), before);
            }
        }

        #[test]
        fn many_leaves_open_together(n in 1u64..1 << DEPTH, bits in any::<u128>()) {
            let mut tree = Tree::new(DEPTH);
            (0..n).for_each(|i| tree.touch(i));
            tree.flush(n, leaf);
            let at: Vec<u64> = (0..1 << DEPTH).filter(|i| bits >> i & 1 == 1).collect();
            let siblings = tree.siblings(&at);
            let hash = |i: u64| if i < n { leaf(i) } else { merkle::EMPTY_LEAF };
            let leaves: Vec<_> = at.iter().map(|i| (*i, hash(*i))).collect();
            prop_assert_eq!(fold(DEPTH, &leaves, &siblings), (!at.is_empty()).then(|| tree.root()));
            if let Some(first) = leaves.first() {
                let mut other = leaves.clone();
                other[0].1 = leaf(1 << 40);
                prop_assert_ne!(fold(DEPTH, &other, &siblings), Some(tree.root()));
                other.push(*first);
                prop_assert_eq!(fold(DEPTH, &other, &siblings), None);
                let mut more = siblings.clone();
                more.push([1; 32]);
                prop_assert_eq!(fold(DEPTH, &leaves, &more), None);
                if !siblings.is_empty() {
                    prop_assert_eq!(fold(DEPTH, &leaves, &siblings[1..]), None);
                }
            }
        }
    }
}
