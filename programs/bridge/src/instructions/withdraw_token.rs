//! `withdraw_token`: pays a withdrawal of tokens.

use super::WithdrawArgs;
use crate::errors::BridgeError;
use crate::events::Withdrawn;
use crate::messages::prove_withdrawal;
use crate::seeds;
use crate::state::{PaidPage, RegisteredMint};
use anchor_lang::prelude::*;
use anchor_spl::associated_token::AssociatedToken;
use anchor_spl::token_interface::{
    Mint, TokenAccount, TokenInterface, TransferChecked, transfer_checked,
};
use assay_ledger::outbox::OutboxLeaf;
use settlement::state::{Chain, Rollup};

/// Pays a withdrawal of tokens into the associated token account of the recipient that it names.
/// Anybody may.
///
/// # Accounts
/// `payer` pays the rent of the recipient's token account if it has none, and of the page of paid
/// withdrawals (once for 4,096 leaves).
///
/// # Requirements
/// * the leaf is in the outbox of the final batch that is named
/// * it has not been paid
/// * the token program lets the transfer through: if the vault or the recipient's account is
///   frozen, the account has another owner by now, or asks for a memo, nothing is marked, and the
///   withdrawal can be repeated when that has changed
///
/// # Steps
/// 1. open the leaf against the outbox
/// 2. mark it as paid
/// 3. move the tokens
#[derive(Accounts)]
#[instruction(args: WithdrawArgs)]
pub struct WithdrawToken<'info> {
    /// Pays the rent of new accounts.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: a part of the leaf that is proven.
    pub recipient: UncheckedAccount<'info>,
    /// The recipient's token account.
    #[account(
        init_if_needed,
        payer = payer,
        associated_token::mint = mint,
        associated_token::authority = recipient,
        associated_token::token_program = token_program
    )]
    pub destination: Box<InterfaceAccount<'info, TokenAccount>>,
    /// The mint.
    #[account(
        constraint = *mint.to_account_info().owner == token_program.key()
            @ BridgeError::OtherTokenProgram
    )]
    pub mint: Box<InterfaceAccount<'info, Mint>>,
    /// The rollup.
    pub rollup: Box<Account<'info, Rollup>>,
    /// Its batches.
    #[account(
        seeds = [settlement::seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump,
        seeds::program = settlement::ID
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// The mint's record, which owns the vault.
    #[account(
        mut,
        seeds = [seeds::REGISTERED_MINT, rollup.key().as_ref(), mint.key().as_ref()],
        bump = registered_mint.bump,
        constraint = registered_mint.version == RegisteredMint::VERSION @ BridgeError::UnknownVersion
    )]
    pub registered_mint: Box<Account<'info, RegisteredMint>>,
    /// Pays the tokens.
    #[account(mut, address = registered_mint.vault @ BridgeError::OtherVault)]
    pub vault: Box<InterfaceAccount<'info, TokenAccount>>,
    /// The page of the leaf.
    #[account(
        init_if_needed,
        payer = payer,
        space = PaidPage::size(),
        seeds = [
            seeds::PAID_PAGE,
            rollup.key().as_ref(),
            &PaidPage::number(args.index).to_le_bytes()[..]
        ],
        bump
    )]
    pub paid_page: Box<Account<'info, PaidPage>>,
    /// The mint's owner.
    pub token_program: Interface<'info, TokenInterface>,
    /// Creates the recipient's token account.
    pub associated_token_program: Program<'info, AssociatedToken>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl WithdrawToken<'_> {
    fn validate(&self, args: &WithdrawArgs) -> Result<()> {
        prove_withdrawal(
            &*self.chain.load()?,
            args.batch,
            args.index,
            &args.siblings,
            OutboxLeaf::Withdrawal {
                recipient: self.recipient.key().to_bytes(),
                mint: self.mint.key().to_bytes(),
                amount: args.amount,
            },
        )
    }

    /// See [`WithdrawToken`].
    pub fn handler(ctx: Context<Self>, args: WithdrawArgs) -> Result<()> {
        ctx.accounts.validate(&args)?;
        let accounts = ctx.accounts;
        let rollup = accounts.rollup.key();
        let mint = accounts.mint.key();
        let page = PaidPage::number(args.index);
        accounts.paid_page.open(rollup, page, ctx.bumps.paid_page)?;
        accounts.paid_page.mark(args.index)?;

        accounts.registered_mint.release(args.amount)?;
        let signer: &[&[u8]] = &[
            seeds::REGISTERED_MINT,
            rollup.as_ref(),
            mint.as_ref(),
            &[accounts.registered_mint.bump],
        ];
        transfer_checked(
            CpiContext::new_with_signer(
                accounts.token_program.key(),
                TransferChecked {
                    from: accounts.vault.to_account_info(),
                    mint: accounts.mint.to_account_info(),
                    to: accounts.destination.to_account_info(),
                    authority: accounts.registered_mint.to_account_info(),
                },
                &[signer],
            ),
            args.amount,
            accounts.mint.decimals,
        )?;
        accounts.vault.reload()?;

        emit!(Withdrawn {
            rollup,
            index: args.index,
            batch: args.batch,
            recipient: accounts.recipient.key(),
            mint,
            amount: args.amount,
            locked: accounts.registered_mint.locked,
        });
        accounts.paid_page.invariant()?;
        accounts.registered_mint.invariant(accounts.vault.amount)
    }
}
