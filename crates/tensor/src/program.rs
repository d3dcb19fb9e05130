//! Programs: operators in static single assignment form.

use crate::op::Op;
use crate::types::TensorType;
use alloc::string::String;
use alloc::vec::Vec;

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
