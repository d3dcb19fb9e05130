//! Assay's bridge program: locks lamports and tokens on L1 while they are on L2.
//!
//! * [`instructions`]: one file each; [`state`]: the accounts; [`events`], [`errors`], [`seeds`]
//! * [`extensions`]: which Token-2022 mints are accepted
//! * [`messages`]: deposits go into the inbox of `settlement`, withdrawals are leaves of its outbox
//!
//! Per mint, `vault >= L2 balances + unpaid withdrawals + unconsumed deposits`. The program pays
//! out only what was deposited into the same rollup's vault, so that a rollup that lies (anybody
//! may make one) harms nobody else's depositors.
// Anchor's macros make items without documentation.
#![allow(missing_docs)]

pub mod errors;
pub mod events;
pub mod extensions;
pub mod instructions;
pub mod messages;
pub mod seeds;
pub mod state;

use anchor_lang::prelude::*;
pub use instructions::*;

declare_id!("CnWJ44utZcv75EMXM76z6PUwE3s9VS3nb7hNbAf6qhMq");

#[cfg(not(feature = "no-entrypoint"))]
solana_security_txt::security_txt! {
    name: "Assay bridge",
    project_url: "https://assay.invalid",
    contacts: "link:SECURITY.md",
    policy: "See SECURITY.md in the source",
    source_code: "",
    preferred_languages: "en"
}

/// Keeps the text in the binary, where nothing else refers to it.
#[cfg(not(feature = "no-entrypoint"))]
#[used]
static KEPT: &&str = &SECURITY_TXT;

/// The instructions; each is documented at its handler.
#[program]
pub mod bridge {
    use super::*;

    /// Makes a mint depositable: see [`RegisterMint`].
    pub fn register_mint(ctx: Context<RegisterMint>) -> Result<()> {
        RegisterMint::handler(ctx)
    }

    /// Locks lamports: see [`DepositSol`].
    pub fn deposit_sol(ctx: Context<DepositSol>, args: DepositArgs) -> Result<()> {
        DepositSol::handler(ctx, args)
    }

    /// Locks tokens: see [`DepositToken`].
    pub fn deposit_token(ctx: Context<DepositToken>, args: DepositArgs) -> Result<()> {
        DepositToken::handler(ctx, args)
    }

    /// Pays a withdrawal of lamports: see [`WithdrawSol`].
    pub fn withdraw_sol(ctx: Context<WithdrawSol>, args: WithdrawArgs) -> Result<()> {
        WithdrawSol::handler(ctx, args)
    }

    /// Pays a withdrawal of tokens: see [`WithdrawToken`].
    pub fn withdraw_token(ctx: Context<WithdrawToken>, args: WithdrawArgs) -> Result<()> {
        WithdrawToken::handler(ctx, args)
    }
}
