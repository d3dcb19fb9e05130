//! The game's words as the instructions and events have them.
//!
//! The same variants and fields in the same order as in [`assay_dispute::game`], whose borsh
//! encoding is therefore the same (a test pins it); they stand here again so that the IDL shows
//! them. What they mean, and every rule, is the game's.

use crate::header::BatchHeader;
use anchor_lang::prelude::*;
use assay_dispute::{Side, game, prove};
use assay_ledger::ProgramHeader;
use assay_ledger::result::TxResult;

/// One of the two.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The sequencer who posted the batch.
    Asserter,
    /// Who says that it is wrong.
    Challenger,
}

/// What the challenger says is wrong.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    /// A leaf of the transaction tree.
    Transactions,
    /// The state after some transaction.
    State {
        /// The parent's header; none for batch 1.
        parent: Option<BatchHeader>,
    },
    /// A value of the leaf's run.
    Execution,
    /// The outputs of the leaf's run: its values are right, and the outputs are others.
    Outputs,
}

/// What a transaction did.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafResult {
    /// Number of an [`assay_ledger::result::Status`].
    pub status: u8,
    /// What the run of a model cost.
    pub fee: u64,
    /// The program that ran; zero if none did.
    pub program_root: [u8; 32],
    /// The parameters that it ran with; zero if none did.
    pub parameters_root: [u8; 32],
    /// Root of the run's input; zero if none ran.
    pub input_root: [u8; 32],
    /// Root over the outputs' roots; zero if none ran.
    pub output_root: [u8; 32],
}

/// What a program's root commits to.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramHead {
    /// Number of inputs.
    pub inputs: u32,
    /// Number of parameters.
    pub parameters: u32,
    /// Number of operators.
    pub operators: u32,
    /// Number of outputs.
    pub outputs: u32,
    /// Work units of one run.
    pub units: u64,
    /// Bytes of one run's inputs.
    pub input_bytes: u64,
    /// Bytes of the parameters.
    pub parameter_bytes: u64,
    /// Bytes of one run's values.
    pub value_bytes: u64,
    /// Bytes of one run's outputs.
    pub output_bytes: u64,
    /// Root over the operators' leaves.
    pub operators_root: [u8; 32],
    /// Root over the parameters' types.
    pub parameters_root: [u8; 32],
    /// Root over the inputs' types.
    pub inputs_root: [u8; 32],
    /// Root over the outputs.
    pub outputs_root: [u8; 32],
}

/// The asserter's commitment to a run.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug, PartialEq, Eq)]
pub struct RunClaim {
    /// The leaf's program.
    pub program: ProgramHead,
    /// Merkle root over the tensor roots of the operators' values.
    pub trace: [u8; 32],
    /// Merkle root over the tensor roots of the outputs.
    pub outputs: [u8; 32],
    /// The first nodes below `trace`, or none.
    pub nodes: Vec<[u8; 32]>,
}

/// A kind of move; what it holds is in the instruction's data, or in a buffer's.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveKind {
    /// Challenger: what is wrong.
    Claim,
    /// Asserter: nodes of the present tree.
    Reveal,
    /// Challenger: the leftmost of them that differs.
    Choose,
    /// Asserter: what is in the leaf of the transaction tree, but for the transaction.
    RevealLeaf,
    /// Asserter: the state roots between the transactions.
    PostStates,
    /// Asserter: the value that the operator defines.
    RevealTensor,
    /// Asserter: the chunk.
    RevealChunk,
}

/// What a proof shows.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKind {
    /// A record of the batch's data is malformed, or the revealed leaf is not made of it.
    Data {
        /// The record.
        index: u32,
    },
    /// A deployed program is malformed.
    Program,
    /// The last of the posted states is not the batch's.
    End,
    /// The transaction before the state leads to another.
    State,
    /// The output is another than the value that the program names.
    Output,
    /// An element of the chunk is another.
    Element,
    /// The data's transaction before the state leads to another.
    Record,
}

/// A stage of the game.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageKind {
    /// The challenger says where to look, or proves that the data or a program is malformed.
    Opened,
    /// In the tree of transaction leaves.
    Transactions,
    /// The asserter says what the leaf's result is.
    Leaf,
    /// The leaf's transaction ran no model. The challenger says that the state after it is
    /// another, or proves that the leaf is not what the data says.
    Revealed,
    /// The leaf's transaction ran a model. The challenger says as much, or that the run's values
    /// are others, or that the outputs are not among them.
    Ran,
    /// The asserter commits to the state roots between the transactions.
    StatesRoot,
    /// In the tree of state roots.
    States,
    /// The challenger recomputes a transaction.
    StateStep,
    /// In the list of a run's outputs.
    Outputs,
    /// The challenger shows that the value that the output names has another root.
    Output,
    /// In the tree of the operators' values.
    Operators,
    /// The asserter opens the value's type and commits to its data.
    TensorRoot,
    /// In the tree of the value's chunks.
    Tensor,
    /// The asserter shows the chunk.
    Chunk,
    /// The challenger recomputes one element of it.
    Element,
    /// It is decided.
    Over,
}

/// What decided a dispute.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The loser's clock ran out.
    Time,
    /// The batch's data is malformed, or a leaf is not the data's transaction.
    Data,
    /// A deployed program is malformed.
    Program,
    /// A transaction leads to another state, or the states do not begin or end as they must.
    State,
    /// An output is not the value that the program says it is.
    Output,
    /// An element of an operator's value is another.
    Element,
}

impl From<Side> for Party {
    fn from(side: Side) -> Self {
        match side {
            Side::Asserter => Self::Asserter,
            Side::Challenger => Self::Challenger,
        }
    }
}

impl ClaimKind {
    /// The game's claim.
    pub fn to_game(&self) -> Result<game::Claim> {
        Ok(match self {
            Self::Transactions => game::Claim::Transactions,
            Self::State { parent } => game::Claim::State {
                parent: match parent {
                    Some(header) => Some(header.to_ledger()?),
                    None => None,
                },
            },
            Self::Execution => game::Claim::Execution,
            Self::Outputs => game::Claim::Outputs,
        })
    }
}

impl From<&game::Claim> for ClaimKind {
    fn from(claim: &game::Claim) -> Self {
        match claim {
            game::Claim::Transactions => Self::Transactions,
            game::Claim::State { parent } => Self::State {
                parent: parent.as_ref().map(BatchHeader::from),
            },
            game::Claim::Execution => Self::Execution,
            game::Claim::Outputs => Self::Outputs,
        }
    }
}

impl From<ProofKind> for prove::ProofKind {
    fn from(kind: ProofKind) -> Self {
        match kind {
            ProofKind::Data { index } => Self::Data { index },
            ProofKind::Program => Self::Program,
            ProofKind::End => Self::End,
            ProofKind::State => Self::State,
            ProofKind::Output => Self::Output,
            ProofKind::Element => Self::Element,
            ProofKind::Record => Self::Record,
        }
    }
}

impl From<prove::ProofKind> for ProofKind {
    fn from(kind: prove::ProofKind) -> Self {
        match kind {
            prove::ProofKind::Data { index } => Self::Data { index },
            prove::ProofKind::Program => Self::Program,
            prove::ProofKind::End => Self::End,
            prove::ProofKind::State => Self::State,
            prove::ProofKind::Output => Self::Output,
            prove::ProofKind::Element => Self::Element,
            prove::ProofKind::Record => Self::Record,
        }
    }
}

impl From<LeafResult> for TxResult {
    fn from(result: LeafResult) -> Self {
        Self {
            status: result.status,
            fee: result.fee,
            program_root: result.program_root,
            parameters_root: result.parameters_root,
            input_root: result.input_root,
            output_root: result.output_root,
        }
    }
}

impl From<TxResult> for LeafResult {
    fn from(result: TxResult) -> Self {
        Self {
            status: result.status,
            fee: result.fee,
            program_root: result.program_root,
            parameters_root: result.parameters_root,
            input_root: result.input_root,
            output_root: result.output_root,
        }
    }
}

impl From<ProgramHead> for ProgramHeader {
    fn from(head: ProgramHead) -> Self {
        Self {
            inputs: head.inputs,
            parameters: head.parameters,
            operators: head.operators,
            outputs: head.outputs,
            units: head.units,
            input_bytes: head.input_bytes,
            parameter_bytes: head.parameter_bytes,
            value_bytes: head.value_bytes,
            output_bytes: head.output_bytes,
            operators_root: head.operators_root,
            parameters_root: head.parameters_root,
            inputs_root: head.inputs_root,
            outputs_root: head.outputs_root,
        }
    }
}

impl From<ProgramHeader> for ProgramHead {
    fn from(head: ProgramHeader) -> Self {
        Self {
            inputs: head.inputs,
            parameters: head.parameters,
            operators: head.operators,
            outputs: head.outputs,
            units: head.units,
            input_bytes: head.input_bytes,
            parameter_bytes: head.parameter_bytes,
            value_bytes: head.value_bytes,
            output_bytes: head.output_bytes,
            operators_root: head.operators_root,
            parameters_root: head.parameters_root,
            inputs_root: head.inputs_root,
            outputs_root: head.outputs_root,
        }
    }
}

impl From<RunClaim> for game::RunClaim {
    fn from(claim: RunClaim) -> Self {
        Self {
            program: claim.program.into(),
            trace: claim.trace,
            outputs: claim.outputs,
            nodes: claim.nodes,
        }
    }
}

impl From<&game::RunClaim> for RunClaim {
    fn from(claim: &game::RunClaim) -> Self {
        Self {
            program: claim.program.into(),
            trace: claim.trace,
            outputs: claim.outputs,
            nodes: claim.nodes.clone(),
        }
    }
}

impl From<&game::Move> for MoveKind {
    fn from(made: &game::Move) -> Self {
        match made {
            game::Move::Claim(_) => Self::Claim,
            game::Move::Reveal { .. } => Self::Reveal,
            game::Move::Choose { .. } => Self::Choose,
            game::Move::RevealLeaf { .. } => Self::RevealLeaf,
            game::Move::PostStates { .. } => Self::PostStates,
            game::Move::RevealTensor { .. } => Self::RevealTensor,
            game::Move::RevealChunk { .. } => Self::RevealChunk,
        }
    }
}

impl From<&game::Stage> for StageKind {
    fn from(stage: &game::Stage) -> Self {
        match stage {
            game::Stage::Opened => Self::Opened,
            game::Stage::Transactions(_) => Self::Transactions,
            game::Stage::Leaf(_) => Self::Leaf,
            game::Stage::Revealed(_) => Self::Revealed,
            game::Stage::Ran(_) => Self::Ran,
            game::Stage::StatesRoot(_) => Self::StatesRoot,
            game::Stage::States(..) => Self::States,
            game::Stage::StateStep(..) => Self::StateStep,
            game::Stage::Outputs(..) => Self::Outputs,
            game::Stage::Output(..) => Self::Output,
            game::Stage::Operators(_) => Self::Operators,
            game::Stage::TensorRoot(_) => Self::TensorRoot,
            game::Stage::Tensor(_) => Self::Tensor,
            game::Stage::Chunk(_) => Self::Chunk,
            game::Stage::Element(..) => Self::Element,
            game::Stage::Over(_) => Self::Over,
        }
    }
}

impl From<game::Reason> for Reason {
    fn from(reason: game::Reason) -> Self {
        match reason {
            game::Reason::Time => Self::Time,
            game::Reason::Data => Self::Data,
            game::Reason::Program => Self::Program,
            game::Reason::State => Self::State,
            game::Reason::Output => Self::Output,
            game::Reason::Element => Self::Element,
        }
    }
}
