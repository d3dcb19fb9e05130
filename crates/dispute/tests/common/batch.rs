//! What the tests of the ledger's steps share: a small rollup and a batch with every kind of transaction.
#![allow(dead_code)]

use assay_dispute::step::state::{Applied, StateClaims, Step, prove_state};
use assay_ledger::batch::{assemble, tx_leaf};
use assay_ledger::header::{Header, Params};
use assay_ledger::inbox::{Deposit, Forced, Job, Message, MessageKind, chain_next};
use assay_ledger::request::{Action, Request, SignedRequest};
use assay_ledger::result::TxResult;
use assay_ledger::signature::Keypair;
use assay_ledger::steps::{state_roots, witness_at};
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, apply, ship};
use assay_ledger::witness::Witness;
use assay_ledger::{Hash, Key, ProgramHeader, SOL};
use assay_tensor::merkle;
use borsh::BorshSerialize;

/// A mint that is not SOL.
pub const TOKEN: Key = [7; 32];
/// Bytes of the models' input.
pub const DIGITS: usize = 64;
/// What every run gives.
pub const OUTPUT: Hash = [5; 32];

/// User `i`.
pub fn user(i: u8) -> Keypair {
    Keypair::from_seed([i + 1; 32])
}

/// The environment of batch `number`, while it is being made; the sequencer is user 9.
pub fn env(number: u64) -> Env {
    Env {
        rollup: [3; 32],
        number,
        sequencer: user(9).public(),
        params: Params {
            window: 50,
            bond_slice: 1_000_000_000,
            max_units: 1_000,
            max_records: 4_096,
            max_data: 1 << 20,
            model_delay: 1,
            sequencer_share: 2_000,
            clock: 150,
            extension: 20,
            dispute_bond: 50_000_000,
        },
        inbox_end: u64::MAX,
    }
}

/// A batch on top of a state, with all that a dispute needs.
#[derive(Clone)]
pub struct Batch {
    /// After the parent, with the messages.
    pub state: FullState,
    /// Its header.
    pub header: Header,
    /// Its data.
    pub data: Vec<u8>,
    /// Its transactions and results.
    pub records: Vec<(Transaction, TxResult)>,
    /// What each of them is.
    pub kinds: Vec<&'static str>,
    /// L1's values of the inbox's chain, after each message.
    pub chain: Vec<Hash>,
    /// The state roots between the transactions.
    pub roots: Vec<Hash>,
}

/// Makes a batch.
pub struct Maker {
    start: FullState,
    /// The state so far.
    pub state: FullState,
    env: Env,
    records: Vec<(Transaction, TxResult)>,
    kinds: Vec<&'static str>,
    chain: Vec<Hash>,
}

fn message(kind: MessageKind, payload: &impl BorshSerialize) -> Message {
    Message {
        kind,
        payload: borsh::to_vec(payload).unwrap(),
    }
}

fn program(units: u64, input_bytes: u64) -> ProgramHeader {
    ProgramHeader {
        inputs: 1,
        parameters: 4,
        operators: 9,
        outputs: 1,
        units,
        input_bytes,
        parameter_bytes: 400,
        value_bytes: 900,
        output_bytes: 40,
        operators_root: [11; 32],
        parameters_root: [12; 32],
        inputs_root: [13; 32],
        outputs_root: [14; 32],
    }
}

impl Maker {
    /// On a new rollup.
    pub fn genesis() -> Self {
        Self {
            start: FullState::genesis(),
            state: FullState::genesis(),
            env: env(1),
            records: Vec::new(),
            kinds: Vec::new(),
            chain: Vec::new(),
        }
    }

    /// The same state as the parent of the next batch.
    pub fn next(mut self) -> Self {
        self.state.start_batch();
        Self {
            start: self.state.clone(),
            env: env(self.env.number + 1),
            records: Vec::new(),
            kinds: Vec::new(),
            ..self
        }
    }

    /// Applies a transaction.
    pub fn put(&mut self, kind: &'static str, tx: Transaction) -> TxResult {
        let result = apply(&mut self.state, &self.env, &tx, OUTPUT).unwrap();
        self.records.push((tx, result));
        self.kinds.push(kind);
        result
    }

    /// Sends a message from L1.
    pub fn send(&mut self, message: Message) {
        let index = self.chain.len() as u64;
        let before = self.chain.last().copied().unwrap_or([0; 32]);
        let chain = chain_next(&before, index, message.kind, &message.payload);
        self.chain.push(chain);
        self.start.push_message(message.clone());
        self.state.push_message(message);
    }

    /// Sends a message and consumes it.
    pub fn consume(&mut self, kind: &'static str, message: Message) -> TxResult {
        self.send(message);
        self.put(kind, Transaction::Inbox)
    }

    /// Signs and applies.
    pub fn act(
        &mut self,
        kind: &'static str,
        pair: &Keypair,
        mint: Key,
        action: Action,
    ) -> TxResult {
        let tx = self.tx(pair, mint, action);
        self.put(kind, tx)
    }

    /// Signs and ships.
    pub fn tx(&mut self, pair: &Keypair, mint: Key, action: Action) -> Transaction {
        let account = self.state.find(&pair.public(), &mint);
        let request = Request {
            rollup: self.env.rollup,
            owner: pair.public(),
            mint,
            nonce: account.map_or(0, |(_, a)| a.nonce),
            action,
        };
        let signature = pair.sign(&request.signing_bytes());
        let signed = SignedRequest { request, signature };
        ship(&mut self.state, &self.env, &signed).unwrap()
    }

    /// A run of model `index`.
    pub fn infer(&self, index: u32, pinned: bool, input: Vec<u8>) -> Action {
        let model = self.state.model(index).unwrap();
        Action::Infer {
            model: index,
            program_root: model.program_root,
            price: model.price,
            version: pinned.then_some(model.version),
            input,
        }
    }

    /// The batch.
    pub fn finish(self) -> Batch {
        let mut end = self.state;
        let state = end.components();
        let parent = [44; 32];
        let (header, data) = assemble(&self.env, parent, state, &self.records);
        let mut start = self.start;
        let roots = state_roots(&mut start, &Env::from(&header), &self.records).unwrap();
        assert_eq!(roots.last(), Some(&state.root()));
        Batch {
            state: start,
            header,
            data,
            records: self.records,
            kinds: self.kinds,
            chain: self.chain,
            roots,
        }
    }
}

pub fn deposit(owner: Key, mint: Key, amount: u64) -> Message {
    message(
        MessageKind::Deposit,
        &Deposit {
            owner,
            mint,
            amount,
        },
    )
}

pub fn job(model: u32, max_price: u64) -> Message {
    let job = Job {
        job: [77; 32],
        model,
        // Of the models of `first` that take so few bytes.
        program_root: program(10, DIGITS as u64).root(),
        max_price,
        output_bytes: 40,
        input: vec![1; DIGITS],
    };
    message(MessageKind::Job, &job)
}

/// Batch 1: users 0 to 2 have SOL and tokens, models 0 (100 in SOL, by user 3), 1 (50 in the token, by
/// user 4) and 2 (takes the largest input; 1 in SOL, by user 3) are deployed.
pub fn first() -> Maker {
    let mut m = Maker::genesis();
    for i in 0..3 {
        m.consume("deposit", deposit(user(i).public(), SOL, 1_000));
        m.consume("deposit", deposit(user(i).public(), TOKEN, 500));
    }
    m.consume("deposit", deposit(user(3).public(), SOL, 0));
    m.consume("deposit", deposit(user(4).public(), TOKEN, 0));
    let largest = assay_ledger::request::MAX_INPUT as u64;
    for (i, mint, price, bytes) in [
        (3, SOL, 100, DIGITS as u64),
        (4, TOKEN, 50, DIGITS as u64),
        (3, SOL, 1, largest),
    ] {
        let deploy = Action::Deploy {
            program: program(10, bytes),
            parameters_root: [21; 32],
            price,
        };
        assert!(m.act("deploy", &user(i), mint, deploy).done());
    }
    m
}

/// Batch 2: every kind of transaction, and most ends.
pub fn every_kind() -> Batch {
    let mut m = first().next();
    let (to, new) = (user(1).public(), user(8).public());
    let transfer = |to, amount| Action::Transfer { to, amount };
    let withdraw = |amount| Action::Withdraw {
        recipient: [8; 32],
        amount,
    };
    m.act("transfer", &user(0), SOL, transfer(to, 5));
    m.act("transfer to a new key", &user(0), SOL, transfer(new, 7));
    m.act("transfer that fails", &user(0), SOL, transfer(to, 1 << 40));
    m.act("withdraw", &user(0), SOL, withdraw(11));
    let deploy = Action::Deploy {
        program: program(12, 3),
        parameters_root: [31; 32],
        price: 9,
    };
    m.act("deploy", &user(2), TOKEN, deploy);
    let infer = m.infer(0, false, vec![2; DIGITS]);
    m.act("infer, first of the sequencer", &user(1), SOL, infer);
    let infer = m.infer(0, true, (0..DIGITS as u8).collect());
    m.act("infer, pinned", &user(1), SOL, infer);
    let infer = m.infer(1, false, vec![0; DIGITS]);
    m.act("infer, in a token", &user(1), TOKEN, infer);
    let infer = m.infer(
        2,
        false,
        (0..16_384u32).map(|i| (i * 7 + i / 256) as u8).collect(),
    );
    m.act("infer, largest input", &user(2), SOL, infer);
    let infer = m.infer(0, false, vec![2; 3]);
    m.act("infer that fails", &user(1), SOL, infer);
    let update = Action::Update {
        model: 1,
        program_root: m.state.model(1).unwrap().program_root,
        parameters_root: [50; 32],
        price: 3,
    };
    m.act("update", &user(4), TOKEN, update);
    m.consume("deposit", deposit(user(0).public(), SOL, 77));
    m.consume("deposit to a new key", deposit(user(6).public(), TOKEN, 78));
    let back = deposit(user(0).public(), SOL, u64::MAX);
    assert!(!m.consume("deposit that goes back", back).done());
    assert!(m.consume("job", job(0, 100)).done());
    assert!(!m.consume("job that fails", job(0, 99)).done());
    assert!(!m.consume("job of no model", job(99, 99)).done());
    m.send(job(0, 100));
    m.put("declined job", Transaction::DeclineJob);
    let owner = user(2).public();
    let forced = |to, amount| Forced::Transfer {
        owner,
        mint: SOL,
        to,
        amount,
    };
    let force = |forced: &Forced| message(MessageKind::Forced, forced);
    m.consume("forced transfer", force(&forced(to, 3)));
    let fresh = user(5).public();
    m.consume("forced transfer to a new key", force(&forced(fresh, 3)));
    let fails = force(&forced(to, 1 << 40));
    assert!(!m.consume("forced transfer that fails", fails).done());
    let out = Forced::Withdraw {
        owner,
        mint: SOL,
        recipient: [8; 32],
        amount: 2,
    };
    m.consume("forced withdraw", force(&out));
    let nobody = Forced::Withdraw {
        owner: user(40).public(),
        mint: SOL,
        recipient: [8; 32],
        amount: 2,
    };
    m.consume("forced withdraw of nobody", force(&nobody));
    // Messages that the batch does not consume.
    m.send(job(0, 100));
    m.finish()
}

/// Another key signs.
pub fn signature_of(tx: &mut Transaction) -> Option<&mut [u8; 64]> {
    match tx {
        Transaction::Inbox | Transaction::DeclineJob => None,
        Transaction::Transfer { signature, .. }
        | Transaction::Withdraw { signature, .. }
        | Transaction::Deploy { signature, .. }
        | Transaction::Update { signature, .. }
        | Transaction::Infer { signature, .. } => Some(signature),
    }
}

impl Batch {
    /// The environment of its transactions.
    pub fn env(&self) -> Env {
        Env::from(&self.header)
    }

    /// L1's value of the inbox's chain after message `index`.
    pub fn message_chain(&self, index: u64) -> Option<Hash> {
        self.chain.get(index as usize).copied()
    }

    /// The leaves of the transaction tree.
    pub fn leaves(&self) -> Vec<Hash> {
        self.records.iter().map(|(tx, r)| tx_leaf(tx, r)).collect()
    }

    /// The same with other records or end: header and state roots as an honest party has them.
    pub fn with_records(&self, records: Vec<(Transaction, TxResult)>) -> Self {
        let mut state = self.state.clone();
        let mut header = self.header;
        let leaves: Vec<Hash> = records.iter().map(|(tx, r)| tx_leaf(tx, r)).collect();
        header.tx_root = merkle::root(&leaves);
        header.tx_count = leaves.len() as u32;
        let roots = state_roots(&mut state, &Env::from(&header), &records).unwrap();
        Self {
            state,
            header,
            records,
            roots,
            ..self.clone()
        }
    }

    /// What the asserter of this batch claims about the state after transaction `index`, when it says that
    /// the state roots are these.
    pub fn claims(&self, roots: &[Hash], index: u32) -> StateClaims {
        StateClaims {
            env: self.env(),
            tx_root: self.header.tx_root,
            tx_count: self.header.tx_count,
            states_root: merkle::root(roots),
            index,
            after: roots[index as usize + 1],
        }
    }

    /// What transaction `index` touches of the state before it.
    pub fn witness(&self, index: u32) -> Option<Witness> {
        witness_at(&mut self.state.clone(), &self.env(), &self.records, index).unwrap()
    }

    /// The proof of step `index` against the asserter's state `roots`.
    pub fn prove(&self, roots: &[Hash], index: u32) -> Vec<u8> {
        let witness = self.witness(index);
        self.prove_with(roots, index, witness.as_ref())
    }

    /// The same with this witness.
    pub fn prove_with(&self, roots: &[Hash], index: u32, witness: Option<&Witness>) -> Vec<u8> {
        let at = index as usize;
        let (tx, result) = &self.records[at];
        let path = merkle::path(&self.leaves(), index.into()).unwrap();
        prove_state(&Step {
            before: &roots[at],
            path: &merkle::path(roots, index.into()).unwrap(),
            applied: witness.map(|witness| Applied {
                tx,
                result,
                path: &path,
                witness,
            }),
        })
    }
}
