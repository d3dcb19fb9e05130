//! `create_feed`: an address at which programs read the newest result.

use crate::constants::{MAX_OUTPUT, NAME};
use crate::errors::EscrowError;
use crate::events::FeedCreated;
use crate::seeds;
use crate::state::{Feed, Output};
use anchor_lang::prelude::*;
use settlement::state::Rollup;

/// A feed's name and room.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy)]
pub struct CreateFeedArgs {
    /// Names it among the client's: any bytes, by habit text with zeros after it.
    pub name: [u8; NAME],
    /// Bytes of room for an output, 1 to 2,048.
    pub capacity: u32,
}

/// Creates a feed. Jobs of the same client in the same rollup can name it, and their newest
/// output is then found in it.
///
/// # Accounts
/// `payer` pays the rent; `client` owns the feed.
///
/// # Requirements
/// * the rollup's escrow is this program
/// * the client has no feed of this name
/// * the capacity is in its range
///
/// # Steps
/// 1. create the empty feed
#[derive(Accounts)]
#[instruction(args: CreateFeedArgs)]
pub struct CreateFeed<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// Owns the feed.
    pub client: Signer<'info>,
    /// The feed.
    #[account(
        init,
        payer = payer,
        space = Feed::size(args.capacity.min(MAX_OUTPUT)),
        seeds = [seeds::FEED, client.key().as_ref(), &args.name],
        bump
    )]
    pub feed: Box<Account<'info, Feed>>,
    /// The rollup whose results it takes.
    #[account(constraint = rollup.config.escrow == crate::ID @ EscrowError::OtherEscrow)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl CreateFeed<'_> {
    /// See [`CreateFeed`].
    pub fn handler(ctx: Context<Self>, args: CreateFeedArgs) -> Result<()> {
        require!(
            (1..=MAX_OUTPUT).contains(&args.capacity),
            EscrowError::BadCapacity
        );
        let accounts = ctx.accounts;
        accounts.feed.set_inner(Feed {
            version: Feed::VERSION,
            bump: ctx.bumps.feed,
            client: accounts.client.key(),
            rollup: accounts.rollup.key(),
            name: args.name,
            capacity: args.capacity,
            pending: 0,
            updates: 0,
            job: Pubkey::default(),
            message: 0,
            model: 0,
            program_root: [0; 32],
            model_version: 0,
            slot: 0,
            requested_at: 0,
            batch_at: 0,
            settled_at: 0,
            output: Output::default(),
        });
        emit!(FeedCreated {
            feed: accounts.feed.key(),
            client: accounts.client.key(),
            rollup: accounts.rollup.key(),
            name: args.name,
        });
        accounts.feed.invariant()
    }
}
