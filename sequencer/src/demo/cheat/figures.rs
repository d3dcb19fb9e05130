//! What is printed of a cheat that was caught.

use serde::Serialize;
use std::fmt;

/// One transaction of a dispute.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Seconds since the first one, by their slots.
    pub at: f64,
    /// Who sent it.
    pub who: &'static str,
    /// What it does.
    pub what: String,
    /// Its signature.
    pub signature: String,
    /// Its slot.
    pub slot: u64,
    /// Its fee.
    pub lamports: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Compute units that it used.
    pub units: u64,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            who,
            what,
            slot,
            lamports,
            bytes,
            units,
            ..
        } = self;
        let signature: String = self.signature.chars().take(12).collect();
        write!(
            f,
            "{at:6.1} s  {who:10} {what:64} slot {slot:5} {bytes:5} bytes {units:8} CU {lamports:6} lamports  {signature}.."
        )
    }
}

/// The figures of a cheat.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// How the sequencer cheated.
    pub cheat: &'static str,
    /// Whether it was convicted.
    pub caught: bool,
    /// What convicted it.
    pub reason: String,
    /// What it lost of its bond.
    pub slashed_lamports: u64,
    /// What the challenger was paid beside its own bond.
    pub reward_lamports: u64,
    /// Transactions of both sides from the opening to the verdict.
    pub transactions: usize,
    /// Seconds from the opening to the verdict, by their slots.
    pub seconds: f64,
    /// Fees of these transactions.
    pub lamports: u64,
    /// Compute units of the most expensive of them.
    pub max_compute_units: u64,
    /// Version of the transactions.
    pub transaction_version: &'static str,
    /// Whether every honest balance is what it was, on L1 and on L2.
    pub honest_balances_intact: bool,
}

impl Figures {
    /// For people.
    pub fn summary(&self) -> String {
        let Self {
            cheat,
            reason,
            transactions,
            seconds,
            lamports,
            max_compute_units,
            slashed_lamports,
            reward_lamports,
            transaction_version,
            ..
        } = self;
        let end = match self.caught {
            true => "caught",
            false => "NOT CAUGHT",
        };
        let balances = match self.honest_balances_intact {
            true => "what they were",
            false => "NOT WHAT THEY WERE",
        };
        format!(
            "cheat                  {cheat}: {end} ({reason})\n\
             dispute                {transactions} transactions (version {transaction_version}), {seconds:.1} s, {lamports} lamports of fees\n\
             most expensive         {max_compute_units} compute units\n\
             slashed                {slashed_lamports} lamports, of which the challenger gets {reward_lamports}\n\
             honest balances        {balances}\n"
        )
    }
}
