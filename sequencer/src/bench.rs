//! The pipeline's benchmark: signed requests through admission, execution, ledger and store, as
//! the service does it, without L1 and HTTP. All parts are measured in the one run.

use crate::config::{BatchLimits, ExecutorChoice};
use crate::engine::admission::admit;
use crate::engine::rig::{Options as RigOptions, Rig};
use crate::metrics::Stage;
use anyhow::{Context, Result, ensure};
use assay_ledger::header::Params;
use assay_ledger::inbox::{Deposit, Message, MessageKind};
use assay_ledger::request::{Action, Request, SignedRequest};
use assay_ledger::signature::Keypair;
use assay_ledger::transition::Env;
use assay_ledger::{Key, SOL};
use assay_onnx::dataset::{DIGITS, HeldOut};
use assay_onnx::{Imported, Limits, import};
use borsh::BorshDeserialize;
use serde::Serialize;
use std::fmt;
use std::time::Instant;

const ROLLUP: Key = [7; 32];
const SEQUENCER: Key = [8; 32];
const PRICE: u64 = 10;

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
    let dir = tempfile::tempdir()?;
    let rig_options = RigOptions {
        env: Env {
            rollup: ROLLUP,
            number: 1,
            sequencer: SEQUENCER,
            params: params(),
            inbox_end: u64::MAX,
        },
        limits: BatchLimits::default(),
        executor: options.executor,
        queue: usize::MAX >> 8,
    };
    let path = dir.path().to_owned();
    let rig = tokio::task::spawn_blocking(move || Rig::start(&path, rig_options)).await??;
    let model = import(DIGITS, &Limits::default())?;
    let held_out = HeldOut::digits()?;
    let keys: Vec<Keypair> = (0..options.clients)
        .map(|i| Keypair::from_seed([i as u8 + 1; 32]))
        .collect();
    let first_batch = prepare(&rig, &model, &keys).await?;
    let images = images(&model, &held_out)?;
    let each = options.inferences.div_ceil(options.clients);
    let bodies: Vec<Vec<Vec<u8>>> = std::thread::scope(|scope| {
        let images = &images;
        let model = &model;
        let signing: Vec<_> = keys
            .iter()
            .zip(0..)
            .map(|(key, client)| {
                // The publisher has deployed already.
                let nonce = u64::from(client == 0);
                let call = options.call;
                scope.spawn(move || bodies(key, model, images, client * each, each, nonce, call))
            })
            .collect();
        signing
            .into_iter()
            .map(|thread| thread.join().unwrap_or_default())
            .collect()
    });

    let before: Vec<f64> = Stage::ALL.iter().map(|s| rig.metrics.seconds(*s)).collect();
    let start = Instant::now();
    let clients = bodies.into_iter().map(|bodies| client(&rig, bodies));
    let outputs = futures::future::try_join_all(clients).await?;
    let seconds = start.elapsed().as_secs_f64();
    rig.engine.close_batch().await?;
    let parts = parts(&rig, &before, each * options.clients, seconds);
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
    rig.stop().await?;
    Ok(report)
}

fn params() -> Params {
    Params {
        window: 1,
        bond_slice: 1,
        max_units: u64::MAX,
        max_records: 1 << 20,
        max_data: 1_900_000,
        model_delay: 0,
        sequencer_share: 1_000,
        clock: 1,
        extension: 1,
        dispute_bond: 1,
    }
}

/// Deposits for all clients, and the model; the number of the batch that is built afterwards.
async fn prepare(rig: &Rig, model: &Imported, keys: &[Keypair]) -> Result<u64> {
    let deposits: Result<Vec<Message>> = keys
        .iter()
        .map(|key| {
            let deposit = Deposit {
                owner: key.public(),
                mint: SOL,
                amount: 1 << 50,
            };
            Ok(Message {
                kind: MessageKind::Deposit,
                payload: borsh::to_vec(&deposit)?,
            })
        })
        .collect();
    rig.engine.inbox(0, deposits?)?;
    rig.engine.close_batch().await?;
    rig.blobs.put_program(&model.program.program().encode())?;
    let parameters: Vec<u8> = model
        .parameters
        .iter()
        .flat_map(|p| p.data())
        .copied()
        .collect();
    let parameters_root = rig
        .blobs
        .put_parameters(&model.program.root(), &parameters)?;
    let deploy = sign(
        &keys[0],
        0,
        Action::Deploy {
            program: model.program.header(),
            parameters_root,
            price: PRICE,
        },
    );
    run(rig, vec![deploy]).await?;
    rig.engine.close_batch().await?;
    Ok(rig.engine.building().number)
}

fn images(model: &Imported, held_out: &HeldOut) -> Result<Vec<Vec<u8>>> {
    let port = model
        .inputs
        .first()
        .and_then(|port| port.quantisation)
        .context("the digits model has a quantised input")?;
    (0..held_out.images.len())
        .map(|i| {
            held_out
                .input(i, &port)
                .context("the images are the model's")
        })
        .collect()
}

/// The bodies of one client's calls, signed.
fn bodies(
    key: &Keypair,
    model: &Imported,
    images: &[Vec<u8>],
    first: usize,
    count: usize,
    nonce: u64,
    call: usize,
) -> Vec<Vec<u8>> {
    let program_root = model.program.root();
    let requests: Vec<SignedRequest> = (0..count)
        .map(|i| {
            let action = Action::Infer {
                model: 0,
                program_root,
                price: PRICE,
                version: None,
                input: images[(first + i) % images.len()].clone(),
            };
            sign(key, nonce + i as u64, action)
        })
        .collect();
    requests
        .chunks(call)
        // Writing to a vector cannot fail.
        .map(|part| borsh::to_vec(part).unwrap_or_default())
        .collect()
}

fn sign(key: &Keypair, nonce: u64, action: Action) -> SignedRequest {
    let request = Request {
        rollup: ROLLUP,
        owner: key.public(),
        mint: SOL,
        nonce,
        action,
    };
    let signature = key.sign(&request.signing_bytes());
    SignedRequest { request, signature }
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

/// Has requests done, all of which must be accepted; their outputs.
async fn run(rig: &Rig, requests: Vec<SignedRequest>) -> Result<Vec<Vec<u8>>> {
    let (blobs, metrics) = (rig.blobs.clone(), rig.metrics.clone());
    let admitted =
        tokio::task::spawn_blocking(move || admit(&ROLLUP, &blobs, &metrics, requests)).await?;
    let admitted: Result<Vec<_>, _> = admitted.into_iter().map(|(_, a)| a).collect();
    let answers = rig.engine.submit(admitted?).await?;
    answers
        .into_iter()
        .map(|answer| {
            let placed = answer?;
            ensure!(placed.result.done(), "status {}", placed.result.status);
            Ok(placed.outputs.unwrap_or_default())
        })
        .collect()
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
