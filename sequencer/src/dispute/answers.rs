//! What a sequencer says when its batches are disputed. What is demanded of its models is another task,
//! [`Demands`](super::demands::Demands): neither waits for the other.

use super::cases::Own;
use super::driver::Driver;
use super::error::DisputeError;
use crate::l1::error::Severity;
use crate::l1::pace::Pace;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Answers the disputes over a sequencer's batches.
pub struct Answers {
    /// Plays them.
    pub driver: Driver,
    /// What is known of the batches.
    pub cases: Own,
}

impl Work for Answers {
    async fn step(&mut self) -> Result<bool, DisputeError> {
        self.driver.step(&self.cases, &[]).await
    }
}

/// What is done step by step, as L1 goes on.
pub trait Work {
    /// Looks, and does what is next. Whether there may be more to do at once.
    fn step(&mut self) -> impl Future<Output = Result<bool, DisputeError>> + Send;
}

/// Works until `stop`, or until a critical error; `poll` is the time between two looks.
pub async fn work(
    mut work: impl Work,
    metrics: Arc<Metrics>,
    poll: Duration,
    stop: CancellationToken,
) -> Result<(), DisputeError> {
    let mut pace = Pace::new(poll);
    loop {
        let did = tokio::select! {
            did = work.step() => did,
            () = stop.cancelled() => return Ok(()),
        };
        let wait = match did {
            Ok(more) => {
                let wait = pace.good();
                if more { Duration::ZERO } else { wait }
            }
            Err(error) if error.severity() == Severity::Critical => return Err(error),
            Err(error) => {
                metrics.l1_retries.inc();
                tracing::warn!(%error, "answering: trying again");
                pace.failed()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
