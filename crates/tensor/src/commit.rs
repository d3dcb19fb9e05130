//! Commitments: roots of tensors, of lists of tensors, and of programs.
//!
//! * A tensor's root binds its type (so its shape and length) and its data root, the Merkle
//!   root over chunks of [`CHUNK`] consecutive bytes; the last one ends with the data. From a
//!   type and a data root anybody computes the tensor's root.
//! * The root of a run's inputs binds the number of their bytes, all one after the other, and the
//!   Merkle root over the chunks of these: where each begins follows from the program.
//! * A list's root binds its length and the Merkle root over its items' roots.
//! * A program's root is the hash of its [`ProgramHeader`], whose roots are over the program's
//!   leaves ([`crate::leaves`]).

use crate::hash::{Hash, hashv};
use crate::header::ProgramHeader;
use crate::leaves::List;
pub use crate::leaves::{OperatorLeaf, OutputLeaf, TypeLeaf};
use crate::merkle;
use crate::program::{CheckedProgram, Operand};
use crate::types::{Tensor, TensorType};
use alloc::vec::Vec;

/// Bytes of a chunk of a tensor, or of a run's inputs: few enough that a dispute reveals one in a
/// legacy transaction.
pub const CHUNK: usize = 512;

const CHUNK_TAG: &[u8] = b"assay:tensor-chunk:1";
const TENSOR_TAG: &[u8] = b"assay:tensor:1";
const INPUT_TAG: &[u8] = b"assay:input:1";
const LIST_TAG: &[u8] = b"assay:list:1";

/// Hash of a chunk: a leaf of a tensor's data tree. All chunks but the last have [`CHUNK`]
/// bytes; the last one has what is left, at least one.
pub fn chunk_hash(chunk: &[u8]) -> Hash {
    merkle::leaf(CHUNK_TAG, &[chunk])
}

/// The hashes of the chunks of a tensor's bytes.
pub fn chunk_hashes(data: &[u8]) -> Vec<Hash> {
    data.chunks(CHUNK).map(chunk_hash).collect()
}

/// The root of a tensor of type `ty` whose chunks have the Merkle root `data_root`.
pub fn tensor_root_of(ty: &TensorType, data_root: &Hash) -> Hash {
    hashv(&[
        TENSOR_TAG,
        &ty.encode(),
        &ty.bytes().to_le_bytes(),
        data_root,
    ])
}

/// The root of a tensor of type `ty` over `data`. Of data that is not [`TensorType::bytes`]
/// long it is the root of no tensor.
pub fn tensor_root(ty: &TensorType, data: &[u8]) -> Hash {
    tensor_root_of(ty, &merkle::root(&chunk_hashes(data)))
}

/// The root of a run's inputs, from all their bytes one after the other.
pub fn input_root(bytes: &[u8]) -> Hash {
    input_root_of(bytes.len() as u64, &merkle::root(&chunk_hashes(bytes)))
}

/// The root of `len` bytes of inputs whose chunks have the Merkle root `data_root`.
pub fn input_root_of(len: u64, data_root: &Hash) -> Hash {
    hashv(&[INPUT_TAG, &len.to_le_bytes(), data_root])
}

/// The root of a list: `hash(tag, length, Merkle root over the items' roots)`.
pub fn list_root(roots: &[Hash]) -> Hash {
    list_root_of(roots.len() as u64, &merkle::root(roots))
}

/// The root of a list of `count` items whose roots have the Merkle root `root`.
pub fn list_root_of(count: u64, root: &Hash) -> Hash {
    hashv(&[LIST_TAG, &count.to_le_bytes(), root])
}

fn tensors_root(tensors: &[Tensor]) -> Hash {
    list_root(&tensor_roots(tensors))
}

/// The root of each tensor.
pub fn tensor_roots(tensors: &[Tensor]) -> Vec<Hash> {
    tensors
        .iter()
        .map(|tensor| tensor_root(tensor.ty(), tensor.data()))
        .collect()
}

/// The root over a model's parameters.
pub fn parameters_root(parameters: &[Tensor]) -> Hash {
    tensors_root(parameters)
}

/// Whether this is the root over the parameters of a program that has none: that of the empty list.
pub fn is_no_parameters(root: &Hash) -> bool {
    *root == list_root(&[])
}

/// The root over a run's outputs.
pub fn outputs_root(outputs: &[Tensor]) -> Hash {
    tensors_root(outputs)
}

/// The siblings with which [`verify_output`] accepts output `index` of `outputs`; `None` if
/// there is none such.
pub fn output_path(outputs: &[Tensor], index: u32) -> Option<Vec<Hash>> {
    merkle::path(&tensor_roots(outputs), u64::from(index))
}

/// Whether output `index` of the `count` under `output_root` is `data` of type `ty`.
pub fn verify_output(
    output_root: &Hash,
    count: u32,
    index: u32,
    ty: &TensorType,
    data: &[u8],
    siblings: &[Hash],
) -> bool {
    let (count, index) = (u64::from(count), u64::from(index));
    // The length first, so that a stranger's bytes are not hashed for nothing.
    if data.len() as u64 != ty.bytes()
        || index >= count
        || siblings.len() != merkle::depth(count) as usize
    {
        return false;
    }
    let root = merkle::root_from_path(&tensor_root(ty, data), index, siblings);
    list_root_of(count, &root) == *output_root
}

/// What the leaves of these types say.
fn type_leaves(types: &[TensorType]) -> Vec<TypeLeaf> {
    let mut running_bytes = 0u64;
    let leaf = |ty: &TensorType| {
        running_bytes += ty.bytes();
        TypeLeaf {
            ty: *ty,
            running_bytes,
        }
    };
    types.iter().map(leaf).collect()
}

impl CheckedProgram {
    /// The leaf of operator `index`, if there is one.
    pub fn operator_leaf(&self, index: u32) -> Option<OperatorLeaf> {
        let index = index as usize;
        let node = self.program().nodes.get(index)?;
        let typed = |operand: &Operand| (*operand, self.type_of(*operand));
        Some(OperatorLeaf {
            op: node.op.clone(),
            operands: node.operands.iter().map(typed).collect(),
            result: *self.value_types().get(index)?,
            running_units: *self.running_units().get(index)?,
            running_bytes: *self.running_bytes().get(index)?,
        })
    }

    /// The leaves of the inputs.
    pub fn input_leaves(&self) -> Vec<TypeLeaf> {
        type_leaves(&self.program().inputs)
    }

    /// The leaves of the parameters.
    pub fn parameter_leaves(&self) -> Vec<TypeLeaf> {
        type_leaves(&self.program().parameters)
    }

    /// The leaves of the outputs.
    pub fn output_leaves(&self) -> Vec<OutputLeaf> {
        let outputs = self.program().outputs.iter();
        let leaves = outputs.zip(type_leaves(&self.output_types()));
        leaves
            .map(|(output, TypeLeaf { ty, running_bytes })| OutputLeaf {
                name: output.name.clone(),
                value: output.value,
                ty,
                running_bytes,
            })
            .collect()
    }

    /// The hashes of the leaves of one of the program's lists.
    pub fn leaf_hashes(&self, list: List) -> Vec<Hash> {
        let types = |leaves: Vec<TypeLeaf>| leaves.iter().map(TypeLeaf::hash).collect();
        match list {
            List::Inputs => types(self.input_leaves()),
            List::Parameters => types(self.parameter_leaves()),
            List::Operators => {
                let leaves = (0..self.program().nodes.len() as u32)
                    .filter_map(|index| self.operator_leaf(index));
                leaves.map(|leaf| leaf.hash()).collect()
            }
            List::Outputs => self.output_leaves().iter().map(OutputLeaf::hash).collect(),
        }
    }

    /// What the program's root commits to.
    pub fn header(&self) -> ProgramHeader {
        let program = self.program();
        let root = |list| merkle::root(&self.leaf_hashes(list));
        ProgramHeader {
            inputs: program.inputs.len() as u32,
            parameters: program.parameters.len() as u32,
            operators: program.nodes.len() as u32,
            outputs: program.outputs.len() as u32,
            units: self.units(),
            input_bytes: self.input_bytes(),
            parameter_bytes: self.parameter_bytes(),
            value_bytes: self.value_bytes(),
            output_bytes: self.output_bytes(),
            operators_root: root(List::Operators),
            parameters_root: root(List::Parameters),
            inputs_root: root(List::Inputs),
            outputs_root: root(List::Outputs),
        }
    }

    /// The program's root.
    pub fn root(&self) -> Hash {
        self.header().root()
    }
}
