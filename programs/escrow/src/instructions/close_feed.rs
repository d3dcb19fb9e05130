//! `close_feed`: returns a feed's rent.

use crate::errors::EscrowError;
use crate::events::FeedClosed;
use crate::seeds;
use crate::state::Feed;
use anchor_lang::prelude::*;

/// Closes a feed.
///
/// # Accounts
/// `client` signs and gets the lamports.
///
/// # Requirements
/// * no open job names it
///
/// # Steps
/// 1. close the account to the client
#[derive(Accounts)]
pub struct CloseFeed<'info> {
    /// The feed.
    #[account(
        mut,
        seeds = [seeds::FEED, client.key().as_ref(), &feed.name],
        bump = feed.bump,
        has_one = client @ EscrowError::ForeignFeed,
        constraint = feed.version == Feed::VERSION @ EscrowError::UnknownVersion,
        constraint = feed.pending == 0 @ EscrowError::FeedInUse,
        close = client
    )]
    pub feed: Box<Account<'info, Feed>>,
    /// The feed's client.
    #[account(mut)]
    pub client: Signer<'info>,
}

impl CloseFeed<'_> {
    /// See [`CloseFeed`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        emit!(FeedClosed {
            feed: ctx.accounts.feed.key(),
        });
        Ok(())
    }
}
