//! Starts a rollup.

use crate::constants::{ACCOUNT_VERSION, CODEC_VERSION};
use crate::events::RollupInitialized;
use crate::seeds;
use crate::state::{Chain, Config, Rollup};
use anchor_lang::prelude::*;
use assay_ledger::header::genesis_hash;
use assay_ledger::state::StateComponents;
use assay_ledger::{RULES_VERSION, inbox};

/// Accounts of `initialize_rollup`.
#[derive(Accounts)]
#[instruction(id: u64)]
pub struct InitializeRollup<'info> {
    /// Pays the rent and becomes the rollup's authority.
    #[account(mut)]
    pub authority: Signer<'info>,
    /// The rollup, created.
    #[account(
        init,
        payer = authority,
        space = Rollup::size(),
        seeds = [seeds::ROLLUP, &id.to_le_bytes()],
        bump
    )]
    pub rollup: Box<Account<'info, Rollup>>,
    /// Its chain of batches, created.
    #[account(
        init,
        payer = authority,
        space = Chain::size(),
        seeds = [seeds::CHAIN, rollup.key().as_ref()],
        bump
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// Creates the accounts.
    pub system_program: Program<'info, System>,
}

impl InitializeRollup<'_> {
    fn validate(&self, config: &Config) -> Result<()> {
        config.validate()
    }

    /// See [`crate::settlement::initialize_rollup`].
    pub fn handler(ctx: Context<Self>, id: u64, config: Config) -> Result<()> {
        ctx.accounts.validate(&config)?;
        let key = ctx.accounts.rollup.key();
        let rollup = &mut ctx.accounts.rollup;
        rollup.version = ACCOUNT_VERSION;
        rollup.bump = ctx.bumps.rollup;
        rollup.chain_bump = ctx.bumps.chain;
        rollup.id = id;
        rollup.authority = ctx.accounts.authority.key();
        rollup.rules = RULES_VERSION;
        rollup.codec = CODEC_VERSION;
        rollup.config = config;
        rollup.bridge_sender = seeds::sender(&config.bridge, &key);
        rollup.escrow_sender = seeds::sender(&config.escrow, &key);
        rollup.inbox_chain = inbox::GENESIS;
        rollup.invariant()?;

        let genesis = genesis_hash(&key.to_bytes());
        let outbox = StateComponents::genesis().outbox;
        {
            // All else of the account is zero, and right so.
            let mut chain = ctx.accounts.chain.load_init()?;
            chain.rollup = key;
            chain.version = ACCOUNT_VERSION;
            chain.slots[0].hash = genesis;
            chain.slots[0].outbox_count = outbox.count;
            chain.slots[0].outbox_root = outbox.root;
            chain.invariant()?;
        }
        emit!(RollupInitialized {
            rollup: key,
            id,
            authority: ctx.accounts.authority.key(),
            config,
            genesis,
        });
        Ok(())
    }
}
