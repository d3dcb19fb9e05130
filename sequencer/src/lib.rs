//! The assay binary: sequencer, development network, command-line client.
