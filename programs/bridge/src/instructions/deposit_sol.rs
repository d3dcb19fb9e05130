//! `deposit_sol`: locks lamports and credits them on L2.

use crate::errors::BridgeError;
use crate::events::Deposited;
use crate::messages::send_deposit;
use crate::seeds;
use crate::state::SolVault;
use anchor_lang::prelude::*;
use anchor_lang::system_program::{Transfer, transfer};
use assay_ledger::inbox::Deposit;
use settlement::cpi::accounts::Enqueue;
use settlement::program::Settlement;
use settlement::state::Rollup;

/// What is deposited, and for whom.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy)]
pub struct DepositArgs {
    /// Who is credited on L2: a key that can sign L2 transactions.
    pub owner: Pubkey,
    /// Lamports, or base units of the mint.
    pub amount: u64,
}

impl DepositArgs {
    /// Something, for somebody.
    pub fn validate(&self) -> Result<()> {
        require!(self.amount > 0, BridgeError::NothingToDeposit);
        require_keys_neq!(self.owner, Pubkey::default(), BridgeError::NoOwner);
        Ok(())
    }
}

/// Locks lamports and credits them on L2. Anybody may, for anybody.
///
/// # Accounts
/// `depositor` pays the amount, the inbox's fee, and the rent of the vault (once for a rollup) and
/// of the inbox's page (once for 128 messages).
///
/// # Requirements
/// * the rollup's bridge is this program
/// * the amount is not zero, the owner not the zero key
/// * what `settlement::enqueue` asks for
///
/// # Steps
/// 1. move the lamports into the vault
/// 2. put the deposit into the inbox
#[derive(Accounts)]
pub struct DepositSol<'info> {
    /// Pays.
    #[account(mut)]
    pub depositor: Signer<'info>,
    /// Keeps the lamports.
    #[account(
        init_if_needed,
        payer = depositor,
        space = SolVault::size(),
        seeds = [seeds::SOL_VAULT, rollup.key().as_ref()],
        bump
    )]
    pub vault: Box<Account<'info, SolVault>>,
    /// CHECK: signs the message; holds nothing.
    #[account(seeds = [seeds::SENDER, rollup.key().as_ref()], bump)]
    pub sender: UncheckedAccount<'info>,
    /// The rollup.
    #[account(mut, constraint = rollup.config.bridge == crate::ID @ BridgeError::OtherBridge)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// CHECK: the inbox's page; `settlement` checks its address.
    #[account(mut)]
    pub inbox_page: UncheckedAccount<'info>,
    /// The inbox's program.
    pub settlement_program: Program<'info, Settlement>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl DepositSol<'_> {
    /// See [`DepositSol`].
    pub fn handler(ctx: Context<Self>, args: DepositArgs) -> Result<()> {
        args.validate()?;
        let accounts = ctx.accounts;
        let rollup = accounts.rollup.key();
        let message = accounts.rollup.inbox_count;
        accounts.vault.open(rollup, ctx.bumps.vault)?;

        transfer(
            CpiContext::new(
                accounts.system_program.key(),
                Transfer {
                    from: accounts.depositor.to_account_info(),
                    to: accounts.vault.to_account_info(),
                },
            ),
            args.amount,
        )?;
        accounts.vault.lock(args.amount)?;

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
                mint: assay_ledger::SOL,
                amount: args.amount,
            },
        )?;
        emit!(Deposited {
            rollup,
            depositor: accounts.depositor.key(),
            owner: args.owner,
            mint: Pubkey::new_from_array(assay_ledger::SOL),
            amount: args.amount,
            message,
            locked: accounts.vault.locked,
        });
        accounts.vault.invariant(
            accounts.vault.get_lamports(),
            Rent::get()?.minimum_balance(SolVault::size()),
        )
    }
}
