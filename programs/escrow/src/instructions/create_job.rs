//! `create_job`: locks a payment and asks L2 to run a model.

use crate::constants::{DEADLINE_MARGIN, DEADLINE_SLOTS, MAX_OUTPUT};
use crate::errors::EscrowError;
use crate::events::JobCreated;
use crate::seeds;
use crate::state::{Client, Feed, Job, JobStatus, Output};
use anchor_lang::prelude::*;
use anchor_lang::system_program::{Transfer, transfer};
use assay_ledger::inbox::{self, MAX_JOB_INPUT};
use settlement::cpi::accounts::Enqueue;
use settlement::program::Settlement;
use settlement::state::{Config, Rollup};

/// What is to be run, and for how much.
#[derive(AnchorSerialize, AnchorDeserialize, Clone)]
pub struct CreateJobArgs {
    /// Names the job among the client's: the client account's `next_nonce`, or any higher one.
    pub nonce: u64,
    /// Index of the model.
    pub model: u32,
    /// The model's program. A revert on L2 may give the index to another model: a job is declined
    /// where the model at its index has another program.
    pub program_root: [u8; 32],
    /// The model's inputs one after the other, at most 512 bytes.
    pub input: Vec<u8>,
    /// The most that may be charged, in lamports. All of it is locked.
    pub max_price: u64,
    /// The last slot before a refund is possible.
    pub deadline: u64,
    /// Which output is delivered; an index past the last delivers the last.
    pub output_index: u32,
    /// Bytes of room, 1 to 2,048. The model is declined if all its outputs together have more.
    pub output_bytes: u32,
}

/// Locks a payment and asks L2 to run a model. A wallet may, or a program that signs for an
/// address of its own.
///
/// # Accounts
/// `payer` pays the price limit, the inbox's fee, and the rent of the job (returned by
/// `close_job`), of the client's account (once) and of the inbox's page (once for 128 messages).
/// `client` owns the job: what is left of the price, and the rent, go to it.
///
/// # Requirements
/// * the rollup's escrow is this program
/// * the nonce has not been used or passed over
/// * the input and the output fit
/// * the deadline leaves the inbox's grace, the challenge window and a margin, and is at most
///   [`DEADLINE_SLOTS`] later than that
/// * the feed, if there is one, is the client's own, of the same rollup, and has the room
/// * what `settlement::enqueue` asks for
///
/// # Steps
/// 1. use up the nonce
/// 2. move the lamports into the job's account
/// 3. put the job into the inbox
#[derive(Accounts)]
#[instruction(args: CreateJobArgs)]
pub struct CreateJob<'info> {
    /// Pays.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// Owns the job.
    pub client: Signer<'info>,
    /// The nonces that are left.
    #[account(
        init_if_needed,
        payer = payer,
        space = Client::size(),
        seeds = [seeds::CLIENT, rollup.key().as_ref(), client.key().as_ref()],
        bump
    )]
    pub client_account: Box<Account<'info, Client>>,
    /// The job.
    #[account(
        init,
        payer = payer,
        space = Job::size(args.output_bytes.min(MAX_OUTPUT)),
        seeds = [
            seeds::JOB,
            rollup.key().as_ref(),
            client.key().as_ref(),
            &args.nonce.to_le_bytes()
        ],
        bump
    )]
    pub job: Box<Account<'info, Job>>,
    /// Gets the output too.
    #[account(
        mut,
        constraint = feed.version == Feed::VERSION @ EscrowError::UnknownVersion,
        constraint = feed.client == client.key() && feed.rollup == rollup.key()
            @ EscrowError::ForeignFeed,
        constraint = feed.capacity >= args.output_bytes @ EscrowError::FeedTooSmall
    )]
    pub feed: Option<Box<Account<'info, Feed>>>,
    /// CHECK: signs the message; holds nothing.
    #[account(seeds = [seeds::SENDER, rollup.key().as_ref()], bump)]
    pub sender: UncheckedAccount<'info>,
    /// The rollup.
    #[account(mut, constraint = rollup.config.escrow == crate::ID @ EscrowError::OtherEscrow)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// CHECK: the inbox's page; `settlement` checks its address.
    #[account(mut)]
    pub inbox_page: UncheckedAccount<'info>,
    /// The inbox's program.
    pub settlement_program: Program<'info, Settlement>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

/// The earliest deadline of a job that is created at `slot`.
pub fn earliest_deadline(slot: u64, config: &Config) -> Result<u64> {
    slot.checked_add(config.inbox_grace)
        .and_then(|s| s.checked_add(config.params.window))
        .and_then(|s| s.checked_add(DEADLINE_MARGIN))
        .ok_or(error!(EscrowError::Overflow))
}

/// The latest deadline of a job that is created at `slot`.
pub fn latest_deadline(slot: u64, config: &Config) -> Result<u64> {
    earliest_deadline(slot, config)?
        .checked_add(DEADLINE_SLOTS)
        .ok_or(error!(EscrowError::Overflow))
}

impl CreateJob<'_> {
    fn validate(&self, args: &CreateJobArgs, slot: u64) -> Result<()> {
        require_gte!(MAX_JOB_INPUT, args.input.len(), EscrowError::InputTooLong);
        require!(
            (1..=MAX_OUTPUT).contains(&args.output_bytes),
            EscrowError::BadOutputBytes
        );
        require_gte!(
            args.deadline,
            earliest_deadline(slot, &self.rollup.config)?,
            EscrowError::DeadlineTooEarly
        );
        require_gte!(
            latest_deadline(slot, &self.rollup.config)?,
            args.deadline,
            EscrowError::DeadlineTooLate
        );
        Ok(())
    }

    /// See [`CreateJob`].
    pub fn handler(ctx: Context<Self>, args: CreateJobArgs) -> Result<()> {
        let now = Clock::get()?;
        ctx.accounts.validate(&args, now.slot)?;
        let accounts = ctx.accounts;
        let rollup = accounts.rollup.key();
        let client = accounts.client.key();
        let message = accounts.rollup.inbox_count;

        let counter = &mut accounts.client_account;
        counter.open(rollup, client, ctx.bumps.client_account)?;
        counter.use_nonce(args.nonce)?;
        if let Some(feed) = &mut accounts.feed {
            feed.expect_job()?;
            feed.invariant()?;
        }
        accounts.job.set_inner(Job {
            version: Job::VERSION,
            bump: ctx.bumps.job,
            status: JobStatus::Open,
            rollup,
            client,
            nonce: args.nonce,
            message,
            model: args.model,
            program_root: args.program_root,
            max_price: args.max_price,
            deadline: args.deadline,
            output_index: args.output_index,
            output_bytes: args.output_bytes,
            feed: accounts.feed.as_ref().map(|f| f.key()).unwrap_or_default(),
            done_slot: 0,
            created_at: now.unix_timestamp,
            batch_at: 0,
            done_at: 0,
            price: 0,
            model_version: 0,
            sequencer: Pubkey::default(),
            sequencer_due: 0,
            publisher: Pubkey::default(),
            publisher_due: 0,
            output_root: [0; 32],
            output: Output::default(),
        });
        transfer(
            CpiContext::new(
                accounts.system_program.key(),
                Transfer {
                    from: accounts.payer.to_account_info(),
                    to: accounts.job.to_account_info(),
                },
            ),
            args.max_price,
        )?;

        let payload = borsh::to_vec(&inbox::Job {
            job: accounts.job.key().to_bytes(),
            model: args.model,
            program_root: args.program_root,
            max_price: args.max_price,
            output_bytes: args.output_bytes,
            input: args.input,
        })?;
        let signer: &[&[u8]] = &[seeds::SENDER, rollup.as_ref(), &[ctx.bumps.sender]];
        settlement::cpi::enqueue(
            CpiContext::new_with_signer(
                accounts.settlement_program.key(),
                Enqueue {
                    payer: accounts.payer.to_account_info(),
                    sender: accounts.sender.to_account_info(),
                    rollup: accounts.rollup.to_account_info(),
                    page: accounts.inbox_page.to_account_info(),
                    system_program: accounts.system_program.to_account_info(),
                },
                &[signer],
            ),
            payload,
        )?;
        emit!(JobCreated {
            rollup,
            job: accounts.job.key(),
            client,
            nonce: args.nonce,
            message,
            model: args.model,
            program_root: args.program_root,
            max_price: args.max_price,
            deadline: args.deadline,
        });
        accounts.job.invariant(
            accounts.job.get_lamports(),
            Rent::get()?.minimum_balance(Job::size(args.output_bytes)),
        )
    }
}
