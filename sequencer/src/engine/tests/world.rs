//! A rollup with the digits model and a few users, around an engine without L1 or HTTP.

use super::super::Answer;
use super::super::rig::{Options, Rig};
use crate::config::{BatchLimits, ExecutorChoice, ModelLimits};
use assay_ledger::header::Params;
use assay_ledger::inbox::{Deposit, Message, MessageKind};
use assay_ledger::request::{Action, Request, SignedRequest};
use assay_ledger::signature::Keypair;
use assay_ledger::store::FullState;
use assay_ledger::transition::Env;
use assay_ledger::{Hash, Key, SOL, batch, codec};
use assay_onnx::dataset::DIGITS;
use assay_onnx::{Imported, Limits, import};
use std::collections::HashMap;
use tempfile::TempDir;

pub(super) const ROLLUP: Key = [7; 32];
pub(super) const SEQUENCER: Key = [8; 32];
pub(super) const PRICE: u64 = 100;

pub(super) fn params() -> Params {
    Params {
        window: 1,
        bond_slice: 1,
        max_units: u64::MAX,
        max_records: 1_000,
        max_data: 1 << 20,
        model_delay: 1,
        sequencer_share: 1_000,
        clock: 1,
        extension: 1,
        dispute_bond: 1,
    }
}

pub(super) fn env() -> Env {
    Env {
        rollup: ROLLUP,
        number: 1,
        sequencer: SEQUENCER,
        params: params(),
        inbox_end: u64::MAX,
    }
}

pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) params: Params,
    pub(super) limits: BatchLimits,
    pub(super) rig: Rig,
    pub(super) messages: Vec<Message>,
    pub(super) model: Imported,
    pub(super) alice: Keypair,
    pub(super) bob: Keypair,
}

impl World {
    /// Alice and Bob have deposits; Alice has deployed the digits model, callable from batch 2.
    pub(super) async fn new() -> Self {
        Self::with(BatchLimits::default()).await
    }

    pub(super) async fn with(limits: BatchLimits) -> Self {
        Self::under(params(), limits).await
    }

    pub(super) async fn under(params: Params, limits: BatchLimits) -> Self {
        let dir = TempDir::new().unwrap();
        let mut world = Self {
            rig: start(&dir, params, limits.clone(), ModelLimits::default()),
            dir,
            params,
            limits,
            messages: Vec::new(),
            model: import(DIGITS, &Limits::default()).unwrap(),
            alice: Keypair::from_seed([1; 32]),
            bob: Keypair::from_seed([2; 32]),
        };
        let (alice, bob) = (world.alice, world.bob);
        world.send(deposit(&alice, 10_000));
        world.send(deposit(&bob, 1_000));
        // A barrier: what came before is consumed.
        assert_eq!(world.rig.engine.close_batch().await, Ok(Some(1)));
        world
    }

    pub(super) async fn deploy(&self) {
        self.deploy_open().await;
        self.rig.engine.close_batch().await.unwrap();
    }

    /// The same, the batch left open.
    pub(super) async fn deploy_open(&self) {
        self.one(&self.alice, 0, self.deployment()).await.unwrap();
    }

    /// Alice's deployment of the digits model, whose blobs are uploaded.
    pub(super) fn deployment(&self) -> Action {
        let program = self.model.program.program().encode();
        self.rig.blobs.put_program(&program).unwrap();
        let parameters: Vec<u8> = self
            .model
            .parameters
            .iter()
            .flat_map(|p| p.data())
            .copied()
            .collect();
        let parameters_root = self
            .rig
            .blobs
            .put_parameters(&self.model.program.root(), &parameters)
            .unwrap();
        Action::Deploy {
            program: self.model.program.header(),
            parameters_root,
            price: PRICE,
        }
    }

    pub(super) fn send(&mut self, message: Message) {
        let first = self.messages.len() as u64;
        self.messages.push(message.clone());
        self.rig.engine.inbox(first, vec![message]).unwrap();
    }

    pub(super) async fn restart(self) -> Self {
        self.restart_with(ModelLimits::default()).await
    }

    pub(super) async fn restart_with(self, models: ModelLimits) -> Self {
        let Self { dir, rig, .. } = self;
        rig.stop().await.unwrap();
        Self {
            rig: start(&dir, self.params, self.limits.clone(), models),
            dir,
            ..self
        }
    }

    pub(super) async fn submit(&self, requests: Vec<SignedRequest>) -> Vec<Answer> {
        let mut answers = Vec::new();
        for (_, checked) in self.rig.admission.admit(requests) {
            answers.push(match checked {
                Ok(admitted) => {
                    let mut one = self.rig.engine.submit(vec![admitted]).await.unwrap();
                    one.pop().unwrap()
                }
                Err(refused) => Err(refused),
            });
        }
        answers
    }

    pub(super) async fn one(&self, key: &Keypair, nonce: u64, action: Action) -> Answer {
        let mut answers = self.submit(vec![sign(key, nonce, action)]).await;
        answers.pop().unwrap()
    }

    pub(super) fn infer(&self, input: Vec<u8>) -> Action {
        Action::Infer {
            model: 0,
            program_root: self.model.program.root(),
            price: PRICE,
            version: None,
            input,
        }
    }

    pub(super) fn input(&self, seed: u8) -> Vec<u8> {
        let bytes = self.model.program.input_bytes() as usize;
        (0..bytes)
            .map(|i| seed.wrapping_mul(31).wrapping_add(i as u8))
            .collect()
    }

    pub(super) fn balance(&self, owner: &Key) -> u64 {
        let accounts = self.rig.store.accounts_of(owner).unwrap();
        accounts.first().map_or(0, |(_, a)| a.balance)
    }

    /// Every closed batch decodes, and gives its header again when it is replayed from genesis.
    pub(super) fn replay(&self) {
        let mut state = FullState::genesis();
        for message in &self.messages {
            state.push_message(message.clone());
        }
        let mut parent = assay_ledger::header::genesis_hash(&ROLLUP);
        let mut number = 1;
        while let Some(record) = self.rig.store.batch(number).unwrap() {
            let header = record.header;
            assert_eq!(header.parent, parent);
            let data = self.rig.store.data(number).unwrap().unwrap();
            let stored = self.rig.store.transactions(number).unwrap();
            let decoded = codec::decode_all(&data).unwrap();
            assert_eq!(decoded.len(), stored.len());
            let outputs: HashMap<u32, Hash> = (0..)
                .zip(&stored)
                .map(|(i, t)| (i, t.result.output_root))
                .collect();
            state.start_batch();
            let env = Env::from(&header);
            let mut leaves = Vec::new();
            for ((i, tx), stored) in (0..).zip(&decoded).zip(&stored) {
                assert_eq!(*tx, stored.transaction);
                let result =
                    assay_ledger::transition::apply(&mut state, &env, tx, outputs[&i]).unwrap();
                assert_eq!(result, stored.result);
                leaves.push(batch::tx_leaf(tx, &result));
            }
            assert_eq!(state.components(), header.state);
            assert_eq!(batch::tx_root(&leaves), header.tx_root);
            assert_eq!(header.data_root, assay_ledger::data::data_root(&data));
            parent = header.hash();
            number += 1;
        }
        assert_eq!(number, self.rig.engine.building().number);
    }
}

pub(super) fn start(
    dir: &TempDir,
    params: Params,
    limits: BatchLimits,
    models: ModelLimits,
) -> Rig {
    let options = Options {
        env: Env { params, ..env() },
        limits,
        executor: ExecutorChoice::Cpu,
        models,
        queue: 1_000,
        gate: Default::default(),
    };
    Rig::start(dir.path(), options).unwrap()
}

pub(super) fn deposit(key: &Keypair, amount: u64) -> Message {
    let deposit = Deposit {
        owner: key.public(),
        mint: SOL,
        amount,
    };
    Message {
        kind: MessageKind::Deposit,
        payload: borsh::to_vec(&deposit).unwrap(),
    }
}

pub(super) fn sign(key: &Keypair, nonce: u64, action: Action) -> SignedRequest {
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

pub(super) fn transfer(to: Key, amount: u64) -> Action {
    Action::Transfer { to, amount }
}
