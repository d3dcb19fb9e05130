//! `register_mint`: makes a mint depositable.

use crate::errors::BridgeError;
use crate::events::MintRegistered;
use crate::extensions::check_mint;
use crate::seeds;
use crate::state::RegisteredMint;
use anchor_lang::prelude::*;
use anchor_spl::token_interface::{Mint, TokenAccount, TokenInterface};
use settlement::state::Rollup;

/// Makes a mint depositable and creates its vault. Anybody may.
///
/// # Accounts
/// `payer` pays the rent of `registered_mint` and `vault`.
///
/// # Requirements
/// * the rollup's bridge is this program
/// * the mint is initialised and owned by `token_program`: SPL Token or Token-2022
/// * its extensions are on the allow-list of [`crate::extensions`]
/// * it has not been registered for this rollup
///
/// # Steps
/// 1. check the mint's extensions
/// 2. record the mint and its vault
#[derive(Accounts)]
pub struct RegisterMint<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The rollup.
    #[account(constraint = rollup.config.bridge == crate::ID @ BridgeError::OtherBridge)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// The mint.
    #[account(
        constraint = *mint.to_account_info().owner == token_program.key()
            @ BridgeError::OtherTokenProgram
    )]
    pub mint: Box<InterfaceAccount<'info, Mint>>,
    /// Its record.
    #[account(
        init,
        payer = payer,
        space = RegisteredMint::size(),
        seeds = [seeds::REGISTERED_MINT, rollup.key().as_ref(), mint.key().as_ref()],
        bump
    )]
    pub registered_mint: Box<Account<'info, RegisteredMint>>,
    /// Its vault.
    #[account(
        init,
        payer = payer,
        seeds = [seeds::TOKEN_VAULT, rollup.key().as_ref(), mint.key().as_ref()],
        bump,
        token::mint = mint,
        token::authority = registered_mint,
        token::token_program = token_program
    )]
    pub vault: Box<InterfaceAccount<'info, TokenAccount>>,
    /// The mint's owner.
    pub token_program: Interface<'info, TokenInterface>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl RegisterMint<'_> {
    fn validate(&self) -> Result<()> {
        check_mint(&self.mint.to_account_info().try_borrow_data()?)
    }

    /// See [`RegisterMint`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        ctx.accounts.validate()?;
        let accounts = ctx.accounts;
        accounts.registered_mint.set_inner(RegisteredMint {
            version: RegisteredMint::VERSION,
            bump: ctx.bumps.registered_mint,
            rollup: accounts.rollup.key(),
            mint: accounts.mint.key(),
            token_program: accounts.token_program.key(),
            vault: accounts.vault.key(),
            locked: 0,
        });
        emit!(MintRegistered {
            rollup: accounts.rollup.key(),
            mint: accounts.mint.key(),
            token_program: accounts.token_program.key(),
            vault: accounts.vault.key(),
            decimals: accounts.mint.decimals,
        });
        accounts.registered_mint.invariant(accounts.vault.amount)
    }
}
