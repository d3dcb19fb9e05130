//! Commitments: roots of tensors, of lists of tensors, and of programs.
//!
//! * A tensor's root binds its type (so its shape and length) and its data root, the Merkle
//!   root over chunks of [`CHUNK`] consecutive bytes; the last one ends with the data. From a
//!   type and a data root anybody computes the tensor's root.
//! * The root of a run's inputs binds the number of their bytes, all one after the other, and the
//!   Merkle root over the chunks of these: where each begins follows from the program.
//! * A list's root binds its length and the Merkle root over its items' roots.
//! * A program's root is the hash of its [`ProgramHeader`]. Its leaves restate what they refer
//!   to (types, and what has been summed up to and including them), so that one leaf and those
//!   of its operands show any flaw.

use crate::codec::{DecodeError, Reader, Writer};
use crate::hash::{Hash, hashv};
use crate::header::ProgramHeader;
use crate::merkle;
use crate::op::Op;
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
const OPERATOR_TAG: &[u8] = b"assay:operator:1";
const TYPE_TAG: &[u8] = b"assay:type:1";
const OUTPUT_TAG: &[u8] = b"assay:output:1";

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

/// What one operator's leaf says: enough to check it without the rest of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorLeaf {
    /// The operator.
    pub op: Op,
    /// Its operands with their types.
    pub operands: Vec<(Operand, TensorType)>,
    /// The type of the value that it defines.
    pub result: TensorType,
    /// Work units of the operators up to and including this one.
    pub running_units: u64,
}

impl OperatorLeaf {
    /// The leaf's bytes: the operator, the number of operands, each operand and its type, the
    /// result's type (all as [`crate::codec`] says), the running cost as a little-endian `u64`.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.op(&self.op);
        w.operand_count(self.operands.len());
        for (operand, ty) in &self.operands {
            w.operand(*operand);
            w.ty(ty);
        }
        w.ty(&self.result);
        w.u64(self.running_units);
        w.0
    }

    /// The leaf that encodes to exactly `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let op = r.op()?;
        let count = r.operand_count()?;
        let mut operands = Vec::with_capacity(count);
        for _ in 0..count {
            operands.push((r.operand()?, r.ty()?));
        }
        let leaf = Self {
            op,
            operands,
            result: r.ty()?,
            running_units: r.u64()?,
        };
        r.end()?;
        Ok(leaf)
    }

    /// The leaf's hash.
    pub fn hash(&self) -> Hash {
        merkle::leaf(OPERATOR_TAG, &[&self.encode()])
    }
}

/// The leaf of an input or a parameter: its type, and the bytes of those up to and including it.
pub fn type_leaf(ty: &TensorType, running_bytes: u64) -> Hash {
    merkle::leaf(TYPE_TAG, &[&ty.encode(), &running_bytes.to_le_bytes()])
}

/// The leaf of an output: its name's length in one byte, its name, the index of the operator
/// that defines it, its type, and the bytes of those up to and including it.
pub fn output_leaf(name: &str, value: u32, ty: &TensorType, running_bytes: u64) -> Hash {
    merkle::leaf(
        OUTPUT_TAG,
        &[
            // A checked program's names have at most 64 bytes.
            &[name.len() as u8],
            name.as_bytes(),
            &value.to_le_bytes(),
            &ty.encode(),
            &running_bytes.to_le_bytes(),
        ],
    )
}

fn types_root(types: &[TensorType]) -> Hash {
    let mut running = 0u64;
    let leaves = types.iter().map(|ty| {
        running += ty.bytes();
        type_leaf(ty, running)
    });
    merkle::root(&leaves.collect::<Vec<_>>())
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
        })
    }

    /// The hashes of the operators' leaves.
    pub fn operator_leaves(&self) -> Vec<Hash> {
        (0..self.program().nodes.len() as u32)
            .filter_map(|index| self.operator_leaf(index))
            .map(|leaf| leaf.hash())
            .collect()
    }

    /// What the program's root commits to.
    pub fn header(&self) -> ProgramHeader {
        let program = self.program();
        let mut running = 0u64;
        let outputs = program
            .outputs
            .iter()
            .zip(self.output_types())
            .map(|(output, ty)| {
                running += ty.bytes();
                output_leaf(&output.name, output.value, &ty, running)
            })
            .collect::<Vec<_>>();
        ProgramHeader {
            inputs: program.inputs.len() as u32,
            parameters: program.parameters.len() as u32,
            operators: program.nodes.len() as u32,
            outputs: program.outputs.len() as u32,
            units: self.units(),
            input_bytes: self.input_bytes(),
            output_bytes: self.output_bytes(),
            operators_root: merkle::root(&self.operator_leaves()),
            parameters_root: types_root(&program.parameters),
            inputs_root: types_root(&program.inputs),
            outputs_root: merkle::root(&outputs),
        }
    }

    /// The program's root.
    pub fn root(&self) -> Hash {
        self.header().root()
    }
}
