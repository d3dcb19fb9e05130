//! The state transition over a micro-batch: one transaction after the other, batches closed where
//! the next transaction has no room, everything gathered for one commit.

use super::admission::Admitted;
use super::caps;
use super::execute::{ModelKey, NoRun, Ran, key};
use super::refusal::Refused;
use super::{Answer, EngineFailure, Placed};
use crate::batcher::OpenBatch;
use crate::config::ModelLimits;
use crate::metrics::{Metrics, Stage};
use crate::store::commit::{Commit, NewLeaf};
use crate::store::records::TxRecord;
use assay_ledger::Hash;
use assay_ledger::inbox::Message;
use assay_ledger::request::{Action, SignedRequest};
use assay_ledger::result::TxResult;
use assay_ledger::signature::Known;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{self, Fault, JobRun, apply_with, job_run, ship};

/// The ledger in memory: the state and the batch being built, always together.
#[derive(Debug)]
pub struct Ledger {
    /// The state.
    pub state: FullState,
    /// The batch being built.
    pub open: OpenBatch,
    /// What this sequencer runs.
    pub limits: ModelLimits,
}

/// What a run gave, with the model that ran.
#[derive(Clone, Debug)]
pub struct Run {
    /// The model.
    pub model: ModelKey,
    /// Its outputs, or why there are none.
    pub ran: Result<Ran, NoRun>,
}

impl Ledger {
    /// Applies a client's request with what its run gave.
    pub fn request(
        &mut self,
        admitted: &Admitted,
        run: Option<Run>,
        commit: &mut Commit,
        metrics: &Metrics,
    ) -> Result<Answer, EngineFailure> {
        let tx = match ship(&mut self.state, self.open.env(), &admitted.signed) {
            Ok(tx) => tx,
            Err(e) => return Ok(Err(shipping(e, &admitted.signed))),
        };
        if let Some((need, cap)) = self.open.never_fits(&tx) {
            return Ok(Err(Refused::TooLarge {
                what: "bytes",
                need,
                cap,
            }));
        }
        let (claim, outputs) = match (&admitted.signed.request.action, run) {
            (Action::Infer { model, .. }, Some(run)) => {
                // The model may have been updated since the run was ordered.
                let now = self.state.model(*model);
                if now.map(|m| key(&m)) != Some(run.model) {
                    let why = format!("model {model} was updated a moment ago");
                    return Ok(Err(Refused::Execution(why)));
                }
                match run.ran {
                    Ok(ran) => (ran.output_root, Some(ran.outputs)),
                    Err(why) => return Ok(Err(why.into())),
                }
            }
            _ => ([0; 32], None),
        };
        self.make_room(&tx, commit, metrics);
        let mut known = Known {
            id: admitted.id,
            signature: admitted.signed.signature,
        };
        match apply_with(&mut self.state, self.open.env(), &tx, claim, &mut known) {
            Ok(result) => Ok(Ok(self.push(
                Some(admitted.id),
                tx,
                result,
                outputs,
                commit,
            ))),
            Err(Fault::Invalid(e)) => Ok(Err(Refused::Ledger(e.to_string()))),
            Err(Fault::NoAccess(e)) => Err(EngineFailure::State(e.to_string())),
        }
    }

    /// Consumes the next message from L1. `ready` is what a job's model gave that was run in
    /// advance; `run` runs one now, if it turns out that the job runs and nothing is ready.
    pub(super) fn message(
        &mut self,
        ready: Option<Run>,
        run: impl FnMut(JobRun) -> Result<Run, EngineFailure>,
        commit: &mut Commit,
        metrics: &Metrics,
    ) -> Result<(), EngineFailure> {
        let next = self.state.next_message().cloned();
        let job = next.map_or(Ok(None), |message| self.job(&message))?;
        let (used, units) = (self.state.heads().units, job.map_or(0, |j| j.model.units));
        if !self.open.has_room(&Transaction::Inbox, used, units) {
            self.close(commit, metrics);
        }
        self.consume(ready, run, commit).map(drop)
    }

    /// [`Ledger::message`] in the batch being built, whether it has room or not.
    pub(super) fn consume(
        &mut self,
        ready: Option<Run>,
        run: impl FnMut(JobRun) -> Result<Run, EngineFailure>,
        commit: &mut Commit,
    ) -> Result<TxResult, EngineFailure> {
        let index = self.state.heads().inbox.cursor;
        let message = self.state.next_message().cloned();
        let ran = match &message {
            Some(message) => self.run_of(message, ready, run)?,
            None => None,
        };
        let (tx, claim, outputs) = match ran {
            None => (Transaction::Inbox, [0; 32], None),
            Some(Ok(ran)) => (Transaction::Inbox, ran.output_root, Some(ran.outputs)),
            Some(Err(why)) => {
                tracing::warn!(message = index, %why, "a job from L1 is declined");
                (Transaction::DeclineJob, [0; 32], None)
            }
        };
        let mut none = Known {
            id: [0; 32],
            signature: [0; 64],
        };
        let result = apply_with(&mut self.state, self.open.env(), &tx, claim, &mut none)
            .map_err(|e| EngineFailure::State(e.to_string()))?;
        commit
            .messages
            .extend(message.map(|message| (index, message)));
        self.push(None, tx, result, outputs, commit);
        Ok(result)
    }

    /// What the model gives that consuming `message` now runs; none if it runs none.
    fn run_of(
        &mut self,
        message: &Message,
        ready: Option<Run>,
        mut run: impl FnMut(JobRun) -> Result<Run, EngineFailure>,
    ) -> Result<Option<Result<Ran, NoRun>>, EngineFailure> {
        let used = self.state.heads().units;
        let Some(job) = self.job_beside(message, used)? else {
            return Ok(None);
        };
        // The model may have been updated since a run was ordered.
        if let Some(ready) = ready.filter(|ready| ready.model == key(&job.model)) {
            return Ok(Some(ready.ran));
        }
        Ok(Some(match caps::admits(&self.limits, &job.model) {
            Ok(()) => run(job)?.ran,
            Err(why) => Err(why),
        }))
    }

    /// The run of a message that is a job which the ledger would accept in an empty batch of this
    /// number.
    pub(super) fn job(&mut self, message: &Message) -> Result<Option<JobRun>, EngineFailure> {
        self.job_beside(message, 0)
    }

    /// The same in a batch that has used so many work units.
    fn job_beside(
        &mut self,
        message: &Message,
        used: u64,
    ) -> Result<Option<JobRun>, EngineFailure> {
        job_run(&mut self.state, self.open.env(), used, message)
            .map_err(|e| EngineFailure::State(e.to_string()))
    }

    /// Work units that a client's transaction takes.
    pub(super) fn units(&self, tx: &Transaction) -> u64 {
        match tx {
            Transaction::Infer { model, .. } => self.state.model(*model).map_or(0, |m| m.units),
            _ => 0,
        }
    }

    /// Closes the batch being built; none if it is empty.
    pub fn close(&mut self, commit: &mut Commit, metrics: &Metrics) -> Option<u64> {
        if self.open.is_empty() {
            return None;
        }
        let number = self.open.number();
        let components = self.state.components();
        let closed = metrics.time(Stage::Encoding, || self.open.close(components));
        tracing::info!(
            batch = number,
            transactions = closed.0.header.tx_count,
            bytes = closed.0.header.data_len,
            "batch closed"
        );
        commit.closed.push(closed);
        self.state.start_batch();
        Some(number)
    }

    fn make_room(&mut self, tx: &Transaction, commit: &mut Commit, metrics: &Metrics) {
        let units = self.units(tx);
        if !self.open.has_room(tx, self.state.heads().units, units) {
            self.close(commit, metrics);
        }
    }

    /// Takes an applied transaction into the batch and into the commit.
    pub(super) fn push(
        &mut self,
        id: Option<Hash>,
        transaction: Transaction,
        result: TxResult,
        outputs: Option<Vec<u8>>,
        commit: &mut Commit,
    ) -> Placed {
        let (batch, position) = (self.open.number(), self.open.len());
        let changes = self.state.take_changes();
        let accounts = changes.accounts.into_iter();
        commit.accounts.extend(accounts.map(|(i, a)| (batch, i, a)));
        let models = changes.models.into_iter();
        commit.models.extend(models.map(|(i, m)| (batch, i, m)));
        commit
            .outbox
            .extend(changes.outbox.into_iter().map(|(index, leaf)| NewLeaf {
                index,
                batch,
                position,
                leaf,
            }));
        self.open.push(&transaction, &result);
        let outputs = outputs.filter(|_| result.done());
        commit.transactions.push((
            batch,
            position,
            TxRecord {
                id,
                transaction,
                result,
                outputs: outputs.clone(),
            },
        ));
        Placed {
            batch,
            position,
            result,
            outputs,
        }
    }
}

/// Words for what the ledger says when a request no longer fits the state.
fn shipping(e: transition::Refused, signed: &SignedRequest) -> Refused {
    let request = &signed.request;
    match e {
        transition::Refused::Nonce { expected, got } => Refused::Nonce { got, expected },
        transition::Refused::NoAccount => Refused::Account {
            owner: request.owner,
            mint: request.mint,
        },
        transition::Refused::NoSuchModel(model) => Refused::Model(model),
        other => Refused::Ledger(other.to_string()),
    }
}
