//! The development network: a chain, the programs and a sequencer in one process, with nothing
//! else installed.
//!
//! * [`chain`]: the embedded Solana chain
//! * [`cheat`]: sequencers that lie
//! * [`network`]: everything on top of it

pub mod chain;
pub mod cheat;
pub mod network;
