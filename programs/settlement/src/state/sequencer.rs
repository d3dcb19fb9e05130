//! A sequencer's bond.

use crate::constants::ACCOUNT_VERSION;
use crate::errors::SettlementError;
use anchor_lang::prelude::*;

/// A sequencer's account. It holds the lamports of the bond and of the fees earned.
///
/// Which part of the bond pending batches lock is not written here: [`super::Chain::locked_bond`]
/// counts it from the live batches. So a batch that becomes final, or is reverted together with
/// its descendants, unlocks its slice with nothing left to do.
#[account]
#[derive(Debug)]
pub struct Sequencer {
    /// Layout of this account.
    pub version: u8,
    /// Of its address.
    pub bump: u8,
    /// The rollup that it is bonded for.
    pub rollup: Pubkey,
    /// Who posts batches, and is paid.
    pub key: Pubkey,
    /// Lamports bonded, those being withdrawn included.
    pub bond: u64,
    /// Lamports of the bond being withdrawn: they back no new batch.
    pub unbonding: u64,
    /// From this slot on they may be withdrawn.
    pub unbond_slot: u64,
    /// Lamports of inbox fees earned and not yet claimed.
    pub earned: u64,
    /// The process of the key that is at work, by a number that it drew; zero for none yet.
    pub lease_instance: [u8; 16],
    /// Until then, in seconds since 1970, no other process may take its place unasked.
    pub lease_until: i64,
}

impl Sequencer {
    /// Bytes of the account.
    pub const fn size() -> usize {
        8 // discriminator
        + 1 // version
        + 1 // bump
        + 32 // rollup
        + 32 // key
        + 8 // bond
        + 8 // unbonding
        + 8 // unbond_slot
        + 8 // earned
        + 16 // lease_instance
        + 8 // lease_until
    }

    /// Lamports that can be locked for another batch, when `locked` are locked already.
    pub fn free_bond(&self, locked: u64) -> u64 {
        self.bond
            .saturating_sub(self.unbonding)
            .saturating_sub(locked)
    }

    /// Takes `lamports` of the bond, or what there is. Returns how many.
    pub fn slash(&mut self, lamports: u64) -> u64 {
        let slashed = lamports.min(self.bond);
        self.bond = self.bond.saturating_sub(slashed);
        self.unbonding = self.unbonding.min(self.bond);
        slashed
    }

    /// Checks what must hold after every instruction.
    pub fn invariant(&self) -> Result<()> {
        require_eq!(
            self.version,
            ACCOUNT_VERSION,
            SettlementError::UnknownVersion
        );
        require!(self.unbonding <= self.bond, SettlementError::Invariant);
        Ok(())
    }

    /// Checks that the account's lamports cover what it owes beside its rent.
    pub fn solvent(&self, lamports: u64) -> Result<()> {
        let owed = Rent::get()?
            .minimum_balance(Self::size())
            .checked_add(self.bond)
            .and_then(|sum| sum.checked_add(self.earned))
            .ok_or(SettlementError::Overflow)?;
        require!(lamports >= owed, SettlementError::Invariant);
        Ok(())
    }
}
