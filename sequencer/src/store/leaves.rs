//! The leaves of a program, whether they spell one or not.
//!
//! What a program's root commits to are leaves; its encoding is a shorter form, which only a program that passes
//! its check has. Whoever publishes another shows its leaves.
//!
//! # The bytes
//!
//! `ATLv`, the version in one byte (1), the program's header as borsh, then the leaves of inputs, parameters,
//! operators and outputs, as many as the header says: each behind its length in four bytes, little-endian. Nothing
//! follows.

use assay_dispute::step::program::Leaves;
use assay_ledger::{Hash, ProgramHeader};
use assay_tensor::leaves::{List, MAX_LEAF, OperatorLeaf, OutputLeaf, TypeLeaf};
use assay_tensor::program::{CheckedProgram, Node, Output, Program};
use assay_tensor::types::TensorType;
use borsh::BorshDeserialize;

/// What encoded leaves begin with.
pub const MAGIC: [u8; 4] = *b"ATLv";
/// The version of the encoding.
pub const VERSION: u8 = 1;
/// Bytes of a leaf of a program that passes its check, and of its length, at most.
const LEAF: u64 = MAX_LEAF as u64 + 4;

/// A program's header and its leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// The header.
    pub header: ProgramHeader,
    /// What is said to be its leaves.
    pub leaves: Leaves,
}

impl Spelling {
    /// The program's root.
    pub fn root(&self) -> Hash {
        self.header.root()
    }

    /// The program that the leaves spell, if they spell this one.
    pub fn program(&self) -> Option<CheckedProgram> {
        let program = program(&self.leaves)?.check().ok()?;
        (program.header() == self.header).then_some(program)
    }

    /// The bytes, as this module's documentation says.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::from(MAGIC);
        bytes.push(VERSION);
        // Writing to a vector cannot fail.
        bytes.extend(borsh::to_vec(&self.header).unwrap_or_default());
        for list in List::ALL {
            for leaf in self.leaves.list(list) {
                bytes.extend((leaf.len() as u32).to_le_bytes());
                bytes.extend_from_slice(leaf);
            }
        }
        bytes
    }

    /// What encodes to exactly `bytes`; `None` if nothing does. Takes time and memory in proportion to `bytes`.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&MAGIC)?.strip_prefix(&[VERSION])?;
        let header = ProgramHeader::deserialize(&mut rest).ok()?;
        let mut list = |list: List| {
            let mut leaves = Vec::new();
            for _ in 0..header.count(list) {
                let (len, after) = rest.split_first_chunk()?;
                let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
                let (leaf, after) = after.split_at_checked(len)?;
                leaves.push(leaf.to_vec());
                rest = after;
            }
            Some(leaves)
        };
        let leaves = Leaves {
            inputs: list(List::Inputs)?,
            parameters: list(List::Parameters)?,
            operators: list(List::Operators)?,
            outputs: list(List::Outputs)?,
        };
        rest.is_empty().then_some(Self { header, leaves })
    }
}

/// Bytes of a program's encoding or of its leaves', at most, as its header says.
pub fn most_bytes(header: &ProgramHeader) -> u64 {
    let leaves = List::ALL.iter().map(|list| u64::from(header.count(*list)));
    (leaves.sum::<u64>() + 1).saturating_mul(LEAF)
}

/// What leaves spell, if it can be spelled.
fn program(leaves: &Leaves) -> Option<Program> {
    let types = |leaves: &[Vec<u8>]| -> Option<Vec<TensorType>> {
        let leaves = leaves.iter();
        leaves
            .map(|leaf| Some(TypeLeaf::decode(leaf).ok()?.ty))
            .collect()
    };
    let node = |leaf: &Vec<u8>| {
        let leaf = OperatorLeaf::decode(leaf).ok()?;
        Some(Node {
            op: leaf.op,
            operands: leaf.operands.into_iter().map(|(o, _)| o).collect(),
        })
    };
    let output = |leaf: &Vec<u8>| {
        let leaf = OutputLeaf::decode(leaf).ok()?;
        Some(Output {
            name: leaf.name,
            value: leaf.value,
        })
    };
    Some(Program {
        inputs: types(&leaves.inputs)?,
        parameters: types(&leaves.parameters)?,
        nodes: leaves.operators.iter().map(node).collect::<Option<_>>()?,
        outputs: leaves.outputs.iter().map(output).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::digits::Digits;
    use crate::store::blobs::{BlobError, Blobs};
    use assay_dispute::step::program::prove_flaw;
    use assay_tensor::merkle;

    fn digits() -> Spelling {
        let (program, _) = Digits::load(Some(1)).unwrap().bundle.open().unwrap();
        Spelling {
            header: program.header(),
            leaves: Leaves::of(&program),
        }
    }

    /// The same program that says to cost less than it does.
    fn cheap() -> Spelling {
        let mut it = digits();
        let last = it.leaves.operators.last_mut().unwrap();
        let mut leaf = OperatorLeaf::decode(last).unwrap();
        leaf.running_units = it.header.operators.into();
        *last = leaf.encode();
        let operators = it.leaves.operators.iter();
        let operators: Vec<Hash> = operators.map(|leaf| List::Operators.hash(leaf)).collect();
        it.header.units = it.header.operators.into();
        it.header.operators_root = merkle::root(&operators);
        it
    }

    #[test]
    fn leaves_decode_to_what_was_encoded_and_from_nothing_else() {
        let it = cheap();
        let bytes = it.encode();
        assert!(bytes.starts_with(b"ATLv\x01"));
        assert!(bytes.len() as u64 <= most_bytes(&it.header));
        assert_eq!(Spelling::decode(&bytes), Some(it));
        for at in 0..bytes.len() {
            assert_eq!(Spelling::decode(&bytes[..at]), None, "{at}");
        }
        assert_eq!(Spelling::decode(&[&bytes[..], &[0]].concat()), None);
    }

    #[test]
    fn what_leaves_spell_is_kept_as_a_program_and_what_they_do_not_as_malformed() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let (good, bad) = (digits(), cheap());
        blobs.take_program(&good.root(), &good.encode()).unwrap();
        assert_eq!(blobs.program(&good.root()).unwrap().header(), good.header);
        assert_eq!(blobs.malformed(&good.root()), None);

        blobs.take_program(&bad.root(), &bad.encode()).unwrap();
        assert!(!blobs.has(&bad.root()));
        let kept = blobs.malformed(&bad.root()).unwrap();
        assert!(prove_flaw(&bad.header, &kept).is_some());

        // Leaves that are not those of the header say nothing about it.
        let mut other = good.clone();
        other.leaves.inputs = vec![vec![0]; other.leaves.inputs.len()];
        let taken = blobs.take_program(&other.root(), &other.encode());
        assert!(matches!(taken, Err(BlobError::Other(_))), "{taken:?}");
        let taken = blobs.take_program(&bad.root(), &good.encode());
        assert!(matches!(taken, Err(BlobError::Other(_))), "{taken:?}");
    }
}
