//! A demand for pieces of a blob that a pending batch names.

use super::Chain;
use crate::constants::ACCOUNT_VERSION;
use crate::demand::Pieces;
use crate::errors::SettlementError;
use crate::game::ProgramHead;
use anchor_lang::prelude::*;
use assay_dispute::demand;
use assay_ledger::ProgramHeader;
use assay_tensor::commit::CHUNK;
use assay_tensor::leaves::MAX_LEAF;

/// A demand's account, after which the answered pieces follow ([`answered`]). Its lamports beyond the rent are
/// what the demander put down, less what answers have earned, what it has won, and the rent of pieces that are
/// not answered yet.
#[account]
#[derive(Debug)]
pub struct Demand {
    /// Layout of this account.
    pub version: u8,
    /// Of its address.
    pub bump: u8,
    /// Whether it is over: answered, or the batch is lost.
    pub over: bool,
    /// The rollup.
    pub rollup: Pubkey,
    /// Who opened it.
    pub demander: Pubkey,
    /// The batch's sequencer.
    pub asserter: Pubkey,
    /// What, with rollup and demander, the address is derived from.
    pub id: u64,
    /// The batch's number.
    pub number: u64,
    /// Its header's hash.
    pub hash: [u8; 32],
    /// Its [`super::BatchSlot::life`].
    pub life: u32,
    /// The first slot in which nothing may be answered any more.
    pub answer_end: u64,
    /// The first slot in which somebody else than the asserter may answer.
    pub reserved_end: u64,
    /// Lamports that the demander put down, less what answers have earned. When the demand is over
    /// they are the demander's again, with what it has won.
    pub bond: u64,
    /// Lamports that an answer costs the demander.
    pub fee: u64,
    /// The program that the batch names, or that its parameters are for.
    pub program: ProgramHead,
    /// Root of the parameters that it names.
    pub parameters_root: [u8; 32],
    /// What is demanded.
    pub pieces: Pieces,
    /// A bit for each piece that is not answered, the lowest for the first.
    pub left: u64,
}

/// Where a demand stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemandClass {
    /// Everything is answered, or the batch is lost or dead and the stake is settled.
    Over,
    /// The batch is dead, by something else: there is nothing left to answer.
    Moot,
    /// Nobody has answered in time: anybody may take the batch down.
    Expired,
    /// It can be answered before this slot.
    Open(u64),
}

impl Demand {
    /// Bytes of the account before the answered pieces.
    pub const fn size() -> usize {
        8 // discriminator
        + 1 // version
        + 1 // bump
        + 1 // over
        + 32 // rollup
        + 32 // demander
        + 32 // asserter
        + 8 // id
        + 8 // number
        + 32 // hash
        + 4 // life
        + 8 // answer_end
        + 8 // reserved_end
        + 8 // bond
        + 8 // fee
        + ProgramHeader::SIZE // program
        + 32 // parameters_root
        + Pieces::SIZE // pieces
        + 8 // left
    }

    /// Where the demand stands in slot `now`: what every instruction asks.
    pub fn class(&self, chain: &Chain, now: u64) -> DemandClass {
        let live = chain
            .live(self.number, &self.hash)
            .is_some_and(|slot| slot.life == self.life);
        match (self.over, live) {
            (true, _) => DemandClass::Over,
            (false, false) => DemandClass::Moot,
            (false, true) if now >= self.answer_end => DemandClass::Expired,
            (false, true) => DemandClass::Open(self.answer_end),
        }
    }

    /// The demand by its rules.
    pub fn rules(&self) -> demand::Demand {
        demand::Demand {
            program: self.program.into(),
            parameters_root: self.parameters_root,
            pieces: self.pieces.into(),
            left: self.left,
        }
    }

    /// Takes the fee of an answer from what the demander put down.
    pub fn pay_answer(&mut self) -> Result<u64> {
        self.bond = self
            .bond
            .checked_sub(self.fee)
            .ok_or(SettlementError::Invariant)?;
        Ok(self.fee)
    }

    /// Checks what must hold after every instruction; `lamports` and `len` are the account's.
    pub fn invariant(&self, lamports: u64, len: usize) -> Result<()> {
        require_eq!(
            self.version,
            ACCOUNT_VERSION,
            SettlementError::UnknownVersion
        );
        // While it is open there is something to answer, and what pays for all of it.
        let fees = self.fee.checked_mul(u64::from(self.left.count_ones()));
        let open = self.left != 0 && fees.is_some_and(|fees| self.bond >= fees);
        require!(
            self.number >= 1 && (self.over || open),
            SettlementError::Invariant
        );
        let owed = Rent::get()?
            .minimum_balance(len)
            .checked_add(self.bond)
            .ok_or(SettlementError::Overflow)?;
        require_gte!(lamports, owed, SettlementError::Invariant);
        Ok(())
    }

    /// Bytes of the account with `pieces` answered ones, at most.
    pub const fn size_with(pieces: u8) -> usize {
        Self::size() + pieces as usize * (PIECE_HEAD + MAX_PIECE)
    }
}

/// Bytes before those of an answered piece: its place and its length.
pub const PIECE_HEAD: usize = 1 + 2;
/// Most bytes of an answered piece: a leaf, or a chunk.
pub const MAX_PIECE: usize = if MAX_LEAF > CHUNK { MAX_LEAF } else { CHUNK };
const _: () = assert!(MAX_PIECE <= u16::MAX as usize);

/// The head of answered piece `place` of `len` bytes.
pub fn piece_head(place: u8, len: usize) -> Result<[u8; PIECE_HEAD]> {
    let len = u16::try_from(len).map_err(|_| SettlementError::PieceTooLong)?;
    let [low, high] = len.to_le_bytes();
    Ok([place, low, high])
}

/// The pieces in a demand's account (discriminator included) in the order in which they were answered: each with
/// its place among those demanded. The program took each because it opens in what the batch names.
pub fn answered(account: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = account.get(Demand::size()..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        let ([place, low, high], more) = rest.split_first_chunk::<PIECE_HEAD>()?;
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, more) = more.split_at_checked(len)?;
        rest = more;
        Some((*place, bytes))
    })
}
