//! What the service counts, in the text form that Prometheus reads.

use crate::l1::health::NodeFailures;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::time::Instant;

/// A step of the pipeline, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

/// A reason, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

/// A step of the pipeline that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Checking signatures.
    Signature,
    /// Running models.
    Execution,
    /// Roots over outputs, and of the state.
    Commitment,
    /// The state transition, and the transactions' leaves.
    Ledger,
    /// Making it durable.
    Store,
    /// Encoding and hashing a closed batch.
    Encoding,
}

impl Stage {
    /// All of them, in the order of the pipeline.
    pub const ALL: [Self; 6] = [
        Self::Signature,
        Self::Execution,
        Self::Commitment,
        Self::Ledger,
        Self::Store,
        Self::Encoding,
    ];

    /// Its name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Execution => "execution",
            Self::Commitment => "commitment",
            Self::Ledger => "ledger",
            Self::Store => "store",
            Self::Encoding => "encoding",
        }
    }
}

/// The service's metrics. One for each service, not for the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    stages: Family<StageLabel, Counter<f64, std::sync::atomic::AtomicU64>>,
    refused: Family<CodeLabel, Counter>,
    /// Transactions made durable.
    pub transactions: Counter,
    /// Transactions that ran a model.
    pub inferences: Counter,
    /// Runs of models, whatever became of what they gave.
    pub runs: Counter,
    /// Times that batches were built again because L1 took them no more.
    pub rebuilds: Counter,
    /// Requests per micro-batch.
    pub micro_batch: Histogram,
    /// Requests that wait for the engine.
    pub queue: Gauge,
    /// The batch being built.
    pub building: Gauge,
    /// Closed batches that wait for L1.
    pub unposted: Gauge,
    /// Batches that L1 takes now.
    pub room: Gauge,
    /// The batch that L1 has reverted and that is held back; 0 for none.
    pub held: Gauge,
    /// The newest batch on L1.
    pub tip: Gauge,
    /// The newest final batch.
    pub finalised: Gauge,
    /// Messages consumed from the inbox.
    pub inbox: Gauge,
    /// Lamports spent on L1.
    pub l1_lamports: Counter,
    /// Bytes sent to L1.
    pub l1_bytes: Counter,
    /// Temporary failures towards L1.
    pub l1_retries: Counter,
    /// Failures of calls to the node of L1.
    pub node: NodeFailures,
    /// 1 while requests are accepted.
    pub accepting: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("assay");
        let mut counter = |name: &str, help: &str| {
            let c = Counter::default();
            registry.register(name, help, c.clone());
            c
        };
        let transactions = counter("transactions", "L2 transactions made durable");
        let inferences = counter("inferences", "L2 transactions that ran a model");
        let runs = counter("runs", "Runs of models, whatever became of them");
        let rebuilds = counter("rebuilds", "Times that unposted batches were built again");
        let l1_lamports = counter("l1_lamports", "Lamports spent on L1 for batches");
        let l1_bytes = counter("l1_bytes", "Bytes of transactions sent to L1 for batches");
        let l1_retries = counter("l1_retries", "Temporary failures towards L1");
        let mut gauge = |name: &str, help: &str| {
            let g = Gauge::default();
            registry.register(name, help, g.clone());
            g
        };
        let queue = gauge("queue", "Requests that wait for the engine");
        let building = gauge("building_batch", "Number of the batch being built");
        let unposted = gauge("unposted_batches", "Closed batches that wait for L1");
        let room = gauge("l1_room_batches", "Batches that L1 takes now");
        let held = gauge("held_batch", "Reverted batch that is held back");
        let tip = gauge("tip_batch", "Newest batch on L1");
        let finalised = gauge("final_batch", "Newest final batch");
        let accepting = gauge("accepting", "1 while requests are accepted, 0 else");
        let inbox = gauge("inbox_consumed", "Messages consumed from the inbox");
        let micro_batch = Histogram::new(exponential_buckets(1.0, 2.0, 13));
        registry.register(
            "micro_batch",
            "Requests per micro-batch",
            micro_batch.clone(),
        );
        let stages = Family::default();
        registry.register_with_unit(
            "stage",
            "Time spent in a step of the pipeline",
            Unit::Seconds,
            stages.clone(),
        );
        let refused = Family::default();
        registry.register("refused", "Requests refused, by reason", refused.clone());
        let node = NodeFailures::default();
        registry.register_collector(Box::new(node.clone()));
        Self {
            registry,
            stages,
            refused,
            transactions,
            inferences,
            runs,
            rebuilds,
            micro_batch,
            queue,
            building,
            unposted,
            room,
            held,
            tip,
            finalised,
            inbox,
            l1_lamports,
            l1_bytes,
            l1_retries,
            node,
            accepting,
        }
    }
}

impl Metrics {
    /// Runs `work` and adds its time to `stage`.
    pub fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = work();
        self.stages
            .get_or_create(&StageLabel {
                stage: stage.name(),
            })
            .inc_by(start.elapsed().as_secs_f64());
        out
    }

    /// Runs `work` and adds its time to [`Stage::Ledger`], less what it spends on closing batches,
    /// which is [`Stage::Encoding`].
    pub fn time_ledger<T>(&self, work: impl FnOnce() -> T) -> T {
        let (start, encoding) = (Instant::now(), self.seconds(Stage::Encoding));
        let out = work();
        let encoding = self.seconds(Stage::Encoding) - encoding;
        self.stages
            .get_or_create(&StageLabel {
                stage: Stage::Ledger.name(),
            })
            .inc_by((start.elapsed().as_secs_f64() - encoding).max(0.0));
        out
    }

    /// Seconds spent in `stage` so far.
    pub fn seconds(&self, stage: Stage) -> f64 {
        self.stages
            .get_or_create(&StageLabel {
                stage: stage.name(),
            })
            .get()
    }

    /// Counts a refused request.
    pub fn refuse(&self, code: &'static str) {
        self.refused.get_or_create(&CodeLabel { code }).inc();
    }

    /// The text that Prometheus reads.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_in_the_text() {
        let m = Metrics::default();
        m.transactions.inc_by(3);
        m.refuse("nonce");
        m.time(Stage::Ledger, || std::hint::black_box(1));
        let text = m.encode();
        assert!(text.contains("assay_transactions_total 3"), "{text}");
        assert!(
            text.contains("assay_refused_total{code=\"nonce\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("assay_stage_seconds_total{stage=\"ledger\"}"),
            "{text}"
        );
        assert!(m.seconds(Stage::Ledger) > 0.0);
    }
}
