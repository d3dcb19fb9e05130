//! Ends a dispute against the side whose clock has run out.

// All of it: the derive macro names what it generated for the nested accounts.
use super::court::*;
use crate::errors::SettlementError;
use anchor_lang::prelude::*;

/// Accounts of `time_out`. Anybody may call it.
#[derive(Accounts)]
pub struct TimeOut<'info> {
    /// What the verdict changes.
    pub court: Court<'info>,
}

impl TimeOut<'_> {
    /// See [`crate::settlement::time_out`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        ctx.accounts.court.decide(None, |game, live, now| {
            Ok(game.time_out(live, now).map_err(SettlementError::from)?)
        })
    }
}
