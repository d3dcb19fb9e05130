//! The leaves of a program: what its header's roots are over.
//!
//! Each restates what it refers to (types, and what has been summed up to and including it), so that a leaf and
//! those next to it or named by it show any flaw of the program.

use crate::codec::{DecodeError, Reader, Writer};
use crate::hash::Hash;
use crate::merkle;
use crate::op::Op;
use crate::program::Operand;
use crate::types::TensorType;
use alloc::string::String;
use alloc::vec::Vec;

const OPERATOR_TAG: &[u8] = b"assay:operator:2";
const TYPE_TAG: &[u8] = b"assay:type:1";
const OUTPUT_TAG: &[u8] = b"assay:output:1";

/// One of the lists that a program's header commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// The inputs' types: [`TypeLeaf`].
    Inputs = 0,
    /// The parameters' types: [`TypeLeaf`].
    Parameters = 1,
    /// The operators: [`OperatorLeaf`].
    Operators = 2,
    /// The outputs: [`OutputLeaf`].
    Outputs = 3,
}

impl List {
    /// All lists, each at its number.
    pub const ALL: [Self; 4] = [
        Self::Inputs,
        Self::Parameters,
        Self::Operators,
        Self::Outputs,
    ];

    /// The hash of a leaf with these bytes, whatever they are.
    pub fn hash(self, leaf: &[u8]) -> Hash {
        let tag = match self {
            Self::Inputs | Self::Parameters => TYPE_TAG,
            Self::Operators => OPERATOR_TAG,
            Self::Outputs => OUTPUT_TAG,
        };
        merkle::leaf(tag, &[leaf])
    }
}

/// The longest encoding of a leaf that is taken; that of every leaf of a well-formed program is shorter.
pub const MAX_LEAF: usize = 512;

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
    /// Bytes of the values up to and including this one's.
    pub running_bytes: u64,
}

impl OperatorLeaf {
    /// The leaf's bytes: the operator, the number of operands, each operand and its type, the
    /// result's type (all as [`crate::codec`] says), the two sums as little-endian `u64`.
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
        w.u64(self.running_bytes);
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
            running_bytes: r.u64()?,
        };
        r.end()?;
        Ok(leaf)
    }

    /// The leaf's hash.
    pub fn hash(&self) -> Hash {
        List::Operators.hash(&self.encode())
    }
}

/// The leaf of an input or a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeLeaf {
    /// Its type.
    pub ty: TensorType,
    /// The bytes of those up to and including it.
    pub running_bytes: u64,
}

impl TypeLeaf {
    /// The leaf's bytes: the type (as [`crate::codec`] says), the bytes as a little-endian `u64`.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.ty(&self.ty);
        w.u64(self.running_bytes);
        w.0
    }

    /// The leaf that encodes to exactly `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let leaf = Self {
            ty: r.ty()?,
            running_bytes: r.u64()?,
        };
        r.end()?;
        Ok(leaf)
    }

    /// The leaf's hash.
    pub fn hash(&self) -> Hash {
        List::Inputs.hash(&self.encode())
    }
}

/// The leaf of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputLeaf {
    /// Its name.
    pub name: String,
    /// The index of the operator that defines it.
    pub value: u32,
    /// Its type.
    pub ty: TensorType,
    /// The bytes of the outputs up to and including it.
    pub running_bytes: u64,
}

impl OutputLeaf {
    /// The leaf's bytes: its name's length in one byte, its name, the operator's index as a
    /// little-endian `u32`, its type (as [`crate::codec`] says), the bytes as a little-endian `u64`.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        // A checked program's names have at most 64 bytes.
        w.0.push(self.name.len() as u8);
        w.0.extend_from_slice(self.name.as_bytes());
        w.0.extend_from_slice(&self.value.to_le_bytes());
        w.ty(&self.ty);
        w.u64(self.running_bytes);
        w.0
    }

    /// The leaf that encodes to exactly `bytes`. Its name may be empty, or longer than a program's may.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let leaf = Self {
            name: String::from(r.short_str()?),
            value: r.u32()?,
            ty: r.ty()?,
            running_bytes: r.u64()?,
        };
        r.end()?;
        Ok(leaf)
    }

    /// The leaf's hash.
    pub fn hash(&self) -> Hash {
        List::Outputs.hash(&self.encode())
    }
}
