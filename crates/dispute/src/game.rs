//! The game: its stages, whose turn it is, and what each move does.
//!
//! ```text
//! Opened ── transactions ──> descend ──> Leaf ──> Revealed ─┬─ state ──────> StatesRoot ──> descend ──> StateStep
//!    └───── state ──────────────────────────────────────────┘
//!                                                           └─ execution ──> TraceRoot ──> descend ──> TensorRoot
//!                                                                                          ──> descend ──> Chunk ──> Element
//! ```
//!
//! [`Dispute::class`] alone says where a dispute stands, and every move asks it. A refused move
//! changes nothing. Every move gets closer to the end: at most [`MAX_MOVES`] are made.

use crate::clock::Clocks;
use crate::descent::{Descent, DescentError, MAX_DEPTH, MIN_LEVELS};
use crate::{Hash, Key, Side};
use alloc::string::String;
use alloc::vec::Vec;
use assay_ledger::ProgramHeader;
use assay_ledger::header::{Header, genesis_hash};
use assay_ledger::result::TxResult;
use assay_ledger::state::StateComponents;
use assay_tensor::commit::{OperatorLeaf, list_root, output_leaf, tensor_root_of};
use assay_tensor::program::MAX_NAME;
use assay_tensor::types::TensorType;
use assay_tensor::{commit, merkle};
use borsh::{BorshDeserialize, BorshSerialize};

/// Reveals and choices in one tree, at most.
const TREE_MOVES: u64 = 2 * MAX_DEPTH.div_ceil(MIN_LEVELS) as u64;
/// Moves of a dispute, at most: three trees and what is between them. With an extension each,
/// they bound how long a dispute lasts.
pub const MAX_MOVES: u64 = 3 * TREE_MOVES + 8;

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

/// A stage of the game, with all that has been claimed on the way to it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Stage {
    /// The challenger says where to look, or proves at once that the data or a deployed program
    /// is malformed.
    Opened,
    /// In the tree of transaction leaves.
    Transactions(Descent),
    /// The asserter says what the leaf's result is.
    Leaf(Descent),
    /// The challenger says what is wrong with the leaf, or proves that it is not what the data says.
    Revealed(Leaf),
    /// The asserter commits to the state roots between the transactions.
    StatesRoot(States),
    /// In the tree of state roots.
    States(States, Descent),
    /// The challenger recomputes the transaction before the state root that differs.
    StateStep(States, Descent),
    /// The asserter commits to the values of the run's operators.
    TraceRoot(Leaf),
    /// In the tree of the operators' values.
    Operators(Run),
    /// The asserter opens the value's type and commits to its data.
    TensorRoot(Run),
    /// In the tree of the value's chunks.
    Tensor(Value),
    /// The asserter shows the chunk.
    Chunk(Value),
    /// The challenger recomputes one element of it.
    Element(Value, Vec<u8>),
    /// It is decided.
    Over(Verdict),
}

/// A leaf of the transaction tree, as the asserter has it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Leaf {
    /// The way to it.
    pub descent: Descent,
    /// The result that the asserter says is in it. That it is, nobody checks before it matters: a
    /// leaf that is not made of the data's transaction and this result falls to a data proof.
    pub result: TxResult,
}

/// The dispute over the states between the transactions.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct States {
    /// The state root before the first transaction.
    pub before: Hash,
    /// The leaf that led here, if the transaction trees differ.
    pub leaf: Option<Leaf>,
}

/// The dispute over one run of a model.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Run {
    /// The transaction's leaf: the claimed function is from its program, parameters and input to
    /// its output.
    pub leaf: Leaf,
    /// The program.
    pub program: ProgramHeader,
    /// In the tree of the operators' values.
    pub descent: Descent,
}

/// The dispute over one operator's value.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Value {
    /// The run.
    pub run: Run,
    /// The operator's leaf in the program ([`OperatorLeaf::encode`]).
    pub operator: Vec<u8>,
    /// In the tree of the value's chunks.
    pub descent: Descent,
}

/// How a dispute ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Verdict {
    /// Who won.
    pub winner: Side,
    /// By what.
    pub reason: Reason,
}

/// What decided a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Reason {
    /// The loser's clock ran out.
    Time,
    /// The batch's data is malformed, or a leaf is not the data's transaction.
    Data,
    /// A deployed program is malformed.
    Program,
    /// A transaction leads to another state.
    State,
    /// An element of an operator's value is another.
    Element,
}

/// Where a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It is decided.
    Over(Verdict),
    /// The batch is dead, by another dispute: there is nothing left to decide.
    Moot,
    /// This side's clock has run out: anybody may end the dispute.
    Expired(Side),
    /// It is this side's turn, up to and including this slot.
    Turn(Side, u64),
}

/// What the challenger says is wrong.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Claim {
    /// A leaf of the transaction tree.
    Transactions,
    /// The state after some transaction.
    State {
        /// The parent's header, from which the batch's first state follows; none for batch 1.
        parent: Option<Header>,
    },
    /// The output of the leaf's run.
    Execution,
}

/// An output of a run, as the asserter restates it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OutputClaim {
    /// Its name in the program.
    pub name: String,
    /// The operator that defines it.
    pub value: u32,
    /// Its type's encoding.
    pub ty: Vec<u8>,
    /// Its tensor's root.
    pub root: Hash,
}

/// The asserter's commitment to a run.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TraceClaim {
    /// The leaf's program.
    pub program: ProgramHeader,
    /// Merkle root over the tensor roots of the operators' values.
    pub root: Hash,
    /// All outputs of the program.
    pub outputs: Vec<OutputClaim>,
    /// With which the outputs' tensors open in `root`, together ([`merkle::fold`]).
    pub siblings: Vec<Hash>,
    /// The first nodes revealed, or none.
    pub nodes: Vec<Hash>,
}

/// A move that is no proof.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Move {
    /// Challenger: what is wrong.
    Claim(Claim),
    /// Asserter: nodes of the present tree.
    Reveal {
        /// From the left.
        nodes: Vec<Hash>,
    },
    /// Challenger: the leftmost of them that differs.
    Choose {
        /// Its place.
        child: u8,
    },
    /// Asserter: the result in the leaf.
    RevealLeaf {
        /// The result.
        result: TxResult,
    },
    /// Asserter: the state roots between the transactions.
    PostStates {
        /// Merkle root over them, one more than there are transactions.
        root: Hash,
        /// With which the first and the last open in it, together.
        siblings: Vec<Hash>,
        /// The first nodes revealed, or none.
        nodes: Vec<Hash>,
    },
    /// Asserter: the values of a run.
    PostTrace(TraceClaim),
    /// Asserter: the value that the operator defines.
    RevealTensor {
        /// The operator's leaf.
        operator: Vec<u8>,
        /// Its path in the program.
        path: Vec<Hash>,
        /// Root over the value's chunks.
        data_root: Hash,
        /// The first nodes revealed, or none.
        nodes: Vec<Hash>,
    },
    /// Asserter: the chunk.
    RevealChunk {
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

impl Move {
    /// Who makes such a move.
    pub fn side(&self) -> Side {
        match self {
            Self::Claim(_) | Self::Choose { .. } => Side::Challenger,
            _ => Side::Asserter,
        }
    }
}

/// Why a move is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The dispute is decided.
    #[error("the dispute is decided")]
    Over,
    /// The batch is dead.
    #[error("the batch was reverted by another dispute: close this one and take the bond back")]
    Moot,
    /// The mover's clock has run out.
    #[error("the clock of the side whose turn it is has run out")]
    Late,
    /// The clock has not run out.
    #[error("the clock of the side whose turn it is has not run out")]
    InTime,
    /// It is the other side's turn.
    #[error("it is the other side's turn")]
    Turn,
    /// Not in this stage.
    #[error("the dispute is not in the stage for this move")]
    Stage,
    /// The move does not fit the tree.
    #[error(transparent)]
    Descent(#[from] DescentError),
    /// The parent's header is missing, or not the batch's parent.
    #[error("this is not the header of the batch's parent")]
    Parent,
    /// The leaf's transaction ran no model.
    #[error("the leaf's transaction ran no model")]
    NoRun,
    /// The first and the last state do not open in the root.
    #[error("the states before and after the batch do not open in the root")]
    Ends,
    /// The program's header is not the leaf's.
    #[error("this is not the program of the leaf")]
    Program,
    /// The outputs are not the program's, or not the leaf's.
    #[error("the outputs are not those of the program and of the leaf")]
    Outputs,
    /// The operator's leaf does not open in the program.
    #[error("the operator does not open in the program")]
    Operator,
    /// The tensor's root is not the one revealed.
    #[error("the value's type and data do not have the root that was revealed")]
    Tensor,
    /// The chunk is not the one revealed, or has another length.
    #[error("the chunk has another length or hash")]
    Chunk,
}

impl Dispute {
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

    /// Whose move it is; nobody's when it is decided.
    fn turn(&self) -> Option<Side> {
        let in_tree = |descent: &Descent| match descent.choosing() {
            true => Side::Challenger,
            false => Side::Asserter,
        };
        Some(match &self.stage {
            Stage::Opened | Stage::Revealed(_) | Stage::StateStep(..) | Stage::Element(..) => {
                Side::Challenger
            }
            Stage::Leaf(_)
            | Stage::StatesRoot(_)
            | Stage::TraceRoot(_)
            | Stage::TensorRoot(_)
            | Stage::Chunk(_) => Side::Asserter,
            Stage::Transactions(descent) | Stage::States(_, descent) => in_tree(descent),
            Stage::Operators(run) => in_tree(&run.descent),
            Stage::Tensor(value) => in_tree(&value.descent),
            Stage::Over(_) => return None,
        })
    }

    /// Where the dispute stands in slot `now`, where `live` says whether its batch is still pending.
    pub fn class(&self, live: bool, now: u64) -> Class {
        match (&self.stage, self.turn()) {
            (Stage::Over(verdict), _) => Class::Over(*verdict),
            (_, Some(side)) if live && self.clocks.expired(side, now) => Class::Expired(side),
            (_, Some(side)) if live => Class::Turn(side, self.clocks.deadline(side)),
            _ => Class::Moot,
        }
    }

    /// Whether `side` may move now.
    fn may(&self, side: Side, live: bool, now: u64) -> Result<(), Refused> {
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
        self.stage = self.after(made)?;
        self.moves = self.moves.saturating_add(1);
        if let Some(next) = self.turn() {
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

    /// Ends the dispute for the challenger, who has proven the batch wrong.
    pub(crate) fn convict(&mut self, reason: Reason) -> Verdict {
        self.decide(Side::Challenger, reason)
    }

    /// Whether the challenger may prove something now.
    pub(crate) fn may_prove(&self, live: bool, now: u64) -> Result<(), Refused> {
        self.may(Side::Challenger, live, now)
    }

    fn decide(&mut self, winner: Side, reason: Reason) -> Verdict {
        let verdict = Verdict { winner, reason };
        self.stage = Stage::Over(verdict);
        verdict
    }

    /// The stage after a move in this one.
    fn after(&self, made: Move) -> Result<Stage, Refused> {
        match (self.stage.clone(), made) {
            (Stage::Opened, Move::Claim(Claim::Transactions)) => {
                let header = &self.header;
                let descent = Descent::new(header.tx_root, u64::from(header.tx_count))?;
                Ok(in_transactions(descent))
            }
            (Stage::Opened, Move::Claim(Claim::State { parent })) => {
                self.states(parent.as_ref(), None)
            }
            (Stage::Revealed(leaf), Move::Claim(Claim::State { parent })) => {
                self.states(parent.as_ref(), Some(leaf))
            }
            (Stage::Revealed(leaf), Move::Claim(Claim::Execution)) => {
                if leaf.result.program_root == [0; 32] {
                    return Err(Refused::NoRun);
                }
                Ok(Stage::TraceRoot(leaf))
            }
            (Stage::Leaf(descent), Move::RevealLeaf { result }) => {
                Ok(Stage::Revealed(Leaf { descent, result }))
            }
            (
                Stage::StatesRoot(states),
                Move::PostStates {
                    root,
                    siblings,
                    nodes,
                },
            ) => self.with_states(states, root, &siblings, &nodes),
            (Stage::TraceRoot(leaf), Move::PostTrace(claim)) => with_trace(leaf, &claim),
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
            (stage, Move::Reveal { nodes }) => in_tree(stage, |descent| descent.reveal(&nodes)),
            (stage, Move::Choose { child }) => in_tree(stage, |descent| descent.choose(child)),
            _ => Err(Refused::Stage),
        }
    }

    /// To the states, from the parent's header.
    fn states(&self, parent: Option<&Header>, leaf: Option<Leaf>) -> Result<Stage, Refused> {
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
        Ok(Stage::StatesRoot(States { before, leaf }))
    }

    fn with_states(
        &self,
        states: States,
        root: Hash,
        siblings: &[Hash],
        nodes: &[Hash],
    ) -> Result<Stage, Refused> {
        let last = u64::from(self.header.tx_count);
        let mut descent = Descent::new(root, last + 1)?;
        let ends = [(0, states.before), (last, self.header.state.root())];
        let depth = merkle::depth(last + 1);
        if last == 0 || merkle::fold(depth, &ends, siblings) != Some(root) {
            return Err(Refused::Ends);
        }
        if !nodes.is_empty() {
            descent.reveal(nodes)?;
        }
        Ok(in_states(states, descent))
    }
}

/// Makes a move in the tree in which the dispute is.
fn in_tree(
    stage: Stage,
    step: impl FnOnce(&mut Descent) -> Result<(), DescentError>,
) -> Result<Stage, Refused> {
    match stage {
        Stage::Transactions(mut descent) => {
            step(&mut descent)?;
            Ok(in_transactions(descent))
        }
        Stage::States(states, mut descent) => {
            step(&mut descent)?;
            Ok(in_states(states, descent))
        }
        Stage::Operators(mut run) => {
            step(&mut run.descent)?;
            Ok(in_operators(run))
        }
        Stage::Tensor(mut value) => {
            step(&mut value.descent)?;
            Ok(in_tensor(value))
        }
        _ => Err(Refused::Stage),
    }
}

fn in_transactions(descent: Descent) -> Stage {
    match descent.done() {
        true => Stage::Leaf(descent),
        false => Stage::Transactions(descent),
    }
}

fn in_states(states: States, descent: Descent) -> Stage {
    match descent.done() {
        true => Stage::StateStep(states, descent),
        false => Stage::States(states, descent),
    }
}

fn in_operators(run: Run) -> Stage {
    match run.descent.done() {
        true => Stage::TensorRoot(run),
        false => Stage::Operators(run),
    }
}

fn in_tensor(value: Value) -> Stage {
    match value.descent.done() {
        true => Stage::Chunk(value),
        false => Stage::Tensor(value),
    }
}

fn with_trace(leaf: Leaf, claim: &TraceClaim) -> Result<Stage, Refused> {
    let program = claim.program;
    if program.root() != leaf.result.program_root {
        return Err(Refused::Program);
    }
    if claim.outputs.len() as u64 != u64::from(program.outputs) {
        return Err(Refused::Outputs);
    }
    let mut running = 0u64;
    let mut leaves = Vec::with_capacity(claim.outputs.len());
    for output in &claim.outputs {
        let ty = TensorType::decode(&output.ty).map_err(|_| Refused::Outputs)?;
        running = running.checked_add(ty.bytes()).ok_or(Refused::Outputs)?;
        if output.name.len() > MAX_NAME {
            return Err(Refused::Outputs);
        }
        leaves.push(output_leaf(&output.name, output.value, &ty, running));
    }
    let roots: Vec<Hash> = claim.outputs.iter().map(|output| output.root).collect();
    let mut opened: Vec<(u64, Hash)> = claim
        .outputs
        .iter()
        .map(|output| (u64::from(output.value), output.root))
        .collect();
    opened.sort_unstable();
    opened.dedup();
    let count = u64::from(program.operators);
    let depth = merkle::depth(count);
    if merkle::root(&leaves) != program.outputs_root
        || list_root(&roots) != leaf.result.output_root
        || merkle::fold(depth, &opened, &claim.siblings) != Some(claim.root)
    {
        return Err(Refused::Outputs);
    }
    let mut descent = Descent::new(claim.root, count)?;
    if !claim.nodes.is_empty() {
        descent.reveal(&claim.nodes)?;
    }
    Ok(in_operators(Run {
        leaf,
        program,
        descent,
    }))
}

fn with_tensor(
    run: Run,
    operator: Vec<u8>,
    path: &[Hash],
    data_root: Hash,
    nodes: &[Hash],
) -> Result<Stage, Refused> {
    let leaf = OperatorLeaf::decode(&operator).map_err(|_| Refused::Operator)?;
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
    let mut descent = Descent::new(data_root, chunks)?;
    if !nodes.is_empty() {
        descent.reveal(nodes)?;
    }
    Ok(in_tensor(Value {
        run,
        operator,
        descent,
    }))
}

fn with_chunk(value: Value, bytes: Vec<u8>) -> Result<Stage, Refused> {
    let leaf = OperatorLeaf::decode(&value.operator).map_err(|_| Refused::Operator)?;
    let start = value.descent.index.saturating_mul(commit::CHUNK as u64);
    let expected = leaf.result.bytes().saturating_sub(start);
    if bytes.len() as u64 != expected.min(commit::CHUNK as u64)
        || commit::chunk_hash(&bytes) != value.descent.node
    {
        return Err(Refused::Chunk);
    }
    Ok(Stage::Element(value, bytes))
}
