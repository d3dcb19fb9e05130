//! One element of an operator's value, recomputed from its operands.
//!
//! The last move of a dispute about an execution. The asserter has revealed a chunk of the first value that
//! differs; the challenger names an element in it and opens, of each operand, exactly the chunks that the
//! element [`reads`](assay_tensor::reads): earlier values against the asserter's own trace, parameters and
//! input against the roots in the claim. Whether the asserter was wrong is then one call of
//! [`eval`](assay_tensor::eval::eval) on the ranges where they lie in the proof.
//!
//! # The proof's bytes
//!
//! Which chunks and which siblings follow from the operator, so there are no lengths and no indices:
//!
//! | what | bytes |
//! | --- | --- |
//! | the element's place in the chunk, in elements | `u16`, little-endian |
//! | of each input that is an operand, ascending: the bytes of the inputs up to and including it | `u64`, little-endian |
//! | if there is one: the siblings of these inputs' leaves in the program's list of inputs | 32 each |
//! | of each tree, in the order in which the operands name them first: the chunks that the element reads, ascending | 512 each, but the tree's last |
//! | and behind these their siblings in it | 32 each |
//! | if an earlier value is an operand: the siblings of these values in the trace | 32 each |
//! | if a parameter is one: the siblings of these parameters in their list | 32 each |
//!
//! A tree is that of the chunks of a value, of a parameter, or of all inputs one after the other. Siblings are
//! as [`merkle::fold`] takes them: leaves of one tree open together. A tree that the element reads
//! nothing of (a window in the padding) is left out.

mod layout;
mod prove;

pub use prove::{Disputed, Execution};

use super::ProofError;
use super::bytes::Bytes;
use crate::Hash;
use alloc::vec::Vec;
use assay_tensor::check::{MAX_OPERANDS, MAX_READ_CHUNKS, check};
use assay_tensor::commit::{
    CHUNK, OperatorLeaf, TypeLeaf, chunk_hash, input_root_of, list_root_of, tensor_root_of,
};
use assay_tensor::eval::eval;
use assay_tensor::header::ProgramHeader;
use assay_tensor::merkle::{depth, fold_in_place};
use assay_tensor::program::{MAX_INPUTS, MAX_NODES, MAX_PARAMETERS, Operand};
use assay_tensor::types::{DType, MAX_ELEMENTS, TensorType};
use layout::{Layout, Source};

/// The longest proof of an element of an operator that passes its check, in bytes, or a little more.
///
/// An input's tree is one over all inputs, which together are not longer than a tensor may be: a program that passes its check
/// takes at most 4 GiB.
pub const MAX_PROOF: usize = {
    const fn path(leaves: u64) -> u64 {
        32 * depth(leaves) as u64
    }
    let operands = MAX_OPERANDS as u64;
    // A node has a sibling at most, and on a level there are at most as many nodes as chunks, and half of
    // them can be siblings.
    let (mut siblings, mut pairs) = (0, operands);
    let mut level = depth(MAX_ELEMENTS * 4 / CHUNK as u64);
    while level > 0 {
        siblings += if pairs < MAX_READ_CHUNKS {
            pairs
        } else {
            MAX_READ_CHUNKS
        };
        pairs *= 2;
        level -= 1;
    }
    let inputs = operands * (8 + path(MAX_INPUTS as u64));
    let lists = operands * (path(MAX_NODES as u64) + path(MAX_PARAMETERS as u64));
    (2 + inputs + MAX_READ_CHUNKS * CHUNK as u64 + siblings * 32 + lists) as usize
};

/// What the asserter has claimed on the way to a chunk.
#[derive(Clone, Copy, Debug)]
pub struct ElementClaims<'a> {
    /// The program that ran.
    pub program: &'a ProgramHeader,
    /// The parameters that it ran with.
    pub parameters_root: &'a Hash,
    /// The inputs that it ran on.
    pub input_root: &'a Hash,
    /// The trace: the Merkle root over the tensor roots of the operators' values.
    pub trace_root: &'a Hash,
    /// Index of the operator whose value differs first.
    pub operator: u32,
    /// Its leaf in the program.
    pub leaf: &'a OperatorLeaf,
    /// Index of the chunk of its value that differs first.
    pub chunk: u64,
    /// The chunk's bytes.
    pub bytes: &'a [u8],
}

/// The bytes of each tree's opened chunks.
type Opened<'a> = [&'a [u8]; MAX_OPERANDS];

/// Recomputes the element that `proof` names: `true` if the claimed chunk is wrong in it.
///
/// Total on any claims and proof: work is bounded by what an element may read, and by the proof's length.
///
/// # Errors
/// [`ProofError`] if the proof does not open its operands. It says nothing about the claim.
pub fn check_element(claims: &ElementClaims, proof: &[u8]) -> Result<bool, ProofError> {
    let leaf = claims.leaf;
    let mut proof = Bytes::new(proof);
    let place = proof.u16()?;
    let (element, at) = element_at(&leaf.result, claims.chunk, place)?;
    let claimed = claims.bytes.get(at).ok_or(ProofError::Malformed)?;

    let types = leaf.operands.iter().map(|(_, ty)| *ty).collect::<Vec<_>>();
    // A program in which this fails falls to another proof, when it is deployed.
    let defined = check(&leaf.op, &types).map(|checked| checked.result);
    if defined != Ok(leaf.result) {
        return Err(ProofError::Malformed);
    }
    let inputs = open_inputs(claims, &mut proof)?;
    let bytes = claims.program.input_bytes;
    let layout = Layout::new(leaf, &types, element, bytes, &inputs)?;
    let opened = open_trees(claims, &layout, &mut proof)?;
    proof.end()?;
    let ranges = layout.ranges(&opened).ok_or(ProofError::Malformed)?;
    let value = eval(&leaf.op, &types, element, &ranges).ok_or(ProofError::Malformed)?;
    Ok(match leaf.result.dtype {
        DType::I8 => [value as u8] != *claimed,
        DType::I32 => value.to_le_bytes() != *claimed,
    })
}

/// The element at place `place` of chunk `chunk` of a tensor, and where it is in the chunk's bytes.
fn element_at(
    ty: &TensorType,
    chunk: u64,
    place: u16,
) -> Result<(u64, core::ops::Range<usize>), ProofError> {
    let size = ty.dtype.size();
    let at = usize::from(place) * size;
    let first = chunk.checked_mul((CHUNK / size) as u64);
    let element = first.and_then(|first| first.checked_add(u64::from(place)));
    Ok((element.ok_or(ProofError::Malformed)?, at..at + size))
}

/// The inputs among the operands, ascending, each once.
fn inputs_of(leaf: &OperatorLeaf) -> Vec<(u64, TensorType)> {
    let mut inputs = Vec::with_capacity(leaf.operands.len());
    for (operand, ty) in &leaf.operands {
        if let Operand::Input(index) = operand {
            inputs.push((u64::from(*index), *ty));
        }
    }
    inputs.sort_by_key(|(index, _)| *index);
    inputs.dedup();
    inputs
}

/// Where among the bytes of all inputs each operand begins that is one; 0 for the others.
fn open_inputs(
    claims: &ElementClaims,
    proof: &mut Bytes,
) -> Result<[u64; MAX_OPERANDS], ProofError> {
    let inputs = inputs_of(claims.leaf);
    let mut starts = [0; MAX_OPERANDS];
    if inputs.is_empty() {
        return Ok(starts);
    }
    let mut nodes = Vec::with_capacity(inputs.len());
    for (index, ty) in inputs {
        let running_bytes = proof.u64()?;
        let start = running_bytes.checked_sub(ty.bytes());
        let start = start.ok_or(ProofError::Malformed)?;
        for ((operand, _), at) in claims.leaf.operands.iter().zip(&mut starts) {
            if matches!(operand, Operand::Input(i) if u64::from(*i) == index) {
                *at = start;
            }
        }
        nodes.push((index, TypeLeaf { ty, running_bytes }.hash()));
    }
    let root = open_leaves(claims.program.inputs, &mut nodes, proof)?;
    match root == claims.program.inputs_root {
        true => Ok(starts),
        false => Err(ProofError::Opening("the inputs' types")),
    }
}

/// The root of the list of `count` in which `leaves` are, with the siblings that come next.
fn open_leaves(
    count: u32,
    leaves: &mut [(u64, Hash)],
    proof: &mut Bytes,
) -> Result<Hash, ProofError> {
    let count = u64::from(count);
    if leaves.last().is_none_or(|(index, _)| *index >= count) {
        return Err(ProofError::Malformed);
    }
    proof
        .hashes_for(|siblings| fold_in_place(depth(count), leaves, siblings))
        .ok_or(ProofError::Malformed)
}

/// The chunks of each tree, opened down from the claims' roots.
fn open_trees<'a>(
    claims: &ElementClaims,
    layout: &Layout,
    proof: &mut Bytes<'a>,
) -> Result<Opened<'a>, ProofError> {
    let program = claims.program;
    let most = layout.trees.iter().map(|tree| tree.opened()).max();
    // One list for all trees: a program's heap takes nothing back.
    let mut nodes = Vec::with_capacity(most.unwrap_or(0) as usize);
    let mut opened: Opened = [&[]; MAX_OPERANDS];
    let mut values = Vec::with_capacity(MAX_OPERANDS);
    let mut parameters = Vec::with_capacity(MAX_OPERANDS);
    for (tree, opened) in layout.trees.iter().zip(&mut opened) {
        if tree.runs.is_empty() {
            continue;
        }
        *opened = proof.take(tree.opened_bytes())?;
        nodes.clear();
        nodes.extend(tree.chunks().zip(opened.chunks(CHUNK).map(chunk_hash)));
        let data_root = proof
            .hashes_for(|siblings| fold_in_place(depth(tree.count()), &mut nodes, siblings))
            .ok_or(ProofError::Malformed)?;
        let leaf = tensor_root_of(&tree.ty, &data_root);
        match tree.source {
            Source::Value(index) => values.push((u64::from(index), leaf)),
            Source::Parameter(index) => parameters.push((u64::from(index), leaf)),
            Source::Input if input_root_of(tree.len, &data_root) != *claims.input_root => {
                return Err(ProofError::Opening("the input"));
            }
            Source::Input => {}
        }
    }
    if !values.is_empty() {
        values.sort_unstable();
        // Only what comes before is known to be agreed on.
        let earlier = values.iter().all(|(i, _)| *i < u64::from(claims.operator));
        let root = open_leaves(program.operators, &mut values, proof)?;
        if !earlier || root != *claims.trace_root {
            return Err(ProofError::Opening("the earlier values"));
        }
    }
    if !parameters.is_empty() {
        parameters.sort_unstable();
        let root = open_leaves(program.parameters, &mut parameters, proof)?;
        if list_root_of(u64::from(program.parameters), &root) != *claims.parameters_root {
            return Err(ProofError::Opening("the parameters"));
        }
    }
    Ok(opened)
}
