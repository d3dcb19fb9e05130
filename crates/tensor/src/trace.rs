//! The trace of a run: the values of all operators with their trees, as a dispute opens them.
//!
//! An execution commits to its inputs and outputs only. Whoever must answer in a dispute runs it again and
//! commits to everything: a tensor root for each operator's value, and over these the trace's root.
//! Any executor can do that, as [`instrumented`] programs have the values as their outputs.

use crate::commit::{chunk_hashes, list_root_of, tensor_root_of};
use crate::hash::Hash;
use crate::merkle::Levels;
use crate::program::{CheckedProgram, MAX_OUTPUTS, Output};
use crate::reference::{self, RunError};
use crate::types::{Tensor, TensorType};
use alloc::format;
use alloc::vec::Vec;

/// Bytes of values that one instrumented run gives at most, if they are more than one: they are in memory
/// all at once.
const MOST_BYTES: u64 = 1 << 28;

/// The trees over some tensors: one over the chunks of each, and one over their roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorTrees {
    data: Vec<Levels>,
    roots: Levels,
}

impl TensorTrees {
    /// The trees over `tensors`: a value each of a run's operators, or a model's parameters.
    pub fn new(tensors: &[Tensor]) -> Self {
        let tree = |tensor: &Tensor| Levels::new(chunk_hashes(tensor.data()));
        let data = tensors.iter().map(tree).collect::<Vec<_>>();
        let roots = tensors.iter().zip(&data);
        let roots = roots.map(|(tensor, data)| tensor_root_of(tensor.ty(), &data.root()));
        Self {
            roots: Levels::new(roots.collect()),
            data,
        }
    }

    /// The tree over the chunks of tensor `index`.
    pub fn data(&self, index: u32) -> Option<&Levels> {
        self.data.get(index as usize)
    }

    /// The tree over the tensors' roots.
    pub fn roots(&self) -> &Levels {
        &self.roots
    }

    /// The root of the list of these tensors, which binds their number: a model's parameters root.
    pub fn list_root(&self) -> Hash {
        list_root_of(self.roots.count(), &self.roots.root())
    }
}

/// The values of all operators of one run, with their trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    values: Vec<Tensor>,
    trees: TensorTrees,
}

impl Trace {
    /// The trace of these values; `None` if they are not of the program's number and types.
    pub fn new(program: &CheckedProgram, values: Vec<Tensor>) -> Option<Self> {
        let types = program.value_types().iter();
        values.iter().map(Tensor::ty).eq(types).then(|| Self {
            trees: TensorTrees::new(&values),
            values,
        })
    }

    /// The trace by the reference executor.
    pub fn reference(
        program: &CheckedProgram,
        parameters: &[Tensor],
        inputs: &[Tensor],
    ) -> Result<Self, RunError> {
        let values = reference::trace(program, parameters, inputs)?;
        Ok(Self {
            trees: TensorTrees::new(&values),
            values,
        })
    }

    /// The trace from the answers of the [`instrumented`] programs to one request, in order: each the
    /// bytes of all outputs, one after the other. `None` if they have other sizes.
    pub fn from_answers(program: &CheckedProgram, answers: Vec<Vec<u8>>) -> Option<Self> {
        let mut types = program.value_types().iter();
        let mut values = Vec::with_capacity(types.len());
        // Each answer goes as its values are there.
        for answer in answers {
            let mut rest = &answer[..];
            while !rest.is_empty() {
                let ty = types.next()?;
                let len = usize::try_from(ty.bytes()).ok()?;
                let (value, after) = rest.split_at_checked(len)?;
                values.push(Tensor::new(*ty, value.to_vec())?);
                rest = after;
            }
        }
        Self::new(program, values)
    }

    /// The values, one for each operator.
    pub fn values(&self) -> &[Tensor] {
        &self.values
    }

    /// Their trees.
    pub fn trees(&self) -> &TensorTrees {
        &self.trees
    }

    /// The trace's root: the Merkle root over the tensor roots of the operators' values. Their number
    /// is in the program's header.
    pub fn root(&self) -> Hash {
        self.trees.roots.root()
    }
}

/// Programs whose outputs, one program after the other, are the values of all operators of `program`, in
/// order. They take the same parameters and inputs. Each has as many outputs as a program may have, and ends
/// with the last operator that it needs.
pub fn instrumented(program: &CheckedProgram) -> Vec<CheckedProgram> {
    groups(program.value_types())
        .map(|(first, end)| {
            let mut part = program.program().clone();
            part.nodes.truncate(end);
            part.outputs = (first..end)
                .map(|index| Output {
                    name: format!("{index}"),
                    value: index as u32,
                })
                .collect();
            part.check()
                .expect("the first operators of a checked program, with outputs of their number")
        })
        .collect()
}

/// Consecutive ranges of operators whose values one program can give.
fn groups(types: &[TensorType]) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    core::iter::from_fn(move || {
        let mut bytes = 0;
        let rest = types.get(first..)?.iter().take(MAX_OUTPUTS);
        let fit = rest.take_while(|ty| {
            bytes += ty.bytes();
            bytes <= MOST_BYTES
        });
        let end = first + fit.count().max(1);
        let group = (first < types.len()).then_some((first, end));
        first = end;
        group
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::DType;
    use std::vec;

    #[test]
    fn values_are_grouped_by_number_and_size() {
        let ty = |n| TensorType::new(DType::I8, &[n]).unwrap();
        assert_eq!(groups(&[]).count(), 0);
        let many = vec![ty(1); 600];
        assert!(groups(&many).eq([(0, 256), (256, 512), (512, 600)]));
        let large = [ty(1 << 27), ty(1 << 27), ty(1), ty(1 << 29), ty(5)];
        assert!(groups(&large).eq([(0, 2), (2, 3), (3, 4), (4, 5)]));
    }
}
