//! Does every batch again, from what is on L1.

use crate::replica::mirrors::Mirrors;
use crate::store::blobs::Blobs;
use anyhow::{Context, Result};
use assay_client::accounts;
use assay_client::batches;
use assay_client::inbox;
use assay_client::rpc::Rpc;
use assay_dispute::demand::{Blob, MAX_PIECES, Named, Pieces};
use assay_dispute::player::{Challenger, Knowledge, Library, Model, Models, RunClaims, Wrong};
use assay_dispute::step::program::Leaves;
use assay_ledger::batch::{Run, replay};
use assay_ledger::header::{Header, genesis_hash};
use assay_ledger::state::StateComponents;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::{Hash, ProgramHeader, merkle};
use assay_tensor::commit::CHUNK;
use solana_pubkey::Pubkey;
use std::sync::Arc;

/// A batch that is wrong.
#[derive(Debug)]
pub struct Caught {
    /// Its header.
    pub header: Header,
    /// What is wrong with it.
    pub wrong: Wrong,
    /// Who can show it.
    pub challenger: Challenger<Arc<Library>>,
}

/// A batch that names what nobody serves.
#[derive(Debug)]
pub struct Withheld {
    /// Its header.
    pub header: Header,
    /// Where it names it.
    pub named: Named,
    /// What is missing.
    pub pieces: Pieces,
    /// What the mirrors say.
    pub why: String,
}

/// What a verifier does something about.
#[derive(Debug)]
pub enum Found {
    /// A dispute is to be opened.
    Wrong(Box<Caught>),
    /// A demand is to be made.
    Withheld(Box<Withheld>),
}

/// Who does every batch again.
pub struct Verifier {
    rpc: Rpc,
    rollup: Pubkey,
    mirrors: Mirrors,
    blobs: Blobs,
    library: Arc<Library>,
    state: FullState,
    /// The headers that are right, from batch 1 on.
    headers: Vec<Header>,
    batches: batches::Reader,
    inbox: inbox::Reader,
}

impl Verifier {
    /// One that knows nothing of the rollup. It fetches models at `mirrors`, and keeps them in `blobs`.
    pub fn new(rpc: Rpc, rollup: Pubkey, mirrors: Mirrors, blobs: Blobs) -> Self {
        Self {
            rpc,
            rollup,
            mirrors,
            blobs,
            library: Arc::default(),
            state: FullState::genesis(),
            headers: Vec::new(),
            batches: batches::Reader::new(rollup, None),
            inbox: inbox::Reader::new(rollup, StateComponents::genesis().inbox),
        }
    }

    /// Learns what was deployed under this root, and is no program.
    pub fn learn_malformed(&mut self, program_root: Hash, leaves: Leaves) {
        Arc::make_mut(&mut self.library).insert_malformed(program_root, leaves);
    }

    /// The state after the newest batch that is right.
    pub fn state(&self) -> &FullState {
        &self.state
    }

    /// The number of the newest batch that is right.
    pub fn head(&self) -> u64 {
        self.headers.len() as u64
    }

    /// Does what is new on L1 again, up to the first batch that something is to be done about.
    pub async fn catch_up(&mut self) -> Result<Option<Found>> {
        let chain = accounts::chain(&self.rpc, &self.rollup).await?;
        let headers = &self.headers;
        let known = |number: u64| {
            let at = usize::try_from(number).ok()?.checked_sub(1)?;
            Some(headers.get(at)?.hash())
        };
        let ahead = self.batches.read(&self.rpc, &chain, known).await?;
        anyhow::ensure!(
            ahead.common == self.head(),
            "a batch that was right is gone"
        );
        for posted in ahead.batches {
            let header = posted.header;
            while self.inbox.next() < header.state.inbox.cursor {
                let messages = self.inbox.read(&self.rpc).await?;
                anyhow::ensure!(
                    !messages.is_empty(),
                    "the inbox ends before the batch's cursor"
                );
                for message in messages {
                    self.state.push_message(message.message);
                }
            }
            let data = batches::data(&self.rpc, &posted).await?;
            let mut challenger =
                tokio::task::block_in_place(|| self.challenger(header, data.clone()))?;
            if let Some(wrong) = tokio::task::block_in_place(|| challenger.wrong()) {
                return Ok(Some(Found::Wrong(Box::new(Caught {
                    header,
                    wrong,
                    challenger,
                }))));
            }
            if let Some(withheld) = self.fetch(challenger.knowledge()).await? {
                return Ok(Some(Found::Withheld(Box::new(withheld))));
            }
            tokio::task::block_in_place(|| self.advance(header, &data))?;
        }
        Ok(None)
    }

    /// Who knows what a batch should be.
    fn challenger(&self, header: Header, data: Vec<u8>) -> Result<Challenger<Arc<Library>>> {
        let parent = self.headers.last().copied();
        let outputs = |runs: &[Run]| output_roots(&self.library, runs);
        let knowledge = Knowledge::new(header, parent, self.state.clone(), data, outputs)?;
        Ok(Challenger::new(knowledge, self.library.clone()))
    }

    /// Fetches the models that a batch deploys; what of them nobody serves.
    async fn fetch(&mut self, batch: &Knowledge) -> Result<Option<Withheld>> {
        let records = batch.transactions().iter().zip(batch.results());
        for (index, (tx, result)) in (0u32..).zip(records) {
            let Transaction::Deploy {
                program,
                parameters_root,
                ..
            } = tx
            else {
                continue;
            };
            let root = program.root();
            if !result.done() || self.library.model(&root, parameters_root).is_some() {
                continue;
            }
            let fetched = self.mirrors.fetch(&self.blobs, &root, parameters_root);
            if let Err(error) = fetched.await {
                let named = Named {
                    index,
                    transaction: tx.clone(),
                    result: *result,
                    path: merkle::path(batch.leaves(), index.into()).unwrap_or_default(),
                    updated: None,
                };
                return Ok(Some(Withheld {
                    header: *batch.header(),
                    named,
                    pieces: self.missing(program),
                    why: error.to_string(),
                }));
            }
            let model = self.blobs.model(&root, parameters_root)?;
            let (program, parameters) = (model.program, model.parameters);
            let model = Model::new((*program).clone(), (*parameters).clone());
            let model = model.context("a model's parameters are not its program's")?;
            Arc::make_mut(&mut self.library).insert(model);
        }
        Ok(None)
    }

    /// What to demand of a model that cannot be fetched: as much as one demand can have of its
    /// program, or where that is known of its first parameter.
    fn missing(&self, program: &ProgramHeader) -> Pieces {
        let most = |count: u64| count.clamp(1, MAX_PIECES.into()) as u8;
        let known = self.blobs.program(&program.root()).ok();
        let first = known.and_then(|known| known.program().parameters.first().copied());
        let (of, count) = match first {
            Some(ty) => (
                Blob::Chunks { parameter: 0 },
                most(ty.bytes().div_ceil(CHUNK as u64)),
            ),
            None => (Blob::Operators, most(program.operators.into())),
        };
        Pieces {
            of,
            first: 0,
            count,
        }
    }

    /// Does one batch that is right again.
    fn advance(&mut self, header: Header, data: &[u8]) -> Result<()> {
        let before = match self.headers.last() {
            Some(parent) => parent.hash(),
            None => genesis_hash(&header.rollup),
        };
        let outputs = |runs: &[Run]| output_roots(&self.library, runs);
        replay(&mut self.state, &before, &header, data, outputs)
            .with_context(|| format!("batch {}", header.number))?;
        self.state.start_batch();
        self.headers.push(header);
        Ok(())
    }
}

/// A model that a batch runs is not known, or does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {0} runs a model that is not known")]
pub struct NoModel(u32);

fn output_roots(library: &Library, runs: &[Run]) -> Result<Vec<Hash>, NoModel> {
    let root = |run: &Run| {
        let model = library.model(&run.program_root, &run.parameters_root)?;
        let trace = library.trace(&model, &run.input)?;
        Some(RunClaims::honest(model, trace).output_root())
    };
    let roots = runs.iter().map(|run| root(run).ok_or(NoModel(run.index)));
    roots.collect()
}
