//! What a sequencer says when its batches are disputed, or what they name is demanded.

use super::cases::Own;
use super::demands;
use super::driver::Driver;
use super::error::DisputeError;
use crate::l1::error::Severity;
use crate::metrics::Metrics;
use crate::store::blobs::Blobs;
use backon::BackoffBuilder;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Answers the disputes over a sequencer's batches, and the demands for their blobs.
pub struct Answers {
    /// Plays them.
    pub driver: Driver,
    /// What is known of the batches.
    pub cases: Own,
    /// The models that its batches name.
    pub blobs: Blobs,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Time between two looks.
    pub poll: Duration,
}

impl Answers {
    /// Works until `stop`, or until a critical error.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), DisputeError> {
        let policy = backon::ExponentialBuilder::default()
            .with_min_delay(self.poll)
            .with_max_delay(Duration::from_secs(10))
            .with_jitter()
            .without_max_times();
        let mut backoff = policy.build();
        loop {
            let did = tokio::select! {
                did = self.step() => did,
                () = stop.cancelled() => return Ok(()),
            };
            let wait = match did {
                Ok(more) => {
                    backoff = policy.build();
                    match more {
                        true => Duration::ZERO,
                        false => self.poll,
                    }
                }
                Err(error) if error.severity() == Severity::Critical => return Err(error),
                Err(error) => {
                    self.metrics.l1_retries.inc();
                    tracing::warn!(%error, "answering disputes: trying again");
                    backoff.next().unwrap_or(self.poll)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Does what is next in the disputes, and answers the demands. Whether there may be more to do at once.
    async fn step(&mut self) -> Result<bool, DisputeError> {
        let played = self.driver.step(&self.cases, &[]).await;
        // Both clocks run, whatever is amiss with the other.
        demands::answer_all(self.driver.carrier(), &self.blobs).await?;
        played
    }
}
