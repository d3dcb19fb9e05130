//! A batch's data while it is posted: a list of chunk hashes that becomes a root.

use super::write_slots::{WriteSlots, place, trimmed};
use crate::constants::{ACCOUNT_VERSION, MAX_CHUNKS, WRITE_SLOT_BYTES};
use crate::errors::SettlementError;
use anchor_lang::prelude::*;
use assay_ledger::data::{CHUNK, chunk_count, chunk_hash};
use assay_ledger::merkle;

/// A data account. The client creates it (up to [`MAX_CHUNKS`] hashes are more than an
/// instruction may allocate) and opens it in the same transaction, so that nobody else can. The
/// chunks themselves stay in the instructions' data; what is here is this header and, until
/// the data is sealed, the hash of each chunk after it.
#[account(zero_copy)]
#[derive(Debug)]
pub struct BatchData {
    /// The rollup.
    pub rollup: Pubkey,
    /// Who writes it, may use it in a batch, and gets the rent back.
    pub poster: Pubkey,
    /// Root over the chunks; zero until sealed.
    pub root: [u8; 32],
    /// Bytes of data.
    pub len: u32,
    /// Layout of this account.
    pub version: u8,
    /// 1 once sealed.
    pub sealed: u8,
    /// Zero.
    pub padding: [u8; 2],
    /// The slot of the first write; 0 before it.
    pub first_slot: u64,
    /// The slots in which it was written: see [`WriteSlots::bitmap`].
    pub slots: [u8; WRITE_SLOT_BYTES],
}

impl BatchData {
    /// Bytes of the account once sealed.
    pub const fn sealed_size() -> usize {
        8 // discriminator
        + 32 // rollup
        + 32 // poster
        + 32 // root
        + 4 // len
        + 1 // version
        + 1 // sealed
        + 2 // padding
        + 8 // first_slot
        + WRITE_SLOT_BYTES // slots
    }

    /// Bytes of the account for `len` bytes of data, before it is sealed.
    pub fn size(len: u32) -> usize {
        Self::sealed_size() + 32 * chunk_count(len) as usize
    }

    /// Whether the data is sealed.
    pub fn is_sealed(&self) -> bool {
        self.sealed == 1
    }

    /// Notes that chunks are written in `slot`.
    pub fn note_write(&mut self, slot: u64) -> Result<()> {
        // The first write is in the first slot.
        if self.slots[0] & 1 == 0 {
            self.first_slot = slot;
        }
        let offset = slot.checked_sub(self.first_slot);
        let (byte, bit) = place(offset.ok_or(SettlementError::Overflow)?);
        let byte = self.slots.get_mut(byte);
        *byte.ok_or(SettlementError::DataTooOld)? |= bit;
        Ok(())
    }

    /// The slots in which it was written.
    pub fn write_slots(&self) -> WriteSlots {
        WriteSlots::new(self.first_slot, &self.slots)
    }

    /// Whether these are the slots in which it was written.
    pub fn was_written_in(&self, slots: &WriteSlots) -> bool {
        self.first_slot == slots.first && trimmed(&self.slots) == slots.bitmap
    }

    /// The hashes of the chunks from number `first` on, of which `bytes` are the contents.
    /// Every chunk is full but the data's last, which ends where the data ends.
    pub fn chunk_hashes<'a>(
        &self,
        first: u32,
        bytes: &'a [u8],
    ) -> Result<impl Iterator<Item = [u8; 32]> + use<'a>> {
        let start = u64::from(first)
            .checked_mul(CHUNK as u64)
            .ok_or(SettlementError::Overflow)?;
        let end = start
            .checked_add(bytes.len() as u64)
            .ok_or(SettlementError::Overflow)?;
        let len = u64::from(self.len);
        require!(
            !bytes.is_empty() && (end == len || end < len && bytes.len().is_multiple_of(CHUNK)),
            SettlementError::ChunkOutOfRange
        );
        Ok(bytes.chunks(CHUNK).map(chunk_hash))
    }

    /// The header and the hashes in an account's bytes (discriminator included).
    pub fn split(account: &mut [u8]) -> Result<(&mut Self, &mut [[u8; 32]])> {
        require!(
            account.len() >= Self::sealed_size(),
            SettlementError::DataAccountSize
        );
        let (head, list) = account.split_at_mut(Self::sealed_size());
        let header = bytemuck::try_from_bytes_mut(&mut head[8..])
            .map_err(|_| SettlementError::DataAccountSize)?;
        Ok((header, list.as_chunks_mut().0))
    }

    /// The data root over `hashes`, which it overwrites: there is no room for a copy on the
    /// program's heap.
    pub fn seal(&mut self, hashes: &mut [[u8; 32]]) -> Result<()> {
        require!(!self.is_sealed(), SettlementError::DataSealed);
        require!(
            hashes.len() == chunk_count(self.len) as usize,
            SettlementError::Invariant
        );
        // No chunk's hash is zero: that would be a preimage of `EMPTY_LEAF`.
        require!(
            hashes.iter().all(|hash| *hash != merkle::EMPTY_LEAF),
            SettlementError::ChunkMissing
        );
        self.root = merkle::root_in_place(hashes);
        self.sealed = 1;
        Ok(())
    }

    /// Checks what must hold after every instruction.
    pub fn invariant(&self) -> Result<()> {
        require_eq!(
            self.version,
            ACCOUNT_VERSION,
            SettlementError::UnknownVersion
        );
        require!(
            self.len >= 1
                && chunk_count(self.len) <= MAX_CHUNKS
                && self.sealed <= 1
                && (self.is_sealed() || self.root == merkle::EMPTY_LEAF),
            SettlementError::Invariant
        );
        Ok(())
    }
}

const _: () = assert!(size_of::<BatchData>() + 8 == BatchData::sealed_size());
