//! Does something about what was found: plays disputes, and makes demands, while batches are re-executed.
//!
//! Each is a task of its own. Both have deadlines, and whatever untrusted parties can make one read or wait
//! for must not delay a move of the other.

use super::board::{Board, Task};
use super::demands::Demands;
use super::metrics::Metrics;
use crate::dispute::Driver;
use crate::dispute::carry::Carrier;
use crate::dispute::cases::Theirs;
use crate::dispute::error::DisputeError;
use crate::dispute::shelf::Shelf;
use crate::l1::pace::Pace;
use crate::replica::runs::Models;
use crate::store::Store;
use assay_dispute::Side;
use assay_ledger::header::Header;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Plays the disputes and the demands of one key.
pub struct Defence {
    disputes: Disputes,
    demands: Demanding,
    board: Arc<Board>,
}

/// Plays the disputes.
struct Disputes {
    driver: Driver,
    store: Arc<Store>,
    models: Arc<Models>,
    shelf: Arc<Shelf>,
    board: Arc<Board>,
}

/// Makes the demands.
struct Demanding {
    demands: Demands,
    board: Arc<Board>,
}

/// How a step of a task ended.
struct Stepped {
    /// Whether there may be more to do at once.
    more: bool,
    /// Whether something is left to do.
    engaged: bool,
    /// What fails.
    trouble: Option<String>,
}

/// What is done step by step, as L1 goes on.
trait Duty: Send + 'static {
    const TASK: Task;

    /// Looks, and does what is next.
    fn step(&mut self) -> impl Future<Output = Result<Stepped, DisputeError>> + Send;
}

impl Defence {
    /// Plays those of the carrier's key, over what is on the board.
    pub fn new(
        carrier: Carrier,
        store: Arc<Store>,
        models: Arc<Models>,
        shelf: Arc<Shelf>,
        board: Arc<Board>,
    ) -> Self {
        let blobs = models.blobs().clone();
        Self {
            demands: Demanding {
                demands: Demands::new(carrier.clone(), blobs, store.clone()),
                board: board.clone(),
            },
            disputes: Disputes {
                driver: Driver::new(carrier, Side::Challenger, store.clone()),
                store,
                models,
                shelf,
                board: board.clone(),
            },
            board,
        }
    }

    /// Works until `stop`. No error ends it: clocks run, whatever is amiss.
    pub async fn run(self, poll: Duration, metrics: Arc<Metrics>, stop: CancellationToken) {
        let Self {
            disputes,
            demands,
            board,
        } = self;
        // Whoever drops this future ends the tasks.
        let mut tasks = JoinSet::new();
        let (counted, stopped) = (metrics.clone(), stop.clone());
        tasks.spawn(work(disputes, board.clone(), poll, counted, stopped));
        tasks.spawn(work(demands, board, poll, metrics, stop));
        while tasks.join_next().await.is_some() {}
    }
}

/// Works until `stop`.
async fn work<D: Duty>(
    mut duty: D,
    board: Arc<Board>,
    poll: Duration,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut pace = Pace::new(poll);
    let mut found = board.changed();
    loop {
        found.mark_unchanged();
        let did = tokio::select! {
            did = duty.step() => did,
            () = stop.cancelled() => return,
        };
        let wait = match did {
            Ok(stepped) => {
                board.trouble(D::TASK, stepped.trouble);
                board.engage(D::TASK, stepped.engaged);
                let wait = pace.good();
                if stepped.more { Duration::ZERO } else { wait }
            }
            Err(error) => {
                metrics.retries.inc();
                tracing::warn!(%error, task = ?D::TASK, "defending: trying again");
                board.trouble(D::TASK, Some(error.to_string()));
                pace.failed()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = found.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

impl Duty for Disputes {
    const TASK: Task = Task::Disputes;

    async fn step(&mut self) -> Result<Stepped, DisputeError> {
        let accused = self.board.accused();
        let cases = Theirs {
            store: self.store.clone(),
            wrong: self.board.wrong(),
            models: self.models.clone(),
            shelf: self.shelf.clone(),
        };
        let played = self.driver.step(&cases, &accused).await;
        let accused = accused.iter().map(Header::hash);
        let given_up = accused.filter(|hash| self.driver.has_given_up(hash));
        self.board.give_up(given_up.collect());
        let trouble = self.driver.trouble();
        Ok(Stepped {
            more: played?,
            engaged: self.driver.is_busy(),
            trouble: trouble.map(|trouble| trouble.error.to_string()),
        })
    }
}

impl Duty for Demanding {
    const TASK: Task = Task::Demands;

    async fn step(&mut self) -> Result<Stepped, DisputeError> {
        let more = self.demands.step(&self.board.namings()).await?;
        Ok(Stepped {
            more,
            engaged: self.demands.is_busy(),
            trouble: None,
        })
    }
}
