//! A rollup with users and models, and batches of every kind of transaction.

mod maker;

pub use maker::{Flaw, Maker};

use assay_dispute::player::{Knowledge, Library, Model, Models};
use assay_dispute::step::program::Leaves;
use assay_dispute::{Hash, Key};
use assay_ledger::SOL;
use assay_ledger::batch::Run;
use assay_ledger::header::{Header, Params};
use assay_ledger::inbox::MAX_JOB_INPUT;
use assay_ledger::result::TxResult;
use assay_ledger::signature::Keypair;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_tensor::commit::list_root_of;
use assay_tensor::random::{self, RandomCase};
use assay_tensor::trace::Trace;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

/// A mint that is not SOL.
pub const TOKEN: Key = [7; 32];
/// The address of rollup 7 of the settlement program, which judges these batches too.
pub const ROLLUP: Key = [
    218, 25, 58, 144, 80, 116, 129, 108, 195, 71, 8, 112, 60, 164, 223, 197, 207, 158, 14, 193,
    182, 39, 71, 56, 157, 49, 107, 227, 17, 89, 36, 4,
];
/// Users 0 to 3 have accounts in both mints; user 8 publishes, user 9 is the sequencer.
pub const USERS: u8 = 4;
pub const PUBLISHER: u8 = 8;
pub const SEQUENCER: u8 = 9;

pub fn user(i: u8) -> Keypair {
    Keypair::from_seed([i + 1; 32])
}

pub fn params() -> Params {
    Params {
        window: 50,
        bond_slice: 1_000_000_000,
        max_units: u64::MAX,
        max_records: 1 << 16,
        max_data: 1 << 20,
        model_delay: 1,
        sequencer_share: 2_000,
        clock: 100,
        extension: 10,
        dispute_bond: 50_000_000,
    }
}

/// A batch as its sequencer made it, with all that somebody needs to do it again.
#[derive(Clone)]
pub struct Batch {
    pub parent: Option<Header>,
    /// The state after the parent, with the messages that the batch may consume and some more.
    pub before: FullState,
    /// The state after it.
    pub after: FullState,
    pub header: Header,
    pub records: Vec<(Transaction, TxResult)>,
    pub data: Vec<u8>,
    /// The inputs of the models' runs, by transaction.
    pub inputs: BTreeMap<u32, Vec<u8>>,
    pub library: Arc<Cached>,
    /// L1's values of the inbox's chain, after so many messages.
    pub chain: Vec<Hash>,
}

/// A run: the roots of its program and parameters, and its input.
type RunOf = (Hash, Hash, Vec<u8>);

/// Models whose runs are remembered: the same ones are asked for again and again.
#[derive(Default)]
pub struct Cached {
    pub models: Library,
    traces: Mutex<HashMap<RunOf, Arc<Trace>>>,
}

impl Clone for Cached {
    fn clone(&self) -> Self {
        Self {
            models: self.models.clone(),
            traces: Mutex::default(),
        }
    }
}

impl Models for Cached {
    fn model(&self, program_root: &Hash, parameters_root: &Hash) -> Option<Arc<Model>> {
        self.models.model(program_root, parameters_root)
    }

    fn trace(&self, model: &Model, input: &[u8]) -> Option<Arc<Trace>> {
        let roots = (model.program().root(), model.trees().list_root());
        let key = (roots.0, roots.1, input.to_vec());
        let known = self.traces.lock().unwrap().get(&key).cloned();
        known.or_else(|| {
            let trace = self.models.trace(model, input)?;
            self.traces.lock().unwrap().insert(key, trace.clone());
            Some(trace)
        })
    }

    fn malformed(&self, program_root: &Hash) -> Option<Leaves> {
        self.models.malformed(program_root)
    }
}

/// All models but one.
#[derive(Clone)]
pub struct Without {
    pub models: Arc<Cached>,
    /// Root of its program.
    pub hidden: Hash,
}

impl Models for Without {
    fn model(&self, program_root: &Hash, parameters_root: &Hash) -> Option<Arc<Model>> {
        let known = *program_root != self.hidden;
        known.then(|| self.models.model(program_root, parameters_root))?
    }

    fn malformed(&self, program_root: &Hash) -> Option<Leaves> {
        self.models.malformed(program_root)
    }
}

/// The root over the outputs of a run.
pub fn output_root(models: &impl Models, model: &Model, input: &[u8]) -> Hash {
    let trace = models.trace(model, input).unwrap();
    let outputs = model.outputs(&trace);
    list_root_of(outputs.count(), &outputs.root())
}

/// A random program that takes a few bytes and little time, the first from this seed on.
pub fn small_case(seed: u64) -> RandomCase {
    (seed..)
        .map(random::program)
        .find(|case| {
            let program = &case.program;
            (1..=MAX_JOB_INPUT as u64).contains(&program.input_bytes()) && program.units() <= 20_000
        })
        .unwrap()
}

/// A rollup in which the users have something and these models are callable, before its second batch;
/// and its first batch.
pub fn rollup(models: Vec<(Model, Vec<Vec<u8>>)>) -> (Batch, Maker) {
    let mut maker = Maker::genesis();
    maker.deposit(user(PUBLISHER).public(), SOL, 10);
    for i in 0..USERS {
        maker.deposit(user(i).public(), SOL, 1_000_000);
        maker.deposit(user(i).public(), TOKEN, 1_000);
    }
    for (model, inputs) in models {
        maker.deploy(model, inputs, 10);
    }
    maker.finish()
}

/// The models of these seeds.
pub fn random_models(seeds: impl IntoIterator<Item = u64>) -> Vec<(Model, Vec<Vec<u8>>)> {
    let model = |seed| {
        let case = small_case(seed);
        (
            Model::new(case.program, case.parameters).unwrap(),
            case.inputs,
        )
    };
    seeds.into_iter().map(model).collect()
}

/// A batch of `count` transactions of all kinds, with its parent.
pub fn mixed(seed: u64, models: u64, count: usize) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (_, mut maker) = rollup(random_models((0..models).map(|i| 100 * seed + 7 * i)));
    while maker.records.len() < count {
        maker.random(&mut rng);
    }
    maker.finish().0
}

/// The same with the deployment of a malformed program in it somewhere.
pub fn mixed_malformed(seed: u64, count: usize) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (_, mut maker) = rollup(random_models([100 * seed]));
    let (at, flaw) = (
        rng.random_range(0..count),
        rng.random_range(0..Flaw::ALL.len()),
    );
    while maker.records.len() < count {
        match maker.records.len() == at {
            true => maker.deploy_malformed(Flaw::ALL[flaw]),
            false => maker.random(&mut rng),
        }
    }
    maker.finish().0
}

impl Batch {
    /// What follows from this header and data, with the models' outputs as they should be.
    pub fn knowledge(&self, header: Header, data: Vec<u8>) -> Knowledge {
        self.knowledge_with(&self.library, header, data)
    }

    /// The same for somebody who has only these models.
    pub fn knowledge_with(&self, models: &impl Models, header: Header, data: Vec<u8>) -> Knowledge {
        let outputs = |runs: &[Run]| {
            let root = |run: &Run| {
                let model = models.model(&run.program_root, &run.parameters_root)?;
                Some(output_root(models, &model, &run.input))
            };
            runs.iter().map(root).collect()
        };
        Knowledge::new(header, self.parent, self.before.clone(), data, outputs).unwrap()
    }

    /// What follows from the batch as it is.
    pub fn own(&self) -> Knowledge {
        self.knowledge(self.header, self.data.clone())
    }
}
