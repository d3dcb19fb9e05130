//! The two players that a verifier and a sequencer use.
//!
//! * [`knowledge`]: what follows from a batch's data and the state before it, by doing it again
//! * [`models`]: where a player finds the models that a batch runs
//! * [`challenger`]: finds what is wrong with a batch, and wins the dispute over it
//! * [`claims`]: what an asserter says of its batch
//! * [`asserter`]: answers with it
//!
//! What a player does next follows from the dispute and from what the player knows, and from nothing
//! else: after a crash, or where a transaction is sent twice, the same move comes out again.

pub mod asserter;
pub mod challenger;
pub mod claims;
pub mod knowledge;
pub mod models;

pub use asserter::Asserter;
pub use challenger::{Challenger, Wrong};
pub use claims::{Claims, RunClaims};
pub use knowledge::{Knowledge, Unknown};
pub use models::{Library, Model, Models};

use crate::Side;
use crate::descent::Descent;
use crate::game::Dispute;
use crate::moves::Move;
use crate::prove::ProofKind;
use crate::stage::Class;
use assay_tensor::merkle::{self, Levels};

/// What a player does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Makes a move.
    Play(Move),
    /// Brings a proof.
    Prove(ProofKind, Vec<u8>),
    /// Ends the dispute: the opponent's clock has run out.
    TimeOut,
    /// Waits for the opponent, whose clock runs out after this slot.
    Wait(u64),
    /// Has nothing to say in its own turn, which does not come to an honest player in a dispute of
    /// its own; or its clock has run out.
    Nothing,
    /// The dispute is decided, or its batch is dead.
    Over,
}

/// What `side` does by the clocks alone; `None` if it is its turn.
fn waits(dispute: &Dispute, side: Side, live: bool, now: u64) -> Option<Next> {
    match dispute.class(live, now) {
        Class::Over(_) | Class::Moot => Some(Next::Over),
        Class::Expired(late) if late == side => Some(Next::Nothing),
        Class::Expired(_) => Some(Next::TimeOut),
        Class::Turn(turn, _) if turn == side => None,
        Class::Turn(_, deadline) => Some(Next::Wait(deadline)),
    }
}

/// The siblings of leaf `index`, which is on the path of `descent` or left of it, in the asserter's
/// tree: on the path and right of it they are the asserter's, left of it one's `own`. None of the leaves
/// in `own` right of the path matter, nor how many there are. `None` if `index` is right of the path.
fn path_left_of(own: &Levels, descent: &Descent, index: u64) -> Option<Vec<crate::Hash>> {
    if index > descent.index || !descent.done() {
        return None;
    }
    let path = descent.path();
    let node = |level: usize, at: u64| {
        let (below, above) = path.split_at(level);
        match (at ^ (descent.index >> level), above.first()) {
            (0, _) => merkle::root_from_path(&descent.node, descent.index, below),
            (1, Some(sibling)) if at > descent.index >> level => *sibling,
            _ => own.node(level as u32, at),
        }
    };
    Some(
        (0..path.len())
            .map(|level| node(level, (index >> level) ^ 1))
            .collect(),
    )
}
