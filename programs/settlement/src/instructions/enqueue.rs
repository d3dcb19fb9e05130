//! Sends a message to L2.

use crate::constants::ACCOUNT_VERSION;
use crate::errors::SettlementError;
use crate::events::MessageEnqueued;
use crate::seeds;
use crate::state::{InboxEntry, InboxPage, Rollup};
use anchor_lang::prelude::*;
use anchor_lang::system_program;
use assay_ledger::inbox::{
    Deposit, Forced, Job, MAX_JOB_INPUT, MAX_PAYLOAD, MessageKind, chain_next,
};

/// Bytes of a job's encoding before its input: job, model, program_root, max_price,
/// output_bytes and the input's length.
const JOB_HEAD: usize = 32 + 4 + 32 + 8 + 4 + 4;

/// Accounts of `enqueue`.
#[derive(Accounts)]
pub struct Enqueue<'info> {
    /// Pays the fee, and the rent of a page if the message opens one.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// Decides the message's kind: the bridge's or the escrow's sender, or anybody.
    pub sender: Signer<'info>,
    /// The rollup; holds the fee until the message is final.
    #[account(
        mut,
        seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()],
        bump = rollup.bump
    )]
    pub rollup: Box<Account<'info, Rollup>>,
    /// The page that the message goes to.
    #[account(
        init_if_needed,
        payer = payer,
        space = InboxPage::size(),
        seeds = [seeds::INBOX, rollup.key().as_ref(), &seeds::opaque(rollup.next_page().to_le_bytes())],
        bump
    )]
    pub page: AccountLoader<'info, InboxPage>,
    /// Moves the fee and creates the page.
    pub system_program: Program<'info, System>,
}

impl Enqueue<'_> {
    fn kind(&self) -> MessageKind {
        match self.sender.key() {
            key if key == self.rollup.bridge_sender => MessageKind::Deposit,
            key if key == self.rollup.escrow_sender => MessageKind::Job,
            _ => MessageKind::Forced,
        }
    }

    fn validate(&self, kind: MessageKind, payload: &[u8]) -> Result<()> {
        require!(payload.len() <= MAX_PAYLOAD, SettlementError::BadMessage);
        match kind {
            MessageKind::Deposit => decode::<Deposit>(payload).map(drop),
            MessageKind::Job => {
                // Before decoding, as borsh allocates what the input's length field asks for.
                let input = payload.len().checked_sub(JOB_HEAD);
                let length = payload.get(JOB_HEAD - 4..JOB_HEAD);
                require!(
                    input.is_some_and(|input| length == Some(&(input as u32).to_le_bytes()[..])),
                    SettlementError::BadMessage
                );
                let job = decode::<Job>(payload)?;
                require!(
                    job.input.len() <= MAX_JOB_INPUT,
                    SettlementError::BadMessage
                );
                Ok(())
            }
            MessageKind::Forced => {
                let owner = match decode::<Forced>(payload)? {
                    Forced::Transfer { owner, .. } | Forced::Withdraw { owner, .. } => owner,
                };
                require!(
                    owner == self.sender.key().to_bytes(),
                    SettlementError::NotOwner
                );
                Ok(())
            }
        }
    }

    /// See [`crate::settlement::enqueue`].
    pub fn handler(ctx: Context<Self>, payload: Vec<u8>) -> Result<()> {
        let kind = ctx.accounts.kind();
        ctx.accounts.validate(kind, &payload)?;
        let Enqueue {
            payer,
            sender,
            rollup,
            page,
            ..
        } = ctx.accounts;

        let fee = rollup.next_fee()?;
        system_program::transfer(
            CpiContext::new(
                system_program::ID,
                system_program::Transfer {
                    from: payer.to_account_info(),
                    to: rollup.to_account_info(),
                },
            ),
            fee,
        )?;

        let number = rollup.next_page();
        let opened = is_new(page.as_ref())?;
        let mut page = if opened {
            let mut page = page.load_init()?;
            page.rollup = rollup.key();
            page.payer = payer.key();
            page.number = number;
            page.chain_before = rollup.inbox_chain;
            page.fees_before = rollup.inbox_fees;
            page.version = ACCOUNT_VERSION;
            page.bump = ctx.bumps.page;
            page
        } else {
            page.load_mut()?
        };

        let index = rollup.inbox_count;
        let slot = Clock::get()?.slot;
        rollup.inbox_chain = chain_next(&rollup.inbox_chain, index, kind, &payload);
        rollup.inbox_count = index.checked_add(1).ok_or(SettlementError::Overflow)?;
        rollup.inbox_fees = rollup
            .inbox_fees
            .checked_add(fee)
            .ok_or(SettlementError::Overflow)?;
        page.push(InboxEntry {
            chain: rollup.inbox_chain,
            slot,
            fees: rollup.inbox_fees,
        })?;
        page.invariant(rollup.inbox_count)?;
        rollup.invariant()?;
        emit!(MessageEnqueued {
            rollup: rollup.key(),
            index,
            kind: kind as u8,
            sender: sender.key(),
            payload_len: payload.len() as u32,
            chain: rollup.inbox_chain,
            slot,
            fee,
        });
        Ok(())
    }
}

/// Whether the account was created by this very instruction: its discriminator is only written
/// when the instruction ends.
fn is_new(page: &AccountInfo) -> Result<bool> {
    Ok(page.try_borrow_data()?.starts_with(&[0; 8]))
}

/// The payload of a message, which must be that and nothing more.
fn decode<T: AnchorDeserialize>(payload: &[u8]) -> Result<T> {
    T::try_from_slice(payload).map_err(|_| error!(SettlementError::BadMessage))
}
