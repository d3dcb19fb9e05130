//! What the messages from L1 do. A message is consumed whatever it says.

use super::accounts::Accounts;
use super::{Env, Fault, Heads, Invalid, NoAccess, StateAccess, Stop, expand, sequencer_share};
use crate::inbox::{Deposit, Forced, Job, Message, MessageKind, chain_next};
use crate::outbox::{self, OutboxLeaf};
use crate::result::{Status, TxResult};
use crate::state::{InboxHead, Model};
use crate::{Hash, Key, SOL};
use alloc::vec::Vec;
use assay_tensor::commit::input_root;
use borsh::BorshDeserialize;

/// Consumes the next message; with `decline` it must be a job, which is declined.
pub(super) fn apply(
    state: &mut impl StateAccess,
    env: &Env,
    output_root: Hash,
    decline: bool,
) -> Result<TxResult, Fault> {
    let heads = state.heads();
    if heads.inbox.cursor >= env.inbox_end {
        return Err(Invalid::NoMessage.into());
    }
    let message = state.read_message()?.ok_or(Invalid::NoMessage)?;
    if decline && message.kind != MessageKind::Job {
        return Err(Invalid::NotAJob.into());
    }
    let Message { kind, payload } = &message;
    let inbox = InboxHead {
        cursor: heads.inbox.cursor.checked_add(1).ok_or(Invalid::Counter)?,
        chain: chain_next(&heads.inbox.chain, heads.inbox.cursor, *kind, payload),
    };
    let done = match kind {
        MessageKind::Deposit => match Deposit::try_from_slice(payload) {
            Ok(deposit) => credit(state, &heads, &deposit),
            Err(_) => Err(Stop::Failed(Status::BadMessage)),
        },
        MessageKind::Forced => match Forced::try_from_slice(payload) {
            Ok(forced) => force(state, &heads, &forced),
            Err(_) => Err(Stop::Failed(Status::BadMessage)),
        },
        MessageKind::Job => match Job::try_from_slice(payload) {
            Ok(job) => work(state, env, &heads, &job, output_root, decline),
            Err(_) => Err(Stop::Failed(Status::BadMessage)),
        },
    };
    let result = match done {
        Ok(result) => result,
        Err(Stop::Failed(status)) => TxResult::plain(status),
        Err(Stop::Fault(fault)) => return Err(fault),
    };
    state.write_inbox(inbox)?;
    Ok(result)
}

/// Credits a deposit. One that cannot be credited goes back through the outbox, to its owner.
fn credit(
    state: &mut impl StateAccess,
    heads: &Heads,
    deposit: &Deposit,
) -> Result<TxResult, Stop> {
    let mut accounts = Accounts::new(state);
    let credited = accounts
        .find_or_create(&deposit.owner, &deposit.mint)
        .and_then(|to| accounts.credit(to, deposit.amount));
    match credited {
        Ok(()) => {
            accounts.write()?;
            Ok(TxResult::plain(Status::Done))
        }
        Err(Stop::Failed(status)) => {
            if !outbox_full(heads) {
                state.push_outbox(OutboxLeaf::Withdrawal {
                    recipient: deposit.owner,
                    mint: deposit.mint,
                    amount: deposit.amount,
                })?;
            }
            Ok(TxResult::plain(status))
        }
        Err(fault) => Err(fault),
    }
}

/// Does what an account's owner forces. Its nonce stays: the inbox is what prevents a replay.
fn force(state: &mut impl StateAccess, heads: &Heads, forced: &Forced) -> Result<TxResult, Stop> {
    let (Forced::Transfer { owner, mint, .. } | Forced::Withdraw { owner, mint, .. }) = forced;
    let from = match super::access::find(state, owner, mint)? {
        super::access::Found::At(index) => index,
        super::access::Found::After(_) => return Err(Stop::Failed(Status::NoAccount)),
    };
    let (Forced::Transfer { amount, .. } | Forced::Withdraw { amount, .. }) = forced;
    if *amount == 0 {
        return Err(Stop::Failed(Status::ZeroAmount));
    }
    let mut accounts = Accounts::new(state);
    match forced {
        Forced::Transfer { to, amount, .. } => {
            accounts.debit(from, *amount)?;
            let to = accounts.find_or_create(to, mint)?;
            accounts.credit(to, *amount)?;
            accounts.write()?;
        }
        Forced::Withdraw {
            recipient, amount, ..
        } => {
            accounts.debit(from, *amount)?;
            if outbox_full(heads) {
                return Err(Stop::Failed(Status::OutboxFull));
            }
            accounts.write()?;
            state.push_outbox(OutboxLeaf::Withdrawal {
                recipient: *recipient,
                mint: *mint,
                amount: *amount,
            })?;
        }
    }
    Ok(TxResult::plain(Status::Done))
}

/// Answers a job. It is paid on L1: no balance moves here, but the outbox always says what came
/// of it.
fn work(
    state: &mut impl StateAccess,
    env: &Env,
    heads: &Heads,
    job: &Job,
    output_root: Hash,
    decline: bool,
) -> Result<TxResult, Stop> {
    if outbox_full(heads) {
        return Err(Stop::Failed(Status::OutboxFull));
    }
    match accept(state, env, heads, job, decline) {
        Ok(Accepted {
            model,
            publisher,
            units,
        }) => {
            state.write_units(units)?;
            state.push_outbox(OutboxLeaf::JobResult {
                job: job.job,
                done: true,
                price: model.price,
                sequencer_share: sequencer_share(&env.params, model.price),
                sequencer: env.sequencer,
                publisher,
                version: model.version,
                output_root,
            })?;
            Ok(TxResult {
                status: Status::Done as u8,
                fee: model.price,
                program_root: model.program_root,
                parameters_root: model.parameters_root,
                input_root: input_root(&job.input),
                output_root,
            })
        }
        Err(Stop::Failed(status)) => {
            state.push_outbox(OutboxLeaf::JobResult {
                job: job.job,
                done: false,
                price: 0,
                sequencer_share: 0,
                sequencer: env.sequencer,
                publisher: [0; 32],
                version: 0,
                output_root: [0; 32],
            })?;
            Ok(TxResult::plain(status))
        }
        Err(fault) => Err(fault),
    }
}

fn outbox_full(heads: &Heads) -> bool {
    heads.outbox >> outbox::DEPTH != 0
}

/// What a job has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// The model.
    pub model: Model,
    /// All of the run's inputs, one after the other.
    pub input: Vec<u8>,
}

/// The run that consuming `message` next would take, in a batch that has used `units` work units
/// before it; `None` where it would run no model. So whoever makes batches runs what the transition
/// pays for and nothing else: it decides by the same rules.
pub fn job_run(
    state: &mut impl StateAccess,
    env: &Env,
    units: u64,
    message: &Message,
) -> Result<Option<JobRun>, NoAccess> {
    let heads = Heads {
        units,
        ..state.heads()
    };
    if message.kind != MessageKind::Job || outbox_full(&heads) {
        return Ok(None);
    }
    let Ok(job) = Job::try_from_slice(&message.payload) else {
        return Ok(None);
    };
    match accept(state, env, &heads, &job, false) {
        Ok(Accepted { model, .. }) => Ok(Some(JobRun {
            model,
            input: job.input,
        })),
        Err(Stop::Fault(Fault::NoAccess(e))) => Err(e),
        Err(Stop::Failed(_) | Stop::Fault(Fault::Invalid(_))) => Ok(None),
    }
}

/// A job that runs.
struct Accepted {
    model: Model,
    publisher: Key,
    units: u64,
}

/// Decides whether a job runs.
fn accept(
    state: &mut impl StateAccess,
    env: &Env,
    heads: &Heads,
    job: &Job,
    decline: bool,
) -> Result<Accepted, Stop> {
    let model = match expand::model(state, job.model) {
        Ok(model) if model.program_root == job.program_root => model,
        Ok(_) => return Err(Stop::Failed(Status::NoSuchModel)),
        Err(Fault::Invalid(_)) => return Err(Stop::Failed(Status::NoSuchModel)),
        Err(Fault::NoAccess(e)) => return Err(e.into()),
    };
    let publisher = state.read_account(model.publisher)?;
    let units = heads
        .units
        .checked_add(model.units)
        .filter(|units| *units <= env.params.max_units);
    let refusals = [
        (decline, Status::Declined),
        (env.number < model.callable_from, Status::NotCallable),
        (publisher.mint != SOL, Status::WrongMint),
        (model.price > job.max_price, Status::PriceLimit),
        (
            job.input.len() as u64 != u64::from(model.input_bytes),
            Status::InputSize,
        ),
        (model.output_bytes > job.output_bytes, Status::OutputSize),
    ];
    if let Some((_, status)) = refusals.into_iter().find(|(refused, _)| *refused) {
        return Err(Stop::Failed(status));
    }
    Ok(Accepted {
        model,
        publisher: publisher.owner,
        units: units.ok_or(Stop::Failed(Status::OverUnits))?,
    })
}
