//! Answers disputes over a batch.

use super::claims::{Claims, RunClaims};
use super::models::Models;
use super::{Next, waits};
use crate::descent::{Descent, MAX_LEVELS, MIN_LEVELS};
use crate::game::Dispute;
use crate::moves::{Move, RunClaim};
use crate::stage::Stage;
use crate::{Hash, Side};
use assay_tensor::commit::CHUNK;
use assay_tensor::leaves::List;
use assay_tensor::merkle::{self, Levels};
use std::borrow::Cow;

/// Bytes that a move may have in a legacy transaction, beside accounts, signatures and fees.
pub const LEGACY_ROOM: usize = 900;
/// Bytes that a move may have in a version-1 transaction.
pub const VERSION_1_ROOM: usize = 3_600;

/// The side that answers.
#[derive(Debug)]
pub struct Asserter<M> {
    claims: Claims,
    models: M,
    /// Bytes of a move, at most, as far as the rules leave a choice.
    room: usize,
    txs: Levels,
    states: Levels,
}

impl<M: Models> Asserter<M> {
    /// The side that claims this. No move has more than `room` bytes where a smaller one is
    /// allowed: [`LEGACY_ROOM`], [`VERSION_1_ROOM`].
    pub fn new(claims: Claims, models: M, room: usize) -> Self {
        Self {
            txs: Levels::new(claims.leaves.clone()),
            states: Levels::new(claims.states.clone()),
            claims,
            models,
            room,
        }
    }

    /// What it claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What it does next in a dispute over its batch, which is pending if it is `live`, in slot `now`.
    pub fn next(&mut self, dispute: &Dispute, live: bool, now: u64) -> Next {
        if let Some(next) = waits(dispute, Side::Asserter, live, now) {
            return next;
        }
        let Some(made) = self.answer(&dispute.stage) else {
            return Next::Nothing;
        };
        // A liar's answer may be none.
        match dispute.clone().play(made.clone(), live, now) {
            Ok(()) => Next::Play(made),
            Err(_) => Next::Nothing,
        }
    }

    fn answer(&self, stage: &Stage) -> Option<Move> {
        let room = self.room;
        let index = stage.leaf().map(|leaf| leaf.descent.index);
        let reveal = |tree: &Levels, descent: &Descent| Move::Reveal {
            nodes: nodes(tree, descent, room),
        };
        Some(match stage {
            Stage::Transactions(descent) => reveal(&self.txs, descent),
            Stage::Leaf(descent) => self.leaf(descent.index)?,
            Stage::StatesRoot(_) => {
                let root = self.states.root();
                with_nodes(&self.states, room, |nodes| Move::PostStates { root, nodes })?
            }
            Stage::States(_, descent) => reveal(&self.states, descent),
            Stage::Outputs(_, descent) => reveal(self.run(index?)?.outputs(), descent),
            Stage::Operators(run) => reveal(self.run(index?)?.roots(), &run.descent),
            Stage::TensorRoot(run) => self.tensor(index?, run.descent.index)?,
            Stage::Tensor(value) => {
                let operator = u32::try_from(value.run.descent.index).ok()?;
                reveal(self.run(index?)?.chunks(operator)?, &value.descent)
            }
            Stage::Chunk(value) => {
                let operator = u32::try_from(value.run.descent.index).ok()?;
                let at = usize::try_from(value.descent.index).ok()?;
                let run = self.run(index?)?;
                let bytes = run.data(operator)?.chunks(CHUNK).nth(at)?;
                Move::RevealChunk {
                    bytes: bytes.to_vec(),
                }
            }
            _ => return None,
        })
    }

    fn leaf(&self, index: u64) -> Option<Move> {
        let room = self.room;
        let result = *self.claims.results.get(usize::try_from(index).ok()?)?;
        if result.program_root == [0; 32] {
            return Some(Move::RevealLeaf { result, run: None });
        }
        let run = self.run(index)?;
        let program = run.model().program().header();
        let (trace, outputs) = (run.roots().root(), run.outputs().root());
        with_nodes(run.roots(), room, |nodes| Move::RevealLeaf {
            result,
            run: Some(RunClaim {
                program,
                trace,
                outputs,
                nodes,
            }),
        })
    }

    fn tensor(&self, index: u64, operator: u64) -> Option<Move> {
        let room = self.room;
        let run = self.run(index)?;
        let program = run.model().program();
        let at = u32::try_from(operator).ok()?;
        let leaf = program.operator_leaf(at)?.encode();
        let path = merkle::path(&program.leaf_hashes(List::Operators), operator)?;
        let chunks = run.chunks(at)?;
        with_nodes(chunks, room, |nodes| Move::RevealTensor {
            operator: leaf.clone(),
            path: path.clone(),
            data_root: chunks.root(),
            nodes,
        })
    }

    /// What is claimed of the run of transaction `index`. It is not kept: traces are large, and the models
    /// know how many of them there is room for.
    fn run(&self, index: u64) -> Option<Cow<'_, RunClaims>> {
        let index = u32::try_from(index).ok()?;
        if let Some(claimed) = self.claims.runs.get(&index) {
            return Some(Cow::Borrowed(claimed));
        }
        let result = self.claims.results.get(index as usize)?;
        let model = self
            .models
            .model(&result.program_root, &result.parameters_root)?;
        let trace = self.models.trace(&model, self.claims.inputs.get(&index)?)?;
        Some(Cow::Owned(RunClaims::honest(model, trace)))
    }
}

/// The next nodes below the descent's: as many levels as fit and are allowed.
fn nodes(tree: &Levels, descent: &Descent, room: usize) -> Vec<Hash> {
    let fits = |levels: &u32| descent.inside(*levels) * 32 + 8 <= room;
    let most = (MIN_LEVELS..=MAX_LEVELS).rev().find(fits);
    let levels = descent.step(most.unwrap_or(MIN_LEVELS));
    let first = descent.index << levels;
    let level = u32::from(descent.height) - levels;
    (first..)
        .take(descent.inside(levels))
        .map(|index| tree.node(level, index))
        .collect()
}

/// A move that commits to a tree, with the first nodes below the root if they fit beside the rest.
fn with_nodes(tree: &Levels, room: usize, made: impl Fn(Vec<Hash>) -> Move) -> Option<Move> {
    let alone = made(Vec::new());
    if tree.depth() == 0 {
        return Some(alone);
    }
    // Writing to a vector cannot fail.
    let bytes = borsh::to_vec(&alone).unwrap_or_default().len();
    let descent = Descent::new(tree.root(), tree.count()).ok()?;
    let nodes = nodes(tree, &descent, room.saturating_sub(bytes));
    if bytes + nodes.len() * 32 > room {
        return Some(alone);
    }
    Some(made(nodes))
}
