//! One record of a batch's data, decoded from the chunks that hold it.
//!
//! It convicts a batch whose data is malformed at that record, and a leaf of the transaction tree that is
//! not made of the record's transaction.
//!
//! # The proof's bytes
//!
//! | what | bytes |
//! | --- | --- |
//! | the number of chunks | `u16`, little-endian |
//! | their indices, ascending | `u32` each, little-endian |
//! | the chunks | [`CHUNK`] each, but the data's last |
//! | the siblings with which they open together in the data root, as [`merkle::fold`] takes them | 32 each |
//!
//! The decoder reads a record from [`codec::decode_from`]'s bounded part of the data, so that these are
//! about twenty chunks at most. No chunk is copied.

use super::ProofError;
use super::bytes::Bytes;
use crate::Hash;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use assay_ledger::batch::tx_leaf;
use assay_ledger::codec::{Chunks, DecodeError, NotSupplied, Source, decode_from};
use assay_ledger::data::{CHUNK, chunk_count, chunk_hash};
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::transaction::Transaction;
use assay_tensor::merkle::{self, Levels};
use core::cell::RefCell;

/// Decodes record `index` of the batch's data: `true` if it is malformed, or if `claimed` (the result and the
/// hash of a leaf of the transaction tree at that index) is not made of its transaction.
///
/// Total on any proof; work and memory are bounded by a record's size and by the proof's length.
///
/// # Errors
/// [`ProofError`] if there is no such record, or if the chunks do not open or are not those that the record
/// needs. It says nothing about the data.
#[inline(never)]
pub fn check_data(
    header: &Header,
    index: u32,
    claimed: Option<(&TxResult, &Hash)>,
    proof: &[u8],
) -> Result<bool, ProofError> {
    Ok(match record(header, index, proof)? {
        Some(tx) => claimed.is_some_and(|(result, leaf)| tx_leaf(&tx, result) != *leaf),
        None => true,
    })
}

/// Record `index` of the batch's data; `None` if it is malformed.
#[inline(never)]
pub(super) fn record(
    header: &Header,
    index: u32,
    proof: &[u8],
) -> Result<Option<Transaction>, ProofError> {
    if index >= header.tx_count {
        return Err(ProofError::Malformed);
    }
    let chunks = open(header, proof)?;
    let source = Chunks {
        len: header.data_len,
        chunks: &chunks,
    };
    match decode_from(&source, header.tx_count, index) {
        Ok(tx) => Ok(Some(tx)),
        Err(DecodeError::Malformed(_)) => Ok(None),
        Err(DecodeError::NotSupplied(_)) => Err(ProofError::Opening("a chunk of the record")),
    }
}

/// The chunks of a proof with their indices, opened against the header's data root.
#[inline(never)]
fn open<'a>(header: &Header, proof: &'a [u8]) -> Result<Vec<(u32, &'a [u8])>, ProofError> {
    let mut proof = Bytes::new(proof);
    let all = chunk_count(header.data_len);
    let count = proof.u16()?;
    let indices = proof.take(u64::from(count) * 4)?;
    let mut chunks = Vec::with_capacity(usize::from(count));
    let mut leaves = Vec::with_capacity(usize::from(count));
    let mut end = 0;
    for index in indices.as_chunks().0 {
        let index = u32::from_le_bytes(*index);
        if index < end || index >= all {
            return Err(ProofError::Malformed);
        }
        // An index below the count is far from the end of 32 bits.
        end = index + 1;
        let rest = u64::from(header.data_len) - u64::from(index) * CHUNK as u64;
        let chunk = proof.take(rest.min(CHUNK as u64))?;
        chunks.push((index, chunk));
        leaves.push((u64::from(index), chunk_hash(chunk)));
    }
    // Data that is too short to have a header is malformed by its length.
    if count != 0 {
        let depth = merkle::depth(u64::from(all));
        let root = proof.hashes_for(|hashes| merkle::fold_in_place(depth, &mut leaves, hashes));
        if root != Some(header.data_root) {
            return Err(ProofError::Opening("the chunks"));
        }
    }
    proof.end()?;
    Ok(chunks)
}

/// The proof with which [`check_data`] decodes record `index` of `data`; `None` if there is no such record, or
/// if `data` has not the header's length.
pub fn prove_data(header: &Header, data: &[u8], index: u32) -> Option<Vec<u8>> {
    if index >= header.tx_count || data.len() as u64 != u64::from(header.data_len) {
        return None;
    }
    let source = Recording {
        data,
        read: RefCell::default(),
    };
    // Whatever comes of it: what matters is what was read.
    let _ = decode_from(&source, header.tx_count, index);
    let indices = source.read.into_inner();
    let mut proof = Vec::from(u16::try_from(indices.len()).ok()?.to_le_bytes());
    proof.extend(indices.iter().flat_map(|index| index.to_le_bytes()));
    for index in &indices {
        proof.extend_from_slice(data.chunks(CHUNK).nth(*index as usize)?);
    }
    let hashes = data.chunks(CHUNK).map(chunk_hash).collect();
    let indices: Vec<u64> = indices.iter().map(|index| u64::from(*index)).collect();
    let siblings = Levels::new(hashes).siblings(&indices)?;
    proof.extend(siblings.iter().flatten());
    Some(proof)
}

/// The whole data, noting which chunks are read.
struct Recording<'a> {
    data: &'a [u8],
    read: RefCell<BTreeSet<u32>>,
}

impl Source for Recording<'_> {
    fn len(&self) -> u32 {
        self.data.len() as u32
    }

    fn read(&self, at: u32, into: &mut [u8]) -> Result<(), NotSupplied> {
        self.data.read(at, into)?;
        if let Some(last) = into.len().checked_sub(1) {
            // It was inside of the data.
            let last = (at as usize + last) / CHUNK;
            let touched = at / CHUNK as u32..=last as u32;
            self.read.borrow_mut().extend(touched);
        }
        Ok(())
    }
}
