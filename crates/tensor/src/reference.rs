//! The reference executor: `reads` and `eval` of every element, and nothing else. What it
//! computes is what a program means; it is slow.

use crate::check::check;
use crate::eval::eval;
use crate::op::Op;
use crate::program::{CheckedProgram, Node, Operand};
use crate::reads::reads;
use crate::types::{DType, Tensor, TensorType};
use alloc::vec::Vec;

/// Why a program was not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The parameters are not of the program's number and types.
    #[error("the parameters are not those that the program declares")]
    Parameters,
    /// The inputs are not of the program's number and types.
    #[error("the inputs are not those that the program declares")]
    Inputs,
    /// `reads` or `eval` refused an element of an operator that passed its check: a defect
    /// of this crate.
    #[error("operator {index} has no element {element}")]
    Element {
        /// Index of the operator.
        index: u32,
        /// Index of the element.
        element: u64,
    },
}

/// The outputs of one run.
pub fn run(
    program: &CheckedProgram,
    parameters: &[Tensor],
    inputs: &[Tensor],
) -> Result<Vec<Tensor>, RunError> {
    let mut values = trace(program, parameters, inputs)?
        .into_iter()
        .map(Some)
        .collect::<Vec<_>>();
    // A value may be an output more than once: it is moved out at its last use.
    let outputs = &program.program().outputs;
    let mut results = Vec::with_capacity(outputs.len());
    for (at, output) in outputs.iter().enumerate() {
        let later = outputs.iter().skip(at + 1);
        let value = values.get_mut(output.value as usize);
        results.extend(value.and_then(|value| {
            if later.into_iter().any(|other| other.value == output.value) {
                value.clone()
            } else {
                value.take()
            }
        }));
    }
    Ok(results)
}

/// The values of all operators of one run, in order.
pub fn trace(
    program: &CheckedProgram,
    parameters: &[Tensor],
    inputs: &[Tensor],
) -> Result<Vec<Tensor>, RunError> {
    if !are_of(parameters, &program.program().parameters) {
        return Err(RunError::Parameters);
    }
    if !are_of(inputs, &program.program().inputs) {
        return Err(RunError::Inputs);
    }
    let mut values: Vec<Tensor> = Vec::with_capacity(program.program().nodes.len());
    for ((index, node), ty) in (0u32..)
        .zip(&program.program().nodes)
        .zip(program.value_types())
    {
        let operands = node
            .operands
            .iter()
            .filter_map(|operand| match *operand {
                Operand::Input(i) => inputs.get(usize::from(i)),
                Operand::Parameter(i) => parameters.get(i as usize),
                Operand::Value(i) => values.get(i as usize),
            })
            .collect::<Vec<_>>();
        let value =
            apply(node, ty, &operands).map_err(|element| RunError::Element { index, element })?;
        values.push(value);
    }
    Ok(values)
}

fn are_of(tensors: &[Tensor], types: &[TensorType]) -> bool {
    tensors.iter().map(Tensor::ty).eq(types)
}

/// The value that `node` defines, or the element that could not be computed.
fn apply(node: &Node, ty: &TensorType, operands: &[&Tensor]) -> Result<Tensor, u64> {
    let types = operands.iter().map(|t| *t.ty()).collect::<Vec<_>>();
    let data = operands.iter().map(|t| t.data()).collect::<Vec<_>>();
    Tensor::new(*ty, value(&node.op, &types, &data)?).ok_or(0)
}

/// The bytes of the value that `op` defines from operands of these types and bytes: all its
/// elements, one by one. The error is the first element that could not be computed, which
/// only happens where `op` is not well-formed or an operand has other bytes than its type.
pub fn value(op: &Op, types: &[TensorType], operands: &[&[u8]]) -> Result<Vec<u8>, u64> {
    let result = check(op, types).map_err(|_| 0u64)?.result;
    let mut data = Vec::new();
    let mut ranges = Vec::new();
    for element in 0..result.shape.elements() {
        ranges.clear();
        let value = gather(op, types, operands, element, &mut ranges)
            .and_then(|()| eval(op, types, element, &ranges))
            .ok_or(element)?;
        match result.dtype {
            DType::I8 => data.push(value as u8),
            DType::I32 => data.extend_from_slice(&value.to_le_bytes()),
        }
    }
    Ok(data)
}

/// Appends the ranges that `element` reads.
fn gather<'a>(
    op: &Op,
    types: &[TensorType],
    operands: &[&'a [u8]],
    element: u64,
    ranges: &mut Vec<&'a [u8]>,
) -> Option<()> {
    for read in reads(op, types, element)?.as_slice() {
        let start = usize::try_from(read.start).ok()?;
        let end = start.checked_add(read.len as usize)?;
        let data = operands.get(usize::from(read.operand))?;
        ranges.push(data.get(start..end)?);
    }
    Some(())
}
