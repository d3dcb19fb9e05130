//! What the verifier counts, and where it can be read.

use super::Standing;
use crate::l1::health::NodeFailures;
use crate::replica::{Rechecked, Right};
use anyhow::{Context, Result};
use assay_client::sender::Landed;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Json, Router, routing};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the verifier counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    head: Gauge,
    tip: Gauge,
    finalised: Gauge,
    wrong: Gauge,
    stands: Gauge,
    unverified_batches: Gauge,
    unverified_runs: Gauge,
    batches: Counter,
    verified: Counter,
    transactions: Counter,
    runs: Counter,
    again: Counter,
    seconds: Counter<f64, AtomicU64>,
    dispute_transactions: Counter,
    dispute_lamports: Counter,
    /// Temporary failures towards L1 and the mirrors.
    pub retries: Counter,
    /// Failures of calls to the node of L1.
    pub node: NodeFailures,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("assay_verifier");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let head = gauge("head_batch", "Newest batch that was replayed");
        let tip = gauge("tip_batch", "Newest batch on L1");
        let finalised = gauge("final_batch", "Newest final batch");
        let wrong = gauge("wrong_batch", "Number of a wrong batch on L1, or 0");
        let stands = gauge("stands", "1 if it does not get on, or lacks something");
        let help = "Batches with runs that could not be re-executed, up to now";
        let unverified_batches = gauge("unverified_batches", help);
        let unverified_runs = gauge(
            "unverified_runs",
            "Runs that could not be re-executed, up to now",
        );
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let batches = counter("batches", "Batches that were replayed");
        let help = "Batches of which every run that was to be re-executed was";
        let verified = counter("batches_verified", help);
        let transactions = counter("transactions", "L2 transactions that were replayed");
        let runs = counter("runs", "Runs of models in these batches");
        let again = counter("runs_reexecuted", "Runs of models that were re-executed");
        let retries = counter("retries", "Temporary failures towards L1 and mirrors");
        let help = "Transactions of one's own disputes";
        let dispute_transactions = counter("dispute_transactions", help);
        let dispute_lamports = counter("dispute_lamports", "Fees of these transactions");
        let seconds = Counter::default();
        let help = "Seconds spent on doing batches again";
        registry.register("seconds", help, seconds.clone());
        let node = NodeFailures::default();
        registry.register_collector(Box::new(node.clone()));
        Self {
            registry,
            head,
            tip,
            finalised,
            wrong,
            stands,
            unverified_batches,
            unverified_runs,
            batches,
            verified,
            transactions,
            runs,
            again,
            seconds,
            dispute_transactions,
            dispute_lamports,
            retries,
            node,
        }
    }
}

impl Metrics {
    /// Counts a batch that was replayed.
    pub fn count(&self, right: &Right, took: Duration) {
        self.batches.inc();
        if right.unverified == 0 {
            self.verified.inc();
        }
        self.transactions.inc_by(right.header.tx_count.into());
        self.runs.inc_by(right.runs);
        self.again.inc_by(right.again);
        self.seconds.inc_by(took.as_secs_f64());
    }

    /// Counts runs that were re-executed later.
    pub fn recount(&self, rechecked: &Rechecked) {
        self.again.inc_by(rechecked.runs);
        if !rechecked.invalid {
            self.verified.inc();
        }
    }

    /// Counts a transaction of a dispute.
    pub fn count_dispute(&self, landed: &Landed) {
        self.dispute_transactions.inc();
        self.dispute_lamports.inc_by(landed.lamports);
    }

    /// Shows where the verifier stands.
    pub fn show(&self, standing: &Standing) {
        self.head.set(standing.head as i64);
        self.tip.set(standing.tip as i64);
        self.finalised.set(standing.finalised as i64);
        self.wrong.set(standing.wrong.unwrap_or(0) as i64);
        let stands = standing.stands.is_some() || !standing.lacks.is_empty();
        self.stands.set(stands.into());
        self.unverified_batches
            .set(standing.unverified_batches as i64);
        self.unverified_runs.set(standing.unverified_runs as i64);
    }

    /// The text that Prometheus reads.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    standing: watch::Receiver<Standing>,
}

/// Serves `GET /health` (503 with what is amiss, while something is), `/status` and `/metrics`. Where it listens, and
/// what ends when serving fails.
pub async fn serve(
    listen: SocketAddr,
    metrics: Arc<Metrics>,
    standing: watch::Receiver<Standing>,
) -> Result<(SocketAddr, tokio::task::JoinHandle<std::io::Result<()>>)> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: set `listen` to a free address"))?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/health", routing::get(health))
        .route("/status", routing::get(status))
        .route("/metrics", routing::get(text))
        .with_state(Shared { metrics, standing });
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((address, serving))
}

async fn health(State(shared): State<Shared>) -> impl IntoResponse {
    match shared.standing.borrow().trouble() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, trouble),
    }
}

async fn status(State(shared): State<Shared>) -> Json<Standing> {
    Json(shared.standing.borrow().clone())
}

async fn text(State(shared): State<Shared>) -> impl IntoResponse {
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        shared.metrics.encode(),
    )
}
