//! The last of the states between the transactions is not the batch's.
//!
//! # The proof's bytes
//!
//! | what | bytes |
//! | --- | --- |
//! | the state root in the last leaf | 32 |
//! | its siblings in the tree of the states, from the leaf's level up | 32 each |

use super::ProofError;
use super::bytes::Bytes;
use crate::Hash;
use crate::descent::Descent;
use alloc::vec::Vec;
use assay_tensor::merkle;

/// Whether the last leaf of the asserter's tree of `states` is another than `end`, the root of the
/// batch's state.
///
/// # Errors
/// [`ProofError`] if the proof does not open that leaf. It says nothing about the claim.
pub fn check_end(states: &Descent, end: &Hash, proof: &[u8]) -> Result<bool, ProofError> {
    let mut proof = Bytes::new(proof);
    let state = proof.hash()?;
    let path = proof.hashes(merkle::depth(states.count))?;
    proof.end()?;
    // A tree has a leaf.
    let last = states.count.saturating_sub(1);
    if !merkle::verify(&states.root, states.count, &state, last, path) {
        return Err(ProofError::Opening("the last state"));
    }
    Ok(state != *end)
}

/// The proof that opens the last `state` with its siblings.
pub fn prove_end(state: &Hash, path: &[Hash]) -> Vec<u8> {
    let hashes = core::iter::once(state).chain(path);
    hashes.flatten().copied().collect()
}
