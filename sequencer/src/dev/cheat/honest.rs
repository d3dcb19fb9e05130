//! An honest batch with all that a liar needs of it.

use super::lies::Lie;
use assay_dispute::player::{Claims, Library, Models, RunClaims};
use assay_ledger::Hash;
use assay_ledger::batch::{Run, replay};
use assay_ledger::codec;
use assay_ledger::data::data_root;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::signature::Assumed;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, Fault, NoAccess, apply_with};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why there is no lie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheatError {
    /// The batch is not honest to begin with.
    #[error("the batch to be falsified is none: {0}")]
    Batch(String),
    /// The batch has nothing to lie about in this way.
    #[error("the batch has no {0}")]
    Without(&'static str),
    /// The altered transactions cannot even be applied.
    #[error("an altered transaction cannot be applied: {0}")]
    Fault(#[from] Fault),
    /// A model is not known, or does not run.
    #[error("a model of the batch is not known, or does not run")]
    Model,
}

impl From<NoAccess> for CheatError {
    fn from(e: NoAccess) -> Self {
        Self::Fault(e.into())
    }
}

/// A transaction on its way into a batch.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub tx: Transaction,
    /// Of what it runs; zero if it runs nothing.
    pub output_root: Hash,
    /// The bytes of the inputs of what it runs.
    pub input: Option<Vec<u8>>,
}

/// A change of the state that no transaction makes.
pub(super) type Change<'a> = &'a dyn Fn(&mut FullState) -> Result<(), CheatError>;

/// An honest batch, and the state before it.
#[derive(Clone, Debug)]
pub struct Honest {
    header: Header,
    before: FullState,
    entries: Vec<Entry>,
    results: Vec<TxResult>,
    library: Arc<Library>,
}

impl Honest {
    /// The batch of `header` with its `data`. `before` is the state after its parent, to which the
    /// messages that it consumes have been added; `library` has the models that it runs.
    ///
    /// # Errors
    /// [`CheatError::Batch`] if it is not as its header says.
    pub fn new(
        header: Header,
        data: &[u8],
        before: FullState,
        library: Arc<Library>,
    ) -> Result<Self, CheatError> {
        let mut runs: Vec<Run> = Vec::new();
        let mut after = before.clone();
        let replayed = replay(&mut after, &header.parent, &header, data, |found| {
            runs = found.to_vec();
            let roots = found.iter().map(|run| {
                let claims = run_of(&library, run).ok()?;
                Some(claims.output_root())
            });
            roots.collect()
        })
        .map_err(|e| CheatError::Batch(e.to_string()))?;
        let mut inputs: BTreeMap<usize, Vec<u8>> = runs
            .into_iter()
            .map(|r| (r.index as usize, r.input))
            .collect();
        let records = replayed.records.into_iter().enumerate();
        let (entries, results) = records
            .map(|(i, (tx, result))| {
                let entry = Entry {
                    tx,
                    output_root: result.output_root,
                    input: inputs.remove(&i),
                };
                (entry, result)
            })
            .unzip();
        Ok(Self {
            header,
            before,
            entries,
            results,
            library,
        })
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The models that it runs.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The first run of a model, as it is.
    pub(super) fn first_run(&self) -> Result<(u32, Vec<u8>, RunClaims), CheatError> {
        let mut entries = (0u32..).zip(&self.entries);
        let run = entries.find_map(|(index, entry)| {
            let result = self.results.get(index as usize)?;
            Some(Run {
                index,
                program_root: result.program_root,
                parameters_root: result.parameters_root,
                input: entry.input.clone()?,
            })
        });
        let run = run.ok_or(CheatError::Without("run of a model"))?;
        let claims = run_of(&self.library, &run)?;
        Ok((run.index, run.input, claims))
    }

    /// A batch of these transactions instead, no signature looked at; after transaction `change.0` the state
    /// is changed. Gives the state after it too.
    pub(super) fn remake(
        &self,
        entries: &[Entry],
        change: Option<(usize, Change<'_>)>,
    ) -> Result<(Lie, FullState), CheatError> {
        let env = Env::from(&self.header);
        let mut state = self.before.clone();
        state.start_batch();
        let mut results = Vec::with_capacity(entries.len());
        let mut states = vec![state.components().root()];
        for (i, entry) in entries.iter().enumerate() {
            let output_root = entry.output_root;
            results.push(apply_with(
                &mut state,
                &env,
                &entry.tx,
                output_root,
                &mut Assumed,
            )?);
            if let Some((at, change)) = &change
                && *at == i
            {
                change(&mut state)?;
            }
            states.push(state.components().root());
        }
        let transactions: Vec<_> = entries.iter().map(|entry| entry.tx.clone()).collect();
        let inputs = (0u32..).zip(entries);
        let inputs = inputs.filter_map(|(i, entry)| Some((i, entry.input.clone()?)));
        let mut claims = Claims {
            header: Header {
                state: state.components(),
                tx_count: entries.len() as u32,
                ..self.header
            },
            results,
            leaves: Vec::new(),
            states,
            inputs: inputs.collect(),
            runs: BTreeMap::new(),
            transactions,
        };
        claims.seal();
        let mut lie = Lie {
            data: Vec::new(),
            malformed: None,
            claims,
        };
        let data = codec::encode(&lie.claims.transactions);
        lie.set_data(data);
        Ok((lie, state))
    }

    /// The batch as it is, to be altered.
    pub(super) fn as_it_is(&self) -> Result<Lie, CheatError> {
        Ok(self.remake(&self.entries, None)?.0)
    }
}

impl Lie {
    /// Posts this data.
    pub(super) fn set_data(&mut self, data: Vec<u8>) {
        let header = &mut self.claims.header;
        header.data_root = data_root(&data);
        // Not longer than that of the batch which it is made of, but for a transaction.
        header.data_len = data.len() as u32;
        self.data = data;
    }
}

/// What is true of a run.
fn run_of(library: &Library, run: &Run) -> Result<RunClaims, CheatError> {
    let model = library.model(&run.program_root, &run.parameters_root);
    let model = model.ok_or(CheatError::Model)?;
    let trace = library.trace(&model, &run.input);
    Ok(RunClaims::honest(model, trace.ok_or(CheatError::Model)?))
}
