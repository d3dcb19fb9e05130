//! Making an element's proof.

use super::layout::{Layout, Source};
use super::{element_at, inputs_of};
use crate::Hash;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use assay_tensor::check::MAX_OPERANDS;
use assay_tensor::commit::{CHUNK, chunk_hashes};
use assay_tensor::leaves::List;
use assay_tensor::merkle::{self, Levels};
use assay_tensor::program::{CheckedProgram, Operand};
use assay_tensor::trace::{TensorTrees, Trace};
use assay_tensor::types::Tensor;

/// A run of a model, by whoever proves what is wrong with another's.
#[derive(Clone, Copy, Debug)]
pub struct Execution<'a> {
    /// The program.
    pub program: &'a CheckedProgram,
    /// Its parameters.
    pub parameters: &'a [Tensor],
    /// Their trees.
    pub parameter_trees: &'a TensorTrees,
    /// The bytes of all inputs, one after the other.
    pub input: &'a [u8],
    /// The values of all operators.
    pub trace: &'a Trace,
}

/// The first operator whose value is another in the asserter's trace.
#[derive(Clone, Copy, Debug)]
pub struct Disputed<'a> {
    /// Its index.
    pub operator: u32,
    /// The tensor root of its value in that trace.
    pub root: Hash,
    /// The siblings of that, from the leaf's level up.
    pub path: &'a [Hash],
}

impl Execution<'_> {
    /// Proves that `bytes` are not chunk `chunk` of the disputed operator's value, by the first element in
    /// which they are not this run's. `None` if there is no such element, operator or chunk.
    pub fn prove_chunk(&self, disputed: &Disputed, chunk: u64, bytes: &[u8]) -> Option<Vec<u8>> {
        let value = self.trace.values().get(disputed.operator as usize)?;
        let own = value
            .data()
            .chunks(CHUNK)
            .nth(usize::try_from(chunk).ok()?)?;
        let differs = own.iter().zip(bytes).position(|(a, b)| a != b)?;
        let place = differs / value.ty().dtype.size();
        self.prove_element(disputed, chunk, u16::try_from(place).ok()?)
    }

    /// Opens the operands of the element at place `place` (in elements) of chunk `chunk` of the disputed
    /// operator's value, for [`super::check_element`]. `None` if there is no such element.
    pub fn prove_element(&self, disputed: &Disputed, chunk: u64, place: u16) -> Option<Vec<u8>> {
        let leaf = self.program.operator_leaf(disputed.operator)?;
        let types = leaf.operands.iter().map(|(_, ty)| *ty).collect::<Vec<_>>();
        let (element, _) = element_at(&leaf.result, chunk, place).ok()?;
        let mut proof = Vec::from(place.to_le_bytes());

        let mut starts = [0; MAX_OPERANDS];
        let leaves = self.program.input_leaves();
        let indices = inputs_of(&leaf).iter().map(|(i, _)| *i).collect::<Vec<_>>();
        for index in &indices {
            let leaf = leaves.get(*index as usize)?;
            proof.extend(leaf.running_bytes.to_le_bytes());
        }
        let tree = Levels::new(self.program.leaf_hashes(List::Inputs));
        put(&mut proof, tree.siblings(&indices)?);
        for ((operand, _), start) in leaf.operands.iter().zip(&mut starts) {
            if let Operand::Input(index) = operand {
                let leaf = leaves.get(usize::from(*index))?;
                *start = leaf.running_bytes.checked_sub(leaf.ty.bytes())?;
            }
        }

        let bytes = self.program.input_bytes();
        let layout = Layout::new(&leaf, &types, element, bytes, &starts).ok()?;
        let (mut values, mut parameters) = (Vec::new(), Vec::new());
        for tree in layout.trees.iter().filter(|tree| !tree.runs.is_empty()) {
            let (data, levels) = self.source(tree.source)?;
            for run in &tree.runs {
                let end = (run.end * CHUNK as u64).min(tree.len);
                let first = run.first * CHUNK as u64;
                proof.extend_from_slice(data.get(first as usize..end as usize)?);
            }
            put(
                &mut proof,
                levels.siblings(&tree.chunks().collect::<Vec<_>>())?,
            );
            match tree.source {
                Source::Value(index) => values.push(u64::from(index)),
                Source::Parameter(index) => parameters.push(u64::from(index)),
                Source::Input => {}
            }
        }
        values.sort_unstable();
        put(&mut proof, self.value_siblings(disputed, &values)?);
        parameters.sort_unstable();
        put(
            &mut proof,
            self.parameter_trees.roots().siblings(&parameters)?,
        );
        Some(proof)
    }

    /// The bytes and the tree of a source.
    fn source(&self, source: Source) -> Option<(&[u8], Cow<'_, Levels>)> {
        Some(match source {
            Source::Input => {
                let tree = Levels::new(chunk_hashes(self.input));
                (self.input, Cow::Owned(tree))
            }
            Source::Parameter(index) => {
                let tensor = self.parameters.get(index as usize)?;
                let tree = self.parameter_trees.data(index)?;
                (tensor.data(), Cow::Borrowed(tree))
            }
            Source::Value(index) => {
                let tensor = self.trace.values().get(index as usize)?;
                let tree = self.trace.trees().data(index)?;
                (tensor.data(), Cow::Borrowed(tree))
            }
        })
    }

    /// The siblings of earlier values in the asserter's trace: left of the disputed operator's path it
    /// is this run's, and what is right of it was revealed.
    fn value_siblings(&self, disputed: &Disputed, indices: &[u64]) -> Option<Vec<Hash>> {
        let own = self.trace.trees().roots();
        let operator = u64::from(disputed.operator);
        if disputed.path.len() != own.depth() as usize
            || indices.iter().any(|index| *index >= operator)
        {
            return None;
        }
        let node = |level: u32, index: u64| {
            let (below, above) = disputed.path.split_at(level as usize);
            match (index ^ (operator >> level), above.first()) {
                (0, _) => merkle::root_from_path(&disputed.root, operator, below),
                (1, Some(sibling)) => *sibling,
                _ => own.node(level, index),
            }
        };
        Some(merkle::siblings_with(own.depth(), indices, node))
    }
}

fn put(proof: &mut Vec<u8>, hashes: Vec<Hash>) {
    proof.extend(hashes.into_iter().flatten());
}
