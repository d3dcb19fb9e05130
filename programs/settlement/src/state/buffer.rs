//! A buffer: bytes that do not fit the transaction that uses them.

use crate::constants::{ACCOUNT_VERSION, MAX_BUFFER};
use crate::errors::SettlementError;
use anchor_lang::prelude::*;

/// A buffer account, which holds this header and then the bytes. The client creates it (an
/// instruction may allocate 10 KiB only) and opens it in the same transaction, so that nobody
/// else can. It belongs to no dispute: its owner may use it in any, and close it at any time.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Buffer {
    /// Who writes it, may use it, and gets the rent back.
    pub owner: Pubkey,
    /// Bytes in it.
    pub len: u32,
    /// Layout of this account.
    pub version: u8,
    /// Zero.
    pub padding: [u8; 3],
}

impl Buffer {
    /// Bytes of the account before those that it holds.
    pub const fn head_size() -> usize {
        8 // discriminator
        + 32 // owner
        + 4 // len
        + 1 // version
        + 3 // padding
    }

    /// Bytes of the account that holds `len` bytes.
    pub const fn size(len: u32) -> usize {
        Self::head_size() + len as usize
    }

    /// The bytes that it holds, in an account's bytes (discriminator included).
    pub fn bytes(account: &[u8]) -> Result<&[u8]> {
        account
            .get(Self::head_size()..)
            .ok_or_else(|| error!(SettlementError::BufferSize))
    }

    /// The same, to write.
    pub fn bytes_mut(account: &mut [u8]) -> Result<&mut [u8]> {
        account
            .get_mut(Self::head_size()..)
            .ok_or_else(|| error!(SettlementError::BufferSize))
    }

    /// Checks what must hold after every instruction; `account` is the account's length.
    pub fn invariant(&self, account: usize) -> Result<()> {
        require_eq!(
            self.version,
            ACCOUNT_VERSION,
            SettlementError::UnknownVersion
        );
        require!(
            (1..=MAX_BUFFER).contains(&self.len) && account == Self::size(self.len),
            SettlementError::Invariant
        );
        Ok(())
    }
}

const _: () = assert!(size_of::<Buffer>() + 8 == Buffer::head_size());
