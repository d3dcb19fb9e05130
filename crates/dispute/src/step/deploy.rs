//! A batch deploys a malformed program.
//!
//! # The proof's bytes
//!
//! | what | bytes |
//! | --- | --- |
//! | index of the deployment's leaf in the transaction tree | `u32`, little-endian |
//! | the transaction's borsh encoding | [`DEPLOY`] |
//! | its result's borsh encoding | [`TxResult::SIZE`] |
//! | siblings in the transaction tree, from the leaf's level up | 32 each |
//! | what is wrong with the program ([`super::program`]) | |

use super::ProofError;
use super::bytes::Bytes;
use super::program::check_flaw;
use alloc::vec::Vec;
use assay_ledger::ProgramHeader;
use assay_ledger::batch::tx_leaf;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::transaction::Transaction;
use assay_tensor::merkle;
use borsh::BorshDeserialize;

/// Bytes of a deployment's encoding: its number, from, program, parameters, price, signature.
pub const DEPLOY: usize = 1 + 4 + ProgramHeader::SIZE + 32 + 8 + 64;

/// Whether the batch of `header` has deployed a program that is none.
///
/// # Errors
/// [`ProofError`] if the proof does not open a deployment that was done, or the program's leaves. It
/// says nothing about the batch.
pub fn check_deploy(header: &Header, proof: &[u8]) -> Result<bool, ProofError> {
    let count = u64::from(header.tx_count);
    let mut bytes = Bytes::new(proof);
    let index = bytes.u32()?;
    let transaction =
        Transaction::decode(bytes.take(DEPLOY as u64)?).ok_or(ProofError::Malformed)?;
    let result = TxResult::try_from_slice(bytes.take(TxResult::SIZE as u64)?)
        .map_err(|_| ProofError::Malformed)?;
    let path = bytes.hashes(merkle::depth(count))?;
    let leaf = tx_leaf(&transaction, &result);
    if !merkle::verify(&header.tx_root, count, &leaf, index.into(), path) {
        return Err(ProofError::Opening("the deployment"));
    }
    match transaction {
        Transaction::Deploy { program, .. } if result.done() => check_flaw(&program, bytes.rest()),
        _ => Err(ProofError::Opening("the deployment")),
    }
}

/// The proof of a deployment at `index` with the siblings `path`, whose program has `flaw`.
pub fn prove_deploy(
    index: u32,
    transaction: &Transaction,
    result: &TxResult,
    path: &[crate::Hash],
    flaw: &[u8],
) -> Vec<u8> {
    let mut proof = Vec::from(index.to_le_bytes());
    // Writing to a vector cannot fail.
    proof.extend(borsh::to_vec(transaction).unwrap_or_default());
    proof.extend(borsh::to_vec(result).unwrap_or_default());
    proof.extend(path.iter().flatten());
    proof.extend_from_slice(flaw);
    proof
}
