//! Programs: operators in static single assignment form, and the check of a whole one.

use crate::check::{CheckError, check};
use crate::op::Op;
use crate::types::{Tensor, TensorType};
use alloc::string::String;
use alloc::vec::Vec;

/// The most inputs of a program.
pub const MAX_INPUTS: usize = 256;
/// The most parameters of a program.
pub const MAX_PARAMETERS: usize = 1 << 16;
/// The most operators of a program.
pub const MAX_NODES: usize = 1 << 16;
/// The most outputs of a program.
pub const MAX_OUTPUTS: usize = 256;
/// The longest name of an output, in bytes.
pub const MAX_NAME: usize = 64;
/// Bytes of a program's inputs, parameters, values and outputs together, at most: 4 GiB. Who checks a rollup has to be
/// able to do any run again, and to keep all of its values, so that it has to be known beforehand how much memory that may
/// take: for a while up to four times as much, where values are copied, packed and hashed.
pub const MAX_BYTES: u64 = 4 << 30;

/// What an operator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// Input `i` of the program.
    Input(u16),
    /// Parameter `i` of the program.
    Parameter(u32),
    /// The value that operator `i` defines; only earlier operators can be named.
    Value(u32),
}

/// One operator with its operands; it defines the value of its own index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The operator.
    pub op: Op,
    /// Its operands, in the operator's order.
    pub operands: Vec<Operand>,
}

/// A named output: the value of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name, at most 64 bytes of UTF-8.
    pub name: String,
    /// The operator that defines it.
    pub value: u32,
}

/// A program that has not been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Types of the inputs.
    pub inputs: Vec<TensorType>,
    /// Types of the parameters.
    pub parameters: Vec<TensorType>,
    /// The operators.
    pub nodes: Vec<Node>,
    /// The outputs, at least one.
    pub outputs: Vec<Output>,
}

/// Why a program is not well-formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// An operator that its check refuses.
    #[error("operator {index} ({kind}) {error}")]
    Operator {
        /// Its index.
        index: u32,
        /// Its kind.
        kind: &'static str,
        /// What is wrong with it.
        error: CheckError,
    },
    /// An operator reads what is not there: an input or a parameter past the end, or a value
    /// that no earlier operator defines.
    #[error("operator {index} ({kind}) reads {operand:?}, which does not come before it")]
    Operand {
        /// Index of the operator.
        index: u32,
        /// Its kind.
        kind: &'static str,
        /// What it reads.
        operand: Operand,
    },
    /// An output names a value that no operator defines.
    #[error("output {name:?} is value {value}, which no operator defines")]
    Output {
        /// The output's name.
        name: String,
        /// The value it names.
        value: u32,
    },
    /// An output's name is empty, longer than [`MAX_NAME`], or another output's too.
    #[error("output {0} has a name that is empty, too long, or another output's too")]
    OutputName(usize),
    /// A program without outputs computes nothing.
    #[error("has no outputs")]
    NoOutputs,
    /// More of something than a program may have.
    #[error("has {found} {what}, more than {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Inputs, parameters, values and outputs are more than [`MAX_BYTES`] together.
    #[error("takes {0} bytes for inputs, parameters, values and outputs, more than 4 GiB")]
    Bytes(u64),
}

/// A program that passed its check: every operator is well-formed, reads only what comes
/// before it, and so every run has one defined result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedProgram {
    program: Program,
    value_types: Vec<TensorType>,
    /// Work units of the operators up to and including each.
    running_units: Vec<u64>,
    /// Bytes of the values up to and including each.
    running_bytes: Vec<u64>,
}

impl Program {
    /// Checks the whole program. An error names the operator.
    pub fn check(self) -> Result<CheckedProgram, ProgramError> {
        for (what, found, limit) in [
            ("inputs", self.inputs.len(), MAX_INPUTS),
            ("parameters", self.parameters.len(), MAX_PARAMETERS),
            ("operators", self.nodes.len(), MAX_NODES),
            ("outputs", self.outputs.len(), MAX_OUTPUTS),
        ] {
            if found > limit {
                return Err(ProgramError::TooMany { what, found, limit });
            }
        }
        let mut value_types = Vec::with_capacity(self.nodes.len());
        let mut running_units = Vec::with_capacity(self.nodes.len());
        let mut running_bytes = Vec::with_capacity(self.nodes.len());
        let (mut units, mut value_bytes) = (0u64, 0u64);
        for (index, node) in (0u32..).zip(&self.nodes) {
            let kind = node.op.kind();
            let types = node
                .operands
                .iter()
                .map(|operand| {
                    self.operand_type(&value_types, *operand)
                        .ok_or(ProgramError::Operand {
                            index,
                            kind,
                            operand: *operand,
                        })
                })
                .collect::<Result<Vec<_>, _>>()?;
            let checked = check(&node.op, &types).map_err(|error| ProgramError::Operator {
                index,
                kind,
                error,
            })?;
            // At most 2^16 values of 2^33 bytes.
            value_bytes += checked.result.bytes();
            // Within the bound on bytes they are at most 2^17 and one for each, and so far from saturated.
            units = units.saturating_add(checked.units);
            value_types.push(checked.result);
            running_units.push(units);
            running_bytes.push(value_bytes);
        }
        if self.outputs.is_empty() {
            return Err(ProgramError::NoOutputs);
        }
        for (index, output) in self.outputs.iter().enumerate() {
            let earlier = self.outputs.iter().take(index);
            if output.name.is_empty()
                || output.name.len() > MAX_NAME
                || earlier.into_iter().any(|other| other.name == output.name)
            {
                return Err(ProgramError::OutputName(index));
            }
            if output.value as usize >= self.nodes.len() {
                return Err(ProgramError::Output {
                    name: output.name.clone(),
                    value: output.value,
                });
            }
        }
        let checked = CheckedProgram {
            program: self,
            value_types,
            running_units,
            running_bytes,
        };
        match checked.bytes() {
            bytes if bytes > MAX_BYTES => Err(ProgramError::Bytes(bytes)),
            _ => Ok(checked),
        }
    }

    /// The type of what `operand` names, if it is there, where `values` are defined.
    fn operand_type(&self, values: &[TensorType], operand: Operand) -> Option<TensorType> {
        match operand {
            Operand::Input(index) => self.inputs.get(usize::from(index)),
            Operand::Parameter(index) => self.parameters.get(index as usize),
            Operand::Value(index) => values.get(index as usize),
        }
        .copied()
    }
}

impl CheckedProgram {
    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The type of the value of each operator.
    pub fn value_types(&self) -> &[TensorType] {
        &self.value_types
    }

    /// The type of an operand of one of this program's operators.
    ///
    /// # Panics
    /// If this program has no such input, parameter or value: an operand of another program.
    pub fn type_of(&self, operand: Operand) -> TensorType {
        self.program
            .operand_type(&self.value_types, operand)
            .expect("an operand of this program")
    }

    /// The types of the outputs.
    pub fn output_types(&self) -> Vec<TensorType> {
        let outputs = self.program.outputs.iter();
        outputs
            .map(|output| self.type_of(Operand::Value(output.value)))
            .collect()
    }

    /// The work units of the operators up to and including each.
    pub fn running_units(&self) -> &[u64] {
        &self.running_units
    }

    /// The bytes of the values up to and including each.
    pub fn running_bytes(&self) -> &[u64] {
        &self.running_bytes
    }

    /// Work units of one run: those of all operators ([`crate::check::Checked::units`]).
    pub fn units(&self) -> u64 {
        self.running_units.last().copied().unwrap_or(0)
    }

    /// Bytes of all inputs of one run together.
    pub fn input_bytes(&self) -> u64 {
        bytes(&self.program.inputs)
    }

    /// Bytes of all outputs of one run together.
    pub fn output_bytes(&self) -> u64 {
        bytes(&self.output_types())
    }

    /// Bytes of all parameters together: of the parameters blob.
    pub fn parameter_bytes(&self) -> u64 {
        bytes(&self.program.parameters)
    }

    /// Bytes of all values of one run together.
    pub fn value_bytes(&self) -> u64 {
        self.running_bytes.last().copied().unwrap_or(0)
    }

    /// Bytes of the inputs, the parameters, all values and the outputs of one run together: at most [`MAX_BYTES`].
    pub fn bytes(&self) -> u64 {
        self.input_bytes() + self.parameter_bytes() + self.value_bytes() + self.output_bytes()
    }

    /// Each input's bytes, from all of them one after the other; `None` if `bytes` are not as
    /// many as [`Self::input_bytes`].
    pub fn split_inputs<'a>(&self, bytes: &'a [u8]) -> Option<Vec<&'a [u8]>> {
        split(&self.program.inputs, bytes)
    }

    /// Each output's bytes, likewise.
    pub fn split_outputs<'a>(&self, bytes: &'a [u8]) -> Option<Vec<&'a [u8]>> {
        split(&self.output_types(), bytes)
    }

    /// The inputs of a run, from their bytes one after the other; `None` if `bytes` are not as
    /// many as [`Self::input_bytes`].
    pub fn inputs_from_bytes(&self, bytes: &[u8]) -> Option<Vec<Tensor>> {
        tensors(&self.program.inputs, bytes)
    }

    /// The outputs of a run, likewise.
    pub fn outputs_from_bytes(&self, bytes: &[u8]) -> Option<Vec<Tensor>> {
        tensors(&self.output_types(), bytes)
    }

    /// The parameters, from their blob: their bytes one after the other, in order. `None` if
    /// `blob` is not as long as [`Self::parameter_bytes`].
    pub fn parameters_from_blob(&self, blob: &[u8]) -> Option<Vec<Tensor>> {
        tensors(&self.program.parameters, blob)
    }
}

/// The bytes of tensors one after the other: the parameters blob, a run's inputs or outputs.
pub fn to_blob(tensors: &[Tensor]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(tensors.iter().map(|t| t.data().len()).sum());
    for tensor in tensors {
        blob.extend_from_slice(tensor.data());
    }
    blob
}

/// Bytes of tensors of these types together: at most 2^16 times 2^33.
fn bytes(types: &[TensorType]) -> u64 {
    types.iter().map(TensorType::bytes).sum()
}

fn split<'a>(types: &[TensorType], bytes: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let mut rest = bytes;
    let mut parts = Vec::with_capacity(types.len());
    for ty in types {
        let (part, after) = rest.split_at_checked(usize::try_from(ty.bytes()).ok()?)?;
        parts.push(part);
        rest = after;
    }
    rest.is_empty().then_some(parts)
}

fn tensors(types: &[TensorType], bytes: &[u8]) -> Option<Vec<Tensor>> {
    let parts = split(types, bytes)?;
    types
        .iter()
        .zip(parts)
        .map(|(ty, part)| Tensor::new(*ty, part.to_vec()))
        .collect()
}
