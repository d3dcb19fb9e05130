//! A replica of a rollup's ledger, made from L1 alone: batches and messages are read there, every
//! batch is done again on the state after its parent, and what is as its header says is kept in a
//! store. So it goes on where it was after a crash, and back when L1 reverts batches.
//!
//! * [`runs`]: running the batches' models, all of them or a share
//! * [`mirrors`], [`fetch`]: where the models' bytes are fetched, and how
//! * [`naming`]: what batches name of models, whose bytes are not on L1
//! * `messages`: what the batches consume of L1's inbox
//! * [`error`]: what goes wrong, and how bad it is

pub mod begin;
pub mod error;
pub mod fetch;
mod messages;
pub mod mirrors;
pub mod naming;
pub mod runs;

use crate::engine::execute::ModelKey;
use crate::l1::Heads;
use crate::store::Store;
use crate::store::commit::{Commit, NewLeaf};
use crate::store::programs::deployed;
use crate::store::records::{BatchRecord, L1Record, L1Step, Progress, Totals, TxRecord};
use crate::store::unverified::UnverifiedRun;
use assay_client::accounts;
use assay_client::batches::{self, Posted};
use assay_client::rpc::Rpc;
use assay_dispute::demand::Times;
use assay_ledger::batch::{Difference, Replayed, Run, replay};
use assay_ledger::header::{Header, genesis_hash};
use assay_ledger::inbox::Message;
use assay_ledger::state::StateComponents;
use assay_ledger::store::FullState;
use assay_ledger::transition::Heads as StateHeads;
use assay_ledger::{Hash, ProgramHeader};
use error::ReplicaError;
use messages::Messages;
use naming::{Doubt, Naming, Pending};
use runs::{Models, Ran, RunsError};
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Batches that are fetched while the ones before them are done again.
pub const AHEAD: usize = 2;

/// A batch with all that L1 has of it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its header, and how it was posted.
    pub posted: Posted,
    /// Its data.
    pub data: Vec<u8>,
}

/// What doing a batch again came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is as its header says, and part of the replica now.
    Right(Right),
    /// It is not; the replica stays at its parent.
    Wrong(Wrong),
}

/// A batch that is as its header says.
#[derive(Clone, Debug)]
pub struct Right {
    /// The batch.
    pub header: Header,
    /// Its transactions that ran a model.
    pub runs: u64,
    /// Those of them that were re-executed.
    pub again: u64,
    /// Those that were to be re-executed and could not be: with any, the batch is not verified.
    pub unverified: u64,
    /// What it names of models.
    pub named: Vec<Naming>,
}

/// A final batch with unverified runs that could be re-executed later.
#[derive(Clone, Debug)]
pub struct Rechecked {
    /// The batch.
    pub header: Header,
    /// The runs that were re-executed.
    pub runs: u64,
    /// Whether one gave another output root than the batch has.
    pub invalid: bool,
}

/// A batch that is not as its header says.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The batch.
    pub batch: Fetched,
    /// What is wrong. [`Difference::Outputs`] if it cannot be known: see [`Patience::Dispute`].
    pub why: Difference,
}

/// What is done about a batch with runs that cannot be done again, of which nothing else is known to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Tries again later.
    Wait,
    /// Takes somebody's word for their outputs, as for runs outside of a sample, and does the batch again when it can; or,
    /// where nobody's word will do, tries again later.
    Word,
    /// Takes somebody's word for them as well. Where nobody gives it, or it does not give the batch's transaction root, the batch
    /// counts as wrong: what its leaves say, only a dispute can show.
    Dispute,
}

/// How L1 stands, and what is to be done.
#[derive(Clone, Debug)]
pub struct Look {
    /// L1's newest batches, and its inbox.
    pub heads: Heads,
    /// Batches that were taken back, because L1 has reverted them.
    pub reverted: u64,
    /// L1's batches that the replica does not have, oldest first.
    pub batches: Vec<Posted>,
}

/// The newest batch of the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 for genesis.
    pub number: u64,
    /// Its header's hash.
    pub hash: Hash,
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    rpc: Rpc,
    rollup: Pubkey,
    store: Arc<Store>,
    state: FullState,
    head: Head,
    totals: Totals,
    batches: batches::Reader,
    inbox: Messages,
    pending: Pending,
    /// Whether transactions are kept with their results, as a sequencer does.
    records: bool,
    /// The newest final batch for which everything before was forgotten.
    forgotten: u64,
    /// Final batches with an output root that is not what the model gives.
    invalid: Vec<Header>,
}

impl Replica {
    /// The replica that `store` holds; a new rollup's where that is nothing. What batches name is kept in `dir`.
    pub fn open(
        rpc: Rpc,
        rollup: Pubkey,
        store: Arc<Store>,
        dir: &Path,
    ) -> Result<Self, ReplicaError> {
        let head = Head {
            number: 0,
            hash: genesis_hash(&rollup.to_bytes()),
        };
        let mut replica = Self {
            batches: batches::Reader::new(rollup),
            inbox: Messages::new(rollup, StateComponents::genesis().inbox),
            rpc,
            rollup,
            store,
            state: FullState::genesis(),
            head,
            totals: Totals::default(),
            pending: Pending::open(dir),
            records: false,
            forgotten: 0,
            invalid: Vec::new(),
        };
        replica.load()?;
        let newest = replica.head.number;
        replica.pending.retain(
            |header| header.number <= newest,
            |doubt| doubt.header.number <= newest,
        )?;
        Ok(replica)
    }

    /// The same, which keeps transactions with their results from now on: for a sequencer, who is asked for them.
    pub fn with_records(self) -> Self {
        Self {
            records: true,
            ..self
        }
    }

    /// The newest batch of the replica.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Counts since genesis.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The state after the newest batch.
    pub fn state(&self) -> &FullState {
        &self.state
    }

    /// What its batches name that are not final yet.
    pub fn namings(&self) -> &[Naming] {
        self.pending.named()
    }

    /// Its batches with runs that could not be re-executed, final ones too.
    pub fn doubts(&self) -> &[Doubt] {
        self.pending.doubts()
    }

    /// Goes back to before the first pending batch with unverified runs, if `has` all the models that were missing:
    /// it can be re-executed. Whether it went back.
    pub fn reconsider(&mut self, has: impl Fn(&ModelKey) -> bool) -> Result<bool, ReplicaError> {
        let can = |doubt: &&Doubt| !doubt.models.is_empty() && doubt.models.iter().all(&has);
        let pending = |doubt: &&Doubt| doubt.header.number > self.forgotten;
        let Some(first) = self.doubts().iter().filter(pending).find(can) else {
            return Ok(false);
        };
        let number = first.header.number.saturating_sub(1);
        tracing::info!(
            batch = number + 1,
            "the models that it runs are here: it is re-executed, and those after it"
        );
        self.take_back(number)?;
        self.batches = batches::Reader::new(self.rollup);
        self.pending.retain(
            |header| header.number <= number,
            |doubt| doubt.header.number <= number,
        )?;
        Ok(true)
    }

    /// Re-executes the unverified runs of final batches whose models are here by now: these batches, and whether
    /// their output roots are those that were taken. A batch that is invalid stays unverified. Blocks.
    pub fn recheck(&mut self, models: &Models) -> Result<Vec<Rechecked>, ReplicaError> {
        let blobs = models.blobs();
        let has = |model: &ModelKey| blobs.has(&model.0) && blobs.has(&model.1);
        let final_ones = self.doubts().iter().filter(|doubt| {
            let known = !doubt.models.is_empty() && doubt.models.iter().all(has);
            known && doubt.header.number <= self.forgotten && !self.invalid.contains(&doubt.header)
        });
        let due: Vec<Header> = final_ones.map(|doubt| doubt.header).collect();
        let mut rechecked = Vec::new();
        for header in due {
            let kept = self.store.unverified(header.number)?;
            let runs: Vec<Run> = kept.iter().map(UnverifiedRun::run).collect();
            let ran = models.run_all(&runs)?;
            let mut left = Vec::new();
            let mut invalid = false;
            for (run, root) in kept.into_iter().zip(&ran.roots) {
                match root {
                    Some(root) => invalid |= *root != run.output_root,
                    None => left.push(run),
                }
            }
            if invalid {
                self.invalid.push(header);
            } else {
                self.store.keep_unverified(header.number, &left)?;
                // What does not run although its bytes are here will not run later.
                let doubt = (!left.is_empty()).then(|| Doubt {
                    header,
                    models: Vec::new(),
                    runs: left.len() as u64,
                });
                let others = |doubt: &Doubt| doubt.header != header;
                self.pending.retain(|_| true, others)?;
                self.pending.add(Vec::new(), doubt)?;
            }
            rechecked.push(Rechecked {
                header,
                runs: ran.again,
                invalid,
            });
        }
        Ok(rechecked)
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Where it is kept.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What reads the data of batches.
    pub fn data(&self) -> batches::DataReader {
        self.batches.data()
    }

    /// Looks at L1: takes back what L1 has reverted, and says what is new.
    pub async fn look(&mut self) -> Result<Look, ReplicaError> {
        let chain = accounts::chain(&self.rpc, &self.rollup).await?;
        let (store, head) = (&self.store, self.head);
        let failed = Mutex::new(None);
        let known = |number| {
            let record = match number <= head.number {
                true => store.batch(number).unwrap_or_else(|e| {
                    failed.lock().unwrap_or_else(|e| e.into_inner()).replace(e);
                    None
                }),
                false => None,
            };
            record.map(|record| record.header.hash())
        };
        let ahead = self.batches.read(&self.rpc, &chain, known).await;
        if let Some(error) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
            return Err(error.into());
        }
        let ahead = ahead?;
        let reverted = head.number - ahead.common;
        if reverted > 0 {
            self.take_back(ahead.common)?;
        }
        let (finalised, newest) = (chain.final_number, self.head.number);
        self.forget(finalised.min(newest))?;
        let pending = |header: &Header| header.number > finalised && header.number <= newest;
        let there = |doubt: &Doubt| doubt.header.number <= newest;
        for doubt in self.doubts().iter().filter(|doubt| pending(&doubt.header)) {
            if doubt.header.number <= finalised {
                let (batch, runs) = (doubt.header.number, doubt.runs);
                tracing::error!(batch, runs, "it is final, and its runs are unverified");
            }
        }
        self.pending.retain(pending, there)?;
        let rollup = accounts::rollup(&self.rpc, &self.rollup).await?;
        Ok(Look {
            heads: Heads {
                tip: chain.tip_number,
                finalised: chain.final_number,
                inbox: rollup.inbox_count,
            },
            reverted,
            batches: ahead.batches,
        })
    }

    /// Reads the messages that a batch consumes.
    pub async fn read_inbox(&mut self, header: &Header) -> Result<(), ReplicaError> {
        let (state, head) = (&mut self.state, &header.state.inbox);
        let push = |message| state.push_message(message);
        let read = (self.inbox.read_to(&self.rpc, header.number, head, push)).await;
        if let Err(ReplicaError::OtherMessages { .. }) = read {
            // All that was read since the newest batch is in doubt.
            self.load()?;
        }
        read
    }

    /// Does the replica's next batch again, whose messages have been read. Blocks.
    pub fn advance(
        &mut self,
        batch: Fetched,
        models: &Models,
        patience: Patience,
    ) -> Result<Outcome, ReplicaError> {
        let header = batch.posted.header;
        let consumed = self.consumed(&header);
        let (state, head) = (&mut self.state, &self.head);
        let mut did = Ok(Ran::default());
        let lacks = |model: &ModelKey| {
            let blobs = models.blobs();
            !blobs.has(&model.0) || !blobs.has(&model.1)
        };
        let mut lacking = BTreeSet::new();
        let mut result = replay(state, &head.hash, &header, &batch.data, |runs| {
            lacking.extend(runs.iter().map(model_of).filter(lacks));
            did = models.run(&header, runs);
            roots(&did)
        });
        let mut ran = did?;
        if ran.again < ran.runs && matches!(result, Err(Difference::TxRoot | Difference::State)) {
            // What was not run was only somebody's word.
            let mut did = Ok(Ran::default());
            result = replay(state, &head.hash, &header, &batch.data, |runs| {
                did = models.run_all(runs);
                roots(&did)
            });
            ran = did?;
        }
        let mut doubtful = BTreeSet::new();
        let mut unverified = Vec::new();
        if matches!(result, Err(Difference::Outputs(_))) && patience != Patience::Wait {
            let with_word = replay(state, &head.hash, &header, &batch.data, |runs| {
                let word = models.word(&header, runs).unwrap_or_default();
                let word = word.into_iter().map(Some).chain(std::iter::repeat(None));
                let known = ran.roots.iter().zip(word);
                let taken: Vec<Option<Hash>> = known.map(|(own, word)| own.or(word)).collect();
                for ((run, own), taken) in runs.iter().zip(&ran.roots).zip(&taken) {
                    if let (None, Some(taken)) = (own, taken) {
                        doubtful.insert(model_of(run));
                        unverified.push(UnverifiedRun::new(run, *taken));
                    }
                }
                taken
            });
            if with_word.is_ok() {
                tracing::warn!(
                    batch = header.number,
                    runs = ran.runs - ran.again,
                    "runs that cannot be re-executed: their output roots are unverified"
                );
                result = with_word;
            }
        }
        match result {
            Ok(replayed) => {
                let deployed = deployed_by(&replayed);
                let known = |root: &Hash| {
                    let mut now = deployed.iter().copied();
                    let now = now.find(|program| program.root() == *root);
                    let here = || models.blobs().program(root).ok();
                    now.or_else(|| self.store.program_header(root).ok().flatten())
                        .or_else(|| here().map(|program| program.header()))
                };
                let doubt = (!doubtful.is_empty()).then(|| Doubt {
                    header,
                    models: doubtful.intersection(&lacking).copied().collect(),
                    runs: unverified.len() as u64,
                });
                let named = naming::of(&header, &replayed, &mut self.state, known);
                // Before the batch is: it is not lost then, and made again if the batch is not kept.
                if doubt.is_some() {
                    self.store.keep_unverified(header.number, &unverified)?;
                }
                self.pending.add(named.clone(), doubt)?;
                self.keep(&batch, &replayed, &ran, consumed)?;
                Ok(Outcome::Right(Right {
                    header,
                    runs: ran.runs,
                    again: ran.again,
                    unverified: unverified.len() as u64,
                    named,
                }))
            }
            Err(Difference::Outputs(_)) if patience != Patience::Dispute => {
                let unknown = || RunsError::Execution("it gave too few answers".into());
                Err(ran.failed.unwrap_or_else(unknown).into())
            }
            Err(Difference::Transaction {
                fault: assay_ledger::transition::Fault::NoAccess(e),
                ..
            }) => Err(ReplicaError::State(e.to_string())),
            Err(why) => Ok(Outcome::Wrong(Wrong { batch, why })),
        }
    }

    /// What to do about runs of a batch that cannot be done again, for somebody who `disputes` or only looks on.
    pub async fn patience(
        &self,
        posted: &Posted,
        finalised: u64,
        disputes: bool,
    ) -> Result<Patience, ReplicaError> {
        if posted.header.number <= finalised {
            return Ok(Patience::Word);
        }
        let window = posted.header.params.window;
        let answered = Times::all_answered(posted.slot.saturating_add(window), window);
        // Until then demands for the models' bytes are answered.
        let early = self.rpc.slot().await? < answered;
        Ok(match disputes {
            true if !early => Patience::Dispute,
            _ => Patience::Word,
        })
    }

    /// The messages that a batch consumes, by index.
    fn consumed(&self, header: &Header) -> Vec<(u64, Message)> {
        let from = self.state.heads().inbox.cursor;
        (from..header.state.inbox.cursor)
            .filter_map(|index| Some((index, self.state.message(index)?.clone())))
            .collect()
    }

    /// Makes the batch that the state has just done durable.
    fn keep(
        &mut self,
        batch: &Fetched,
        replayed: &Replayed,
        ran: &Ran,
        messages: Vec<(u64, Message)>,
    ) -> Result<(), ReplicaError> {
        let Posted {
            header,
            signature,
            lamports,
            bytes,
            ..
        } = batch.posted;
        let number = header.number;
        let changes = self.state.take_changes();
        let leaves = changes.outbox.into_iter().map(|(index, leaf)| NewLeaf {
            index,
            batch: number,
            position: replayed.sender(index),
            leaf,
        });
        let record = BatchRecord {
            header,
            // At most the batch's records.
            inferences: ran.runs as u32,
        };
        let accounts = changes.accounts.into_iter();
        let models = changes.models.into_iter();
        let commit = Commit {
            accounts: accounts.map(|(i, a)| (number, i, a)).collect(),
            models: models.map(|(i, m)| (number, i, m)).collect(),
            messages,
            outbox: leaves.collect(),
            transactions: match self.records {
                true => records(number, replayed),
                false => Vec::new(),
            },
            closed: vec![(record, batch.data.clone())],
            programs: deployed_by(replayed),
        };
        self.state.start_batch();
        self.inbox.forget(header.state.inbox.cursor);
        self.head = Head {
            number,
            hash: header.hash(),
        };
        self.totals.transactions += u64::from(header.tx_count);
        self.totals.inferences += ran.runs;
        let step = L1Record {
            order: 0,
            step: L1Step::Post,
            lamports,
            bytes,
        };
        self.store.note_l1(number, signature.as_array(), step)?;
        let progress = self.progress(&header);
        self.store.commit(&commit, &progress)?;
        Ok(())
    }

    fn progress(&mut self, last: &Header) -> Progress {
        Progress {
            number: self.head.number + 1,
            parent: self.head.hash,
            transactions: 0,
            components: self.state.components(),
            params: last.params,
            totals: self.totals,
        }
    }

    /// Goes back to batch `number`.
    fn take_back(&mut self, number: u64) -> Result<(), ReplicaError> {
        let Some(last) = self.store.batch(self.head.number)? else {
            return Ok(());
        };
        let (hash, components) = match self.store.batch(number)? {
            Some(record) => (record.header.hash(), record.header.state.next_batch()),
            None => (
                genesis_hash(&self.rollup.to_bytes()),
                StateComponents::genesis(),
            ),
        };
        let mut totals = self.totals;
        for gone in number + 1..=self.head.number {
            if let Some(record) = self.store.batch(gone)? {
                totals.transactions -= u64::from(record.header.tx_count);
                totals.inferences -= u64::from(record.inferences);
            }
        }
        let progress = Progress {
            number: number + 1,
            parent: hash,
            transactions: 0,
            components,
            params: last.header.params,
            totals,
        };
        self.store
            .replace(number, &components, &Commit::default(), &progress)?;
        self.load()
    }

    /// The state and the head as the store has them.
    fn load(&mut self) -> Result<(), ReplicaError> {
        let Some(progress) = self.store.progress()? else {
            self.state = FullState::genesis();
            self.inbox = Messages::new(self.rollup, StateComponents::genesis().inbox);
            return Ok(());
        };
        if progress.transactions != 0 {
            return Err(ReplicaError::NotAReplica);
        }
        let tables = self.store.ledger()?;
        let heads = StateHeads::from(&progress.components);
        let mut state =
            FullState::from_parts(&heads, tables.accounts, tables.models, tables.outbox)
                .map_err(|e| ReplicaError::State(e.to_string()))?;
        if state.components() != progress.components {
            return Err(ReplicaError::State(
                "the tables do not give the state root that was stored with them".into(),
            ));
        }
        self.inbox = Messages::new(self.rollup, progress.components.inbox);
        self.state = state;
        self.totals = progress.totals;
        self.head = Head {
            number: progress.number - 1,
            hash: progress.parent,
        };
        Ok(())
    }

    /// Forgets what only batches need that are not final.
    fn forget(&mut self, finalised: u64) -> Result<(), ReplicaError> {
        if finalised <= self.forgotten {
            return Ok(());
        }
        if let Some(record) = self.store.batch(finalised)? {
            self.store
                .forget(finalised, record.header.state.inbox.cursor)?;
        }
        self.batches.forget(finalised);
        self.forgotten = finalised;
        Ok(())
    }
}

/// The programs that a batch deploys.
fn deployed_by(replayed: &Replayed) -> Vec<ProgramHeader> {
    let records = replayed.records.iter();
    let deployed = records.filter_map(|(tx, result)| deployed(tx, result));
    deployed.collect()
}

fn model_of(run: &Run) -> ModelKey {
    (run.program_root, run.parameters_root)
}

fn roots(did: &Result<Ran, RunsError>) -> Vec<Option<Hash>> {
    let known = did.as_ref().map(|ran| ran.roots.clone());
    known.unwrap_or_default()
}

/// The transactions of a batch as a sequencer keeps them, but for the outputs' bytes.
fn records(number: u64, replayed: &Replayed) -> Vec<(u64, u32, TxRecord)> {
    let records = replayed.records.iter().zip(&replayed.ids);
    let records = (0u32..).zip(records).map(|(place, (record, id))| {
        let (transaction, result) = record;
        let record = TxRecord {
            id: *id,
            transaction: transaction.clone(),
            result: *result,
            outputs: None,
        };
        (number, place, record)
    });
    records.collect()
}
