//! The development network: a chain, the programs and a sequencer in one process, with nothing
//! else installed.
//!
//! * [`chain`]: the embedded Solana chain
//! * [`network`]: everything on top of it

pub mod chain;
pub mod network;
