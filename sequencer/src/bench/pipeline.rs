//! Signed requests through admission, execution, ledger and store, as the service does it, without
//! L1 and HTTP. All parts are measured in the one run.

use super::{World, encode, run};
use crate::config::ExecutorChoice;
use crate::engine::rig::Rig;
use crate::metrics::Stage;
use anyhow::{Result, ensure};
use assay_ledger::request::SignedRequest;
use borsh::BorshDeserialize;
use serde::Serialize;
use std::fmt;
use std::time::Instant;

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Inferences in all.
    pub inferences: usize,
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
            inferences: 32_768,
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
    /// Inferences in all.
    pub inferences: usize,
    /// From the first call to the last answer.
    pub seconds: f64,
    /// Inferences per second, everything included.
    pub inferences_per_second: f64,
    /// Share of the held-out images that were classified as labelled.
    pub accuracy: f64,
    /// Bytes of L1 data for one inference.
    pub bytes_per_inference: f64,
    /// The parts. They overlap: execution runs beside ledger and store, and signatures beside both.
    pub parts: Vec<Part>,
}

/// A part of the pipeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Seconds in all.
    pub seconds: f64,
    /// Microseconds for one inference.
    pub microseconds: f64,
    /// Its time as a share of the whole run's.
    pub share: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} inferences of the digits model in {:.2} s on {} cores, {}: {:.0} per second",
            self.inferences, self.seconds, self.cores, self.executor, self.inferences_per_second
        )?;
        writeln!(
            f,
            "accuracy {:.2} %, {:.1} bytes of L1 data each",
            self.accuracy * 100.0,
            self.bytes_per_inference
        )?;
        writeln!(
            f,
            "{:<12} {:>9} {:>9} {:>7}",
            "part", "seconds", "us each", "share"
        )?;
        for part in &self.parts {
            writeln!(
                f,
                "{:<12} {:>9.3} {:>9.2} {:>6.1}%",
                part.name,
                part.seconds,
                part.microseconds,
                part.share * 100.0
            )?;
        }
        Ok(())
    }
}

/// Runs the benchmark in a temporary directory.
pub async fn pipeline(options: Options) -> Result<Report> {
    ensure!(
        options.inferences > 0 && options.clients > 0 && options.call > 0,
        "inferences, clients and call must be at least 1"
    );
    let mut world = World::start(options.clients, options.executor).await?;
    let first_batch = world.rig.engine.building().number;
    let each = options.inferences.div_ceil(options.clients);
    let bodies: Vec<Vec<Vec<u8>>> = (world.inferences(each).iter())
        .map(|requests| requests.chunks(options.call).map(encode).collect())
        .collect();
    let World { rig, held_out, .. } = &world;

    let before: Vec<f64> = Stage::ALL.iter().map(|s| rig.metrics.seconds(*s)).collect();
    let start = Instant::now();
    let clients = bodies.into_iter().map(|bodies| client(rig, bodies));
    let outputs = futures::future::try_join_all(clients).await?;
    let seconds = start.elapsed().as_secs_f64();
    rig.engine.close_batch().await?;
    let parts = parts(rig, &before, each * options.clients, seconds);
    let (mut bytes, mut count) = (0u64, 0u64);
    for batch in rig.store.batches(u64::MAX, usize::MAX)? {
        if batch.header.number >= first_batch {
            bytes += u64::from(batch.header.data_len);
            count += u64::from(batch.header.tx_count);
        }
    }
    let right =
        outputs.iter().flatten().enumerate().filter(|(i, outputs)| {
            class(outputs) == Some(held_out.labels[i % held_out.labels.len()])
        });
    let inferences = each * options.clients;
    let report = Report {
        executor: rig.executor.clone(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        inferences,
        seconds,
        inferences_per_second: inferences as f64 / seconds,
        accuracy: right.count() as f64 / inferences as f64,
        bytes_per_inference: bytes as f64 / count.max(1) as f64,
        parts,
    };
    world.stop().await?;
    Ok(report)
}

/// One client: its calls one after the other, as the API does them.
async fn client(rig: &Rig, bodies: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
    let mut outputs = Vec::new();
    for body in bodies {
        let requests = Vec::<SignedRequest>::try_from_slice(&body)?;
        outputs.extend(run(rig, requests).await?);
    }
    Ok(outputs)
}

/// The class with the highest logit, the first of equals.
fn class(outputs: &[u8]) -> Option<u8> {
    let logits = outputs.iter().map(|v| *v as i8);
    let best = logits.clone().max()?;
    logits.into_iter().position(|v| v == best).map(|i| i as u8)
}

fn parts(rig: &Rig, before: &[f64], inferences: usize, whole: f64) -> Vec<Part> {
    Stage::ALL
        .iter()
        .zip(before)
        .map(|(stage, before)| {
            let seconds = rig.metrics.seconds(*stage) - before;
            Part {
                name: stage.name(),
                seconds,
                microseconds: seconds * 1e6 / inferences as f64,
                share: seconds / whole,
            }
        })
        .collect()
}
