//! `settle_job` and `settle_job_from_buffer`: takes a result from L2 and pays for it.

use crate::errors::EscrowError;
use crate::events::{FeedUpdated, JobDeclined, JobSettled};
use crate::payout::pay;
use crate::seeds;
use crate::state::{Feed, Job, JobStatus, Output};
use anchor_lang::prelude::*;
use assay_ledger::outbox::{self, OutboxLeaf};
use assay_tensor::commit::verify_output;
use settlement::state::{Buffer, Chain, Rollup};

/// What the outbox says of the job, apart from the keys, which are accounts of the instruction.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy)]
pub struct JobResult {
    /// Whether the model ran.
    pub done: bool,
    /// What is charged, in lamports.
    pub price: u64,
    /// The sequencer's share of it, in lamports.
    pub sequencer_share: u64,
    /// The model's version that ran.
    pub version: u64,
    /// Root over the outputs' roots.
    pub output_root: [u8; 32],
}

/// An output and its proof.
#[derive(AnchorSerialize, AnchorDeserialize, Clone)]
pub struct OutputProof {
    /// Number of the model's outputs.
    pub count: u32,
    /// The output that the job asks for, or the last if it asks for one past the last.
    pub output: Output,
    /// From the output's level up.
    pub siblings: Vec<[u8; 32]>,
}

/// A result and its proofs.
#[derive(AnchorSerialize, AnchorDeserialize, Clone)]
pub struct SettleJobArgs {
    /// Number of a final batch whose outbox has the result.
    pub batch: u64,
    /// Index of the result's leaf.
    pub index: u64,
    /// The result.
    pub result: JobResult,
    /// From the leaf's level up; the empty levels at the top may be left out
    /// ([`assay_ledger::outbox::trim`]).
    pub siblings: Vec<[u8; 32]>,
    /// The output, exactly if the model ran.
    pub output: Option<OutputProof>,
}

/// Takes a result from L2, pays for it, and keeps the output. Anybody may.
///
/// # Accounts
/// `sequencer` is the result's; `publisher` too, and left out if the result names none (when it
/// was declined).
///
/// # Requirements
/// * the job is open
/// * the result is in the outbox of the final batch that is named, for this job
/// * its price is within the job's limit
/// * if it ran: the output opens against its output root
/// * the feed is the one that the job names
///
/// # Steps
/// 1. open the result against the outbox, and the output against the result
/// 2. write the output to the job, and to its feed unless that has a newer one
/// 3. pay the sequencer's share, the publisher, and the rest to the client. Who cannot be paid
///    now blocks nothing: see [`crate::payout`]
#[derive(Accounts)]
pub struct SettleJob<'info> {
    /// The job.
    #[account(
        mut,
        seeds = [
            seeds::JOB,
            rollup.key().as_ref(),
            job.client.as_ref(),
            &job.nonce.to_le_bytes()
        ],
        bump = job.bump,
        has_one = rollup @ EscrowError::OtherRollup,
        has_one = client @ EscrowError::OtherClient,
        constraint = job.version == Job::VERSION @ EscrowError::UnknownVersion,
        constraint = job.status == JobStatus::Open @ EscrowError::JobNotOpen,
        constraint = job.feed == feed.as_ref().map(|f| f.key()).unwrap_or_default()
            @ EscrowError::OtherFeed
    )]
    pub job: Box<Account<'info, Job>>,
    /// CHECK: the job's client.
    #[account(mut)]
    pub client: UncheckedAccount<'info>,
    /// CHECK: a part of the leaf that is proven.
    #[account(mut)]
    pub sequencer: UncheckedAccount<'info>,
    /// CHECK: a part of the leaf that is proven.
    #[account(mut)]
    pub publisher: Option<UncheckedAccount<'info>>,
    /// The job's feed.
    #[account(mut, constraint = feed.version == Feed::VERSION @ EscrowError::UnknownVersion)]
    pub feed: Option<Box<Account<'info, Feed>>>,
    /// The rollup.
    pub rollup: Box<Account<'info, Rollup>>,
    /// Its batches.
    #[account(
        seeds = [settlement::seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump,
        seeds::program = settlement::ID
    )]
    pub chain: AccountLoader<'info, Chain>,
}

/// The same with its arguments (borsh) in a buffer of the settlement program: a result may be longer than a
/// legacy transaction. It does not matter whose buffer it is, as what is in it is proven.
///
/// # Accounts
/// Those of `settle_job`, and `buffer`.
///
/// # Requirements and steps
/// Those of `settle_job`.
#[derive(Accounts)]
pub struct SettleJobFromBuffer<'info> {
    /// Those of any settlement.
    pub settle: SettleJob<'info>,
    /// Holds the arguments.
    pub buffer: AccountLoader<'info, Buffer>,
}

impl SettleJobFromBuffer<'_> {
    /// See [`SettleJobFromBuffer`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        let args = {
            let info = ctx.accounts.buffer.to_account_info();
            let account = info.try_borrow_data()?;
            arguments(Buffer::bytes(&account)?)?
        };
        ctx.accounts.settle.settle_with(*args)
    }
}

#[inline(never)]
fn arguments(bytes: &[u8]) -> Result<Box<SettleJobArgs>> {
    let args = SettleJobArgs::try_from_slice(bytes).map_err(|_| EscrowError::BadBuffer)?;
    Ok(Box::new(args))
}

impl<'info> SettleJob<'info> {
    fn publisher_key(&self) -> Pubkey {
        self.publisher.as_ref().map(|p| p.key()).unwrap_or_default()
    }

    fn validate(&self, args: &SettleJobArgs) -> Result<()> {
        let result = &args.result;
        let leaf = OutboxLeaf::JobResult {
            job: self.job.key().to_bytes(),
            done: result.done,
            price: result.price,
            sequencer_share: result.sequencer_share,
            sequencer: self.sequencer.key().to_bytes(),
            publisher: self.publisher_key().to_bytes(),
            version: result.version,
            output_root: result.output_root,
        };
        let outbox = self.chain.load()?.final_outbox(args.batch)?;
        require!(
            outbox::verify(
                outbox.count,
                &outbox.root,
                &leaf,
                args.index,
                &args.siblings
            ),
            EscrowError::WrongProof
        );
        require_gte!(
            self.job.max_price,
            result.price,
            EscrowError::PriceOverLimit
        );
        require_gte!(
            result.price,
            result.sequencer_share,
            EscrowError::ShareOverPrice
        );
        match &args.output {
            Some(proof) => {
                require!(result.done, EscrowError::OutputUnexpected);
                self.validate_output(&result.output_root, proof)
            }
            None => {
                require!(!result.done, EscrowError::OutputMissing);
                Ok(())
            }
        }
    }

    fn validate_output(&self, root: &[u8; 32], proof: &OutputProof) -> Result<()> {
        let index = self.delivered(proof);
        let ty = proof.output.ty.tensor_type()?;
        require_gte!(
            self.job.output_bytes as usize,
            proof.output.data.len(),
            EscrowError::OutputTooLong
        );
        require!(
            verify_output(
                root,
                proof.count,
                index,
                &ty,
                &proof.output.data,
                &proof.siblings
            ),
            EscrowError::WrongOutput
        );
        Ok(())
    }

    /// Index of the output that is delivered: the root binds the count, so whoever settles has
    /// no choice.
    fn delivered(&self, proof: &OutputProof) -> u32 {
        self.job.output_index.min(proof.count.saturating_sub(1))
    }

    /// See [`SettleJob`].
    pub fn handler(ctx: Context<Self>, args: SettleJobArgs) -> Result<()> {
        ctx.accounts.settle_with(args)
    }

    #[inline(never)]
    fn settle_with(&mut self, args: SettleJobArgs) -> Result<()> {
        self.validate(&args)?;
        let now = Clock::get()?;
        let accounts = self;
        match args.output {
            Some(proof) => {
                let batch_at = accounts.chain.load()?.outbox_batch(args.index)?.posted_at;
                accounts.job.batch_at = batch_at;
                accounts.settle(args.batch, &args.result, proof, &now)?;
            }
            None => accounts.decline(args.batch, &now)?,
        }
        if let Some(feed) = &mut accounts.feed {
            feed.job_done()?;
            feed.invariant()?;
        }
        accounts.job.invariant(
            accounts.job.get_lamports(),
            Rent::get()?.minimum_balance(Job::size(accounts.job.output_bytes)),
        )
    }

    fn settle(
        &mut self,
        batch: u64,
        result: &JobResult,
        proof: OutputProof,
        now: &Clock,
    ) -> Result<()> {
        let output_index = self.delivered(&proof);
        let publisher_share = result
            .price
            .checked_sub(result.sequencer_share)
            .ok_or(EscrowError::ShareOverPrice)?;
        let sequencer = self.sequencer.key();
        let publisher = self.publisher_key();

        self.job.finish(JobStatus::Settled, now)?;
        self.job.price = result.price;
        self.job.model_version = result.version;
        self.job.sequencer = sequencer;
        self.job.sequencer_due = result.sequencer_share;
        self.job.publisher = publisher;
        self.job.publisher_due = publisher_share;
        self.job.output_root = result.output_root;
        self.job.output = proof.output;
        self.update_feed()?;

        let from = self.job.to_account_info();
        if pay(&from, &self.sequencer, self.job.sequencer_due)? {
            self.job.sequencer_due = 0;
        }
        if let Some(to) = &self.publisher
            && pay(&from, to, self.job.publisher_due)?
        {
            self.job.publisher_due = 0;
        }
        let rest = self
            .job
            .max_price
            .checked_sub(result.price)
            .ok_or(EscrowError::PriceOverLimit)?;
        pay(&from, &self.client, rest)?;

        emit!(JobSettled {
            rollup: self.job.rollup,
            job: self.job.key(),
            batch,
            price: result.price,
            sequencer,
            sequencer_share: result.sequencer_share,
            publisher,
            version: result.version,
            output_index,
            output: self.job.output.data.clone(),
        });
        Ok(())
    }

    fn update_feed(&mut self) -> Result<()> {
        let job = self.job.key();
        if let Some(feed) = &mut self.feed
            && feed.update(job, &self.job)?
        {
            emit!(FeedUpdated {
                feed: feed.key(),
                job,
                updates: feed.updates,
            });
        }
        Ok(())
    }

    fn decline(&mut self, batch: u64, now: &Clock) -> Result<()> {
        self.job.finish(JobStatus::Declined, now)?;
        let refund = self.job.max_price;
        pay(&self.job.to_account_info(), &self.client, refund)?;
        emit!(JobDeclined {
            rollup: self.job.rollup,
            job: self.job.key(),
            batch,
            refund,
        });
        Ok(())
    }
}
