//! Disputes over a batch: the game that finds one wrong step, and the proofs that end it.
//!
//! The *asserter* is the sequencer of a pending batch, the *challenger* anybody who says that it is
//! wrong. They descend Merkle trees to the leftmost leaf in which they differ ([`descent`]), each
//! against a clock ([`clock`]); then one step is recomputed ([`step`]). [`game`] has the rules,
//! [`stage`] where a game can be, [`moves`] what can be done there. The settlement program runs this code and
//! adds accounts, signatures and lamports; the players that a sequencer and a verifier use are here
//! too (feature `std`).
#![cfg_attr(not(feature = "std"), no_std)]
extern crate alloc;

pub mod clock;
pub mod demand;
pub mod descent;
pub mod game;
pub mod moves;
#[cfg(feature = "std")]
pub mod player;
pub mod prove;
pub mod stage;
pub mod step;

pub use assay_ledger::{Hash, Key};
use borsh::{BorshDeserialize, BorshSerialize};

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Side {
    /// The sequencer who posted the batch.
    Asserter,
    /// Who says that it is wrong.
    Challenger,
}

impl Side {
    /// The opponent.
    pub fn other(self) -> Self {
        match self {
            Self::Asserter => Self::Challenger,
            Self::Challenger => Self::Asserter,
        }
    }
}
