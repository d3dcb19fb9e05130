//! Makes batches as a sequencer does.

use super::*;
use assay_dispute::player::Model;
use assay_dispute::step::program::Leaves;
use assay_dispute::{Hash, Key};
use assay_ledger::batch::assemble;
use assay_ledger::header::{Header, genesis_hash};
use assay_ledger::inbox::{self, Deposit, Forced, Job, Message, MessageKind};
use assay_ledger::request::{Action, Request, SignedRequest};
use assay_ledger::result::TxResult;
use assay_ledger::signature::Keypair;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, apply, ship};
use assay_ledger::{SOL, merkle};
use assay_tensor::leaves::List;
use assay_tensor::program::Operand;
use assay_tensor::types::DType;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is wrong with a program.
#[derive(Clone, Copy, Debug)]
pub enum Flaw {
    /// It says that it costs something else.
    Units,
    /// It says that its values take something else.
    Bytes,
    /// An operator reads its own value.
    Cycle,
    /// A value has another type than its operator defines.
    Type,
    /// An operator is none.
    Rubbish,
}

impl Flaw {
    pub const ALL: [Self; 5] = [
        Self::Units,
        Self::Bytes,
        Self::Cycle,
        Self::Type,
        Self::Rubbish,
    ];
}

/// Makes a batch.
pub struct Maker {
    state: FullState,
    before: FullState,
    parent: Option<Header>,
    env: Env,
    pub records: Vec<(Transaction, TxResult)>,
    inputs: BTreeMap<u32, Vec<u8>>,
    library: Cached,
    chain: Vec<Hash>,
    /// Models that can be called, by index.
    models: Vec<Callable>,
}

#[derive(Clone)]
struct Callable {
    index: u32,
    inputs: Vec<Vec<u8>>,
    model: Arc<Model>,
}

impl Maker {
    /// Batch 1.
    pub fn genesis() -> Self {
        let mut state = FullState::genesis();
        let before = state.clone();
        state.start_batch();
        Self {
            state,
            before,
            parent: None,
            env: Env {
                rollup: ROLLUP,
                number: 1,
                sequencer: user(SEQUENCER).public(),
                params: params(),
                inbox_end: u64::MAX,
            },
            records: Vec::new(),
            inputs: BTreeMap::new(),
            library: Cached::default(),
            chain: vec![inbox::GENESIS],
            models: Vec::new(),
        }
    }

    /// The batch, and the maker of the next one.
    pub fn finish(mut self) -> (Batch, Self) {
        let parent = match &self.parent {
            Some(parent) => parent.hash(),
            None => genesis_hash(&ROLLUP),
        };
        let state = self.state.components();
        let (header, data) = assemble(&self.env, parent, state, &self.records);
        let mut next = self.state.clone();
        next.start_batch();
        let mut before = self.before;
        // What L1 sends after the batch was made is not in it.
        before.push_message(Message {
            kind: MessageKind::Deposit,
            payload: deposit(user(0).public(), SOL, 5),
        });
        let batch = Batch {
            parent: self.parent,
            before,
            after: self.state.clone(),
            header,
            records: self.records,
            data,
            inputs: self.inputs,
            library: Arc::new(self.library.clone()),
            chain: self.chain.clone(),
        };
        let maker = Self {
            state: next,
            before: self.state,
            parent: Some(header),
            env: Env {
                number: self.env.number + 1,
                ..self.env
            },
            records: Vec::new(),
            inputs: BTreeMap::new(),
            ..self
        };
        (batch, maker)
    }

    fn push(&mut self, tx: Transaction, output_root: Hash) -> TxResult {
        let result = apply(&mut self.state, &self.env, &tx, output_root).unwrap();
        self.records.push((tx, result));
        result
    }

    /// A message from L1, for this batch or a later one.
    pub fn send(&mut self, kind: MessageKind, payload: Vec<u8>) {
        let index = self.chain.len() as u64 - 1;
        let last = self.chain.last().unwrap();
        self.chain
            .push(inbox::chain_next(last, index, kind, &payload));
        let message = Message { kind, payload };
        self.before.push_message(message.clone());
        self.state.push_message(message);
    }

    pub fn deposit(&mut self, owner: Key, mint: Key, amount: u64) -> TxResult {
        self.send(MessageKind::Deposit, deposit(owner, mint, amount));
        self.push(Transaction::Inbox, [0; 32])
    }

    pub fn force(&mut self, forced: Forced) -> TxResult {
        self.send(MessageKind::Forced, borsh::to_vec(&forced).unwrap());
        self.push(Transaction::Inbox, [0; 32])
    }

    /// A message that is none of its kind.
    pub fn rubbish(&mut self, kind: MessageKind) -> TxResult {
        self.send(kind, vec![1, 2, 3]);
        self.push(Transaction::Inbox, [0; 32])
    }

    /// A job from L1 for callable model `at`, run or declined.
    pub fn job(&mut self, at: usize, decline: bool) -> TxResult {
        let callable = self.models[at].clone();
        let input = callable.inputs[0].clone();
        let job = Job {
            job: [70; 32],
            model: callable.index,
            program_root: callable.model.program().root(),
            max_price: 1_000,
            output_bytes: 1 << 20,
            input: input.clone(),
        };
        self.send(MessageKind::Job, borsh::to_vec(&job).unwrap());
        if decline {
            return self.push(Transaction::DeclineJob, [0; 32]);
        }
        let root = self.will_run(&callable.model, &input);
        self.push(Transaction::Inbox, root)
    }

    /// A signed transaction; `output_root` where it runs a model.
    fn act_with(
        &mut self,
        pair: &Keypair,
        mint: Key,
        action: Action,
        output_root: Hash,
    ) -> TxResult {
        let account = self.state.find(&pair.public(), &mint).unwrap().1;
        let request = Request {
            rollup: ROLLUP,
            owner: pair.public(),
            mint,
            nonce: account.nonce,
            action,
        };
        let signature = pair.sign(&request.terms().signing_bytes());
        let request = SignedRequest { request, signature };
        let tx = ship(&mut self.state, &self.env, &request).unwrap();
        self.push(tx, output_root)
    }

    pub fn act(&mut self, pair: &Keypair, mint: Key, action: Action) -> TxResult {
        self.act_with(pair, mint, action, [0; 32])
    }

    /// Deploys a model, callable in the next batch.
    pub fn deploy(&mut self, model: Model, inputs: Vec<Vec<u8>>, price: u64) -> u32 {
        let index = self.state.heads().models as u32;
        let action = Action::Deploy {
            program: model.program().header(),
            parameters_root: model.trees().list_root(),
            price,
        };
        let model = self.library.models.insert(model);
        assert!(self.act(&user(PUBLISHER), SOL, action).done());
        self.models.push(Callable {
            index,
            inputs,
            model,
        });
        index
    }

    /// Deploys a program that is none.
    pub fn deploy_malformed(&mut self, flaw: Flaw) {
        let case = small_case(5);
        let mut header = case.program.header();
        let mut leaves = Leaves::of(&case.program);
        let mut leaf = case.program.operator_leaf(0).unwrap();
        match flaw {
            Flaw::Units => leaf.running_units += 1,
            Flaw::Bytes => leaf.running_bytes += 1,
            Flaw::Cycle => leaf.operands[0].0 = Operand::Value(0),
            Flaw::Type => {
                leaf.result.dtype = match leaf.result.dtype {
                    DType::I8 => DType::I32,
                    DType::I32 => DType::I8,
                }
            }
            Flaw::Rubbish => {}
        }
        leaves.operators[0] = match flaw {
            Flaw::Rubbish => vec![1, 2, 3],
            _ => leaf.encode(),
        };
        let hashes = leaves
            .operators
            .iter()
            .map(|leaf| List::Operators.hash(leaf));
        header.operators_root = merkle::root(&hashes.collect::<Vec<_>>());
        let action = Action::Deploy {
            program: header,
            parameters_root: [9; 32],
            price: 1,
        };
        self.library.models.insert_malformed(header.root(), leaves);
        assert!(self.act(&user(PUBLISHER), SOL, action).done());
    }

    /// An inference by a user of callable model `at`.
    pub fn infer(&mut self, by: u8, at: usize, which: usize, pinned: bool) -> TxResult {
        let callable = self.models[at].clone();
        let input = callable.inputs[which % callable.inputs.len()].clone();
        let root = self.will_run(&callable.model, &input);
        let model = self.state.model(callable.index).unwrap();
        let action = Action::Infer {
            model: callable.index,
            program_root: model.program_root,
            price: model.price,
            version: pinned.then_some(model.version),
            input,
        };
        self.act_with(&user(by), SOL, action, root)
    }

    /// The output root of a run that the next transaction is.
    fn will_run(&mut self, model: &Model, input: &[u8]) -> Hash {
        self.inputs
            .insert(self.records.len() as u32, input.to_vec());
        output_root(&self.library, model, input)
    }

    pub fn models(&self) -> usize {
        self.models.len()
    }

    /// A transaction of some kind, by a random user.
    pub fn random(&mut self, rng: &mut ChaCha8Rng) {
        let by = rng.random_range(0..USERS);
        let pair = user(by);
        let mint = if rng.random_ratio(1, 2) { SOL } else { TOKEN };
        // Small ones are done, a large one now and then is not.
        let amount = match rng.random_range(0..8) {
            0 => 1 << 40,
            _ => rng.random_range(0..50),
        };
        let somebody = match rng.random_range(0..3) {
            0 => [rng.random_range(100..200); 32],
            _ => user(rng.random_range(0..USERS)).public(),
        };
        let owner = match rng.random_range(0..4) {
            0 => somebody,
            _ => pair.public(),
        };
        match rng.random_range(0..13) {
            0 => drop(self.deposit(somebody, mint, amount)),
            1 => drop(self.force(Forced::Transfer {
                owner,
                mint,
                to: somebody,
                amount,
            })),
            2 => drop(self.force(Forced::Withdraw {
                owner,
                mint,
                recipient: somebody,
                amount,
            })),
            3 => drop(self.rubbish(MessageKind::Forced)),
            4 => drop(self.act(
                &pair,
                mint,
                Action::Transfer {
                    to: somebody,
                    amount,
                },
            )),
            5 => drop(self.act(
                &pair,
                mint,
                Action::Withdraw {
                    recipient: somebody,
                    amount,
                },
            )),
            6 => {
                let case = small_case(rng.random_range(1_000..2_000));
                let model = Model::new(case.program, case.parameters).unwrap();
                let action = Action::Deploy {
                    program: model.program().header(),
                    parameters_root: model.trees().list_root(),
                    price: 5,
                };
                self.library.models.insert(model);
                self.act(&pair, mint, action);
            }
            7 => {
                // Of the last model, which nobody calls: it would not be callable any more.
                let model = self.state.models().last().copied().unwrap();
                let index = self.state.models().len() as u32 - 1;
                if self.models.iter().any(|m| m.index == index) {
                    return;
                }
                let publisher = self.state.account(model.publisher).unwrap();
                let Some(by) = (0..USERS).find(|i| user(*i).public() == publisher.owner) else {
                    return;
                };
                let action = Action::Update {
                    model: index,
                    program_root: model.program_root,
                    parameters_root: [9; 32],
                    price: 6,
                };
                self.act(&user(by), publisher.mint, action);
            }
            8 | 9 if self.models() > 0 => {
                let at = rng.random_range(0..self.models());
                self.job(at, rng.random_ratio(1, 3));
            }
            _ if self.models() > 0 => {
                let at = rng.random_range(0..self.models());
                let (which, pinned) = (rng.random_range(0..8), rng.random_ratio(1, 2));
                self.infer(by, at, which, pinned);
            }
            _ => drop(self.deposit(pair.public(), mint, amount)),
        }
    }
}

fn deposit(owner: Key, mint: Key, amount: u64) -> Vec<u8> {
    let deposit = Deposit {
        owner,
        mint,
        amount,
    };
    borsh::to_vec(&deposit).unwrap()
}
