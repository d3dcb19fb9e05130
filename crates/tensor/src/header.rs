//! A program's header: its static facts and the roots over its lists. Its hash is the program's root.

use crate::hash::{Hash, hashv};
use crate::leaves::List;
use crate::merkle;
use crate::program::{MAX_BYTES, MAX_INPUTS, MAX_NODES, MAX_OUTPUTS, MAX_PARAMETERS};
use borsh::{BorshDeserialize, BorshSerialize};

const TAG: &[u8] = b"assay:program:2";

/// What a program's root commits to. Fixed size: [`ProgramHeader::SIZE`] bytes in borsh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ProgramHeader {
    /// Number of inputs.
    pub inputs: u32,
    /// Number of parameters.
    pub parameters: u32,
    /// Number of operators.
    pub operators: u32,
    /// Number of outputs.
    pub outputs: u32,
    /// Work units of one run.
    pub units: u64,
    /// Bytes of one run's inputs, all together.
    pub input_bytes: u64,
    /// Bytes of the parameters, all together.
    pub parameter_bytes: u64,
    /// Bytes of one run's values, those of all operators together.
    pub value_bytes: u64,
    /// Bytes of one run's outputs, all together.
    pub output_bytes: u64,
    /// Merkle root over the operators' leaves ([`crate::leaves::OperatorLeaf`]).
    pub operators_root: Hash,
    /// Merkle root over the parameters' types ([`crate::leaves::TypeLeaf`]).
    pub parameters_root: Hash,
    /// Merkle root over the inputs' types ([`crate::leaves::TypeLeaf`]).
    pub inputs_root: Hash,
    /// Merkle root over the outputs ([`crate::leaves::OutputLeaf`]).
    pub outputs_root: Hash,
}

impl ProgramHeader {
    /// Bytes of the borsh encoding.
    pub const SIZE: usize = 4 * 4 + 5 * 8 + 4 * 32;

    /// The number of leaves of one of the lists.
    pub fn count(&self, list: List) -> u32 {
        match list {
            List::Inputs => self.inputs,
            List::Parameters => self.parameters,
            List::Operators => self.operators,
            List::Outputs => self.outputs,
        }
    }

    /// The Merkle root over the leaves of one of the lists.
    pub fn list(&self, list: List) -> &Hash {
        match list {
            List::Inputs => &self.inputs_root,
            List::Parameters => &self.parameters_root,
            List::Operators => &self.operators_root,
            List::Outputs => &self.outputs_root,
        }
    }

    /// Bytes of one run's inputs, parameters, values and outputs together, or as many as can be said.
    pub fn bytes(&self) -> u64 {
        let all = [self.parameter_bytes, self.value_bytes, self.output_bytes];
        all.into_iter().fold(self.input_bytes, u64::saturating_add)
    }

    /// Whether the header alone shows that no program which passes its check has it: a count out of
    /// bounds, a sum that is too large, or too small for its count, or an empty list with a root or a sum.
    pub fn is_flawed(&self) -> bool {
        let limits = [
            (self.inputs, MAX_INPUTS),
            (self.parameters, MAX_PARAMETERS),
            (self.operators, MAX_NODES),
            (self.outputs, MAX_OUTPUTS),
        ];
        limits.iter().any(|(count, limit)| *count as usize > *limit)
            // An output is the value of an operator, and there is one.
            || self.operators == 0
            || self.outputs == 0
            || self.bytes() > MAX_BYTES
            // Each operator takes a unit, and what there is of anything a byte.
            || self.units < u64::from(self.operators)
            || self.value_bytes < u64::from(self.operators)
            || self.input_bytes < u64::from(self.inputs)
            || self.parameter_bytes < u64::from(self.parameters)
            || self.output_bytes < u64::from(self.outputs)
            || self.inputs == 0 && (self.inputs_root, self.input_bytes) != (merkle::EMPTY_LEAF, 0)
            || self.parameters == 0
                && (self.parameters_root, self.parameter_bytes) != (merkle::EMPTY_LEAF, 0)
    }

    /// The program's root: SHA-256 of the tag and the fields in order, integers little-endian.
    pub fn root(&self) -> Hash {
        hashv(&[
            TAG,
            &self.inputs.to_le_bytes(),
            &self.parameters.to_le_bytes(),
            &self.operators.to_le_bytes(),
            &self.outputs.to_le_bytes(),
            &self.units.to_le_bytes(),
            &self.input_bytes.to_le_bytes(),
            &self.parameter_bytes.to_le_bytes(),
            &self.value_bytes.to_le_bytes(),
            &self.output_bytes.to_le_bytes(),
            &self.operators_root,
            &self.parameters_root,
            &self.inputs_root,
            &self.outputs_root,
        ])
    }
}
