//! An output of a run is not the value that its program names.
//!
//! # The proof's bytes
//!
//! | what | bytes |
//! | --- | --- |
//! | length of the output's leaf | `u16`, little-endian |
//! | the leaf ([`OutputLeaf::encode`]) | |
//! | its siblings in the program's list of outputs, from the leaf's level up | 32 each |
//! | tensor root of the value that it names | 32 |
//! | its siblings in the asserter's trace, from the leaf's level up | 32 each |

use super::ProofError;
use super::bytes::Bytes;
use crate::Hash;
use crate::stage::Run;
use alloc::vec::Vec;
use assay_tensor::commit::OutputLeaf;
use assay_tensor::leaves::List;
use assay_tensor::merkle::{self, Levels};
use assay_tensor::program::CheckedProgram;

/// Whether output `index` of the run, which is `claimed` by the asserter, is another than the value in its
/// own trace that the program names.
///
/// # Errors
/// [`ProofError`] if the proof does not open these. It says nothing about the claim.
pub fn check_output(
    run: &Run,
    index: u64,
    claimed: &Hash,
    proof: &[u8],
) -> Result<bool, ProofError> {
    let program = &run.program;
    let (outputs, operators) = (u64::from(program.outputs), u64::from(program.operators));
    let mut proof = Bytes::new(proof);
    let len = proof.u16()?;
    let leaf = OutputLeaf::decode(proof.take(len.into())?).map_err(|_| ProofError::Malformed)?;
    let path = proof.hashes(merkle::depth(outputs))?;
    if !merkle::verify(&program.outputs_root, outputs, &leaf.hash(), index, path) {
        return Err(ProofError::Opening("the output"));
    }
    let value = proof.hash()?;
    let path = proof.hashes(merkle::depth(operators))?;
    proof.end()?;
    if !merkle::verify(
        &run.descent.root,
        operators,
        &value,
        leaf.value.into(),
        path,
    ) {
        return Err(ProofError::Opening("the output's value"));
    }
    Ok(value != *claimed)
}

/// The proof that opens output `index` of `program` and its value among the roots of a run's values. `None` if there
/// is no such output.
pub fn prove_output(program: &CheckedProgram, values: &Levels, index: u32) -> Option<Vec<u8>> {
    let leaf = program.output_leaves().into_iter().nth(index as usize)?;
    let path = merkle::path(&program.leaf_hashes(List::Outputs), index.into())?;
    let bytes = leaf.encode();
    let mut proof = Vec::from(u16::try_from(bytes.len()).ok()?.to_le_bytes());
    proof.extend(bytes);
    proof.extend(path.iter().flatten());
    proof.extend(values.node(0, leaf.value.into()));
    proof.extend(values.path(leaf.value.into())?.iter().flatten());
    Some(proof)
}
