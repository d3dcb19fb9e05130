//! Who may play over one header, honest or not.

use crate::arena::lies::Lie;
use crate::arena::world::{Batch, Cached};
use assay_dispute::Hash;
use assay_dispute::game::Dispute;
use assay_dispute::player::asserter::{LEGACY_ROOM, VERSION_1_ROOM};
use assay_dispute::player::{Asserter, Challenger, Claims, Knowledge, Model, Models, Next};
use assay_dispute::step::program::Leaves;
use assay_ledger::batch::Run;
use assay_ledger::header::Header;
use assay_tensor::commit::list_root_of;
use assay_tensor::trace::Trace;
use assay_tensor::types::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Models that give something else than they should.
#[derive(Clone)]
pub struct Wrong {
    models: Arc<Cached>,
    seed: u64,
}

impl Wrong {
    pub fn new(batch: &Batch, seed: u64) -> Self {
        Self {
            models: batch.library.clone(),
            seed,
        }
    }

    /// What follows from a batch with such outputs.
    pub fn knowledge(&self, batch: &Batch, header: Header, data: Vec<u8>) -> Knowledge {
        let outputs = |runs: &[Run]| {
            let root = |run: &Run| {
                let model = self.model(&run.program_root, &run.parameters_root)?;
                let outputs = model.outputs(&*self.trace(&model, &run.input)?);
                Some(list_root_of(outputs.count(), &outputs.root()))
            };
            runs.iter().map(root).collect()
        };
        Knowledge::new(header, batch.parent, batch.before.clone(), data, outputs).unwrap()
    }
}

impl Models for Wrong {
    fn model(&self, program_root: &Hash, parameters_root: &Hash) -> Option<Arc<Model>> {
        self.models.model(program_root, parameters_root)
    }

    fn trace(&self, model: &Model, input: &[u8]) -> Option<Arc<Trace>> {
        let right = self.models.trace(model, input)?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut values = right.values().to_vec();
        // From some operator on one element each is another.
        let first = rng.random_range(0..values.len());
        for value in &mut values[first..] {
            let mut data = value.data().to_vec();
            let at = rng.random_range(0..data.len());
            data[at] ^= rng.random_range(1..=255);
            *value = Tensor::new(*value.ty(), data)?;
        }
        Trace::new(model.program(), values).map(Arc::new)
    }

    fn malformed(&self, program_root: &Hash) -> Option<Leaves> {
        self.models.malformed(program_root)
    }
}

/// All who may play over one header.
pub struct Table<'a> {
    pub name: String,
    pub batch: &'a Batch,
    pub header: Header,
    /// The data that was posted with the header.
    pub data: Vec<u8>,
    /// Whether the batch is right.
    pub right: bool,
    /// The honest ones come first, where there are honest ones.
    pub challengers: Vec<Box<dyn Player>>,
    pub asserters: Vec<Box<dyn Player>>,
}

/// Somebody who has something to do next.
pub trait Player {
    fn next(&mut self, dispute: &Dispute, live: bool, now: u64) -> Next;
}

impl<M: Models> Player for Challenger<M> {
    fn next(&mut self, dispute: &Dispute, live: bool, now: u64) -> Next {
        Challenger::next(self, dispute, live, now)
    }
}

impl<M: Models> Player for Asserter<M> {
    fn next(&mut self, dispute: &Dispute, live: bool, now: u64) -> Next {
        Asserter::next(self, dispute, live, now)
    }
}

fn room(rng: &mut ChaCha8Rng) -> usize {
    [LEGACY_ROOM, VERSION_1_ROOM][rng.random_range(0..2)]
}

impl<'a> Table<'a> {
    /// An honest batch.
    pub fn right(batch: &'a Batch, rng: &mut ChaCha8Rng) -> Self {
        let claims = Claims::honest(&mut batch.own()).unwrap();
        let mut table = Self::new("right".into(), batch, batch.header, &batch.data);
        table.right = true;
        table.assert(&claims, rng);
        table.doubt(&batch.data, rng);
        table
    }

    /// A wrong one.
    pub fn wrong(batch: &'a Batch, lie: Lie, rng: &mut ChaCha8Rng) -> Self {
        let mut table = Self::new(lie.name, batch, lie.header, &lie.data);
        for claims in &lie.claims {
            table.assert(claims, rng);
        }
        table.doubt(&lie.data, rng);
        table
    }

    fn new(name: String, batch: &'a Batch, header: Header, data: &[u8]) -> Self {
        let own = batch.knowledge(header, data.to_vec());
        Self {
            name,
            batch,
            header,
            data: data.to_vec(),
            right: false,
            challengers: vec![Box::new(Challenger::new(own, batch.library.clone()))],
            asserters: Vec::new(),
        }
    }

    /// Who stands by these claims, and who has other values all the time.
    fn assert(&mut self, claims: &Claims, rng: &mut ChaCha8Rng) {
        let library = self.batch.library.clone();
        let wrong = Wrong::new(self.batch, rng.random());
        let honest = Asserter::new(claims.clone(), library, room(rng));
        self.asserters.push(Box::new(honest));
        let liar = Asserter::new(claims.clone(), wrong, room(rng));
        self.asserters.push(Box::new(liar));
    }

    /// Challengers who believe in other outputs.
    fn doubt(&mut self, data: &[u8], rng: &mut ChaCha8Rng) {
        for _ in 0..2 {
            let models = Wrong::new(self.batch, rng.random());
            let knowledge = models.knowledge(self.batch, self.header, data.to_vec());
            self.challengers
                .push(Box::new(Challenger::new(knowledge, models)));
        }
    }
}
