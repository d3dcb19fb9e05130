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
mod partial;

pub use asserter::Asserter;
pub use challenger::{Challenger, Wrong};
pub use claims::{Claims, RunClaims};
pub use knowledge::{Knowledge, Missing};
pub use models::{Library, Model, Models};

use crate::Side;
use crate::game::Dispute;
use crate::moves::Move;
use crate::prove::ProofKind;
use crate::stage::Class;

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
