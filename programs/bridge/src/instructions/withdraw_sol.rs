//! `withdraw_sol`: pays a withdrawal of lamports.

use crate::errors::BridgeError;
use crate::events::Withdrawn;
use crate::messages::prove_withdrawal;
use crate::seeds;
use crate::state::{PaidPage, SolVault};
use anchor_lang::prelude::*;
use assay_ledger::outbox::OutboxLeaf;
use settlement::state::{Chain, Rollup};

/// A leaf of the outbox and its proof. The recipient and the mint are accounts of the instruction.
#[derive(AnchorSerialize, AnchorDeserialize, Clone)]
pub struct WithdrawArgs {
    /// Number of a final batch whose outbox has the leaf.
    pub batch: u64,
    /// Index of the leaf.
    pub index: u64,
    /// Lamports, or base units of the mint.
    pub amount: u64,
    /// From the leaf's level up; the empty levels at the top may be left out
    /// ([`assay_ledger::outbox::trim`]).
    pub siblings: Vec<[u8; 32]>,
}

/// Pays a withdrawal of lamports to the recipient that it names. Anybody may.
///
/// # Accounts
/// `payer` pays the rent of the page of paid withdrawals (once for 4,096 leaves).
///
/// # Requirements
/// * the leaf is in the outbox of the final batch that is named
/// * it has not been paid
/// * the recipient is no program and has the rent-exempt minimum afterwards; otherwise nothing is
///   marked, and the withdrawal can be repeated when it has
///
/// # Steps
/// 1. open the leaf against the outbox
/// 2. mark it as paid
/// 3. move the lamports
#[derive(Accounts)]
#[instruction(args: WithdrawArgs)]
pub struct WithdrawSol<'info> {
    /// Pays the rent of a new page.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: a part of the leaf that is proven.
    #[account(mut, constraint = !recipient.executable @ BridgeError::RecipientExecutable)]
    pub recipient: UncheckedAccount<'info>,
    /// The rollup.
    pub rollup: Box<Account<'info, Rollup>>,
    /// Its batches.
    #[account(
        seeds = [settlement::seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump,
        seeds::program = settlement::ID
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// Pays the lamports.
    #[account(
        mut,
        seeds = [seeds::SOL_VAULT, rollup.key().as_ref()],
        bump = vault.bump,
        constraint = vault.version == SolVault::VERSION @ BridgeError::UnknownVersion
    )]
    pub vault: Box<Account<'info, SolVault>>,
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
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl WithdrawSol<'_> {
    fn validate(&self, args: &WithdrawArgs) -> Result<()> {
        prove_withdrawal(
            &*self.chain.load()?,
            args.batch,
            args.index,
            &args.siblings,
            OutboxLeaf::Withdrawal {
                recipient: self.recipient.key().to_bytes(),
                mint: assay_ledger::SOL,
                amount: args.amount,
            },
        )
    }

    /// See [`WithdrawSol`].
    pub fn handler(ctx: Context<Self>, args: WithdrawArgs) -> Result<()> {
        ctx.accounts.validate(&args)?;
        let accounts = ctx.accounts;
        let rollup = accounts.rollup.key();
        let page = PaidPage::number(args.index);
        accounts.paid_page.open(rollup, page, ctx.bumps.paid_page)?;
        accounts.paid_page.mark(args.index)?;

        accounts.vault.release(args.amount)?;
        accounts.vault.sub_lamports(args.amount)?;
        accounts.recipient.add_lamports(args.amount)?;
        let rent = Rent::get()?;
        require_gte!(
            accounts.recipient.get_lamports(),
            rent.minimum_balance(accounts.recipient.data_len()),
            BridgeError::RecipientBelowRent
        );

        emit!(Withdrawn {
            rollup,
            index: args.index,
            batch: args.batch,
            recipient: accounts.recipient.key(),
            mint: Pubkey::new_from_array(assay_ledger::SOL),
            amount: args.amount,
            locked: accounts.vault.locked,
        });
        accounts.paid_page.invariant()?;
        accounts.vault.invariant(
            accounts.vault.get_lamports(),
            rent.minimum_balance(SolVault::size()),
        )
    }
}
