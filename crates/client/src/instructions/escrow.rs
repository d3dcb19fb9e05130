//! Instructions of the escrow.

use super::{SYSTEM, instruction};
use crate::api::{JobView, OutboxProof, OutboxView};
use crate::pda;
use anchor_lang::Discriminator;
use assay_ledger::outbox;
use escrow::constants::NAME;
use escrow::state::{Job, Output, OutputType};
use escrow::{CreateFeedArgs, CreateJobArgs, ID, JobResult, OutputProof, SettleJobArgs};
use escrow::{accounts, instruction as data};
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

/// Locks a payment and asks L2 to run a model. `feed` gets the output too. `page` is the rollup's
/// [`settlement::state::Rollup::next_page`].
pub fn create_job(
    rollup: &Pubkey,
    payer: &Pubkey,
    client: &Pubkey,
    feed: Option<Pubkey>,
    args: CreateJobArgs,
    page: u64,
) -> Instruction {
    instruction(
        ID,
        accounts::CreateJob {
            payer: *payer,
            client: *client,
            client_account: pda::escrow_client(rollup, client),
            job: pda::job(rollup, client, args.nonce),
            feed,
            sender: pda::escrow_sender(rollup),
            rollup: *rollup,
            inbox_page: pda::inbox_page(rollup, page),
            settlement_program: settlement::ID,
            system_program: SYSTEM,
        },
        data::CreateJob { args },
    )
}

/// Why a job cannot be settled with what the API says of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The proof is of something else.
    #[error("the outbox leaf is not this job's result")]
    OtherLeaf,
    /// There is nothing to deliver.
    #[error("the API gives no outputs of a job that ran")]
    NoOutputs,
    /// An output's type is none.
    #[error("the API gives an output with an impossible type")]
    BadType,
}

/// Settles `job`, which is at `address` on L1, with what the API says of it and the proof of its
/// leaf in a final batch.
pub fn settle_job(
    address: &Pubkey,
    job: &Job,
    view: &JobView,
    proof: &OutboxProof,
) -> Result<Instruction, SettleError> {
    let OutboxView::JobResult {
        job: of,
        done,
        price,
        sequencer_share,
        sequencer,
        publisher,
        version,
        output_root,
    } = &proof.leaf
    else {
        return Err(SettleError::OtherLeaf);
    };
    if Pubkey::from(*of) != *address {
        return Err(SettleError::OtherLeaf);
    }
    let output = if *done {
        let last = view.outputs.len().checked_sub(1);
        let last = last.ok_or(SettleError::NoOutputs)?;
        // An index past the last delivers the last.
        let output = &view.outputs[last.min(job.output_index as usize)];
        Some(OutputProof {
            count: view.outputs.len() as u32,
            output: Output {
                ty: output_type(&output.dtype, &output.dims).ok_or(SettleError::BadType)?,
                data: output.data.0.clone(),
            },
            siblings: output.siblings.iter().map(|h| h.0).collect(),
        })
    } else {
        None
    };
    let siblings: Vec<[u8; 32]> = proof.siblings.iter().map(|h| h.0).collect();
    let optional = |key: Pubkey| (key != Pubkey::default()).then_some(key);
    Ok(instruction(
        ID,
        accounts::SettleJob {
            job: *address,
            client: job.client,
            sequencer: Pubkey::from(*sequencer),
            publisher: optional(Pubkey::from(*publisher)),
            feed: optional(job.feed),
            rollup: job.rollup,
            chain: pda::chain(&job.rollup),
        },
        data::SettleJob {
            args: SettleJobArgs {
                batch: proof.batch,
                index: proof.index,
                result: JobResult {
                    done: *done,
                    price: *price,
                    sequencer_share: *sequencer_share,
                    version: *version,
                    output_root: output_root.0,
                },
                siblings: outbox::trim(proof.count, &siblings).to_vec(),
                output,
            },
        },
    ))
}

/// The same as `settle` ([`settle_job`]) with its arguments in `buffer`, which holds the bytes that come second.
pub fn settle_job_from_buffer(settle: &Instruction, buffer: &Pubkey) -> (Instruction, Vec<u8>) {
    let mut from = settle.clone();
    from.accounts
        .push(AccountMeta::new_readonly(*buffer, false));
    from.data = data::SettleJobFromBuffer::DISCRIMINATOR.to_vec();
    let arguments = settle.data.get(data::SettleJob::DISCRIMINATOR.len()..);
    (from, arguments.unwrap_or_default().to_vec())
}

/// Refunds a job after its deadline.
pub fn refund_job(address: &Pubkey, job: &Job) -> Instruction {
    instruction(
        ID,
        accounts::RefundJob {
            job: *address,
            client: job.client,
            feed: (job.feed != Pubkey::default()).then_some(job.feed),
            rollup: job.rollup,
            chain: pda::chain(&job.rollup),
        },
        data::RefundJob {},
    )
}

/// Returns a finished job's rent to its client, who signs.
pub fn close_job(address: &Pubkey, client: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::CloseJob {
            job: *address,
            client: *client,
        },
        data::CloseJob {},
    )
}

/// Pays the sequencer or the publisher of a settled job what waits for it. Anybody may.
pub fn claim_payment(job: &Pubkey, recipient: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::ClaimPayment {
            job: *job,
            recipient: *recipient,
        },
        data::ClaimPayment {},
    )
}

/// Creates a feed of `client` with room for an output of `capacity` bytes; it is at
/// [`pda::feed`]. `payer` pays its rent.
pub fn create_feed(
    rollup: &Pubkey,
    payer: &Pubkey,
    client: &Pubkey,
    name: [u8; NAME],
    capacity: u32,
) -> Instruction {
    instruction(
        ID,
        accounts::CreateFeed {
            payer: *payer,
            client: *client,
            feed: pda::feed(client, &name),
            rollup: *rollup,
            system_program: SYSTEM,
        },
        data::CreateFeed {
            args: CreateFeedArgs { name, capacity },
        },
    )
}

/// Closes a feed that no open job names, for its rent, to its client, who signs.
pub fn close_feed(feed: &Pubkey, client: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::CloseFeed {
            feed: *feed,
            client: *client,
        },
        data::CloseFeed {},
    )
}

/// A tensor's type as the escrow writes it, from the API's words.
fn output_type(dtype: &str, dims: &[u32]) -> Option<OutputType> {
    let mut ty = OutputType {
        dtype: match dtype {
            "i8" => 0,
            "i32" => 1,
            _ => return None,
        },
        rank: dims.len() as u8,
        dims: Default::default(),
    };
    ty.dims.get_mut(..dims.len())?.copy_from_slice(dims);
    Some(ty)
}
