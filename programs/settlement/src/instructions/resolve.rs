//! Gives up a dispute over a dead batch.

use crate::errors::SettlementError;
use crate::events::DisputeResolved;
use crate::state::{Chain, Dispute};
use anchor_lang::prelude::*;
use assay_dispute::Side;
use assay_dispute::game::Class;

/// Accounts of `resolve`. Anybody may call it.
#[derive(Accounts)]
pub struct Resolve<'info> {
    /// Says that the batch is dead.
    pub chain: AccountLoader<'info, Chain>,
    /// The dispute.
    #[account(
        mut,
        constraint = dispute.load()?.rollup == chain.load()?.rollup @ SettlementError::ForeignDispute
    )]
    pub dispute: AccountLoader<'info, Dispute>,
}

impl Resolve<'_> {
    /// See [`crate::settlement::resolve`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        let info = ctx.accounts.dispute.to_account_info();
        let mut account = info.try_borrow_mut_data()?;
        let (dispute, room) = Dispute::split(&mut account)?;
        let chain = ctx.accounts.chain.load()?;
        let game = dispute.game(room)?;
        match dispute.class(&game, &chain, Clock::get()?.slot) {
            Class::Moot => {}
            Class::Over(_) => return err!(SettlementError::DisputeOver),
            Class::Expired(_) | Class::Turn(..) => return err!(SettlementError::NotMoot),
        }
        // The batch's slot may hold another batch by now: its counter is not this dispute's.
        dispute.award(Side::Challenger, 0)?;
        dispute.invariant(info.lamports())?;
        emit!(DisputeResolved {
            rollup: dispute.rollup,
            dispute: info.key(),
            number: dispute.number,
            hash: dispute.hash,
            payout: dispute.challenger_due,
        });
        Ok(())
    }
}
