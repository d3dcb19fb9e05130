//! Says which of the processes that hold a sequencer's key is at work.

use crate::constants::MAX_LEASE;
use crate::errors::SettlementError;
use crate::seeds;
use crate::state::Sequencer;
use anchor_lang::prelude::*;

/// Accounts of `renew_lease`.
#[derive(Accounts)]
pub struct RenewLease<'info> {
    /// The sequencer's key.
    pub key: Signer<'info>,
    /// Its account, which holds the lease.
    #[account(
        mut,
        has_one = key,
        seeds = [seeds::SEQUENCER, sequencer.rollup.as_ref(), key.key().as_ref()],
        bump = sequencer.bump
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
}

impl RenewLease<'_> {
    fn validate(&self, now: i64, instance: &[u8; 16], seconds: u32, take_over: bool) -> Result<()> {
        require_gte!(MAX_LEASE, seconds, SettlementError::LeaseTooLong);
        require!(*instance != [0; 16], SettlementError::NoInstance);
        let other = self.sequencer.lease_instance != *instance;
        let runs = self.sequencer.lease_until > now;
        require!(!(other && runs) || take_over, SettlementError::Leased);
        Ok(())
    }

    /// See [`crate::settlement::renew_lease`].
    pub fn handler(
        ctx: Context<Self>,
        instance: [u8; 16],
        seconds: u32,
        take_over: bool,
    ) -> Result<()> {
        let now = Clock::get()?.unix_timestamp;
        ctx.accounts.validate(now, &instance, seconds, take_over)?;
        let sequencer = &mut ctx.accounts.sequencer;
        sequencer.lease_instance = instance;
        sequencer.lease_until = now
            .checked_add(seconds.into())
            .ok_or(SettlementError::Overflow)?;
        sequencer.invariant()
    }
}
