//! The assay binary: sequencer, development network, command-line client.
//!
//! * [`dev`]: the development network

pub mod dev;
