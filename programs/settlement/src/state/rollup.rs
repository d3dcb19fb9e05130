//! A rollup: its configuration, and the end of its inbox.

use crate::constants::{ACCOUNT_VERSION, BASIS_POINTS, INBOX_RECORD_BYTES, MAX_DATA, PAGE_ENTRIES};
use crate::errors::SettlementError;
use anchor_lang::prelude::*;
use assay_dispute::demand::Times;
use assay_ledger::header;

/// The parameters that every header restates: those of [`assay_ledger::header::Params`].
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Slots from posting to finality.
    pub window: u64,
    /// Lamports of the bond that a pending batch locks.
    pub bond_slice: u64,
    /// Work units that a batch may use.
    pub max_units: u64,
    /// Transactions that a batch may have.
    pub max_records: u32,
    /// Bytes of data that a batch may have.
    pub max_data: u32,
    /// Batches after which a deployed or updated model is callable, at least one. The ledger's transition
    /// refuses calls before, so that a batch with one falls to a state step proof.
    pub model_delay: u64,
    /// The sequencer's share of each price, in basis points.
    pub sequencer_share: u16,
    /// Slots that each side of a dispute has for all its moves.
    pub clock: u64,
    /// Slots that a side of a dispute has at least after each move of the other.
    pub extension: u64,
    /// Lamports that a challenger puts down.
    pub dispute_bond: u64,
}

impl Params {
    const SIZE: usize = 8 + 8 + 8 + 4 + 4 + 8 + 2 + 8 + 8 + 8;
}

impl From<Params> for header::Params {
    fn from(p: Params) -> Self {
        Self {
            window: p.window,
            bond_slice: p.bond_slice,
            max_units: p.max_units,
            max_records: p.max_records,
            max_data: p.max_data,
            model_delay: p.model_delay,
            sequencer_share: p.sequencer_share,
            clock: p.clock,
            extension: p.extension,
            dispute_bond: p.dispute_bond,
        }
    }
}

impl From<header::Params> for Params {
    fn from(p: header::Params) -> Self {
        Self {
            window: p.window,
            bond_slice: p.bond_slice,
            max_units: p.max_units,
            max_records: p.max_records,
            max_data: p.max_data,
            model_delay: p.model_delay,
            sequencer_share: p.sequencer_share,
            clock: p.clock,
            extension: p.extension,
            dispute_bond: p.dispute_bond,
        }
    }
}

/// What a rollup is initialised with. Nothing changes it yet: that comes with the upgrade
/// timelock, under which no batch is settled by parameters that it was not posted under.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The bridge program: its messages are deposits.
    pub bridge: Pubkey,
    /// The escrow program: its messages are jobs.
    pub escrow: Pubkey,
    /// What every header restates.
    pub params: Params,
    /// Slots from the request to the withdrawal of a bond; at least the window.
    pub unbond_delay: u64,
    /// Slots after which an unconsumed message is overdue.
    pub inbox_grace: u64,
    /// Messages that a batch need not exceed, however many are overdue.
    pub inbox_batch: u32,
    /// Lamports that a message costs when the queue is empty.
    pub inbox_fee_base: u64,
    /// Lamports that each waiting message adds.
    pub inbox_fee_step: u64,
}

impl Config {
    const SIZE: usize = 32 + 32 + Params::SIZE + 8 + 8 + 4 + 8 + 8;

    /// Checks every value's range.
    pub fn validate(&self) -> Result<()> {
        let p = &self.params;
        // There is time to demand leaves, and chunks, and to answer each.
        let ok = p.window >= Times::MIN_WINDOW
            // Nobody waits for ever, and no sum of slots overflows.
            && p.window.max(p.clock) <= u64::from(u32::MAX)
            && p.bond_slice >= 1
            && p.max_units >= 1
            && p.max_records >= 1
            && (1..=MAX_DATA).contains(&p.max_data)
            // What a batch names can be demanded before anything has run on it.
            && p.model_delay >= 1
            && p.sequencer_share <= BASIS_POINTS
            && p.clock >= 1
            && (1..=p.clock).contains(&p.extension)
            && p.dispute_bond >= 1
            // Who cheats must not be gone before it can be shown.
            && self.unbond_delay >= p.window
            // A batch must be able to hold what the overdue rule demands of it.
            && (1..=p.max_records).contains(&self.inbox_batch)
            && u64::from(self.inbox_batch) * INBOX_RECORD_BYTES <= u64::from(p.max_data)
            && self.bridge != self.escrow;
        require!(ok, SettlementError::BadConfig);
        Ok(())
    }
}

/// A rollup's account; its address is the rollup's id on L2. It also holds the lamports of the
/// inbox fees until their messages are final.
#[account]
#[derive(Debug)]
pub struct Rollup {
    /// Layout of this account.
    pub version: u8,
    /// Of its address.
    pub bump: u8,
    /// Of the chain account's address.
    pub chain_bump: u8,
    /// What its address is derived from.
    pub id: u64,
    /// Who initialised it and will hold the upgrade timelock.
    pub authority: Pubkey,
    /// [`assay_ledger::RULES_VERSION`] in force.
    pub rules: u16,
    /// Version of the batch codec in force.
    pub codec: u8,
    /// What was chosen at the start.
    pub config: Config,
    /// The bridge's signer of messages.
    pub bridge_sender: Pubkey,
    /// The escrow's signer of messages.
    pub escrow_sender: Pubkey,
    /// Messages so far: the next one's index.
    pub inbox_count: u64,
    /// The inbox's chain value after them.
    pub inbox_chain: [u8; 32],
    /// Lamports of fees that they paid, all together.
    pub inbox_fees: u64,
    /// Messages that the tip has consumed: a copy of the chain account's, so that sending a
    /// message needs only this account. Whatever moves the tip sets it.
    pub inbox_cursor: u64,
}

impl Rollup {
    /// Bytes of the account.
    pub const fn size() -> usize {
        8 // discriminator
        + 1 // version
        + 1 // bump
        + 1 // chain_bump
        + 8 // id
        + 32 // authority
        + 2 // rules
        + 1 // codec
        + Config::SIZE // config
        + 32 // bridge_sender
        + 32 // escrow_sender
        + 8 // inbox_count
        + 32 // inbox_chain
        + 8 // inbox_fees
        + 8 // inbox_cursor
    }

    /// The page that the next message goes to.
    pub fn next_page(&self) -> u64 {
        self.inbox_count / PAGE_ENTRIES as u64
    }

    /// Lamports that the next message costs.
    pub fn next_fee(&self) -> Result<u64> {
        let queue = self.inbox_count.checked_sub(self.inbox_cursor);
        queue
            .and_then(|queue| queue.checked_mul(self.config.inbox_fee_step))
            .and_then(|rise| rise.checked_add(self.config.inbox_fee_base))
            .ok_or_else(|| error!(SettlementError::Overflow))
    }

    /// Checks what must hold after every instruction.
    pub fn invariant(&self) -> Result<()> {
        require_eq!(
            self.version,
            ACCOUNT_VERSION,
            SettlementError::UnknownVersion
        );
        require!(
            self.inbox_cursor <= self.inbox_count,
            SettlementError::Invariant
        );
        self.config.validate()
    }
}
