//! Where a dispute can be, and what it holds there: all that has been claimed on the way.

use crate::descent::Descent;
use crate::{Hash, Side};
use alloc::boxed::Box;
use alloc::vec::Vec;
use assay_ledger::ProgramHeader;
use assay_ledger::result::TxResult;
use borsh::io::{Read, Result};
use borsh::{BorshDeserialize, BorshSerialize};

/// A stage of the game. Its larger parts are boxed: a frame of a Solana program has 4 KiB.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Stage {
    /// The challenger says where to look, or proves at once that the data or a deployed program
    /// is malformed.
    Opened,
    /// In the tree of transaction leaves.
    Transactions(#[borsh(deserialize_with = "apart")] Descent),
    /// The asserter says what the leaf's result is.
    Leaf(#[borsh(deserialize_with = "apart")] Descent),
    /// The leaf's transaction ran no model. The challenger says that the state after it is
    /// another, or proves that the leaf is not what the data says.
    Revealed(#[borsh(deserialize_with = "apart")] Box<Leaf>),
    /// The leaf's transaction ran a model. The challenger says as much, or that the run's values
    /// are others, or that the outputs are not among them.
    Ran(#[borsh(deserialize_with = "apart")] Box<Run>),
    /// The asserter commits to the state roots between the transactions.
    StatesRoot(#[borsh(deserialize_with = "apart")] Box<States>),
    /// In the tree of state roots.
    States(
        #[borsh(deserialize_with = "apart")] Box<States>,
        #[borsh(deserialize_with = "apart")] Descent,
    ),
    /// The challenger recomputes the transaction before the state root that differs.
    StateStep(
        #[borsh(deserialize_with = "apart")] Box<States>,
        #[borsh(deserialize_with = "apart")] Descent,
    ),
    /// In the list of a run's outputs.
    Outputs(
        #[borsh(deserialize_with = "apart")] Box<Run>,
        #[borsh(deserialize_with = "apart")] Descent,
    ),
    /// The challenger shows that the value that the output names has another root.
    Output(
        #[borsh(deserialize_with = "apart")] Box<Run>,
        #[borsh(deserialize_with = "apart")] Descent,
    ),
    /// In the tree of the operators' values.
    Operators(#[borsh(deserialize_with = "apart")] Box<Run>),
    /// The asserter opens the value's type and commits to its data.
    TensorRoot(#[borsh(deserialize_with = "apart")] Box<Run>),
    /// In the tree of the value's chunks.
    Tensor(#[borsh(deserialize_with = "apart")] Box<Value>),
    /// The asserter shows the chunk.
    Chunk(#[borsh(deserialize_with = "apart")] Box<Value>),
    /// The challenger recomputes one element of it.
    Element(#[borsh(deserialize_with = "apart")] Box<Value>, Vec<u8>),
    /// It is decided.
    Over(Verdict),
}

/// A part of a stage, decoded in a frame of its own for the same reason.
#[inline(never)]
pub(crate) fn apart<R: Read, T: BorshDeserialize>(reader: &mut R) -> Result<T> {
    T::deserialize_reader(reader)
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
    pub leaf: Option<Box<Leaf>>,
}

/// One run of a model, as the asserter has it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Run {
    /// The transaction's leaf: the claimed function is from its program, parameters and input to
    /// its output.
    pub leaf: Box<Leaf>,
    /// The program.
    pub program: ProgramHeader,
    /// Merkle root over the roots of the outputs.
    pub outputs: Hash,
    /// In the tree of the tensor roots of the operators' values.
    pub descent: Descent,
}

/// The dispute over one operator's value.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Value {
    /// The run.
    pub run: Box<Run>,
    /// The operator's leaf in the program ([`assay_tensor::commit::OperatorLeaf::encode`]).
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
    /// A transaction leads to another state, or the states do not begin or end as they must.
    State,
    /// An output is not the value that the program says it is.
    Output,
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

impl Stage {
    /// Whose turn it is; nobody's when it is decided.
    pub fn turn(&self) -> Option<Side> {
        let in_tree = |descent: &Descent| match descent.choosing() {
            true => Side::Challenger,
            false => Side::Asserter,
        };
        Some(match self {
            Self::Opened
            | Self::Revealed(_)
            | Self::Ran(_)
            | Self::StateStep(..)
            | Self::Output(..)
            | Self::Element(..) => Side::Challenger,
            Self::Leaf(_) | Self::StatesRoot(_) | Self::TensorRoot(_) | Self::Chunk(_) => {
                Side::Asserter
            }
            Self::Transactions(descent) | Self::States(_, descent) | Self::Outputs(_, descent) => {
                in_tree(descent)
            }
            Self::Operators(run) => in_tree(&run.descent),
            Self::Tensor(value) => in_tree(&value.descent),
            Self::Over(_) => return None,
        })
    }

    /// The leaf of the transaction tree that was revealed, if one was.
    pub fn leaf(&self) -> Option<&Leaf> {
        match self {
            Self::Opened | Self::Transactions(_) | Self::Leaf(_) | Self::Over(_) => None,
            Self::Revealed(leaf) => Some(leaf),
            Self::StatesRoot(states) | Self::States(states, _) | Self::StateStep(states, _) => {
                states.leaf.as_deref()
            }
            Self::Ran(run)
            | Self::Outputs(run, _)
            | Self::Output(run, _)
            | Self::Operators(run)
            | Self::TensorRoot(run) => Some(&run.leaf),
            Self::Tensor(value) | Self::Chunk(value) | Self::Element(value, _) => {
                Some(&value.run.leaf)
            }
        }
    }

    /// The stage after a move in a tree: the next one if the leaf is reached.
    pub(crate) fn settled(self) -> Self {
        match self {
            Self::Transactions(descent) if descent.done() => Self::Leaf(descent),
            Self::States(states, descent) if descent.done() => Self::StateStep(states, descent),
            Self::Outputs(run, descent) if descent.done() => Self::Output(run, descent),
            Self::Operators(run) if run.descent.done() => Self::TensorRoot(run),
            Self::Tensor(value) if value.descent.done() => Self::Chunk(value),
            stage => stage,
        }
    }

    /// The tree in which the stage is, if it is in one.
    pub fn tree(&self) -> Option<&Descent> {
        match self {
            Self::Transactions(descent) | Self::States(_, descent) | Self::Outputs(_, descent) => {
                Some(descent)
            }
            Self::Operators(run) => Some(&run.descent),
            Self::Tensor(value) => Some(&value.descent),
            _ => None,
        }
    }

    /// Likewise, to move in it.
    pub(crate) fn tree_mut(&mut self) -> Option<&mut Descent> {
        match self {
            Self::Transactions(descent) | Self::States(_, descent) | Self::Outputs(_, descent) => {
                Some(descent)
            }
            Self::Operators(run) => Some(&mut run.descent),
            Self::Tensor(value) => Some(&mut value.descent),
            _ => None,
        }
    }
}
