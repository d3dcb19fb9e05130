//! The engine: one writer that orders requests, has models run, moves the ledger, makes it durable
//! and only then answers.
//!
//! * [`admission`]: what can be said before a request is ordered
//! * [`order`]: what the state says, counting requests on their way
//! * [`execute`], `runs`: running models, on a thread of its own; `caps`: which ones
//! * [`apply`]: the state transition over a micro-batch
//! * [`writer`], `calls`: the loop that does these in turn, and who waits for it
//! * [`backlog`]: what waits for L1, and what L1 takes
//! * [`gate`]: whether requests are accepted
//! * [`rebuild`]: the batches that L1 takes no more, built again
//! * [`rig`]: all of these, running
//! * [`refusal`]: why a request is not taken

pub mod admission;
pub mod apply;
pub mod backlog;
mod calls;
mod caps;
pub mod execute;
pub mod gate;
pub mod order;
pub mod rebuild;
pub mod refusal;
pub mod rig;
mod runs;
#[cfg(test)]
mod tests;
pub mod writer;

use crate::metrics::Metrics;
use crate::store::StoreError;
use admission::Admitted;
use assay_client::api::{Base64, Building, Executed, Hash32};
use assay_ledger::Hash;
use assay_ledger::inbox::Message;
use assay_ledger::result::{Status, TxResult};
use backlog::{Backlog, Room};
use crossbeam_channel::Sender;
use gate::{Closed, Gate};
use rebuild::{Due, Rebuilt};
use refusal::Refused;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// Why the engine did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The queue is full.
    #[error("{0} requests wait already: try again in a moment, with fewer at a time")]
    Busy(usize),
    /// Too many closed batches wait for L1.
    #[error(
        "{} closed batches wait for L1, which takes {} now: no more requests are taken until it has some of them",
        .0.waiting,
        .0.room.unwrap_or(0)
    )]
    Backlog(Backlog),
    /// What would be answered could not go to L1.
    #[error("the sequencer accepts no requests for now: {0}")]
    Closed(#[from] Closed),
    /// It has stopped, or is about to.
    #[error(
        "the sequencer is stopping: requests of this call may or may not be in a batch, ask GET /v1/transactions/{{id}} when it is back"
    )]
    Stopped,
}

/// Why the engine stopped. All of it is critical.
#[derive(Debug, thiserror::Error)]
pub enum EngineFailure {
    /// Nothing can be made durable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state in memory contradicts itself.
    #[error(
        "the ledger's state contradicts itself ({0}): this is a bug; the store holds what was answered"
    )]
    State(String),
    /// The thread of the executor is gone.
    #[error("the executor's thread ended: see the log above for its panic")]
    Executor,
}

/// A transaction in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its batch.
    pub batch: u64,
    /// Its place there.
    pub position: u32,
    /// What it did.
    pub result: TxResult,
    /// The outputs' bytes, where a model ran.
    pub outputs: Option<Vec<u8>>,
}

impl From<Placed> for Executed {
    fn from(placed: Placed) -> Self {
        let result = &placed.result;
        let ran = result.program_root != [0; 32];
        Self {
            batch: placed.batch,
            position: placed.position,
            status: result.status,
            status_text: status_text(result),
            fee: result.fee,
            output_root: ran.then_some(Hash32(result.output_root)),
            outputs: placed.outputs.map(Base64),
        }
    }
}

fn status_text(result: &TxResult) -> String {
    result
        .status()
        .map_or_else(|| "unknown".into(), |status: Status| status.to_string())
}

/// What became of one request.
pub type Answer = Result<Placed, Refused>;

/// What the engine is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Order these requests.
    Submit {
        /// The requests.
        requests: Vec<Admitted>,
        /// Where the answers go, in order.
        reply: oneshot::Sender<Vec<Answer>>,
        /// Their places in the queue.
        permit: OwnedSemaphorePermit,
    },
    /// Messages from L1, the first of which has this index.
    Inbox {
        /// Index of the first.
        first: u64,
        /// The messages.
        messages: Vec<Message>,
    },
    /// What L1 takes.
    Room(Room),
    /// Close the batch, after all that came before; its number, or none if it was empty.
    Close(oneshot::Sender<Option<u64>>),
    /// Build the batches after L1's newest again; what came of it, or none if not all messages that
    /// are due have come.
    Rebuild(Due, oneshot::Sender<Option<Rebuilt>>),
    /// The path of an outbox leaf in the tree's first `count` leaves.
    OutboxPath {
        /// The leaf.
        index: u64,
        /// The leaves that count.
        count: u64,
        /// The path; none if there is no such leaf.
        reply: oneshot::Sender<Option<Vec<Hash>>>,
    },
    /// Finish what came before and end.
    Stop,
}

/// How to reach the engine.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    commands: Sender<Command>,
    queue: Arc<Semaphore>,
    capacity: usize,
    building: watch::Receiver<Building>,
    backlog: watch::Receiver<Backlog>,
    most_waiting: u64,
    gate: Gate,
    metrics: Arc<Metrics>,
}

impl EngineHandle {
    /// Has `requests` ordered; the answers come when they are durable.
    pub async fn submit(&self, requests: Vec<Admitted>) -> Result<Vec<Answer>, EngineError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(closed) = self.gate.closed() {
            return Err(closed.into());
        }
        let backlog = self.backlog();
        if backlog.waiting >= self.most_waiting {
            return Err(EngineError::Backlog(backlog));
        }
        let busy = || EngineError::Busy(self.queued());
        let permits = u32::try_from(requests.len()).map_err(|_| busy())?;
        let permit = self
            .queue
            .clone()
            .try_acquire_many_owned(permits)
            .map_err(|_| busy())?;
        self.metrics.queue.set(self.queued() as i64);
        self.ask(|reply| Command::Submit {
            requests,
            reply,
            permit,
        })
        .await
    }

    /// Hands over messages from L1.
    pub fn inbox(&self, first: u64, messages: Vec<Message>) -> Result<(), EngineError> {
        self.commands
            .send(Command::Inbox { first, messages })
            .map_err(|_| EngineError::Stopped)
    }

    /// Says what L1 takes. While nothing is said, batches are closed as if it took all.
    pub fn room(&self, room: Room) -> Result<(), EngineError> {
        self.commands
            .send(Command::Room(room))
            .map_err(|_| EngineError::Stopped)
    }

    /// Closes the batch being built; its number, or none if it was empty.
    pub async fn close_batch(&self) -> Result<Option<u64>, EngineError> {
        self.ask(Command::Close).await
    }

    /// Builds the batches after L1's newest again, with the messages that are due; none if not all
    /// of these have come yet.
    pub async fn rebuild(&self, due: Due) -> Result<Option<Rebuilt>, EngineError> {
        self.ask(|reply| Command::Rebuild(due, reply)).await
    }

    /// The path of outbox leaf `index` in the tree's first `count` leaves.
    pub async fn outbox_path(
        &self,
        index: u64,
        count: u64,
    ) -> Result<Option<Vec<Hash>>, EngineError> {
        self.ask(|reply| Command::OutboxPath {
            index,
            count,
            reply,
        })
        .await
    }

    /// Asks the engine to finish and end.
    pub fn stop(&self) {
        // It has ended already if nobody listens.
        let _ = self.commands.send(Command::Stop);
    }

    /// The batch being built.
    pub fn building(&self) -> Building {
        self.building.borrow().clone()
    }

    /// Closed batches that wait for L1.
    pub fn backlog(&self) -> Backlog {
        *self.backlog.borrow()
    }

    /// Whether requests are accepted.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Requests that wait.
    pub fn queued(&self) -> usize {
        self.capacity.saturating_sub(self.queue.available_permits())
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .map_err(|_| EngineError::Stopped)?;
        answer.await.map_err(|_| EngineError::Stopped)
    }
}
