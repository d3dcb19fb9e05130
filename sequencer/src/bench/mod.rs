//! The sequencer, measured.
//!
//! * [`pipeline`]: inferences without L1 and HTTP, and what their parts take
//! * [`http`]: requests in bulk over HTTP, beside the same without it
//! * [`junk`]: a verifier among transactions of strangers

pub mod http;
pub mod junk;
pub mod pipeline;

use crate::config::{BatchLimits, ExecutorChoice, ModelLimits};
use crate::engine::rig::{Options as RigOptions, Rig};
use anyhow::{Context, Result, ensure};
use assay_ledger::header::Params;
use assay_ledger::inbox::{Deposit, Message, MessageKind};
use assay_ledger::request::{Action, Request, SignedRequest};
use assay_ledger::signature::Keypair;
use assay_ledger::transition::Env;
use assay_ledger::{Key, SOL};
use assay_onnx::dataset::{DIGITS, HeldOut};
use assay_onnx::{Imported, Limits, import};
use tempfile::TempDir;

const ROLLUP: Key = [7; 32];
const SEQUENCER: Key = [8; 32];
const PRICE: u64 = 10;

/// An engine in a temporary directory, clients with deposits, and the digits model.
struct World {
    rig: Rig,
    model: Imported,
    held_out: HeldOut,
    images: Vec<Vec<u8>>,
    clients: Vec<Client>,
    /// Removed when this is dropped.
    _dir: TempDir,
}

/// Who submits.
struct Client {
    key: Keypair,
    nonce: u64,
}

impl World {
    async fn start(clients: usize, executor: ExecutorChoice) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let options = RigOptions {
            env: Env {
                rollup: ROLLUP,
                number: 1,
                sequencer: SEQUENCER,
                params: params(),
                inbox_end: u64::MAX,
            },
            limits: BatchLimits::default(),
            executor,
            models: ModelLimits::default(),
            queue: usize::MAX >> 8,
            gate: Default::default(),
        };
        let path = dir.path().to_owned();
        let rig = tokio::task::spawn_blocking(move || Rig::start(&path, options)).await??;
        let model = import(DIGITS, &Limits::default())?;
        let held_out = HeldOut::digits()?;
        let mut world = Self {
            images: images(&model, &held_out)?,
            clients: (0..clients)
                .map(|i| Client {
                    key: Keypair::from_seed([i as u8 + 1; 32]),
                    nonce: 0,
                })
                .collect(),
            rig,
            model,
            held_out,
            _dir: dir,
        };
        world.prepare().await?;
        Ok(world)
    }

    /// Deposits for all clients, and the model, each in a batch that is closed.
    async fn prepare(&mut self) -> Result<()> {
        let deposits: Result<Vec<Message>> = (self.clients.iter())
            .map(|client| {
                let deposit = Deposit {
                    owner: client.key.public(),
                    mint: SOL,
                    amount: 1 << 50,
                };
                Ok(Message {
                    kind: MessageKind::Deposit,
                    payload: borsh::to_vec(&deposit)?,
                })
            })
            .collect();
        let rig = &self.rig;
        rig.engine.inbox(0, deposits?)?;
        rig.engine.close_batch().await?;
        (rig.blobs).put_program(&self.model.program.program().encode())?;
        let parameters: Vec<u8> = self
            .model
            .parameters
            .iter()
            .flat_map(|p| p.data())
            .copied()
            .collect();
        let parameters_root =
            (rig.blobs).put_parameters(&self.model.program.root(), &parameters)?;
        let deploy = Action::Deploy {
            program: self.model.program.header(),
            parameters_root,
            price: PRICE,
        };
        let publisher = self.clients.first_mut().context("there are clients")?;
        let deploy = publisher.sign(deploy);
        run(rig, vec![deploy]).await?;
        rig.engine.close_batch().await?;
        Ok(())
    }

    /// Signed inferences of the held-out images, `each` for each client.
    fn inferences(&mut self, each: usize) -> Vec<Vec<SignedRequest>> {
        let program_root = self.model.program.root();
        let images = &self.images;
        sign_all(&mut self.clients, each, |i| Action::Infer {
            model: 0,
            program_root,
            price: PRICE,
            version: None,
            input: images[i % images.len()].clone(),
        })
    }

    /// Signed transfers to 4,096 accounts, `each` for each client.
    fn transfers(&mut self, each: usize) -> Vec<Vec<SignedRequest>> {
        sign_all(&mut self.clients, each, |i| {
            let mut to = [9; 32];
            to[..2].copy_from_slice(&((i % 4_096) as u16).to_le_bytes());
            Action::Transfer { to, amount: 1 }
        })
    }

    async fn stop(self) -> Result<()> {
        self.rig.stop().await
    }
}

impl Client {
    fn sign(&mut self, action: Action) -> SignedRequest {
        let request = Request {
            rollup: ROLLUP,
            owner: self.key.public(),
            mint: SOL,
            nonce: self.nonce,
            action,
        };
        self.nonce += 1;
        let signature = self.key.sign(&request.signing_bytes());
        SignedRequest { request, signature }
    }
}

/// `each` requests of each client, which sign at the same time. `action` is given a number that
/// counts through all of them.
fn sign_all(
    clients: &mut [Client],
    each: usize,
    action: impl Fn(usize) -> Action + Sync,
) -> Vec<Vec<SignedRequest>> {
    std::thread::scope(|scope| {
        let action = &action;
        let signing: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(at, client)| {
                scope.spawn(move || -> Vec<SignedRequest> {
                    (0..each)
                        .map(|i| client.sign(action(at * each + i)))
                        .collect()
                })
            })
            .collect();
        signing
            .into_iter()
            .map(|thread| thread.join().unwrap_or_default())
            .collect()
    })
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

/// The body of a call.
fn encode(requests: &[SignedRequest]) -> Vec<u8> {
    // Writing to a vector cannot fail.
    borsh::to_vec(requests).unwrap_or_default()
}

/// Has requests done, all of which must be accepted; their outputs.
async fn run(rig: &Rig, requests: Vec<SignedRequest>) -> Result<Vec<Vec<u8>>> {
    let admission = rig.admission.clone();
    let admitted = tokio::task::spawn_blocking(move || admission.admit(requests)).await?;
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
