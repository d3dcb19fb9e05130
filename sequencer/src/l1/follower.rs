//! The follower: messages of the inbox come from L1 to the engine, in order.

use super::error::{L1Error, Severity};
use super::pace::Pace;
use super::{Heads, L1};
use crate::engine::EngineHandle;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Follows the inbox.
pub struct Follower {
    /// The way to L1.
    pub l1: L1,
    /// Where the messages go.
    pub engine: EngineHandle,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Told how long the inbox is.
    pub heads: Arc<watch::Sender<Heads>>,
    /// The messages read so far: the reader starts at the ledger's cursor.
    pub reader: assay_client::inbox::Reader,
    /// Time between two looks.
    pub poll: Duration,
}

impl Follower {
    /// Works until `stop`, or until a critical error.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), L1Error> {
        let mut pace = Pace::new(self.poll);
        loop {
            let looked = tokio::select! {
                looked = self.look() => looked,
                () = stop.cancelled() => return Ok(()),
            };
            let wait = match looked {
                Ok(()) => pace.good(),
                Err(error) if error.severity() == Severity::Critical => return Err(error),
                Err(error) => {
                    self.metrics.l1_retries.inc();
                    tracing::warn!(%error, "reading the inbox: trying again");
                    pace.failed()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn look(&mut self) -> Result<(), L1Error> {
        let rollup = self.l1.rollup().await?;
        self.heads
            .send_modify(|heads| heads.inbox = rollup.inbox_count);
        if rollup.inbox_count <= self.reader.next() {
            return Ok(());
        }
        let messages = self.reader.read(self.l1.rpc()).await?;
        let Some(first) = messages.first().map(|m| m.index) else {
            return Ok(());
        };
        tracing::info!(first, count = messages.len(), "messages from L1");
        let messages = messages.into_iter().map(|m| m.message).collect();
        self.engine
            .inbox(first, messages)
            .map_err(|_| L1Error::Stopped)
    }
}
