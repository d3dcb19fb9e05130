//! The sequencer as a whole, on a real chain: its API, its death, its node's death, its disk's end.
#![allow(missing_docs)]

#[path = "service/faulty.rs"]
mod faulty;
#[path = "service/liar.rs"]
mod liar;
#[path = "service/load.rs"]
mod load;
#[path = "service/mirror.rs"]
mod mirror;
#[path = "service/support.rs"]
mod support;
#[path = "service/wire.rs"]
mod wire;

#[path = "service/api.rs"]
mod api;
#[path = "service/begin.rs"]
mod begin;
#[path = "service/blind.rs"]
mod blind;
#[path = "service/challenged.rs"]
mod challenged;
#[path = "service/crash.rs"]
mod crash;
#[path = "service/demands.rs"]
mod demands;
#[path = "service/disk.rs"]
mod disk;
#[path = "service/dispute_cli.rs"]
mod dispute_cli;
#[path = "service/disputes.rs"]
mod disputes;
#[path = "service/faults.rs"]
mod faults;
#[path = "service/junk.rs"]
mod junk;
#[path = "service/kills.rs"]
mod kills;
#[path = "service/lease.rs"]
mod lease;
#[path = "service/legacy.rs"]
mod legacy;
#[path = "service/lost.rs"]
mod lost;
#[path = "service/outage.rs"]
mod outage;
#[path = "service/recover.rs"]
mod recover;
#[path = "service/reverted.rs"]
mod reverted;
#[path = "service/stake.rs"]
mod stake;
#[path = "service/unverified.rs"]
mod unverified;
#[path = "service/verifier.rs"]
mod verifier;
#[path = "service/word.rs"]
mod word;
