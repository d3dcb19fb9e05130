//! Signed requests sent in bulk over HTTP on loopback, by as many clients as in the pipeline's
//! benchmark, in the same process: what is measured includes the clients' encoding and decoding.
//! Beside it the same requests without HTTP.

use super::{ROLLUP, SEQUENCER, World, params, run};
use crate::api::{self, Api};
use crate::config::{ApiLimits, ExecutorChoice};
use crate::engine::rig::Rig;
use crate::l1::{Heads, RollupInfo};
use anyhow::{Result, ensure};
use assay_client::http::Api as Client;
use assay_ledger::request::SignedRequest;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests of each kind, over HTTP and without.
    pub requests: usize,
    /// Clients that submit at the same time.
    pub clients: usize,
    /// Requests of one call.
    pub call: usize,
    /// What runs the model.
    pub executor: ExecutorChoice,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            requests: 32_768,
            clients: 4,
            call: 1_024,
            executor: ExecutorChoice::Cpu,
        }
    }
}

/// What it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What ran the model.
    pub executor: String,
    /// Processors.
    pub cores: usize,
    /// Clients that submitted at the same time.
    pub clients: usize,
    /// Requests of one call.
    pub call: usize,
    /// One for each kind of request.
    pub rows: Vec<Row>,
}

/// A kind of request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was asked for.
    pub kind: &'static str,
    /// How many, on each way.
    pub requests: usize,
    /// Transactions per second over HTTP.
    pub http_per_second: f64,
    /// Transactions per second without.
    pub direct_per_second: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} clients, {} requests in a call, all in one process on {} cores, {}",
            self.clients, self.call, self.cores, self.executor
        )?;
        writeln!(
            f,
            "{:<12} {:>9} {:>12} {:>16} {:>7}",
            "requests", "count", "HTTP /s", "without HTTP /s", "ratio"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<12} {:>9} {:>12.0} {:>16.0} {:>6.1}%",
                row.kind,
                row.requests,
                row.http_per_second,
                row.direct_per_second,
                row.http_per_second / row.direct_per_second * 100.0
            )?;
        }
        Ok(())
    }
}

/// Runs the benchmark in a temporary directory.
pub async fn http(options: Options) -> Result<Report> {
    ensure!(
        options.requests > 0 && options.clients > 0 && options.call > 0,
        "requests, clients and call must be at least 1"
    );
    let mut world = World::start(options.clients, options.executor).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let client = Client::new(format!("http://{}", listener.local_addr()?));
    let (api, _heads) = api(&world.rig);
    let server = tokio::spawn(axum::serve(listener, api::router(api)).into_future());
    let each = options.requests.div_ceil(options.clients);
    let mut rows = Vec::new();
    for kind in ["transfers", "inferences"] {
        // The first round makes accounts, connections and the model ready.
        let warm = requests(&mut world, kind, options.call);
        over_http(&client, warm, options.call).await?;
        let batch = requests(&mut world, kind, each);
        let direct = without(&world.rig, batch, options.call).await?;
        let batch = requests(&mut world, kind, each);
        let http = over_http(&client, batch, options.call).await?;
        let count = each * options.clients;
        rows.push(Row {
            kind,
            requests: count,
            http_per_second: count as f64 / http,
            direct_per_second: count as f64 / direct,
        });
    }
    server.abort();
    let report = Report {
        executor: world.rig.executor.clone(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        clients: options.clients,
        call: options.call,
        rows,
    };
    world.stop().await?;
    Ok(report)
}

fn requests(world: &mut World, kind: &str, each: usize) -> Vec<Vec<SignedRequest>> {
    match kind {
        "transfers" => world.transfers(each),
        _ => world.inferences(each),
    }
}

/// What the service would serve; the sender keeps L1's heads as they are.
fn api(rig: &Rig) -> (Api, watch::Sender<Heads>) {
    let (sender, heads) = watch::channel(Heads::default());
    let api = Api {
        store: rig.store.clone(),
        blobs: rig.blobs.clone(),
        admission: rig.admission.clone(),
        engine: rig.engine.clone(),
        heads,
        metrics: rig.metrics.clone(),
        info: Arc::new(RollupInfo {
            rollup: ROLLUP,
            sequencer: SEQUENCER,
            bridge: [0; 32],
            escrow: [0; 32],
            params: params(),
            version1: true,
        }),
        executor: rig.executor.clone(),
        limits: ApiLimits::default(),
        instance: String::new(),
        snapshots: Default::default(),
        dev: false,
    };
    (api, sender)
}

/// Seconds that the clients' calls take over HTTP.
async fn over_http(client: &Client, requests: Vec<Vec<SignedRequest>>, call: usize) -> Result<f64> {
    let start = Instant::now();
    let clients = requests.into_iter().map(|requests| {
        let client = client.clone();
        tokio::spawn(async move {
            for part in requests.chunks(call) {
                for outcome in client.submit(part).await? {
                    let done = outcome.executed.as_ref().is_some_and(|e| e.status == 0);
                    ensure!(done, "{outcome:?}");
                }
            }
            Ok(())
        })
    });
    for ended in futures::future::try_join_all(clients).await? {
        ended?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds that the same take without HTTP.
async fn without(rig: &Rig, requests: Vec<Vec<SignedRequest>>, call: usize) -> Result<f64> {
    let start = Instant::now();
    let clients = requests.into_iter().map(|requests| async move {
        for part in requests.chunks(call) {
            run(rig, part.to_vec()).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(clients).await?;
    Ok(start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn requests_are_measured_on_both_ways() {
        let options = Options {
            requests: 64,
            clients: 2,
            call: 16,
            ..Options::default()
        };
        let report = http(options).await.unwrap();
        let kinds: Vec<_> = report.rows.iter().map(|row| row.kind).collect();
        assert_eq!(kinds, ["transfers", "inferences"]);
        for row in &report.rows {
            assert_eq!(row.requests, 64);
            assert!(row.http_per_second > 0.0 && row.direct_per_second > 0.0);
        }
        assert!(report.to_string().contains("transfers"));
    }
}
