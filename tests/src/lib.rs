//! End-to-end tests: real programs, a real chain, real models, cheaters.
//!
//! * [`programs`]: finds the built program binaries
//! * [`svm`]: a Solana chain in this process (LiteSVM), with the wire limits it does not check
//! * [`rollup`]: a rollup on it, and every instruction of the settlement program
//! * [`batch`]: batches with valid headers
//! * [`demands`]: every instruction of a demand, and a batch that names blobs
//! * [`disputes`]: every instruction of a dispute, and an asserter with trees made by hand
//! * [`staged`]: a rollup in the middle of its life
//! * [`duel`]: the honest players, on the chain
//! * [`digits`]: disputes about the digits model
//! * [`outbox`]: an outbox tree with paths
//! * [`bridge`], [`escrow`]: every instruction of these programs
//! * [`tokens`]: real mints
//! * [`relay`]: a program that calls others
//! * [`costs`]: what disputes and demands cost
//! * [`table`]: compute units of each instruction

pub mod batch;
pub mod bridge;
pub mod costs;
pub mod demands;
pub mod digits;
pub mod disputes;
pub mod duel;
pub mod escrow;
pub mod outbox;
pub mod programs;
pub mod relay;
pub mod rollup;
pub mod staged;
pub mod svm;
pub mod table;
pub mod tokens;
