//! Does something about what was found: plays disputes and demands, while batches are done again.

use super::board::Board;
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
use tokio_util::sync::CancellationToken;

/// Plays the disputes and the demands of one key.
pub struct Defence {
    driver: Driver,
    demands: Demands,
    store: Arc<Store>,
    models: Arc<Models>,
    shelf: Arc<Shelf>,
    board: Arc<Board>,
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
        Self {
            demands: Demands::new(carrier.clone(), models.blobs().clone()),
            driver: Driver::new(carrier, Side::Challenger, store.clone()),
            store,
            models,
            shelf,
            board,
        }
    }

    /// Works until `stop`. No error ends it: clocks run, whatever is amiss.
    pub async fn run(mut self, poll: Duration, metrics: Arc<Metrics>, stop: CancellationToken) {
        let mut pace = Pace::new(poll);
        let mut found = self.board.changed();
        loop {
            found.mark_unchanged();
            let did = tokio::select! {
                did = self.step() => did,
                () = stop.cancelled() => return,
            };
            let wait = match did {
                Ok(more) => {
                    let wait = pace.good();
                    let trouble = self.driver.trouble();
                    self.board
                        .trouble(trouble.map(|trouble| trouble.error.to_string()));
                    if more { Duration::ZERO } else { wait }
                }
                Err(error) => {
                    metrics.retries.inc();
                    tracing::warn!(%error, "disputes and demands: trying again");
                    self.board.trouble(Some(error.to_string()));
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

    /// Does what is next in the disputes, and about what is demanded. Whether there may be more at once.
    async fn step(&mut self) -> Result<bool, DisputeError> {
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
        // What is amiss with one is not in the way of the other.
        let demanded = self.demands.step(&self.board.namings()).await;
        let (more, asked) = (played?, demanded?);
        let engaged = self.driver.is_busy() || self.demands.is_busy();
        self.board.engage(Some(engaged));
        Ok(more || asked)
    }
}
