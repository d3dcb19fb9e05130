//! Posts a batch on the tip.

use super::top_level;
use crate::errors::SettlementError;
use crate::events::BatchPosted;
use crate::header::BatchHeader;
use crate::seeds;
use crate::state::inbox_page::InboxPoint;
use crate::state::{BatchData, BatchSlot, Chain, InboxPage, Rollup, Sequencer, WriteSlots};
use anchor_lang::prelude::*;
use assay_ledger::header::Header;
use assay_ledger::state::{ACCOUNT_DEPTH, INVALID, MODEL_DEPTH};
use assay_ledger::{RULES_VERSION, outbox};

/// Accounts of `post_batch`.
#[derive(Accounts)]
pub struct PostBatch<'info> {
    /// The sequencer's key.
    pub key: Signer<'info>,
    /// The rollup.
    #[account(
        mut,
        seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()],
        bump = rollup.bump
    )]
    pub rollup: Box<Account<'info, Rollup>>,
    /// The batches.
    #[account(
        mut,
        has_one = rollup,
        seeds = [seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// The sequencer's bond.
    #[account(
        has_one = key,
        has_one = rollup,
        seeds = [seeds::SEQUENCER, rollup.key().as_ref(), key.key().as_ref()],
        bump = sequencer.bump
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
    /// The batch's data, sealed by the same key.
    #[account(
        has_one = rollup @ SettlementError::ForeignData,
        constraint = data.load()?.poster == key.key() @ SettlementError::ForeignData
    )]
    pub data: AccountLoader<'info, BatchData>,
    /// The inbox page that holds the message at the batch's cursor; none when the batch has
    /// consumed all messages.
    #[account(has_one = rollup)]
    pub page: Option<AccountLoader<'info, InboxPage>>,
}

impl PostBatch<'_> {
    /// Checks everything, each group in the order in which the design lists it. Returns the
    /// inbox's state at the batch's cursor.
    fn validate(&self, header: &BatchHeader, now: u64) -> Result<InboxPoint> {
        self.validate_origin(header)?;
        self.validate_bond()?;
        self.validate_parent(header)?;
        let point = self.validate_inbox(header, now)?;
        self.validate_data(header)?;
        self.validate_caps(header)?;
        Ok(point)
    }

    /// The header is for these accounts, and made under what is in force.
    fn validate_origin(&self, header: &BatchHeader) -> Result<()> {
        require!(
            header.rollup == self.rollup.key() && header.sequencer == self.key.key(),
            SettlementError::HeaderMismatch
        );
        require!(
            header.rules == self.rollup.rules
                && header.rules == RULES_VERSION
                && header.codec == self.rollup.codec,
            SettlementError::WrongRules
        );
        require!(
            header.params == self.rollup.config.params,
            SettlementError::WrongParams
        );
        Ok(())
    }

    /// A slice of the bond is free.
    fn validate_bond(&self) -> Result<()> {
        let locked = self.chain.load()?.locked_bond(&self.sequencer.key)?;
        require_gte!(
            self.sequencer.free_bond(locked),
            self.rollup.config.params.bond_slice,
            SettlementError::NoFreeSlice
        );
        Ok(())
    }

    /// It is the tip's next child, and its outbox has grown from the tip's.
    fn validate_parent(&self, header: &BatchHeader) -> Result<()> {
        let chain = self.chain.load()?;
        let tip = chain.tip();
        require!(
            tip.number.checked_add(1) == Some(header.number),
            SettlementError::WrongNumber
        );
        require!(tip.hash == header.parent, SettlementError::WrongParent);
        require_gte!(
            header.state.outbox.count,
            tip.outbox_count,
            SettlementError::OutboxShrank
        );
        Ok(())
    }

    /// It has consumed L1's messages in order, and enough of those that are overdue.
    fn validate_inbox(&self, header: &BatchHeader, now: u64) -> Result<InboxPoint> {
        let rollup = &self.rollup;
        let inbox = &header.state.inbox;
        let parent_cursor = self.chain.load()?.tip_inbox_cursor();
        require!(
            inbox.cursor >= parent_cursor && inbox.cursor <= rollup.inbox_count,
            SettlementError::InboxCursor
        );
        let consumed = inbox.cursor.saturating_sub(parent_cursor);
        // Each message is a transaction of the batch.
        require_gte!(
            u64::from(header.tx_count),
            consumed,
            SettlementError::InboxCursor
        );
        let point = if inbox.cursor == rollup.inbox_count {
            InboxPoint {
                chain: rollup.inbox_chain,
                fees: rollup.inbox_fees,
            }
        } else {
            let page = self
                .page
                .as_ref()
                .ok_or(SettlementError::InboxPageNeeded)?
                .load()?;
            let first_left = page
                .entry(inbox.cursor)
                .ok_or(SettlementError::InboxPageNeeded)?;
            // Messages are in the order of their slots: if the first one left is not overdue,
            // none is.
            let overdue = first_left
                .slot
                .checked_add(rollup.config.inbox_grace)
                .is_some_and(|limit| limit < now);
            require!(
                !overdue || consumed >= u64::from(rollup.config.inbox_batch),
                SettlementError::InboxOverdue
            );
            page.before(inbox.cursor)
                .ok_or(SettlementError::InboxPageNeeded)?
        };
        require!(inbox.chain == point.chain, SettlementError::InboxChain);
        Ok(point)
    }

    /// Its data is on L1, complete.
    fn validate_data(&self, header: &BatchHeader) -> Result<()> {
        let data = self.data.load()?;
        require!(data.is_sealed(), SettlementError::DataNotSealed);
        require!(
            data.root == header.data_root && data.len == header.data_len,
            SettlementError::DataMismatch
        );
        Ok(())
    }

    /// What readers are told of where to find the parent and the data is true.
    fn validate_places(&self, parent_slot: u64, writes: &WriteSlots) -> Result<()> {
        let chain = self.chain.load()?;
        let posted = chain.tip().posted_slot(self.rollup.config.params.window);
        require_eq!(parent_slot, posted, SettlementError::WrongParentSlot);
        require!(
            self.data.load()?.was_written_in(writes),
            SettlementError::WrongWriteSlots
        );
        Ok(())
    }

    /// It is not empty, and no count is over its cap. A batch without transactions is refused:
    /// it would settle nothing. The data of one with transactions is never empty, so there is
    /// always a data account.
    fn validate_caps(&self, header: &BatchHeader) -> Result<()> {
        let params = &self.rollup.config.params;
        let state = &header.state;
        require!(header.tx_count >= 1, SettlementError::EmptyBatch);
        require!(
            header.tx_count <= params.max_records
                && header.data_len <= params.max_data
                && state.units <= params.max_units
                && state.accounts.count <= 1 << ACCOUNT_DEPTH
                && state.models.count <= 1 << MODEL_DEPTH
                && state.outbox.count <= 1 << outbox::DEPTH,
            SettlementError::OverCap
        );
        Ok(())
    }

    /// See [`crate::settlement::post_batch`].
    pub fn handler(
        ctx: Context<Self>,
        header: BatchHeader,
        parent_slot: u64,
        writes: &WriteSlots,
    ) -> Result<()> {
        // Whoever would dispute the batch must be able to read the header: see `write_chunks`.
        top_level()?;
        let Clock {
            slot,
            unix_timestamp,
            ..
        } = Clock::get()?;
        let point = ctx.accounts.validate(&header, slot)?;
        ctx.accounts.validate_places(parent_slot, writes)?;
        let hash = hash(&header)?;
        let params = &header.params;
        {
            let mut chain = ctx.accounts.chain.load_mut()?;
            let life = chain.reverts;
            chain.push(BatchSlot {
                hash,
                sequencer: header.sequencer,
                outbox_root: header.state.outbox.root,
                outbox_count: header.state.outbox.count,
                number: header.number,
                window_end: slot
                    .checked_add(params.window)
                    .ok_or(SettlementError::Overflow)?,
                inbox_cursor: header.state.inbox.cursor,
                inbox_fees: point.fees,
                bond_slice: params.bond_slice,
                life,
                disputes: 0,
                posted_at: unix_timestamp,
                pieces: 0,
                padding: [0; 4],
            })?;
            chain.invariant()?;
        }
        let rollup = &mut ctx.accounts.rollup;
        rollup.inbox_cursor = header.state.inbox.cursor;
        rollup.invariant()?;
        emit!(BatchPosted {
            hash,
            slot,
            data: ctx.accounts.data.key(),
            header,
        });
        Ok(())
    }
}

/// The header's hash, if its state may be posted at all.
#[inline(never)]
fn hash(header: &BatchHeader) -> Result<[u8; 32]> {
    let header: Header = header.to_ledger()?;
    require!(
        header.state.root() != INVALID,
        SettlementError::InvalidState
    );
    Ok(header.hash())
}
