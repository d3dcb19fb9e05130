//! Client of the Assay programs and of the sequencer's API.
//!
//! * [`api`]: types of the HTTP API, shared with the service

pub mod api;
