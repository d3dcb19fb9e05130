//! A tree of which not every leaf is known.

use crate::Hash;
use crate::descent::Descent;
use assay_tensor::merkle::{self, Levels};
use std::collections::BTreeSet;

/// A player's own tree: the first leaves of an asserter's, some of which may not be known.
#[derive(Clone, Debug)]
pub(super) struct Partial {
    levels: Levels,
    unknown: BTreeSet<u64>,
}

impl Partial {
    /// The tree of these leaves, of which the ones at `unknown` mean nothing.
    pub fn new(leaves: Vec<Hash>, unknown: impl IntoIterator<Item = u64>) -> Self {
        Self {
            levels: Levels::new(leaves),
            unknown: unknown.into_iter().collect(),
        }
    }

    /// A node of it; `None` if a leaf below it is not known. The whole tree has `count` leaves.
    pub fn node(&self, count: u64, level: u32, index: u64) -> Option<Hash> {
        let (first, end) = (index << level, (index + 1) << level);
        // Past its end a tree is filled by the rules.
        let there = self.levels.count() == count || end <= self.levels.count();
        let known = there && self.unknown.range(first..end).next().is_none();
        known.then(|| self.levels.node(level, index))
    }

    /// The root; `None` if a leaf of the whole tree of `count` is not known.
    pub fn root(&self, count: u64) -> Option<Hash> {
        let whole = self.levels.count() == count && self.unknown.is_empty();
        whole.then(|| self.levels.root())
    }

    /// The siblings of leaf `index` in the asserter's tree, at the end of whose `descent` the game is: those on and
    /// beside its path are the asserter's, the others one's own. `None` if they do not open that leaf there, as
    /// one's own is not known, or is another.
    pub fn path(&self, descent: &Descent, index: u64) -> Option<Vec<Hash>> {
        let given = descent.path();
        let depth = merkle::depth(descent.count);
        if !descent.done() || index >= descent.count || given.len() != depth as usize {
            return None;
        }
        let sibling = |level: u32| {
            let at = (index >> level) ^ 1;
            let (below, above) = given.split_at_checked(level as usize)?;
            match at ^ (descent.index >> level) {
                0 => Some(merkle::root_from_path(&descent.node, descent.index, below)),
                1 => above.first().copied(),
                _ => self.node(descent.count, level, at),
            }
        };
        let path: Vec<Hash> = (0..depth).map(sibling).collect::<Option<_>>()?;
        let leaf = match index == descent.index {
            true => descent.node,
            false => self.node(descent.count, 0, index)?,
        };
        let opens = merkle::root_from_path(&leaf, index, &path) == descent.root;
        opens.then_some(path)
    }

    /// The siblings of leaf `index` in a whole tree that is one's own.
    pub fn own_path(&self, count: u64, index: u64) -> Option<Vec<Hash>> {
        self.root(count)?;
        self.levels.path(index)
    }
}
