//! Disputes, played to their end: what a sequencer answers, and what a verifier opens.
//!
//! * [`driver`]: the loop that both sides use: looks at the accounts, asks a player, sends its move
//! * [`act`]: what can be done in a dispute
//! * [`carry`]: how it gets to L1: several acts in a transaction, through a buffer what is too long
//! * [`cases`]: what the players know, from a store
//! * [`answers`]: the sequencer's side of it; [`demands`]: what it is asked for of its models
//! * [`shelf`]: their models, from the blobs; [`cache`]: how many of them
//! * [`sending`]: what is being sent, and what failed and is tried again
//! * [`error`]: what goes wrong, and how bad it is
//!
//! What is done next in a dispute follows from its account and from the batch. So a crash, a lost answer or a second process with the same key does no harm: a
//! move names the state that it is made on, and the program takes it once. All that is remembered is which
//! batches a challenger has disputed: a dispute that is lost is not opened again.

pub mod act;
pub mod answers;
pub mod cache;
pub mod carry;
pub mod cases;
pub mod demands;
pub mod driver;
pub mod error;
pub mod sending;
pub mod shelf;

pub use driver::{Done, Driver, Listener};
