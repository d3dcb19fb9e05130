//! What disputes mean, in plain words.

use super::Found;
use crate::api::Key32;
use assay_dispute::Side;
use assay_dispute::game::{Class, Reason, Stage, Verdict};
use serde::Serialize;
use settlement::state::Chain;

/// A dispute in plain words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// Its account.
    pub address: Key32,
    /// The batch that it is over.
    pub batch: u64,
    /// Who says that the batch is wrong.
    pub challenger: Key32,
    /// Who made the batch.
    pub asserter: Key32,
    /// A word for where it stands: `turn`, `expired`, `moot` or `over`.
    pub class: &'static str,
    /// What is said to be wrong, as far as it is known by now.
    pub claim: String,
    /// What comes next, or how it ended.
    pub next: String,
    /// Whose clock runs.
    pub turn: Option<&'static str>,
    /// The last slot in which that side may move.
    pub deadline: Option<u64>,
    /// About how many seconds are left until then.
    pub seconds: Option<f64>,
    /// Moves so far.
    pub moves: u32,
    /// Who won.
    pub winner: Option<&'static str>,
    /// Lamports that the challenger has at stake.
    pub bond: u64,
    /// Lamports that the asserter has at stake: the slice of its bond that the batch locks.
    pub slice: u64,
    /// Lamports that wait for the challenger.
    pub challenger_due: u64,
    /// Lamports that wait for the asserter.
    pub asserter_due: u64,
}

impl View {
    /// What `found` means in slot `now`, slots being `slot_seconds` long.
    pub fn new(found: &Found, chain: &Chain, now: u64, slot_seconds: f64) -> Self {
        let (head, game) = (&found.head, &found.game);
        let class = found.class(chain, now);
        let (word, turn, deadline, winner) = match class {
            Class::Over(verdict) => ("over", None, None, Some(side(verdict.winner))),
            Class::Moot => ("moot", None, None, None),
            Class::Expired(late) => ("expired", Some(side(late)), None, None),
            Class::Turn(turn, deadline) => ("turn", Some(side(turn)), Some(deadline), None),
        };
        Self {
            address: found.address.into(),
            batch: head.number,
            challenger: head.challenger.into(),
            asserter: head.asserter.into(),
            class: word,
            claim: claim(&game.stage),
            next: match class {
                Class::Over(verdict) => ended(&verdict),
                Class::Moot => {
                    "the batch was reverted by another dispute: the challenger takes its bond back"
                        .into()
                }
                Class::Expired(late) => format!(
                    "the clock of the {} has run out: anybody may end the dispute against it",
                    side(late)
                ),
                Class::Turn(..) => next(&game.stage),
            },
            turn,
            deadline,
            seconds: deadline.map(|at| at.saturating_sub(now) as f64 * slot_seconds),
            moves: game.moves,
            winner,
            bond: head.bond,
            slice: match class {
                Class::Turn(..) | Class::Expired(_) => game.header.params.bond_slice,
                Class::Over(_) | Class::Moot => 0,
            },
            challenger_due: head.challenger_due,
            asserter_due: head.asserter_due,
        }
    }
}

/// A side's name.
pub fn side(side: Side) -> &'static str {
    match side {
        Side::Asserter => "asserter",
        Side::Challenger => "challenger",
    }
}

/// What is said to be wrong, as far as a stage shows.
fn claim(stage: &Stage) -> String {
    let transaction = stage.leaf().map(|leaf| leaf.descent.index);
    match stage {
        Stage::Opened => "something in the batch is wrong; what, is not said yet".into(),
        Stage::Transactions(descent) => format!(
            "one of the batch's {} transactions, or its result, is not as it must be",
            descent.count
        ),
        Stage::Leaf(descent) => {
            format!(
                "transaction {}, or its result, is not as it must be",
                descent.index
            )
        }
        Stage::Revealed(_) | Stage::Ran(_) => {
            format!(
                "transaction {}, or its result, is not as it must be",
                transaction.unwrap_or(0)
            )
        }
        Stage::StatesRoot(_) | Stage::States(..) => {
            "a transaction does not lead to the state that the batch says".into()
        }
        Stage::StateStep(_, descent) => format!(
            "transaction {} does not lead to the state that the batch says",
            descent.index.saturating_sub(1)
        ),
        Stage::Outputs(..) => format!(
            "an output of the model's run in transaction {} is not the value that the program says",
            transaction.unwrap_or(0)
        ),
        Stage::Output(_, descent) => format!(
            "output {} of the model's run in transaction {} is not the value that the program says",
            descent.index,
            transaction.unwrap_or(0)
        ),
        Stage::Operators(_) => format!(
            "an operator of the model's run in transaction {} gives another value",
            transaction.unwrap_or(0)
        ),
        Stage::TensorRoot(run) => format!(
            "operator {} of the model's run in transaction {} gives another value",
            run.descent.index,
            transaction.unwrap_or(0)
        ),
        Stage::Tensor(value) | Stage::Chunk(value) | Stage::Element(value, _) => format!(
            "an element of what operator {} gives in the model's run of transaction {} is another",
            value.run.descent.index,
            transaction.unwrap_or(0)
        ),
        Stage::Over(_) => "it is decided".into(),
    }
}

/// What whoever's turn it is must do.
fn next(stage: &Stage) -> String {
    let in_tree = stage.tree().map(|tree| match tree.choosing() {
        true => "the challenger chooses the first branch that differs",
        false => "the asserter shows the next branches of its tree",
    });
    let words = match stage {
        Stage::Opened => "the challenger says where to look, or proves at once what is wrong",
        Stage::Leaf(_) => "the asserter shows the transaction's result",
        Stage::Revealed(_) | Stage::Ran(_) => {
            "the challenger says what is wrong with the transaction, or proves it"
        }
        Stage::StatesRoot(_) => "the asserter commits to the states between the transactions",
        Stage::StateStep(..) => "the challenger has the program do the transaction again",
        Stage::Output(..) => "the challenger proves that the output is another value",
        Stage::TensorRoot(_) => "the asserter commits to the operator's value",
        Stage::Chunk(_) => "the asserter shows the chunk in which an element differs",
        Stage::Element(..) => "the challenger has the program compute one element again",
        Stage::Over(_) => "it is decided",
        Stage::Transactions(_)
        | Stage::States(..)
        | Stage::Outputs(..)
        | Stage::Operators(_)
        | Stage::Tensor(_) => in_tree.unwrap_or_default(),
    };
    words.into()
}

fn ended(verdict: &Verdict) -> String {
    let why = match verdict.reason {
        Reason::Time => "the other side's clock ran out",
        Reason::Data => "the batch's data is not what its transactions are made of",
        Reason::Program => "the batch deploys a malformed program",
        Reason::State => "a transaction leads to another state",
        Reason::Output => "an output is not the value that the program says",
        Reason::Element => "an element of a value is another",
    };
    match verdict.winner {
        Side::Challenger => format!("the challenger has won, the batch is reverted: {why}"),
        Side::Asserter => format!("the asserter has won, the batch stands: {why}"),
    }
}
