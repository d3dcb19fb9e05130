//! A deployed program that is none.
//!
//! A deployment names its program by a header: counts, sums, and a root over each of four lists of leaves
//! ([`assay_tensor::leaves`]). Every leaf restates what it refers to, so each rule of
//! [`Program::check`](assay_tensor::program::Program::check) is about the header alone, one leaf, or two of
//! them. A proof opens up to two leaves; if any rule is broken by what is open, no program that passes its check has
//! this header. Conversely a header whose leaves can all be opened, and break no rule in any pair, is
//! that of the program which they spell.
//!
//! # The proof's bytes
//!
//! For each of up to two leaves: the list in one byte (0 inputs, 1 parameters, 2 operators, 3 outputs), the
//! leaf's index and its length as little-endian `u32`, its bytes, and its siblings from the leaf's level
//! up, 32 bytes each. A flaw of the header's counts needs none.

mod prove;

pub use prove::{Leaves, prove_flaw};

use super::ProofError;
use super::bytes::Bytes;
use alloc::vec::Vec;
use assay_tensor::check::check;
use assay_tensor::commit::{OperatorLeaf, OutputLeaf, TypeLeaf};
use assay_tensor::header::ProgramHeader;
use assay_tensor::leaves::List;
use assay_tensor::merkle;
use assay_tensor::program::{MAX_NAME, Operand};

/// The most leaves of one proof.
const MOST_LEAVES: usize = 2;

/// Whether the header or the leaves that `proof` opens in it break a rule: then it is the header of no
/// program that passes its check.
///
/// Total on any header and proof: work is bounded by the proof's length.
///
/// # Errors
/// [`ProofError`] if the leaves do not open. It says nothing about the program.
pub fn check_flaw(header: &ProgramHeader, proof: &[u8]) -> Result<bool, ProofError> {
    let mut flawed = header.is_flawed();
    let mut proof = Bytes::new(proof);
    let mut leaves = Vec::with_capacity(MOST_LEAVES);
    while !proof.is_empty() && leaves.len() < MOST_LEAVES {
        let (leaf, padded) = open(header, &mut proof)?;
        flawed |= !padded;
        leaves.push(leaf);
    }
    proof.end()?;
    Ok(flawed || leaves_are_flawed(header, &leaves))
}

/// A leaf with its place.
struct Placed {
    list: List,
    index: u32,
    /// `None` if the bytes are no leaf of this list.
    leaf: Option<Leaf>,
}

/// What a leaf says.
enum Leaf {
    Type(TypeLeaf),
    Operator(OperatorLeaf),
    Output(OutputLeaf),
}

impl Placed {
    fn new(list: List, index: u32, bytes: &[u8]) -> Self {
        let leaf = match list {
            List::Inputs | List::Parameters => TypeLeaf::decode(bytes).ok().map(Leaf::Type),
            List::Operators => OperatorLeaf::decode(bytes).ok().map(Leaf::Operator),
            List::Outputs => OutputLeaf::decode(bytes).ok().map(Leaf::Output),
        };
        Self { list, index, leaf }
    }
}

/// The next leaf, and whether the places behind its list's end that its path shows are empty.
fn open(header: &ProgramHeader, proof: &mut Bytes) -> Result<(Placed, bool), ProofError> {
    let list = usize::from(proof.u8()?);
    let list = *List::ALL.get(list).ok_or(ProofError::Malformed)?;
    let index = proof.u32()?;
    let len = proof.u32()?;
    let bytes = proof.take(u64::from(len))?;
    let count = u64::from(header.count(list));
    let siblings = proof.hashes(merkle::depth(count))?;
    let hash = list.hash(bytes);
    if !merkle::verify(header.list(list), count, &hash, u64::from(index), siblings) {
        return Err(ProofError::Opening("a leaf of the program"));
    }
    let padded = merkle::is_padded(count, u64::from(index), siblings);
    Ok((Placed::new(list, index, bytes), padded))
}

/// Whether one of these leaves of a program, or two of them together, break a rule.
fn leaves_are_flawed(header: &ProgramHeader, leaves: &[Placed]) -> bool {
    leaves.iter().any(|leaf| is_flawed(header, leaf))
        || leaves.iter().any(|a| leaves.iter().any(|b| clash(a, b)))
}

/// Whether a leaf breaks a rule by itself.
fn is_flawed(header: &ProgramHeader, placed: &Placed) -> bool {
    let Some(leaf) = &placed.leaf else {
        return true;
    };
    let Some((own, running)) = sums(leaf) else {
        return true;
    };
    let last = header.count(placed.list).checked_sub(1);
    (placed.index == 0 && own != running)
        || (last == Some(placed.index) && running != Sums::of(header, placed.list))
        || match leaf {
            Leaf::Type(_) => false,
            Leaf::Operator(leaf) => leaf.operands.iter().any(|(operand, _)| match *operand {
                Operand::Input(i) => u32::from(i) >= header.inputs,
                Operand::Parameter(i) => i >= header.parameters,
                Operand::Value(i) => i >= placed.index,
            }),
            Leaf::Output(leaf) => {
                leaf.name.is_empty() || leaf.name.len() > MAX_NAME || leaf.value >= header.operators
            }
        }
}

/// What is summed over a list.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sums {
    /// Bytes of the inputs, parameters, operators' values or outputs.
    bytes: u64,
    /// Work units; only operators take any.
    units: u64,
}

impl Sums {
    /// Over a whole list.
    fn of(header: &ProgramHeader, list: List) -> Self {
        let (bytes, units) = match list {
            List::Inputs => (header.input_bytes, 0),
            List::Parameters => (header.parameter_bytes, 0),
            List::Operators => (header.value_bytes, header.units),
            List::Outputs => (header.output_bytes, 0),
        };
        Self { bytes, units }
    }

    fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            bytes: self.bytes.checked_add(other.bytes)?,
            units: self.units.checked_add(other.units)?,
        })
    }
}

/// What a leaf adds to its list's sums, and the sums up to and including it as it says; `None` if it is an
/// operator's that fails its check or says another result.
fn sums(leaf: &Leaf) -> Option<(Sums, Sums)> {
    let bytes = |bytes| Sums { bytes, units: 0 };
    match leaf {
        Leaf::Type(leaf) => Some((bytes(leaf.ty.bytes()), bytes(leaf.running_bytes))),
        Leaf::Output(leaf) => Some((bytes(leaf.ty.bytes()), bytes(leaf.running_bytes))),
        Leaf::Operator(leaf) => {
            let types = leaf.operands.iter().map(|(_, ty)| *ty).collect::<Vec<_>>();
            let checked = check(&leaf.op, &types).ok()?;
            let own = Sums {
                bytes: checked.result.bytes(),
                units: checked.units,
            };
            let running = Sums {
                bytes: leaf.running_bytes,
                units: leaf.running_units,
            };
            (checked.result == leaf.result).then_some((own, running))
        }
    }
}

/// Whether `b` breaks a rule beside `a`, which it follows or refers to.
fn clash(a: &Placed, b: &Placed) -> bool {
    let (Some(a_leaf), Some(b_leaf)) = (&a.leaf, &b.leaf) else {
        // Flawed by itself.
        return false;
    };
    if a.list == b.list
        && a.index.checked_add(1) == Some(b.index)
        && let (Some((_, before)), Some((own, running))) = (sums(a_leaf), sums(b_leaf))
        && before.checked_add(own) != Some(running)
    {
        return true;
    }
    match (a_leaf, b_leaf) {
        (Leaf::Output(one), Leaf::Output(other)) => a.index != b.index && one.name == other.name,
        (Leaf::Operator(leaf), Leaf::Output(output)) => {
            output.value == a.index && output.ty != leaf.result
        }
        (Leaf::Type(TypeLeaf { ty: defined, .. }), Leaf::Operator(leaf))
        | (
            Leaf::Operator(OperatorLeaf {
                result: defined, ..
            }),
            Leaf::Operator(leaf),
        ) => {
            let mut operands = leaf.operands.iter();
            operands.any(|(operand, ty)| place(*operand) == (a.list, a.index) && ty != defined)
        }
        _ => false,
    }
}

/// The leaf that an operand is defined in.
fn place(operand: Operand) -> (List, u32) {
    match operand {
        Operand::Input(index) => (List::Inputs, u32::from(index)),
        Operand::Parameter(index) => (List::Parameters, index),
        Operand::Value(index) => (List::Operators, index),
    }
}
