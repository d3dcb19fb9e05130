//! The sequencer as a whole, on a real chain: its API, its death, its node's death.
#![allow(missing_docs)]

#[path = "service/support.rs"]
mod support;

#[path = "service/api.rs"]
mod api;
#[path = "service/crash.rs"]
mod crash;
#[path = "service/outage.rs"]
mod outage;
