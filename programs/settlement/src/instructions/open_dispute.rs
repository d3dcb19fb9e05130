//! Opens a dispute over a pending batch.

use crate::constants::ACCOUNT_VERSION;
use crate::errors::SettlementError;
use crate::events::DisputeOpened;
use crate::header::BatchHeader;
use crate::seeds;
use crate::state::dispute::state_name;
use crate::state::{Chain, Dispute, Rollup};
use anchor_lang::prelude::*;
use anchor_lang::system_program;
use assay_dispute::Side;
use assay_dispute::game;

/// Accounts of `open_dispute`.
#[derive(Accounts)]
#[instruction(id: u64)]
pub struct OpenDispute<'info> {
    /// Says that the batch is wrong; pays the rent and the bond.
    #[account(mut)]
    pub challenger: Signer<'info>,
    /// The rollup.
    #[account(seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()], bump = rollup.bump)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// The batches.
    #[account(
        mut,
        has_one = rollup,
        seeds = [seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// The dispute, created.
    #[account(
        init,
        payer = challenger,
        space = Dispute::size(),
        seeds = [seeds::DISPUTE, rollup.key().as_ref(), challenger.key().as_ref(), &id.to_le_bytes()],
        bump
    )]
    pub dispute: AccountLoader<'info, Dispute>,
    /// Creates the account and moves the bond.
    pub system_program: Program<'info, System>,
}

impl OpenDispute<'_> {
    /// Checks that the batch of this hash can be disputed. Returns its life.
    fn validate(&self, header: &BatchHeader, hash: &[u8; 32], now: u64) -> Result<u32> {
        require_keys_eq!(
            header.rollup,
            self.rollup.key(),
            SettlementError::HeaderMismatch
        );
        let chain = self.chain.load()?;
        let slot = chain
            .live(header.number, hash)
            .ok_or(SettlementError::NotLive)?;
        require_gt!(slot.window_end, now, SettlementError::WindowClosed);
        Ok(slot.life)
    }

    /// See [`crate::settlement::open_dispute`].
    pub fn handler(ctx: Context<Self>, id: u64, header: &BatchHeader) -> Result<()> {
        let now = Clock::get()?.slot;
        let challenger = ctx.accounts.challenger.key();
        let game = new_game(header, &challenger, now)?;
        let hash = game.header.hash();
        let life = ctx.accounts.validate(header, &hash, now)?;
        {
            let mut chain = ctx.accounts.chain.load_mut()?;
            chain.hold(header.number)?;
            chain.invariant()?;
        }
        let bond = header.params.dispute_bond;
        system_program::transfer(
            CpiContext::new(
                system_program::ID,
                system_program::Transfer {
                    from: ctx.accounts.challenger.to_account_info(),
                    to: ctx.accounts.dispute.to_account_info(),
                },
            ),
            bond,
        )?;
        let info = ctx.accounts.dispute.to_account_info();
        let mut account = info.try_borrow_mut_data()?;
        let (dispute, room) = Dispute::split(&mut account)?;
        dispute.rollup = header.rollup;
        dispute.challenger = challenger;
        dispute.asserter = header.sequencer;
        dispute.hash = hash;
        dispute.number = header.number;
        dispute.id = id;
        dispute.bond = bond;
        dispute.life = life;
        dispute.version = ACCOUNT_VERSION;
        dispute.bump = ctx.bumps.dispute;
        dispute.set_game(room, &game)?;
        dispute.invariant(info.lamports())?;
        emit!(DisputeOpened {
            rollup: dispute.rollup,
            dispute: info.key(),
            challenger,
            asserter: dispute.asserter,
            number: dispute.number,
            hash,
            bond,
            deadline: game.clocks.deadline(Side::Challenger),
            state: state_name(dispute.encoded(room)?),
        });
        Ok(())
    }
}

/// The game before its first move.
#[inline(never)]
fn new_game(header: &BatchHeader, challenger: &Pubkey, now: u64) -> Result<Box<game::Dispute>> {
    Ok(Box::new(game::Dispute::open(
        header.to_ledger()?,
        challenger.to_bytes(),
        now,
    )))
}
