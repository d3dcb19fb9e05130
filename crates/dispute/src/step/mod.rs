//! The proofs that end a dispute, each recomputing one step.
//!
//! All of them are total on any bytes: a proof convinces, or it does not, or it is none.

mod bytes;
pub mod data;
pub mod deploy;
pub mod ed25519;
pub mod element;
pub mod end;
pub mod output;
pub mod program;
pub mod record;
pub mod state;

/// The bytes are no proof: they do not open what they should. That says nothing about the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// They end early, go on too long, or hold a value out of range.
    #[error("the proof is malformed")]
    Malformed,
    /// Something in them does not open against what it is opened against.
    #[error("the proof does not open: {0}")]
    Opening(&'static str),
}
