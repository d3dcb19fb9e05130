//! Demands on a [`TestRollup`]: every instruction, and a batch that deploys one model and updates another.

use crate::batch::Draft;
use crate::rollup::{TestRollup, encode};
use crate::svm::{Outcome, Wire, accepted};
use assay_client::instructions::demands as build;
use assay_client::pda;
use assay_dispute::demand::{Answer, Blob, Named, Pieces, Updated};
use assay_ledger::batch::{tx_leaf, tx_root};
use assay_ledger::header::Header;
use assay_ledger::result::{Status, TxResult};
use assay_ledger::state::{MODEL_DEPTH, Model};
use assay_ledger::transaction::Transaction;
use assay_ledger::{Hash, merkle};
use assay_tensor::commit::{CHUNK, chunk_hashes, parameters_root, tensor_roots};
use assay_tensor::leaves::{List, TypeLeaf};
use assay_tensor::op::Op;
use assay_tensor::program::{CheckedProgram, Node, Operand, Output, Program};
use assay_tensor::types::{DType, Shape, Tensor, TensorType};
use settlement::state::Demand;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// Bytes of the models' two parameters: three chunks, and one.
const BYTES: [u32; 2] = [1_100, 3];
/// The model that is updated.
const MODEL: u32 = 2;

/// A batch of three transactions: a deployment, an update, and a run.
pub struct Naming {
    /// The batch.
    pub draft: Draft,
    program: CheckedProgram,
    parameters: Vec<Tensor>,
    transactions: Vec<Transaction>,
    leaves: Vec<Hash>,
    model: Model,
    models: Vec<Hash>,
}

impl Naming {
    /// Place of the deployment.
    pub const DEPLOY: u32 = 0;
    /// Place of the update.
    pub const UPDATE: u32 = 1;
    /// Place of the run.
    pub const INFER: u32 = 2;

    /// A batch on the tip.
    pub fn new(rollup: &TestRollup) -> Self {
        let mut draft = Draft::new(rollup, 3);
        let program = program();
        let bytes: Vec<i8> = (0..BYTES[0]).map(|i| (i / 3) as i8).collect();
        let parameters = vec![
            Tensor::from_i8(&[BYTES[0]], &bytes).expect("a shape"),
            Tensor::from_i8(&[BYTES[1]], &[1, 2, 3]).expect("a shape"),
        ];
        let parameters_root = parameters_root(&parameters);
        let transactions = vec![
            Transaction::Deploy {
                from: 1,
                program: program.header(),
                parameters_root,
                price: 5,
                signature: [1; 64],
            },
            Transaction::Update {
                model: MODEL,
                parameters_root,
                price: 5,
                signature: [1; 64],
            },
            Transaction::Infer {
                from: 1,
                model: MODEL,
                pinned: false,
                input: vec![1; 5],
                signature: [1; 64],
            },
        ];
        let leaves: Vec<_> = transactions.iter().map(|tx| tx_leaf(tx, &done())).collect();
        let model = Model {
            publisher: 1,
            program_root: program.root(),
            parameters_root,
            price: 5,
            units: program.units(),
            input_bytes: 5,
            output_bytes: 3,
            version: 2,
            callable_from: 9,
        };
        let mut models = vec![[7; 32], [8; 32], model.leaf()];
        models.resize(1 << MODEL_DEPTH, merkle::EMPTY_LEAF);
        draft.header.state.models.count = 3;
        draft.header.state.models.root = merkle::root(&models);
        draft.header.tx_root = tx_root(&leaves);
        Self {
            draft,
            program,
            parameters,
            transactions,
            leaves,
            model,
            models,
        }
    }

    /// The batch's header.
    pub fn header(&self) -> Header {
        self.draft.header.to_ledger().expect("lane 0")
    }

    /// What transaction `index` names.
    pub fn named(&self, index: u32) -> Named {
        Named {
            index,
            transaction: self.transactions[index as usize].clone(),
            result: done(),
            path: merkle::path(&self.leaves, index.into()).expect("a transaction"),
            updated: (index == Self::UPDATE).then(|| Updated {
                model: self.model,
                path: merkle::path(&self.models, MODEL.into()).expect("a model"),
                program: self.program.header(),
            }),
        }
    }

    /// All chunks of the first parameter.
    pub fn chunks(&self) -> Pieces {
        Pieces {
            of: Blob::Chunks { parameter: 0 },
            first: 0,
            count: 3,
        }
    }

    /// Chunk `index` of a parameter.
    pub fn chunk(&self, parameter: u32, index: u64) -> Answer {
        let data = self.parameters[parameter as usize].data();
        let hashes = chunk_hashes(data);
        let running = BYTES[..=parameter as usize].iter().sum::<u32>();
        let types = self.program.leaf_hashes(List::Parameters);
        let of_parameter = u64::from(parameter);
        Answer::Chunk {
            ty: TypeLeaf {
                ty: *self.parameters[parameter as usize].ty(),
                running_bytes: running.into(),
            }
            .encode(),
            ty_path: merkle::path(&types, of_parameter).expect("a parameter"),
            data_root: merkle::root(&hashes),
            parameter_path: merkle::path(&tensor_roots(&self.parameters), of_parameter)
                .expect("a parameter"),
            bytes: data
                .chunks(CHUNK)
                .nth(index as usize)
                .expect("a chunk")
                .to_vec(),
            path: merkle::path(&hashes, index).expect("a chunk"),
        }
    }

    /// The leaf of operator `index`.
    pub fn operator(&self, index: u32) -> Answer {
        let leaf = self.program.operator_leaf(index).expect("an operator");
        let leaves = self.program.leaf_hashes(List::Operators);
        Answer::Leaf {
            bytes: leaf.encode(),
            path: merkle::path(&leaves, index.into()).expect("an operator"),
        }
    }

    /// The leaf of a parameter's type.
    pub fn parameter_type(&self, index: u32) -> Answer {
        let leaf = self.program.parameter_leaves()[index as usize];
        let leaves = self.program.leaf_hashes(List::Parameters);
        Answer::Leaf {
            bytes: leaf.encode(),
            path: merkle::path(&leaves, index.into()).expect("a parameter"),
        }
    }
}

fn done() -> TxResult {
    TxResult::plain(Status::Done)
}

/// Two parameters, each copied.
fn program() -> CheckedProgram {
    let ty = |n: u32| TensorType::new(DType::I8, &[n]).expect("a type");
    let node = |i: u32, n: u32| Node {
        op: Op::Reshape(Shape::new(&[n]).expect("a shape")),
        operands: vec![Operand::Parameter(i)],
    };
    Program {
        inputs: vec![ty(5)],
        parameters: BYTES.map(ty).to_vec(),
        nodes: vec![node(0, BYTES[0]), node(1, BYTES[1])],
        outputs: vec![Output {
            name: "o".into(),
            value: 1,
        }],
    }
    .check()
    .expect("a program")
}

impl TestRollup {
    /// Where demand `id` of `demander` is.
    pub fn demand_address(&self, demander: &Pubkey, id: u64) -> Pubkey {
        pda::demand(&self.address, demander, id)
    }

    /// A demand's account.
    pub fn demand(&self, address: &Pubkey) -> Demand {
        self.svm.read(address)
    }

    /// `open_demand`, in a version-1 transaction.
    pub fn open_demand(
        &mut self,
        demander: &Keypair,
        id: u64,
        header: &Header,
        pieces: Pieces,
        named: &Named,
    ) -> Outcome {
        let instruction = build::open_demand(&demander.pubkey(), id, header, pieces, named);
        self.svm.send_as(Wire::V1, &[instruction], &[demander], &[])
    }

    /// Opens demand `id` on what the batch's deployment names. Returns its address.
    pub fn demanded(
        &mut self,
        demander: &Keypair,
        id: u64,
        naming: &Naming,
        pieces: Pieces,
    ) -> Pubkey {
        let named = naming.named(Naming::DEPLOY);
        accepted(self.open_demand(demander, id, &naming.header(), pieces, &named));
        self.demand_address(&demander.pubkey(), id)
    }

    /// `open_demand_from_buffer`, in a legacy transaction.
    pub fn open_demand_from_buffer(
        &mut self,
        demander: &Keypair,
        id: u64,
        header: &Header,
        pieces: Pieces,
        buffer: &Pubkey,
    ) -> Outcome {
        let key = demander.pubkey();
        let instruction = build::open_demand_from_buffer(&key, id, header, pieces, buffer);
        self.svm.send(&[instruction], &[demander])
    }

    /// `answer`, in a legacy transaction.
    pub fn answer(
        &mut self,
        answerer: &Keypair,
        demand: &Pubkey,
        place: u8,
        answer: &Answer,
    ) -> Outcome {
        let key = answerer.pubkey();
        let instruction = build::answer(&self.address, demand, &key, place, answer);
        self.svm.send(&[instruction], &[answerer])
    }

    /// `answer_from_buffer`.
    pub fn answer_from_buffer(
        &mut self,
        answerer: &Keypair,
        demand: &Pubkey,
        place: u8,
        buffer: &Pubkey,
    ) -> Outcome {
        let key = answerer.pubkey();
        let instruction = build::answer_from_buffer(&self.address, demand, &key, place, buffer);
        self.svm.send(&[instruction], &[answerer])
    }

    /// `time_out_demand` on a batch of the first sequencer.
    pub fn time_out_demand(&mut self, demand: &Pubkey) -> Outcome {
        let sequencer = self.sequencer.pubkey();
        self.svm.send(
            &[build::time_out_demand(&self.address, demand, &sequencer)],
            &[],
        )
    }

    /// `resolve_demand`.
    pub fn resolve_demand(&mut self, demand: &Pubkey) -> Outcome {
        let instruction = build::resolve_demand(&self.address, demand);
        self.svm.send(&[instruction], &[])
    }

    /// `close_demand`.
    pub fn close_demand(&mut self, demand: &Pubkey, demander: &Keypair) -> Outcome {
        let instruction = build::close_demand(demand, &demander.pubkey());
        self.svm.send(&[instruction], &[demander])
    }

    /// Buffer `id` of `owner` with a value in borsh.
    pub fn buffered_value(
        &mut self,
        owner: &Keypair,
        id: u64,
        value: &impl anchor_lang::AnchorSerialize,
    ) -> Pubkey {
        self.buffered(owner, id, &encode(value))
    }
}
