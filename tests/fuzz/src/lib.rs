//! Every decoder that a program, the sequencer or the verifier applies to bytes from strangers, as a function of
//! those bytes.
//!
//! A [`Target`] must not panic on any bytes, and asserts what has to hold of them besides: what decodes encodes
//! to the same bytes; two ways to the same answer agree; no proof convicts what is true. Each has seeds, which
//! are valid.
//!
//! The tests of this package change the seeds at random for a short time. `cargo xtask fuzz` does it under
//! libFuzzer, guided by coverage, for as long as one likes; see the README.

#[path = "../../../crates/dispute/tests/arena/mod.rs"]
mod arena;
#[path = "../../../crates/dispute/tests/common/batch.rs"]
mod batch;
mod game;
mod input;
mod ledger;
mod mutate;
#[cfg(feature = "programs")]
mod programs;
mod proofs;
#[path = "../../../crates/dispute/tests/common/run.rs"]
mod run;
mod tensor;

pub use mutate::mutate;

/// A decoder.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Decodes: whether the bytes got as far as valid ones do.
    pub run: fn(&[u8]) -> bool,
    /// Valid bytes.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many changed seeds are decoded in every run of the tests.
    pub cases: u32,
}

/// A target under the name of its module and function.
macro_rules! targets {
    ($($(#[$attribute:meta])* $module:ident :: $name:ident $cases:literal,)*) => {
        &[$(
            $(#[$attribute])*
            Target {
                name: stringify!($name),
                run: $module::$name::run,
                seeds: $module::$name::seeds,
                cases: $cases,
            },
        )*]
    };
}

/// All of them.
pub const TARGETS: &[Target] = targets![
    ledger::codec 4_000,
    ledger::header 4_000,
    ledger::snapshot 2_000,
    ledger::transaction 6_000,
    ledger::request 6_000,
    ledger::message 6_000,
    ledger::outbox 4_000,
    ledger::witness 3_000,
    tensor::program 4_000,
    tensor::leaves 10_000,
    tensor::opening 6_000,
    tensor::onnx 1_500,
    proofs::signature 2_000,
    proofs::state 3_000,
    proofs::record 3_000,
    proofs::data 3_000,
    proofs::element 4_000,
    proofs::any_element 4_000,
    proofs::flaw 4_000,
    proofs::any_flaw 4_000,
    proofs::deploy 4_000,
    game::moves 2_000,
    game::honest 400,
    game::demand 4_000,
    #[cfg(feature = "programs")]
    programs::accounts 10_000,
    #[cfg(feature = "programs")]
    programs::instructions 10_000,
    #[cfg(feature = "programs")]
    programs::bundle 2_000,
    #[cfg(feature = "programs")]
    programs::json 8_000,
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
