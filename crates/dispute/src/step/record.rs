//! The state after one transaction, which is decoded from the batch's data.
//!
//! As [`state`](super::state), for a challenger that cannot open the transaction's leaf: the leaf, or one beside it
//! or left of it, has the outputs of a run that it could not do. Only a job's outputs are part of a
//! state; so with everything else the data says where a transaction leads, and its leaf has no say in it.
//!
//! # The proof's bytes
//!
//! | what | bytes |
//! | --- | --- |
//! | the state root before | 32 |
//! | its siblings in the tree of the state roots, from the leaf's level up | 32 each |
//! | the length of what follows | `u32`, little-endian |
//! | the transaction's record, as in [`data`](super::data) | as many |
//! | the [`Witness`], in borsh | the rest |

use super::ProofError;
use super::bytes::Bytes;
use super::data::record;
use super::state::{StateClaims, before, check_message, open};
use crate::Hash;
use crate::descent::Descent;
use alloc::vec::Vec;
use assay_ledger::header::Header;
use assay_ledger::signature::Verify;
use assay_ledger::state::INVALID;
use assay_ledger::transition::{Fault, StateAccess, apply_with};
use assay_ledger::witness::Witness;
use borsh::BorshDeserialize;

/// Recomputes the state root to which the `descent` of the asserter's state roots led from the one before it and
/// the data's transaction: `true` if the asserter's is wrong.
///
/// `message_chain(i)` is L1's value of the inbox's chain after message number `i` (from 0), and `None` where
/// it is not at hand. `verify` decides about the signature.
///
/// Total on any claims and proof; work and memory are bounded by a record's size and by the proof's length.
///
/// # Errors
/// [`ProofError`] if the proof does not open what it takes, if the transaction is a job that runs, or if the state before
/// is the first or [`INVALID`], for which [`super::state`] needs no transaction. It says nothing about the claim.
#[inline(never)]
pub fn check_record(
    header: &Header,
    descent: &Descent,
    proof: &[u8],
    message_chain: &dyn Fn(u64) -> Option<Hash>,
    verify: &mut impl Verify,
) -> Result<bool, ProofError> {
    let index = descent.index.checked_sub(1);
    let index = index.and_then(|index| u32::try_from(index).ok());
    let index = index.ok_or(ProofError::Malformed)?;
    let claims = StateClaims::new(header, descent, index);
    let mut proof = Bytes::new(proof);
    let before = before(&claims, &mut proof)?;
    if before == INVALID {
        return Err(ProofError::Malformed);
    }
    let length = proof.u32()?;
    let data = proof.take(length.into())?;
    // That data is malformed is shown elsewhere.
    let tx = record(header, index, data)?.ok_or(ProofError::Malformed)?;
    let witness = Witness::try_from_slice(proof.rest()).map_err(|_| ProofError::Malformed)?;
    check_message(&claims.env, &tx, &witness, message_chain)?;
    let mut state = open(witness, &before)?;
    let unread = |_| ProofError::Opening("what the transaction reads of the state");
    let after = match apply_with(&mut state, &claims.env, &tx, [0; 32], verify) {
        Ok(result) if tx.consumes_message() && result.program_root != [0; 32] => {
            return Err(ProofError::Opening("the outputs of the job"));
        }
        Ok(_) => state.read_components().map_err(unread)?.root(),
        Err(Fault::Invalid(_)) => INVALID,
        Err(Fault::NoAccess(e)) => return Err(unread(e)),
    };
    Ok(after != claims.after)
}

/// A step that is to be proven from the data.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The state root before, which is not [`INVALID`].
    pub before: &'a Hash,
    /// Its siblings in the tree of the state roots, from the leaf's level up.
    pub path: &'a [Hash],
    /// The transaction's record: [`prove_data`](super::data::prove_data).
    pub data: &'a [u8],
    /// What the transaction touches of the state before.
    pub witness: &'a Witness,
}

/// The proof with which [`check_record`] recomputes this step.
pub fn prove_record(step: &Recorded<'_>) -> Vec<u8> {
    let mut proof = Vec::from(*step.before);
    proof.extend(step.path.iter().flatten());
    proof.extend((step.data.len() as u32).to_le_bytes());
    proof.extend_from_slice(step.data);
    // Writing to a vector cannot fail.
    proof.extend(borsh::to_vec(step.witness).unwrap_or_default());
    proof
}
