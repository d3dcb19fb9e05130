//! Sequencers that lie: for demonstrations and tests, and reachable from nothing else.
//!
//! * [`honest`]: an honest batch with all that a liar needs of it
//! * [`lies`]: what each kind of cheat makes of one
//! * [`cheater`]: posts the lie in place of the batch

pub mod cheater;
pub mod honest;
pub mod lies;
#[cfg(test)]
mod tests;

pub use honest::{CheatError, Honest};
pub use lies::Lie;

use std::fmt;
use std::str::FromStr;

/// How a sequencer cheats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cheat {
    /// An element of a model's output is larger by one.
    WrongOutput,
    /// A balance is larger by one.
    WrongBalance,
    /// A transfer that its owner never signed.
    ForgedSignature,
    /// A message from L1 that is consumed without having been applied.
    SkippedMessage,
    /// Data that is not that of the transactions.
    WrongData,
    /// A leaf of the transaction tree that is the hash of nothing.
    HiddenLeaf,
    /// A model run with other parameters than its own.
    WrongParameters,
    /// A program whose leaves contradict each other is deployed.
    MalformedProgram,
    /// A model is deployed whose parameters nobody is given.
    WithheldData,
}

impl Cheat {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::WrongOutput,
        Self::WrongBalance,
        Self::ForgedSignature,
        Self::SkippedMessage,
        Self::WrongData,
        Self::HiddenLeaf,
        Self::WrongParameters,
        Self::MalformedProgram,
        Self::WithheldData,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongOutput => "wrong-output",
            Self::WrongBalance => "wrong-balance",
            Self::ForgedSignature => "forged-signature",
            Self::SkippedMessage => "skipped-message",
            Self::WrongData => "wrong-data",
            Self::HiddenLeaf => "hidden-leaf",
            Self::WrongParameters => "wrong-parameters",
            Self::MalformedProgram => "malformed-program",
            Self::WithheldData => "withheld-data",
        }
    }

    /// What the sequencer does, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Self::WrongOutput => "one element of a model's output is larger by one",
            Self::WrongBalance => "a user has a lamport more than any transaction gave it",
            Self::ForgedSignature => "a user's lamports go to the sequencer, unsigned",
            Self::SkippedMessage => "a deposit is ticked off and credited to nobody",
            Self::WrongData => "the data on L1 says another transfer than the transaction tree",
            Self::HiddenLeaf => "the transaction tree has a leaf that is the hash of nothing",
            Self::WrongParameters => "a model is run with another model's parameters",
            Self::MalformedProgram => "a program is deployed that says it costs next to nothing",
            Self::WithheldData => "a model is deployed whose parameters nobody is given",
        }
    }
}

impl fmt::Display for Cheat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no cheat of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no cheat `{0}`: `--cheat list` names them")]
pub struct NoSuchCheat(String);

impl FromStr for Cheat {
    type Err = NoSuchCheat;

    fn from_str(name: &str) -> Result<Self, NoSuchCheat> {
        let found = Self::ALL.into_iter().find(|cheat| cheat.name() == name);
        found.ok_or_else(|| NoSuchCheat(name.to_owned()))
    }
}
