//! What the verifier has found, for who does something about it.

use super::Standing;
use crate::replica::Wrong;
use crate::replica::fetch::Lacking;
use crate::replica::naming::{Doubt, Naming};
use assay_ledger::Hash;
use assay_ledger::header::Header;
use assay_ledger::store::FullState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A wrong batch, and the state after its parent, to which the messages that it consumes have been added.
#[derive(Clone, Debug)]
pub struct Found {
    /// The batch.
    pub wrong: Wrong,
    /// The state.
    pub before: FullState,
}

impl Found {
    /// The batch's header.
    pub fn header(&self) -> &Header {
        &self.wrong.batch.posted.header
    }
}

/// What was found.
#[derive(Debug)]
pub struct Board {
    standing: watch::Sender<Standing>,
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inner {
    wrong: Option<Arc<Found>>,
    named: Vec<Arc<Naming>>,
    /// Batches that deploy a malformed program.
    malformed: Vec<Header>,
    /// Why a model is not here.
    models: Vec<String>,
    /// Which batches have unverified runs.
    doubts: Option<String>,
    /// Final batches with an output root that their models do not give.
    invalid: Vec<Header>,
    /// How it goes with what is done about it.
    tasks: [Progress; 2],
    /// Batches, by hash, about which nothing more is done.
    given_up: Vec<Hash>,
}

/// What does something about what was found. Each has deadlines, so none waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Plays the disputes.
    Disputes,
    /// Makes the demands.
    Demands,
}

impl Task {
    const ALL: [Self; 2] = [Self::Disputes, Self::Demands];
}

/// How it goes with a task.
#[derive(Debug, Default)]
struct Progress {
    /// What is amiss, and since when something is.
    trouble: Option<(String, Instant)>,
    /// Whether a dispute or a demand is open; nothing before the first look.
    engaged: Option<bool>,
}

impl Inner {
    fn troubles(&self) -> impl Iterator<Item = &(String, Instant)> {
        self.tasks.iter().filter_map(|task| task.trouble.as_ref())
    }
}

impl Board {
    /// Nothing was found; the newest batch is `head`.
    pub fn new(head: u64) -> Self {
        let standing = Standing {
            head,
            ..Standing::default()
        };
        Self {
            standing: watch::Sender::new(standing),
            inner: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the verifier stands, now and later.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Where it stands now.
    pub fn now(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Changes when something was found.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A wrong batch that is on L1.
    pub fn wrong(&self) -> Option<Arc<Found>> {
        self.inner().wrong.clone()
    }

    /// A batch is wrong, or none is any more.
    pub fn found(&self, wrong: Option<Found>) {
        self.inner().wrong = wrong.map(Arc::new);
        self.changed.send_replace(());
    }

    /// What pending batches that are right name.
    pub fn namings(&self) -> Vec<Arc<Naming>> {
        self.inner().named.clone()
    }

    /// They name this now.
    pub fn named(&self, all: &[Naming]) {
        let mut inner = self.inner();
        if !inner.named.iter().map(|naming| &**naming).eq(all) {
            inner.named = all.iter().cloned().map(Arc::new).collect();
            let (named, malformed) = (&inner.named, &inner.malformed);
            let still = |header: &&Header| named.iter().any(|naming| naming.header == **header);
            inner.malformed = malformed.iter().filter(still).copied().collect();
            drop(inner);
            self.changed.send_replace(());
        }
    }

    /// These models are not here. The batches that deploy programs which are none, as was not known before.
    pub fn lacks(&self, lacking: &[Lacking]) -> Vec<Header> {
        let mut inner = self.inner();
        let said = lacking.iter().filter_map(|lacking| {
            let (program, parameters) = lacking.model;
            Some(format!(
                "the model of program {} with parameters {} cannot be run: {}",
                hex::encode(program),
                hex::encode(parameters),
                lacking.why.as_ref()?
            ))
        });
        inner.models = said.collect();
        let malformed = |naming: &&Arc<Naming>| {
            let mut lacking = lacking.iter().filter(|lacking| lacking.malformed);
            naming.is_deployment() && lacking.any(|lacking| lacking.model == naming.model)
        };
        let mut headers: Vec<Header> = Vec::new();
        for naming in inner.named.iter().filter(malformed) {
            if !headers.contains(&naming.header) {
                headers.push(naming.header);
            }
        }
        let new = |header: &&Header| !inner.malformed.contains(*header);
        let new: Vec<Header> = headers.iter().filter(new).copied().collect();
        inner.malformed = headers;
        drop(inner);
        if !new.is_empty() {
            self.changed.send_replace(());
        }
        new
    }

    /// A final batch has an output root that its model does not give.
    pub fn invalid(&self, header: &Header) {
        self.inner().invalid.push(*header);
    }

    /// These batches have unverified runs.
    pub fn doubted(&self, doubts: &[Doubt]) {
        let numbers: Vec<_> = doubts.iter().map(|d| d.header.number.to_string()).collect();
        self.inner().doubts = (!doubts.is_empty()).then(|| {
            format!(
                "runs in batch {} could not be re-executed: their outputs are unverified",
                numbers.join(", ")
            )
        });
    }

    /// Something is amiss with what is done about what was found, or nothing is any more.
    pub fn trouble(&self, task: Task, trouble: Option<String>) {
        let mut inner = self.inner();
        let known = &mut inner.tasks[task as usize].trouble;
        let since = known.as_ref().map(|(_, since)| *since);
        let since = since.unwrap_or_else(Instant::now);
        *known = trouble.map(|trouble| (trouble, since));
        drop(inner);
        self.show(|_| {});
    }

    /// What has been amiss with it for longer than `patience`, while no dispute and no demand is open.
    pub fn stuck(&self, patience: Duration) -> Option<String> {
        let inner = self.inner();
        let (trouble, since) = inner.troubles().min_by_key(|(_, since)| *since)?;
        let idle = inner.tasks.iter().all(|task| task.engaged != Some(true));
        (idle && since.elapsed() > patience).then(|| trouble.clone())
    }

    /// About the batches of these hashes nothing more is done: disputes over them were lost, or there is nothing
    /// to prove.
    pub fn give_up(&self, hashes: Vec<Hash>) {
        self.inner().given_up = hashes;
    }

    /// The batches that are to be disputed.
    pub fn accused(&self) -> Vec<Header> {
        let inner = self.inner();
        let wrong = inner.wrong.iter().map(|found| *found.header());
        wrong.chain(inner.malformed.iter().copied()).collect()
    }

    /// Whether something is to be done, or may be.
    pub fn is_busy(&self) -> bool {
        let unknown = |task: &Progress| task.engaged.is_none();
        self.is_engaged() || self.inner().tasks.iter().any(unknown)
    }

    /// Whether something is to be done for sure.
    pub fn is_engaged(&self) -> bool {
        let accused = self.accused();
        let inner = self.inner();
        let mut accused = accused.iter().map(Header::hash);
        let mut tasks = inner.tasks.iter();
        tasks.any(|task| task.engaged == Some(true))
            || accused.any(|hash| !inner.given_up.contains(&hash))
    }

    /// Whether a dispute, or a demand, is open.
    pub fn engage(&self, task: Task, engaged: bool) {
        self.inner().tasks[task as usize].engaged = Some(engaged);
    }

    /// Whether a dispute or a demand is open is not known any more.
    pub fn forget_engaged(&self) {
        for task in Task::ALL {
            self.inner().tasks[task as usize].engaged = None;
        }
    }

    /// Shows where the verifier stands.
    pub fn show(&self, change: impl FnOnce(&mut Standing)) {
        let inner = self.inner();
        let wrong = inner.wrong.as_ref().map(|found| found.header().number);
        let malformed = inner.malformed.iter().map(|header| header.number);
        let invalid = inner.invalid.iter().map(|header| header.number);
        let wrong = wrong.into_iter().chain(malformed).chain(invalid).min();
        let trouble = inner.troubles().map(|(trouble, _)| trouble);
        let lacks = inner.models.iter().chain(&inner.doubts).chain(trouble);
        let lacks: Vec<_> = lacks.cloned().collect();
        drop(inner);
        self.standing.send_if_modified(|standing| {
            let before = standing.clone();
            change(standing);
            standing.wrong = wrong;
            standing.lacks = lacks;
            *standing != before
        });
    }
}
