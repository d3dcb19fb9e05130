//! The assay binary: sequencer, development network, command-line client.
//!
//! * [`service`]: the sequencer, started and stopped as a whole
//! * [`config`]: how it is set up
//! * [`api`]: HTTP in front
//! * [`engine`]: admission, ordering, execution, the state transition, answers
//! * [`store`]: what survives a crash
//! * [`batcher`]: the batch being built
//! * [`replica`]: the ledger done again from L1 alone
//! * [`recover`]: a sequencer's state from there, where its disk is lost
//! * [`verifier`]: who tests every batch
//! * [`dispute`]: disputes, played to their end
//! * [`l1`]: batches to L1, messages from L1
//! * [`metrics`]: what is counted
//! * [`bench`]: the pipeline, measured
//! * [`programs`]: the three programs, embedded
//! * [`rollup`]: what a rollup is created with
//! * [`dev`]: the development network
//! * [`demo`]: the main job from end to end, with its figures
//! * [`cli`]: the command line

pub mod api;
pub mod batcher;
pub mod bench;
pub mod cli;
pub mod config;
pub mod demo;
pub mod dev;
pub mod dispute;
pub mod engine;
pub mod l1;
pub mod metrics;
pub mod programs;
pub mod recover;
pub mod replica;
pub mod rollup;
pub mod service;
pub mod store;
pub mod verifier;
