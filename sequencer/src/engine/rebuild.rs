//! Building the batches again that are not on L1, because L1 takes them no more.
//!
//! L1 refuses a batch that leaves messages out which are overdue. Batches that were closed and
//! could not be posted for long, for a node that was away, are such batches; nothing of them is
//! on L1, so they may be built again, each with the messages that are due at its end. What clients
//! were told is kept as far as the ledger permits: transactions keep their order, batches end
//! where they ended (so that no model is called earlier after its deployment than it was), and
//! what no longer fits goes to a batch of its own. A message comes earlier than it came before,
//! never later. Only what an owner forces from L1 takes something away by that; a transaction
//! after it may then fail for its balance.

use super::EngineFailure;
use super::apply::{Ledger, Run};
use super::execute::{NoRun, Ran, key};
use crate::batcher::Reserve;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::commit::Commit;
use crate::store::records::{Totals, TxRecord};
use assay_ledger::Hash;
use assay_ledger::header::genesis_hash;
use assay_ledger::inbox::Message;
use assay_ledger::request::{Action, Clause, Request, SignedRequest, Terms};
use assay_ledger::result::TxResult;
use assay_ledger::signature::Known;
use assay_ledger::state::StateComponents;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, Fault, Heads, JobRun, apply_with, expand, ship};
use std::collections::HashMap;

/// What L1 asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// L1's newest batch: those after it are built again.
    pub tip: u64,
    /// The messages before this index are due.
    pub messages: u64,
    /// Messages that a batch need not exceed, however many are due.
    pub each: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Batches that were closed.
    pub batches: u64,
    /// Transactions in them and in the batch being built.
    pub transactions: u64,
    /// Transactions whose result is another than their clients were told.
    pub changed: u64,
    /// Transactions that can be in no batch any more: what their account depended on failed.
    pub dropped: u64,
}

/// The ledger as it is after building again, and what makes the store's the same.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) ledger: Ledger,
    /// The state after [`Due::tip`].
    pub(super) base: StateComponents,
    pub(super) commit: Commit,
    pub(super) rebuilt: Rebuilt,
}

/// Builds everything after `due.tip` again; changes nothing. `messages` are those that `ledger`
/// has not consumed yet, `run` runs a model now.
pub(super) fn rebuild(
    store: &Store,
    ledger: &Ledger,
    messages: impl Iterator<Item = Message>,
    due: Due,
    metrics: &Metrics,
    run: impl FnMut(JobRun) -> Result<Run, EngineFailure>,
) -> Result<Outcome, EngineFailure> {
    let env = *ledger.open.env();
    let (parent, base) = match due.tip {
        0 => (genesis_hash(&env.rollup), StateComponents::genesis()),
        tip => {
            let record = store.batch(tip)?;
            let header = record.ok_or_else(|| broken("L1's newest batch is not here"))?;
            (header.header.hash(), header.header.state)
        }
    };
    let mut state = restore(store, due.tip, &base)?;
    let consumed = store.messages(base.inbox.cursor)?;
    for message in consumed.into_iter().chain(messages) {
        state.push_message(message);
    }
    state.start_batch();

    let first = due.tip.saturating_add(1);
    let told: Vec<Vec<TxRecord>> = (first..=env.number)
        .map(|number| store.transactions(number))
        .collect::<Result<_, _>>()?;
    let open = (ledger.open).restart(first, parent, totals_before(ledger.open.totals(), &told));
    let mut rebuild = Rebuild {
        due,
        cursor: base.inbox.cursor,
        told: messages_told(base.inbox.cursor, &told),
        new: Ledger {
            state: state.clone(),
            open,
            limits: ledger.limits.clone(),
        },
        commit: Commit::default(),
        rebuilt: Rebuilt::default(),
        metrics,
        run,
    };
    let mut old = Old {
        state,
        env: Env {
            number: first,
            ..env
        },
    };
    for records in told {
        rebuild.batch(&mut old, records)?;
        if old.env.number < env.number {
            if !rebuild.new.open.is_empty() {
                rebuild.close()?;
            }
            old.state.start_batch();
            old.env.number += 1;
        }
    }
    let Rebuild {
        new,
        commit,
        mut rebuilt,
        ..
    } = rebuild;
    rebuilt.batches = commit.closed.len() as u64;
    rebuilt.transactions = commit.transactions.len() as u64;
    Ok(Outcome {
        ledger: new,
        base,
        commit,
        rebuilt,
    })
}

/// The state after batch `tip`.
pub(crate) fn restore(
    store: &Store,
    tip: u64,
    base: &StateComponents,
) -> Result<FullState, EngineFailure> {
    let mut state = match tip {
        0 => FullState::genesis(),
        _ => {
            let tables = store.ledger_after(tip)?;
            let heads = Heads::from(base);
            FullState::from_parts(&heads, tables.accounts, tables.models, tables.outbox)
                .map_err(|e| broken(&e.to_string()))?
        }
    };
    if state.components() != *base {
        return Err(broken(
            "taking batches back does not give the state before them",
        ));
    }
    Ok(state)
}

fn totals_before(mut totals: Totals, told: &[Vec<TxRecord>]) -> Totals {
    for record in told.iter().flatten() {
        totals.transactions = totals.transactions.saturating_sub(1);
        if record.result.program_root != [0; 32] {
            totals.inferences = totals.inferences.saturating_sub(1);
        }
    }
    totals
}

/// What became of the messages from index `cursor` on.
fn messages_told(cursor: u64, told: &[Vec<TxRecord>]) -> HashMap<u64, TxRecord> {
    let records = told.iter().flatten();
    (cursor..)
        .zip(records.filter(|record| record.transaction.signature().is_none()))
        .map(|(index, record)| (index, record.clone()))
        .collect()
}

/// The ledger as clients were told it is: done again to know what each transaction's signer signed.
struct Old {
    state: FullState,
    env: Env,
}

impl Old {
    /// Does a transaction again; what its signer signed.
    fn advance(&mut self, record: &TxRecord) -> Result<Option<Told>, EngineFailure> {
        let tx = &record.transaction;
        let expanded = expand(&mut self.state, &self.env, tx).map_err(fault)?;
        let signature = tx.signature().copied().unwrap_or([0; 64]);
        let id = record.id.unwrap_or_default();
        let mut known = Known { id, signature };
        let claim = record.result.output_root;
        let result = apply_with(&mut self.state, &self.env, tx, claim, &mut known);
        if result.map_err(fault)? != record.result {
            return Err(broken(
                "a stored transaction gives another result than the stored one",
            ));
        }
        let signed = expanded.and_then(|signed| request(signed.terms, tx));
        if signed.is_none() && tx.signature().is_some() {
            return Err(broken("a stored transaction is not what was signed"));
        }
        Ok(signed.map(|request| Told {
            id,
            signed: SignedRequest { request, signature },
        }))
    }
}

/// The request that was shipped as `tx`, from what its signer signed.
fn request(terms: Terms, tx: &Transaction) -> Option<Request> {
    let action = match (terms.clause, tx) {
        (Clause::Transfer { to, amount }, _) => Action::Transfer { to, amount },
        (Clause::Withdraw { recipient, amount }, _) => Action::Withdraw { recipient, amount },
        (
            Clause::Deploy {
                parameters_root,
                price,
                ..
            },
            Transaction::Deploy { program, .. },
        ) => Action::Deploy {
            program: *program,
            parameters_root,
            price,
        },
        (
            Clause::Update {
                model,
                program_root,
                parameters_root,
                price,
            },
            _,
        ) => Action::Update {
            model,
            program_root,
            parameters_root,
            price,
        },
        (
            Clause::Infer {
                model,
                program_root,
                price,
                version,
                ..
            },
            Transaction::Infer { input, .. },
        ) => Action::Infer {
            model,
            program_root,
            price,
            version,
            input: input.clone(),
        },
        _ => return None,
    };
    Some(Request {
        rollup: terms.rollup,
        owner: terms.owner,
        mint: terms.mint,
        nonce: terms.nonce,
        action,
    })
}

/// A request that is in a batch.
struct Told {
    id: Hash,
    signed: SignedRequest,
}

struct Rebuild<'a, R> {
    due: Due,
    /// The inbox's cursor where the batch being built began.
    cursor: u64,
    /// What became of messages, by index.
    told: HashMap<u64, TxRecord>,
    new: Ledger,
    commit: Commit,
    rebuilt: Rebuilt,
    metrics: &'a Metrics,
    run: R,
}

impl<R: FnMut(JobRun) -> Result<Run, EngineFailure>> Rebuild<'_, R> {
    /// Does a batch's transactions again.
    fn batch(&mut self, old: &mut Old, records: Vec<TxRecord>) -> Result<(), EngineFailure> {
        for record in records {
            let index = old.state.heads().inbox.cursor;
            match old.advance(&record)? {
                Some(told) => self.request(told, record)?,
                // It may have been due, and consumed before.
                None if index < self.next_message() => {}
                None => self.message_in_turn()?,
            }
        }
        Ok(())
    }

    fn request(&mut self, told: Told, record: TxRecord) -> Result<(), EngineFailure> {
        let tx = loop {
            // Messages at the end of a batch may have made the account that it names.
            let tx = match ship(&mut self.new.state, self.new.open.env(), &told.signed) {
                Ok(tx) => tx,
                Err(why) => return self.drop(&told.id, &why.to_string()),
            };
            if self.fits(&tx, &record)? || !self.can_close()? {
                break tx;
            }
            self.close()?;
        };
        let (claim, outputs) = match self.outputs(&told.signed.request.action, &record.result) {
            None => (record.result.output_root, record.outputs),
            Some(job) => match (self.run)(job)?.ran {
                Ok(ran) => (ran.output_root, Some(ran.outputs)),
                Err(why) => return self.drop(&told.id, &why.to_string()),
            },
        };
        let mut known = Known {
            id: told.id,
            signature: told.signed.signature,
        };
        let env = *self.new.open.env();
        match apply_with(&mut self.new.state, &env, &tx, claim, &mut known) {
            Ok(result) => {
                if result != record.result {
                    self.rebuilt.changed += 1;
                    tracing::warn!(
                        id = hex::encode(told.id),
                        was = record.result.status,
                        is = result.status,
                        "a transaction ends otherwise in the batch that is built again"
                    );
                }
                (self.new).push(Some(told.id), tx, result, outputs, &mut self.commit);
                Ok(())
            }
            Err(Fault::Invalid(why)) => self.drop(&told.id, &why.to_string()),
            Err(Fault::NoAccess(e)) => Err(broken(&e.to_string())),
        }
    }

    /// The run that is to be done before a request, of which there are no outputs: it failed
    /// before a model ran, and might not fail now.
    fn outputs(&self, action: &Action, told: &TxResult) -> Option<JobRun> {
        let Action::Infer { model, input, .. } = action else {
            return None;
        };
        if told.done() {
            // Only signed transactions change a model, and those are in their order.
            return None;
        }
        let model = self.new.state.model(*model)?;
        (input.len() as u64 == u64::from(model.input_bytes)).then(|| JobRun {
            model,
            input: input.clone(),
        })
    }

    /// Whether the batch being built can take a request beside the messages that it must take.
    fn fits(&mut self, tx: &Transaction, record: &TxRecord) -> Result<bool, EngineFailure> {
        if let Transaction::Infer { model, .. } = tx
            && record.result.done()
            && let Some(model) = self.new.state.model(*model)
            && model.callable_from > self.new.open.number()
        {
            return Ok(false);
        }
        let (used, units) = (self.new.state.heads().units, self.new.units(tx));
        let kept = self.owed()?;
        Ok(self.new.open.has_room_beside(tx, used, units, kept))
    }

    /// Consumes a message where it was consumed before.
    fn message_in_turn(&mut self) -> Result<(), EngineFailure> {
        while self.owed()?.messages == 0 && self.can_close()? {
            let units = self.next_job()?.map_or(0, |job| job.model.units);
            let used = self.new.state.heads().units;
            if (self.new.open).has_room(&Transaction::Inbox, used, units) {
                break;
            }
            self.close()?;
        }
        self.message()
    }

    /// Consumes the next message in the batch being built.
    fn message(&mut self) -> Result<(), EngineFailure> {
        let job = self.next_job()?;
        let told = self.told.get(&self.next_message());
        let ready = match (job, told) {
            (Some(job), Some(told)) if told.transaction == Transaction::DeclineJob => Some(Run {
                model: key(&job.model),
                ran: Err(NoRun::Failed("it did not run before".into())),
            }),
            (_, Some(told)) if told.result.done() => Some(Run {
                model: (told.result.program_root, told.result.parameters_root),
                ran: Ok(Ran {
                    outputs: told.outputs.clone().unwrap_or_default(),
                    output_root: told.result.output_root,
                }),
            }),
            _ => None,
        };
        let told = told.map(|told| told.result);
        let result = self.new.consume(ready, &mut self.run, &mut self.commit)?;
        if told.is_some_and(|told| told != result) {
            self.rebuilt.changed += 1;
        }
        Ok(())
    }

    fn next_message(&self) -> u64 {
        self.new.state.heads().inbox.cursor
    }

    fn next_job(&mut self) -> Result<Option<JobRun>, EngineFailure> {
        match self.new.state.next_message().cloned() {
            Some(message) => self.new.job(&message),
            None => Ok(None),
        }
    }

    /// What the batch being built must still consume.
    fn owed(&mut self) -> Result<Reserve, EngineFailure> {
        let next = self.next_message();
        let until = self.cursor.saturating_add(self.due.each.into());
        let until = until.min(self.due.messages).max(next);
        let mut units = 0u64;
        for index in next..until {
            let message = self.new.state.message(index).cloned();
            let job = message.map_or(Ok(None), |message| self.new.job(&message))?;
            units = units.saturating_add(job.map_or(0, |job| job.model.units));
        }
        Ok(Reserve {
            // At most `each`.
            messages: (until - next) as u32,
            units,
        })
    }

    fn can_close(&mut self) -> Result<bool, EngineFailure> {
        Ok(!self.new.open.is_empty() || self.owed()?.messages > 0)
    }

    /// Closes the batch being built, the messages that it must consume at its end.
    fn close(&mut self) -> Result<(), EngineFailure> {
        for _ in 0..self.owed()?.messages {
            self.message()?;
        }
        self.new.close(&mut self.commit, self.metrics);
        self.cursor = self.next_message();
        Ok(())
    }

    /// Leaves a request out that the ledger does not take any more.
    fn drop(&mut self, id: &Hash, why: &str) -> Result<(), EngineFailure> {
        self.rebuilt.dropped += 1;
        tracing::error!(
            id = hex::encode(id),
            why,
            "a transaction can be in no batch any more"
        );
        Ok(())
    }
}

fn broken(why: &str) -> EngineFailure {
    EngineFailure::State(why.into())
}

fn fault(e: Fault) -> EngineFailure {
    broken(&e.to_string())
}
