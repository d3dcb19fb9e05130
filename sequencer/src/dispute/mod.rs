//! Disputes, played to their end: what a sequencer answers, and what a verifier opens.
//!
//! * [`driver`]: the loop that both sides use: looks at the accounts, asks a player, sends its move
//! * [`act`]: what can be done in a dispute
//! * [`carry`]: how it gets to L1: several acts in a transaction, through a buffer what is too long
//! * [`cases`]: what the players know, from a store
//! * [`answers`]: the sequencer's side of it; [`demands`]: what it is asked for of its models
//! * [`shelf`]: their models, from the blobs
//! * [`error`]: what goes wrong, and how bad it is
//!
//! Nothing is remembered that L1 does not: what is done next follows from the dispute's account and
//! from the batch. So a crash, a lost answer or a second process with the same key does no harm: a
//! move names the state that it is made on, and the program takes it once.

pub mod act;
pub mod answers;
pub mod carry;
pub mod cases;
pub mod demands;
pub mod driver;
pub mod error;
pub mod shelf;

pub use driver::{Done, Driver, Listener};
