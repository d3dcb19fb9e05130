//! The state after one transaction, recomputed from a witness of the state before it.
//!
//! The last move of a dispute about states. The asserter has committed to the state roots between the
//! transactions; the challenger names the first that is not its own, opens the one before it and the
//! transaction between them, both against the asserter's roots, and the part of the state that the
//! transaction touches against the state root. Whether the asserter was wrong is then one call of
//! [`apply_root`], the transition that the sequencer runs.
//!
//! # The proof's bytes
//!
//! Nothing, for the first of the state roots, which is known. Otherwise:
//!
//! | what | bytes |
//! | --- | --- |
//! | the state root before | 32 |
//! | its siblings in the tree of the state roots, from the leaf's level up | 32 each |
//! | and unless it is [`INVALID`]: the result that the transaction's leaf claims | 137 |
//! | the leaf's siblings in the transaction tree, from the leaf's level up | 32 each |
//! | the transaction's length | `u32`, little-endian |
//! | the transaction, in borsh | as many |
//! | the [`Witness`], in borsh | the rest |

use super::ProofError;
use super::bytes::Bytes;
use crate::Hash;
use crate::descent::Descent;
use crate::stage::States;
use alloc::vec::Vec;
use assay_ledger::batch::tx_leaf;
use assay_ledger::header::Header;
use assay_ledger::inbox::chain_next;
use assay_ledger::result::TxResult;
use assay_ledger::signature::Verify;
use assay_ledger::state::INVALID;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, apply_root};
use assay_ledger::witness::{Partial, Witness};
use assay_tensor::merkle;
use borsh::BorshDeserialize;

/// What the asserter has claimed on the way to a state.
#[derive(Clone, Copy, Debug)]
pub struct StateClaims {
    /// What the batch fixes for its transactions; the end of its messages is its header's.
    pub env: Env,
    /// Root over the transactions' leaves.
    pub tx_root: Hash,
    /// Number of transactions.
    pub tx_count: u32,
    /// Root over the state roots, one more than there are transactions.
    pub states_root: Hash,
    /// Index of the transaction.
    pub index: u32,
    /// The state root after it.
    pub after: Hash,
}

impl StateClaims {
    /// What is claimed of the transaction before the state root to which the `descent` led.
    pub(super) fn new(header: &Header, descent: &Descent, index: u32) -> Self {
        Self {
            env: Env::from(header),
            tx_root: header.tx_root,
            tx_count: header.tx_count,
            states_root: descent.root,
            index,
            after: descent.node,
        }
    }
}

/// The step to the state root to which the `descent` of the asserter's state roots led: see [`check_state`].
pub fn check_step(
    header: &Header,
    states: &States,
    descent: &Descent,
    proof: &[u8],
    message_chain: &dyn Fn(u64) -> Option<Hash>,
    verify: &mut impl Verify,
) -> Result<bool, ProofError> {
    let Some(index) = descent.index.checked_sub(1) else {
        Bytes::new(proof).end()?;
        return Ok(descent.node != states.before);
    };
    let index = u32::try_from(index).map_err(|_| ProofError::Malformed)?;
    let claims = StateClaims::new(header, descent, index);
    check_state(&claims, proof, message_chain, verify)
}

/// Recomputes the state root after the transaction: `true` if the claimed one is wrong.
///
/// `message_chain(i)` is L1's value of the inbox's chain after message number `i` (from 0), and `None` where
/// it is not at hand. `verify` decides about the signature.
///
/// Total on any claims and proof; work and memory are bounded by a record's size and by the proof's length.
///
/// # Errors
/// [`ProofError`] if the proof does not open what the transition reads, or shows a message that is not L1's.
/// It says nothing about the claim.
#[inline(never)]
pub fn check_state(
    claims: &StateClaims,
    proof: &[u8],
    message_chain: &dyn Fn(u64) -> Option<Hash>,
    verify: &mut impl Verify,
) -> Result<bool, ProofError> {
    let mut proof = Bytes::new(proof);
    let before = before(claims, &mut proof)?;
    if before == INVALID {
        proof.end()?;
        return Ok(claims.after != INVALID);
    }
    let (tx, result) = leaf(claims, &mut proof)?;
    let witness = Witness::try_from_slice(proof.rest()).map_err(|_| ProofError::Malformed)?;
    check_message(&claims.env, &tx, &witness, message_chain)?;
    let mut state = open(witness, &before)?;
    let after = apply_root(&mut state, &claims.env, &tx, &result, verify)
        .map_err(|_| ProofError::Opening("what the transaction reads of the state"))?;
    Ok(after != claims.after)
}

/// The state root before the transaction, opened against the root over the state roots.
#[inline(never)]
pub(super) fn before(claims: &StateClaims, proof: &mut Bytes<'_>) -> Result<Hash, ProofError> {
    let before = proof.hash()?;
    let index = u64::from(claims.index);
    let states = u64::from(claims.tx_count).saturating_add(1);
    let path = proof.hashes(merkle::depth(states))?;
    if !merkle::verify(&claims.states_root, states, &before, index, path) {
        return Err(ProofError::Opening("the state before"));
    }
    Ok(before)
}

/// The part of the state with root `before` that the witness shows.
pub(super) fn open(witness: Witness, before: &Hash) -> Result<Partial, ProofError> {
    let opened = witness.open(before);
    opened.map_err(|_| ProofError::Opening("the witness"))
}

/// The transaction and the result that its leaf claims, opened against the transaction root.
#[inline(never)]
fn leaf(
    claims: &StateClaims,
    proof: &mut Bytes<'_>,
) -> Result<(Transaction, TxResult), ProofError> {
    let result = proof.take(TxResult::SIZE as u64)?;
    let result = TxResult::try_from_slice(result).map_err(|_| ProofError::Malformed)?;
    let count = u64::from(claims.tx_count);
    let path = proof.hashes(merkle::depth(count))?;
    let length = proof.u32()?;
    let tx = Transaction::decode(proof.take(length.into())?).ok_or(ProofError::Malformed)?;
    let leaf = tx_leaf(&tx, &result);
    if !merkle::verify(&claims.tx_root, count, &leaf, claims.index.into(), path) {
        return Err(ProofError::Opening("the transaction"));
    }
    Ok((tx, result))
}

/// That the witness has a message if the transaction consumes one, and that it is the one that L1 has sent:
/// the state root does not commit to it. Its components are yet to be opened.
pub(super) fn check_message(
    env: &Env,
    tx: &Transaction,
    witness: &Witness,
    message_chain: &dyn Fn(u64) -> Option<Hash>,
) -> Result<(), ProofError> {
    let inbox = &witness.components.inbox;
    let good = match &witness.message {
        Some(message) if tx.consumes_message() && inbox.cursor < env.inbox_end => {
            let (kind, payload) = (message.kind, &message.payload);
            let chain = chain_next(&inbox.chain, inbox.cursor, kind, payload);
            message_chain(inbox.cursor) == Some(chain)
        }
        Some(_) => false,
        // Without one the transition cannot tell, unless it does not ask.
        None => true,
    };
    match good {
        true => Ok(()),
        false => Err(ProofError::Opening("the message")),
    }
}

/// A step that is to be proven, with its openings in the asserter's trees.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The state root before.
    pub before: &'a Hash,
    /// Its siblings in the tree of the state roots, from the leaf's level up.
    pub path: &'a [Hash],
    /// What is applied to it; not looked at if it is [`INVALID`].
    pub applied: Option<Applied<'a>>,
}

/// A transaction on a state.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// The transaction.
    pub tx: &'a Transaction,
    /// The result that its leaf claims.
    pub result: &'a TxResult,
    /// The leaf's siblings in the transaction tree, from the leaf's level up.
    pub path: &'a [Hash],
    /// What it touches of the state before.
    pub witness: &'a Witness,
}

/// The proof with which [`check_state`] recomputes this step.
pub fn prove_state(step: &Step<'_>) -> Vec<u8> {
    let mut proof = Vec::from(*step.before);
    proof.extend(step.path.iter().flatten());
    let Some(applied) = step.applied.filter(|_| *step.before != INVALID) else {
        return proof;
    };
    let (head, input, tail) = applied.tx.encoding();
    let length = head.len() + input.len() + tail.len();
    // Writing to a vector cannot fail.
    proof.extend(borsh::to_vec(applied.result).unwrap_or_default());
    proof.extend(applied.path.iter().flatten());
    proof.extend((length as u32).to_le_bytes());
    proof.extend_from_slice(&head);
    proof.extend_from_slice(input);
    proof.extend_from_slice(tail);
    proof.extend(borsh::to_vec(applied.witness).unwrap_or_default());
    proof
}
