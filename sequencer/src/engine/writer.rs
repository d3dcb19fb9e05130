//! The one writer: the loop that orders a micro-batch, hands it to the executor, and meanwhile
//! applies and stores the one before.

use super::admission::{Admitted, blobs_are_still_here};
use super::apply::Ledger;
use super::backlog::{Backlog, Room};
use super::calls::Calls;
use super::caps;
use super::execute::{ExecutorThread, GroupResult, ModelKey};
use super::gate::Gate;
use super::order::{Ordered, Overlay, order};
use super::rebuild::{Due, Outcome, Rebuilt, rebuild};
use super::refusal::Refused;
use super::runs::{Groups, RunAt, Runs, run_now};
use super::{Answer, Command, EngineFailure, EngineHandle, Placed};
use crate::metrics::{Metrics, Stage};
use crate::store::Store;
use crate::store::blobs::Blobs;
use crate::store::commit::Commit;
use assay_client::api::Building;
use assay_ledger::Hash;
use assay_ledger::inbox::Message;
use assay_ledger::request::Action;
use assay_ledger::transition::JobRun;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot, watch};

/// How long the writer sleeps when it has nothing to do: it wakes for every command anyway.
const IDLE: Duration = Duration::from_secs(60);

/// A request that waits: its call and its place there.
struct Waiting {
    call: u64,
    place: usize,
    admitted: Admitted,
}

/// A micro-batch whose models are running.
enum InFlight {
    Requests {
        entries: Vec<(u64, usize, Ordered, Option<RunAt>)>,
        models: Vec<ModelKey>,
        results: Receiver<Vec<GroupResult>>,
    },
    Messages {
        /// For each its run, where it has one.
        entries: Vec<Option<RunAt>>,
        models: Vec<ModelKey>,
        results: Receiver<Vec<GroupResult>>,
    },
}

/// The writer's state.
pub struct Writer {
    ledger: Ledger,
    store: Arc<Store>,
    executor: ExecutorThread,
    blobs: Blobs,
    metrics: Arc<Metrics>,
    commands: Receiver<Command>,
    building: watch::Sender<Building>,
    backlog: watch::Sender<Backlog>,
    /// What L1 takes, once that was said.
    room: Option<Room>,
    closed: watch::Sender<u64>,
    micro_batch: usize,
    calls: Calls,
    waiting: VecDeque<Waiting>,
    messages: VecDeque<Message>,
    /// Index of the message that L1 is expected to give next.
    next_message: u64,
    overlay: Overlay,
    in_flight: Option<InFlight>,
    /// Answers to give once the commit is durable.
    answers: Vec<(u64, usize, Answer)>,
    closes: Vec<oneshot::Sender<Option<u64>>>,
    rebuilds: Vec<(Due, oneshot::Sender<Option<Rebuilt>>)>,
    stopping: bool,
}

/// What the writer works with.
#[derive(Debug)]
pub struct Parts {
    /// The ledger as the store has it.
    pub ledger: Ledger,
    /// Where it is made durable.
    pub store: Arc<Store>,
    /// What runs the models.
    pub executor: ExecutorThread,
    /// The models' bytes.
    pub blobs: Blobs,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Told the number of every batch that is closed.
    pub closed: watch::Sender<u64>,
    /// Requests executed and made durable together.
    pub micro_batch: usize,
    /// Requests that may wait.
    pub queue: usize,
    /// Closed batches that may wait for L1.
    pub backlog: u64,
    /// Whether requests are accepted.
    pub gate: Gate,
}

impl Writer {
    /// A writer, and how to reach it. [`Writer::run`] it on a thread of its own.
    pub fn new(parts: Parts) -> (Self, EngineHandle) {
        let (sender, commands) = crossbeam_channel::unbounded();
        let (building, watching) = watch::channel(Building::default());
        let (backlog, watching_backlog) = watch::channel(Backlog::default());
        let handle = EngineHandle {
            commands: sender,
            queue: Arc::new(Semaphore::new(parts.queue)),
            capacity: parts.queue,
            building: watching,
            backlog: watching_backlog,
            most_waiting: parts.backlog.max(1),
            gate: parts.gate,
            metrics: parts.metrics.clone(),
        };
        let writer = Self {
            next_message: parts.ledger.state.heads().inbox.cursor,
            ledger: parts.ledger,
            store: parts.store,
            executor: parts.executor,
            blobs: parts.blobs,
            metrics: parts.metrics,
            commands,
            building,
            backlog,
            room: None,
            closed: parts.closed,
            micro_batch: parts.micro_batch.max(1),
            calls: Calls::default(),
            waiting: VecDeque::new(),
            messages: VecDeque::new(),
            overlay: Overlay::default(),
            in_flight: None,
            answers: Vec::new(),
            closes: Vec::new(),
            rebuilds: Vec::new(),
            stopping: false,
        };
        writer.publish();
        (writer, handle)
    }

    /// Works until it is told to stop, or until something critical fails; then whoever waits for
    /// an answer is told that there is none.
    pub fn run(mut self) -> Result<(), EngineFailure> {
        loop {
            self.listen();
            self.rebuild()?;
            let next = self.order_next()?;
            if let Some(running) = self.in_flight.take() {
                self.finish(running)?;
            }
            self.in_flight = next;
            if self.in_flight.is_some() {
                continue;
            }
            let old = self.deadline().is_some_and(|d| d <= Instant::now());
            let idle = self.waiting.is_empty() && self.messages.is_empty();
            if old || (idle && !self.closes.is_empty()) {
                self.close()?;
            }
            if idle && self.stopping {
                return Ok(());
            }
        }
    }

    /// When the batch being built is to be closed for its age: not while L1 has no room for it.
    fn deadline(&self) -> Option<Instant> {
        let open = &self.ledger.open;
        let backlog = Backlog::of(self.room, open.number());
        open.deadline().filter(|_| backlog.has_room())
    }

    /// Takes what has been asked for; waits for it only where there is nothing else to do.
    fn listen(&mut self) {
        let busy = self.in_flight.is_some()
            || !self.waiting.is_empty()
            || !self.messages.is_empty()
            || !self.closes.is_empty()
            || !self.rebuilds.is_empty()
            || self.stopping;
        if !busy {
            let wait = match self.deadline() {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => IDLE,
            };
            match self.commands.recv_timeout(wait) {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.stopping = true,
            }
        }
        // No more than is needed for the next micro-batch, so that answers are not held up.
        // What comes after a close or a stop waits for it.
        while self.waiting.len() < self.micro_batch && self.closes.is_empty() && !self.stopping {
            match self.commands.try_recv() {
                Ok(command) => self.take(command),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.stopping = true;
                    break;
                }
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Submit {
                requests,
                reply,
                permit,
            } => {
                let call = self.calls.open(requests.len(), reply, permit);
                self.waiting
                    .extend(
                        requests
                            .into_iter()
                            .enumerate()
                            .map(|(place, admitted)| Waiting {
                                call,
                                place,
                                admitted,
                            }),
                    );
            }
            Command::Inbox { first, messages } => self.receive(first, messages),
            Command::Room(room) => {
                self.room = Some(room);
                self.publish();
            }
            Command::Close(reply) => self.closes.push(reply),
            Command::Rebuild(due, reply) => self.rebuilds.push((due, reply)),
            Command::OutboxPath {
                index,
                count,
                reply,
            } => {
                let path = self.ledger.state.outbox_path(index, count);
                // Whoever asked may be gone.
                let _ = reply.send(path);
            }
            Command::Stop => self.stopping = true,
        }
    }

    /// Takes the messages that it does not have yet; L1 may be read twice.
    fn receive(&mut self, first: u64, messages: Vec<Message>) {
        let Some(known) = self.next_message.checked_sub(first) else {
            tracing::warn!(
                first,
                expected = self.next_message,
                "a gap in what was read of the inbox"
            );
            return;
        };
        for message in messages.into_iter().skip(known as usize) {
            self.next_message += 1;
            self.ledger.state.push_message(message.clone());
            self.messages.push_back(message);
        }
    }

    /// Orders the next micro-batch and has its models run: messages from L1 first.
    fn order_next(&mut self) -> Result<Option<InFlight>, EngineFailure> {
        if self.messages.is_empty() {
            return Ok(self.order_requests());
        }
        // A job must see the models as they are when it is applied.
        if let Some(running) = self.in_flight.take() {
            self.finish(running)?;
        }
        self.order_messages().map(Some)
    }

    fn order_requests(&mut self) -> Option<InFlight> {
        let mut groups = Groups::default();
        let mut entries = Vec::new();
        let (params, number) = (self.ledger.open.env().params, self.ledger.open.number());
        let most_held = self.ledger.open.limits().waiting_outputs;
        while entries.len() < self.micro_batch && !groups.is_full(self.ledger.open.limits()) {
            let Some(Waiting {
                call,
                place,
                admitted,
            }) = self.waiting.pop_front()
            else {
                break;
            };
            let id = admitted.id;
            let state = &self.ledger.state;
            let limits = &self.ledger.limits;
            let ordered = order(state, &self.overlay, &params, limits, number, admitted);
            let ordered = ordered.and_then(|ordered| {
                blobs_are_still_here(&self.blobs, &ordered.admitted.signed.request.action)?;
                Ok(ordered)
            });
            match ordered {
                Ok(ordered) if ordered.runs.is_some() && self.calls.held() > most_held => {
                    let held = self.calls.held();
                    self.answer(call, place, Err(Refused::Answers(held)));
                }
                Ok(ordered) => {
                    self.overlay.add(&ordered);
                    let run = match (&ordered.admitted.signed.request.action, ordered.runs) {
                        (Action::Infer { input, .. }, Some(model)) => {
                            Some(groups.add(&model, input.clone()))
                        }
                        _ => None,
                    };
                    entries.push((call, place, ordered, run));
                }
                Err(refused) => {
                    let answer = self.repeated(&id, refused);
                    self.answer(call, place, answer);
                }
            }
        }
        if entries.is_empty() {
            return None;
        }
        let (models, results) = groups.run(&self.executor);
        Some(InFlight::Requests {
            entries,
            models,
            results,
        })
    }

    /// A request that is in a batch already gets the same answer again: whoever lost an answer
    /// may send the request once more.
    fn repeated(&self, id: &Hash, refused: Refused) -> Answer {
        let Refused::Nonce { got, expected } = refused else {
            return Err(refused);
        };
        if got >= expected {
            return Err(refused);
        }
        match self.store.find_transaction(id) {
            Ok(Some((batch, position, record))) => Ok(Placed {
                batch,
                position,
                result: record.result,
                outputs: record.outputs,
            }),
            Ok(None) => Err(refused),
            Err(e) => {
                tracing::error!(error = %e, "cannot look a request up");
                Err(refused)
            }
        }
    }

    fn order_messages(&mut self) -> Result<InFlight, EngineFailure> {
        let mut groups = Groups::default();
        let mut entries = Vec::new();
        while entries.len() < self.micro_batch && !groups.is_full(self.ledger.open.limits()) {
            let Some(message) = self.messages.pop_front() else {
                break;
            };
            let job = self.ledger.job(&message)?;
            let job = job.filter(|job| caps::admits(&self.ledger.limits, &job.model).is_ok());
            entries.push(job.map(|job| groups.add(&job.model, job.input)));
        }
        let (models, results) = groups.run(&self.executor);
        Ok(InFlight::Messages {
            entries,
            models,
            results,
        })
    }

    /// Waits for a micro-batch's runs, applies it, makes it durable, answers.
    fn finish(&mut self, running: InFlight) -> Result<(), EngineFailure> {
        let metrics = self.metrics.clone();
        let mut commit = Commit::default();
        match running {
            InFlight::Messages {
                entries,
                models,
                results,
            } => {
                let mut runs = Runs::wait(models, &results)?;
                metrics.micro_batch.observe(entries.len() as f64);
                let executor = &self.executor;
                metrics.time_ledger(|| {
                    entries.into_iter().try_for_each(|at| {
                        let ready = at.map(|at| runs.take(at));
                        let run = |job: JobRun| run_now(executor, job);
                        self.ledger.message(ready, run, &mut commit, &metrics)
                    })
                })?;
            }
            InFlight::Requests {
                entries,
                models,
                results,
            } => {
                let mut runs = Runs::wait(models, &results)?;
                metrics.micro_batch.observe(entries.len() as f64);
                metrics.time_ledger(|| {
                    entries
                        .into_iter()
                        .try_for_each(|(call, place, ordered, at)| {
                            let run = at.map(|at| runs.take(at));
                            let answer = self.ledger.request(
                                &ordered.admitted,
                                run,
                                &mut commit,
                                &metrics,
                            )?;
                            self.overlay.remove(&ordered);
                            self.answers.push((call, place, answer));
                            Ok::<_, EngineFailure>(())
                        })
                })?;
            }
        }
        if self.ledger.open.is_full() {
            self.ledger.close(&mut commit, &metrics);
        }
        self.store(commit)
    }

    /// Closes the batch being built and tells whoever asked for it.
    fn close(&mut self) -> Result<(), EngineFailure> {
        let mut commit = Commit::default();
        let metrics = self.metrics.clone();
        let number = self.ledger.close(&mut commit, &metrics);
        if number.is_some() {
            self.store(commit)?;
        }
        for reply in self.closes.drain(..) {
            // Whoever asked may be gone.
            let _ = reply.send(number);
        }
        Ok(())
    }

    /// Builds batches again, if that was asked for.
    fn rebuild(&mut self) -> Result<(), EngineFailure> {
        for (due, reply) in std::mem::take(&mut self.rebuilds) {
            if let Some(running) = self.in_flight.take() {
                self.finish(running)?;
            }
            let rebuilt = match self.next_message < due.messages {
                true => None,
                false => Some(self.rebuild_after(due)?),
            };
            // Whoever asked may be gone.
            let _ = reply.send(rebuilt);
        }
        Ok(())
    }

    fn rebuild_after(&mut self, due: Due) -> Result<Rebuilt, EngineFailure> {
        tracing::warn!(
            tip = due.tip,
            messages = due.messages,
            "building batches again: messages from L1 are overdue"
        );
        let (executor, metrics) = (&self.executor, self.metrics.clone());
        let run = |job: JobRun| run_now(executor, job);
        let messages = self.messages.iter().cloned();
        let Outcome {
            mut ledger,
            base,
            commit,
            rebuilt,
        } = rebuild(&self.store, &self.ledger, messages, due, &metrics, run)?;
        let components = ledger.state.components();
        let progress = ledger.open.progress(components);
        self.store.replace(due.tip, &base, &commit, &progress)?;
        let cursor = components.inbox.cursor;
        self.messages = (cursor..self.next_message)
            .map_while(|index| ledger.state.message(index).cloned())
            .collect();
        self.ledger = ledger;
        metrics.rebuilds.inc();
        tracing::warn!(?rebuilt, "batches are built again");
        if let Some((last, _)) = commit.closed.last() {
            self.closed.send_replace(last.header.number);
        }
        self.publish();
        Ok(rebuilt)
    }

    /// Makes a commit durable, then gives the answers that depend on it.
    fn store(&mut self, commit: Commit) -> Result<(), EngineFailure> {
        let metrics = self.metrics.clone();
        let components = metrics.time(Stage::Commitment, || self.ledger.state.components());
        let progress = self.ledger.open.progress(components);
        metrics.time(Stage::Store, || self.store.commit(&commit, &progress))?;
        metrics
            .transactions
            .inc_by(commit.transactions.len() as u64);
        let ran = commit
            .transactions
            .iter()
            .filter(|(_, _, t)| t.result.program_root != [0; 32]);
        metrics.inferences.inc_by(ran.count() as u64);
        metrics.inbox.set(components.inbox.cursor as i64);
        // Nothing asks for the messages again that were consumed.
        let checkpoint = self.ledger.state.checkpoint();
        self.ledger.state.release(checkpoint);
        if let Some((last, _)) = commit.closed.last() {
            self.closed.send_replace(last.header.number);
        }
        // Who has an answer sees what it changed.
        self.publish();
        for (call, place, answer) in std::mem::take(&mut self.answers) {
            self.answer(call, place, answer);
        }
        Ok(())
    }

    fn answer(&mut self, call: u64, place: usize, answer: Answer) {
        if let Err(refused) = &answer {
            self.metrics.refuse(refused.code());
            self.ledger.open.refused(1);
        }
        self.calls.answer(call, place, answer);
    }

    fn publish(&self) {
        let open = &self.ledger.open;
        let backlog = Backlog::of(self.room, open.number());
        self.backlog.send_replace(backlog);
        self.metrics.unposted.set(backlog.waiting as i64);
        self.metrics.room.set(backlog.room.unwrap_or(0) as i64);
        self.metrics.building.set(open.number() as i64);
        self.building.send_replace(Building {
            number: open.number(),
            transactions: open.len(),
            units: self.ledger.state.heads().units,
        });
    }
}
