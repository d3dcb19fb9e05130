//! `deposit_token`: locks tokens and credits them on L2.

use super::DepositArgs;
use crate::errors::BridgeError;
use crate::events::Deposited;
use crate::messages::send_deposit;
use crate::seeds;
use crate::state::RegisteredMint;
use anchor_lang::prelude::*;
use anchor_spl::token_interface::{
    Mint, TokenAccount, TokenInterface, TransferChecked, transfer_checked,
};
use assay_ledger::inbox::Deposit;
use settlement::cpi::accounts::Enqueue;
use settlement::program::Settlement;
use settlement::state::Rollup;

/// Locks tokens of a registered mint and credits them on L2. Anybody may, for anybody.
///
/// # Accounts
/// `depositor` owns `source` (or is its delegate), and pays the inbox's fee and the rent of its
/// page (once for 128 messages).
///
/// # Requirements
/// * the rollup's bridge is this program
/// * the mint is registered for this rollup, the vault is the mint's
/// * the amount is not zero, the owner not the zero key
/// * what the token program and `settlement::enqueue` ask for
///
/// # Steps
/// 1. move the tokens into the vault
/// 2. put the measured change of the vault into the inbox
#[derive(Accounts)]
pub struct DepositToken<'info> {
    /// Pays.
    #[account(mut)]
    pub depositor: Signer<'info>,
    /// Where the tokens come from.
    #[account(mut, token::mint = mint, token::token_program = token_program)]
    pub source: Box<InterfaceAccount<'info, TokenAccount>>,
    /// The mint.
    #[account(
        constraint = *mint.to_account_info().owner == token_program.key()
            @ BridgeError::OtherTokenProgram
    )]
    pub mint: Box<InterfaceAccount<'info, Mint>>,
    /// Its record.
    #[account(
        mut,
        seeds = [seeds::REGISTERED_MINT, rollup.key().as_ref(), mint.key().as_ref()],
        bump = registered_mint.bump,
        constraint = registered_mint.version == RegisteredMint::VERSION @ BridgeError::UnknownVersion
    )]
    pub registered_mint: Box<Account<'info, RegisteredMint>>,
    /// Keeps the tokens.
    #[account(mut, address = registered_mint.vault @ BridgeError::OtherVault)]
    pub vault: Box<InterfaceAccount<'info, TokenAccount>>,
    /// CHECK: signs the message; holds nothing.
    #[account(seeds = [seeds::SENDER, rollup.key().as_ref()], bump)]
    pub sender: UncheckedAccount<'info>,
    /// The rollup.
    #[account(mut, constraint = rollup.config.bridge == crate::ID @ BridgeError::OtherBridge)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// CHECK: the inbox's page; `settlement` checks its address.
    #[account(mut)]
    pub inbox_page: UncheckedAccount<'info>,
    /// The mint's owner.
    pub token_program: Interface<'info, TokenInterface>,
    /// The inbox's program.
    pub settlement_program: Program<'info, Settlement>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl DepositToken<'_> {
    /// See [`DepositToken`].
    pub fn handler(ctx: Context<Self>, args: DepositArgs) -> Result<()> {
        args.validate()?;
        let accounts = ctx.accounts;
        let rollup = accounts.rollup.key();
        let mint = accounts.mint.key();
        let message = accounts.rollup.inbox_count;

        let before = accounts.vault.amount;
        transfer_checked(
            CpiContext::new(
                accounts.token_program.key(),
                TransferChecked {
                    from: accounts.source.to_account_info(),
                    mint: accounts.mint.to_account_info(),
                    to: accounts.vault.to_account_info(),
                    authority: accounts.depositor.to_account_info(),
                },
            ),
            args.amount,
            accounts.mint.decimals,
        )?;
        accounts.vault.reload()?;
        let credited = accounts.vault.amount.saturating_sub(before);
        require!(credited > 0, BridgeError::NothingToDeposit);
        accounts.registered_mint.lock(credited)?;

        send_deposit(
            accounts.settlement_program.key(),
            Enqueue {
                payer: accounts.depositor.to_account_info(),
                sender: accounts.sender.to_account_info(),
                rollup: accounts.rollup.to_account_info(),
                page: accounts.inbox_page.to_account_info(),
                system_program: accounts.system_program.to_account_info(),
            },
            ctx.bumps.sender,
            &Deposit {
                owner: args.owner.to_bytes(),
                mint: mint.to_bytes(),
                amount: credited,
            },
        )?;
        emit!(Deposited {
            rollup,
            depositor: accounts.depositor.key(),
            owner: args.owner,
            mint,
            amount: credited,
            message,
            locked: accounts.registered_mint.locked,
        });
        accounts.registered_mint.invariant(accounts.vault.amount)
    }
}
