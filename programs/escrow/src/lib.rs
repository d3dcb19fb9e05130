//! Assay's escrow program: jobs that are paid on L1, and feeds that other programs read.
//!
//! * [`instructions`]: one file each; [`state`]: the accounts; [`events`], [`errors`], [`seeds`]
//! * [`payout`]: why a recipient cannot block a verdict
//!
//! A job leaves `Open` once: settled (the model ran; sequencer and publisher are paid), declined
//! (it did not run; refunded), or refunded (no batch had consumed it by its deadline, or nobody settled it long after).
// Anchor's macros make items without documentation.
#![allow(missing_docs)]

pub mod constants;
pub mod errors;
pub mod events;
pub mod instructions;
pub mod payout;
pub mod seeds;
pub mod state;

use anchor_lang::prelude::*;
pub use instructions::*;

declare_id!("DFUPtoLdJMkwH4u7HT2rDHaqP5KMzr4AM8MNwqAfyXik");

#[cfg(not(feature = "no-entrypoint"))]
solana_security_txt::security_txt! {
    name: "Assay escrow",
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

/// The instructions; each is documented at its accounts.
#[program]
pub mod escrow {
    use super::*;

    /// Locks a payment and asks L2 to run a model: see [`CreateJob`].
    pub fn create_job(ctx: Context<CreateJob>, args: CreateJobArgs) -> Result<()> {
        CreateJob::handler(ctx, args)
    }

    /// Takes a result from L2 and pays for it: see [`SettleJob`].
    pub fn settle_job(ctx: Context<SettleJob>, args: SettleJobArgs) -> Result<()> {
        SettleJob::handler(ctx, args)
    }

    /// The same with the arguments in a buffer: see [`SettleJobFromBuffer`].
    pub fn settle_job_from_buffer(ctx: Context<SettleJobFromBuffer>) -> Result<()> {
        SettleJobFromBuffer::handler(ctx)
    }

    /// Gives the payment back after the deadline: see [`RefundJob`].
    pub fn refund_job(ctx: Context<RefundJob>) -> Result<()> {
        RefundJob::handler(ctx)
    }

    /// Makes a payment that could not be made before: see [`ClaimPayment`].
    pub fn claim_payment(ctx: Context<ClaimPayment>) -> Result<()> {
        ClaimPayment::handler(ctx)
    }

    /// Returns a finished job's rent: see [`CloseJob`].
    pub fn close_job(ctx: Context<CloseJob>) -> Result<()> {
        CloseJob::handler(ctx)
    }

    /// Creates a feed: see [`CreateFeed`].
    pub fn create_feed(ctx: Context<CreateFeed>, args: CreateFeedArgs) -> Result<()> {
        CreateFeed::handler(ctx, args)
    }

    /// Returns a feed's rent: see [`CloseFeed`].
    pub fn close_feed(ctx: Context<CloseFeed>) -> Result<()> {
        CloseFeed::handler(ctx)
    }
}
