//! What the two sides can do, and why it is refused. Proofs are not moves: they end the game.

use crate::descent::DescentError;
use crate::{Hash, Side};
use alloc::vec::Vec;
use assay_ledger::ProgramHeader;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use borsh::{BorshDeserialize, BorshSerialize};

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
    /// A value of the leaf's run.
    Execution,
    /// The outputs of the leaf's run: its values are right, and the outputs are others.
    Outputs,
}

/// The asserter's commitment to a run.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RunClaim {
    /// The leaf's program.
    pub program: ProgramHeader,
    /// Merkle root over the tensor roots of the operators' values.
    pub trace: Hash,
    /// Merkle root over the tensor roots of the outputs.
    pub outputs: Hash,
    /// The first nodes below `trace`, or none.
    pub nodes: Vec<Hash>,
}

/// A move that is no proof. Where a move commits to a tree it may bring the first nodes below the
/// root along ([`crate::descent::Descent::reveal`]); without them they are the asserter's next move.
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
    /// Asserter: what is in the leaf of the transaction tree, but for the transaction.
    RevealLeaf {
        /// The result.
        result: TxResult,
        /// The run, where the result names a program.
        run: Option<RunClaim>,
    },
    /// Asserter: the state roots between the transactions.
    PostStates {
        /// Merkle root over them, one more than there are transactions.
        root: Hash,
        /// The first nodes below it, or none.
        nodes: Vec<Hash>,
    },
    /// Asserter: the value that the operator defines.
    RevealTensor {
        /// The operator's leaf.
        operator: Vec<u8>,
        /// Its path in the program.
        path: Vec<Hash>,
        /// Root over the value's chunks.
        data_root: Hash,
        /// The first nodes below it, or none.
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
            Self::Reveal { .. }
            | Self::RevealLeaf { .. }
            | Self::PostStates { .. }
            | Self::RevealTensor { .. }
            | Self::RevealChunk { .. } => Side::Asserter,
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
    /// A run is named by a program; there is one where none is named, or the other way round.
    #[error("the result and the run do not go together")]
    NoRun,
    /// The program's header is not the leaf's, or not that of a program.
    #[error("this is not the program of the leaf")]
    Program,
    /// The outputs are not the leaf's.
    #[error("the outputs are not those of the leaf")]
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
