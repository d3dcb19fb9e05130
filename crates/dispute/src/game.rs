//! The rules: whose turn it is, and what each move does.
//!
//! ```text
//! Opened ── transactions ──> descend ──> Leaf ─┬─> Revealed ─┬─ state ──────> StatesRoot ──> descend ──> StateStep
//!    │                                         └─> Ran ──────┤
//!    │                                                       ├─ execution ──> descend ──> TensorRoot
//!    │                                                       │                ──> descend ──> Chunk ──> Element
//!    │                                                       └─ outputs ────> descend ──> Output
//!    └───── state ──────────────────────────────────────────────────────────> StatesRoot ──> ...
//! ```
//!
//! [`Dispute::class`] alone says where a dispute stands, and every move asks it. A refused move
//! changes nothing. Every move gets closer to the end: at most [`MAX_MOVES`] are made.

use crate::clock::Clocks;
use crate::descent::{Descent, MAX_DEPTH, MAX_LEVELS, tree_moves};
pub use crate::moves::{Claim, Move, Refused, RunClaim};
pub use crate::stage::{Class, Leaf, Reason, Run, Stage, States, Value, Verdict};
use crate::{Hash, Key, Side};
use alloc::boxed::Box;
use alloc::vec::Vec;
use assay_ledger::ProgramHeader;
use assay_ledger::header::{Header, Params, genesis_hash};
use assay_ledger::state::StateComponents;
use assay_tensor::commit::{self, OperatorLeaf, list_root_of, tensor_root_of};
use assay_tensor::leaves::MAX_LEAF;
use assay_tensor::merkle;
use assay_tensor::program::{MAX_NODES, MAX_OUTPUTS};
use assay_tensor::types::MAX_ELEMENTS;
use borsh::{BorshDeserialize, BorshSerialize};

/// Depth of the tree over a program's operators, at most.
const OPERATORS_DEPTH: u32 = (MAX_NODES as u32).ilog2();
/// Depth of the tree over a program's outputs, at most.
const OUTPUTS_DEPTH: u32 = (MAX_OUTPUTS as u32).ilog2();
/// Depth of the tree over a tensor's chunks, at most; elements have 4 bytes.
const CHUNKS_DEPTH: u32 = (MAX_ELEMENTS * 4 / commit::CHUNK as u64).ilog2();
const _: () = assert!(
    MAX_NODES.is_power_of_two() && MAX_OUTPUTS.is_power_of_two() && MAX_ELEMENTS.is_power_of_two()
);

/// Moves of a dispute before the proof that ends it, at most: a claim, the descent to a leaf, the
/// leaf, another claim, the descent to an operator, its value, the descent to a chunk, the chunk.
pub const MAX_MOVES: u32 =
    tree_moves(MAX_DEPTH) + tree_moves(OPERATORS_DEPTH) + tree_moves(CHUNKS_DEPTH) + 5;
// The other ways are shorter: states, and outputs, instead of operators and chunks.
const _: () =
    assert!(2 * tree_moves(MAX_DEPTH) + 4 <= MAX_MOVES && OUTPUTS_DEPTH < OPERATORS_DEPTH);

/// Slots after the opening in which a dispute is decided, or can be by anybody, whatever the sides
/// do: both clocks, an extension for each move, and the slot after the last deadline.
pub const fn longest(params: &Params) -> u64 {
    let extensions = params.extension.saturating_mul(MAX_MOVES as u64);
    params
        .clock
        .saturating_mul(2)
        .saturating_add(extensions)
        .saturating_add(1)
}

/// A dispute over one batch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Dispute {
    /// The batch's header.
    pub header: Header,
    /// Who says that it is wrong.
    pub challenger: Key,
    /// Who has how long.
    pub clocks: Clocks,
    /// Moves so far.
    pub moves: u32,
    /// Where the game is.
    pub stage: Stage,
}

impl Dispute {
    /// Bytes of the borsh encoding, at most: of a dispute with its nodes revealed in the deepest of
    /// all trees.
    pub const MAX_SIZE: usize = {
        const fn descent(depth: u32) -> usize {
            // root, count, height, index, node, siblings, revealed
            32 + 8 + 1 + 8 + 32 + (4 + 32 * depth as usize) + 4
        }
        let header = 32 + 2 + 1 + 1 + 8 + 32 + 32 + (4 * 40 + 8) + 32 + 4 + 32 + 4 + 66;
        let leaf = descent(MAX_DEPTH) + (1 + 8 + 4 * 32);
        let run = leaf + ProgramHeader::SIZE + 32 + descent(OPERATORS_DEPTH);
        let value = run + (4 + MAX_LEAF) + descent(CHUNKS_DEPTH);
        let revealed = 32 << MAX_LEVELS;
        header + 32 + 24 + 4 + 1 + value + revealed
    };

    /// A dispute opened in slot `now` over the batch of this header.
    pub fn open(header: Header, challenger: Key, now: u64) -> Self {
        Self {
            clocks: Clocks::new(header.params.clock, now),
            header,
            challenger,
            moves: 0,
            stage: Stage::Opened,
        }
    }

    /// Where the dispute stands in slot `now`, where `live` says whether its batch is still pending.
    pub fn class(&self, live: bool, now: u64) -> Class {
        match (&self.stage, self.stage.turn()) {
            (Stage::Over(verdict), _) => Class::Over(*verdict),
            (_, Some(side)) if live && self.clocks.expired(side, now) => Class::Expired(side),
            (_, Some(side)) if live => Class::Turn(side, self.clocks.deadline(side)),
            _ => Class::Moot,
        }
    }

    /// Whether `side` may move now.
    pub(crate) fn may(&self, side: Side, live: bool, now: u64) -> Result<(), Refused> {
        match self.class(live, now) {
            Class::Over(_) => Err(Refused::Over),
            Class::Moot => Err(Refused::Moot),
            Class::Expired(_) => Err(Refused::Late),
            Class::Turn(turn, _) if turn != side => Err(Refused::Turn),
            Class::Turn(..) => Ok(()),
        }
    }

    /// Makes a move of the side that makes such moves. A refused one changes nothing.
    pub fn play(&mut self, made: Move, live: bool, now: u64) -> Result<(), Refused> {
        let side = made.side();
        self.may(side, live, now)?;
        self.stage = self.after(made)?.settled();
        self.moves = self.moves.saturating_add(1);
        // No move ends a dispute, so that it is somebody's turn.
        if let Some(next) = self.stage.turn() {
            let extension = self.header.params.extension;
            self.clocks.pass(side, next, now, extension);
        }
        Ok(())
    }

    /// Ends the dispute against the side whose clock has run out.
    pub fn time_out(&mut self, live: bool, now: u64) -> Result<Verdict, Refused> {
        match self.class(live, now) {
            Class::Over(_) => Err(Refused::Over),
            Class::Moot => Err(Refused::Moot),
            Class::Turn(..) => Err(Refused::InTime),
            Class::Expired(side) => Ok(self.decide(side.other(), Reason::Time)),
        }
    }

    /// Ends the dispute.
    pub(crate) fn decide(&mut self, winner: Side, reason: Reason) -> Verdict {
        let verdict = Verdict { winner, reason };
        self.stage = Stage::Over(verdict);
        verdict
    }

    /// The stage after a move in this one. In a frame of its own: the stage's copy is large.
    #[inline(never)]
    fn after(&self, made: Move) -> Result<Stage, Refused> {
        match (self.stage.clone(), made) {
            (stage, Move::Claim(claim)) => self.claimed(stage, claim),
            (mut stage, Move::Reveal { nodes }) => {
                stage.tree_mut().ok_or(Refused::Stage)?.reveal(&nodes)?;
                Ok(stage)
            }
            (mut stage, Move::Choose { child }) => {
                stage.tree_mut().ok_or(Refused::Stage)?.choose(child)?;
                Ok(stage)
            }
            (Stage::Leaf(descent), Move::RevealLeaf { result, run }) => {
                with_leaf(Box::new(Leaf { descent, result }), run)
            }
            (Stage::StatesRoot(states), Move::PostStates { root, nodes }) => {
                // One more than 32 bits hold is what a tree may have.
                let count = u64::from(self.header.tx_count).saturating_add(1);
                let descent = at_root(root, count, &nodes)?;
                Ok(Stage::States(states, descent))
            }
            (
                Stage::TensorRoot(run),
                Move::RevealTensor {
                    operator,
                    path,
                    data_root,
                    nodes,
                },
            ) => with_tensor(run, operator, &path, data_root, &nodes),
            (Stage::Chunk(value), Move::RevealChunk { bytes }) => with_chunk(value, bytes),
            _ => Err(Refused::Stage),
        }
    }

    /// The stage after a claim.
    fn claimed(&self, stage: Stage, claim: Claim) -> Result<Stage, Refused> {
        match (stage, claim) {
            (Stage::Opened, Claim::Transactions) => {
                let (root, count) = (self.header.tx_root, self.header.tx_count);
                Ok(Stage::Transactions(Descent::new(root, count.into())?))
            }
            (Stage::Opened, Claim::State { parent }) => self.states(parent.as_ref(), None),
            (Stage::Revealed(leaf), Claim::State { parent }) => {
                self.states(parent.as_ref(), Some(leaf))
            }
            (Stage::Ran(run), Claim::State { parent }) => {
                self.states(parent.as_ref(), Some(run.leaf))
            }
            (Stage::Ran(run), Claim::Execution) => Ok(Stage::Operators(run)),
            (Stage::Ran(mut run), Claim::Outputs) => {
                // Nobody goes down that tree any more.
                run.descent.revealed = Vec::new();
                let descent = Descent::new(run.outputs, run.program.outputs.into())?;
                Ok(Stage::Outputs(run, descent))
            }
            _ => Err(Refused::Stage),
        }
    }

    /// To the states, from the parent's header.
    fn states(&self, parent: Option<&Header>, leaf: Option<Box<Leaf>>) -> Result<Stage, Refused> {
        let (hash, state) = match parent {
            Some(parent) => (parent.hash(), parent.state),
            None => (
                genesis_hash(&self.header.rollup),
                StateComponents::genesis(),
            ),
        };
        if hash != self.header.parent {
            return Err(Refused::Parent);
        }
        let before = state.next_batch().root();
        Ok(Stage::StatesRoot(Box::new(States { before, leaf })))
    }
}

/// At the root of a tree, with the first nodes below it if there are any.
fn at_root(root: Hash, count: u64, nodes: &[Hash]) -> Result<Descent, Refused> {
    let mut descent = Descent::new(root, count)?;
    if !nodes.is_empty() {
        descent.reveal(nodes)?;
    }
    Ok(descent)
}

fn with_leaf(leaf: Box<Leaf>, run: Option<RunClaim>) -> Result<Stage, Refused> {
    let result = &leaf.result;
    let claim = match (result.program_root == [0; 32], run) {
        (true, None) => return Ok(Stage::Revealed(leaf)),
        (false, Some(claim)) => claim,
        _ => return Err(Refused::NoRun),
    };
    let program = claim.program;
    if program.root() != result.program_root
        || program.operators as usize > MAX_NODES
        || !(1..=MAX_OUTPUTS).contains(&(program.outputs as usize))
    {
        return Err(Refused::Program);
    }
    if list_root_of(program.outputs.into(), &claim.outputs) != result.output_root {
        return Err(Refused::Outputs);
    }
    Ok(Stage::Ran(Box::new(Run {
        leaf,
        program,
        outputs: claim.outputs,
        descent: at_root(claim.trace, program.operators.into(), &claim.nodes)?,
    })))
}

fn with_tensor(
    run: Box<Run>,
    operator: Vec<u8>,
    path: &[Hash],
    data_root: Hash,
    nodes: &[Hash],
) -> Result<Stage, Refused> {
    let leaf = operator_leaf(&operator)?;
    let program = &run.program;
    if !merkle::verify(
        &program.operators_root,
        u64::from(program.operators),
        &leaf.hash(),
        run.descent.index,
        path,
    ) {
        return Err(Refused::Operator);
    }
    if tensor_root_of(&leaf.result, &data_root) != run.descent.node {
        return Err(Refused::Tensor);
    }
    let chunks = leaf.result.bytes().div_ceil(commit::CHUNK as u64);
    let descent = at_root(data_root, chunks, nodes)?;
    Ok(Stage::Tensor(Box::new(Value {
        run,
        operator,
        descent,
    })))
}

fn with_chunk(value: Box<Value>, bytes: Vec<u8>) -> Result<Stage, Refused> {
    let leaf = operator_leaf(&value.operator)?;
    let start = value.descent.index.saturating_mul(commit::CHUNK as u64);
    let expected = leaf.result.bytes().saturating_sub(start);
    if bytes.len() as u64 != expected.min(commit::CHUNK as u64)
        || commit::chunk_hash(&bytes) != value.descent.node
    {
        return Err(Refused::Chunk);
    }
    Ok(Stage::Element(value, bytes))
}

fn operator_leaf(bytes: &[u8]) -> Result<OperatorLeaf, Refused> {
    if bytes.len() > MAX_LEAF {
        return Err(Refused::Operator);
    }
    OperatorLeaf::decode(bytes).map_err(|_| Refused::Operator)
}

#[cfg(test)]
mod tests;
