//! What happened in some games.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write};

#[derive(Debug, Default)]
pub struct Tally {
    pub games: u64,
    pub disputes: u64,
    pub moves: u64,
    pub refused: u64,
    pub convicted: u64,
    pub timed_out: u64,
    pub moot: u64,
    /// Batches that became final.
    pub last: u64,
    pub most_moves: u32,
    /// Slots between a dispute's opening and its end, at most, where somebody ends what can be ended.
    pub longest: u64,
    /// Slots after its window in which a batch became final, at most, likewise.
    pub held: u64,
    /// What was convicted by.
    pub reasons: BTreeMap<String, u64>,
    /// Why something was refused.
    pub refusals: BTreeMap<String, u64>,
    /// Turns in each stage, those of honest players apart.
    pub stages: BTreeMap<String, u64>,
    pub honest: BTreeMap<String, u64>,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.games += other.games;
        self.disputes += other.disputes;
        self.moves += other.moves;
        self.refused += other.refused;
        self.convicted += other.convicted;
        self.timed_out += other.timed_out;
        self.moot += other.moot;
        self.last += other.last;
        self.most_moves = self.most_moves.max(other.most_moves);
        self.longest = self.longest.max(other.longest);
        self.held = self.held.max(other.held);
        for (mine, others) in [
            (&mut self.reasons, other.reasons),
            (&mut self.refusals, other.refusals),
            (&mut self.stages, other.stages),
            (&mut self.honest, other.honest),
        ] {
            for (name, count) in others {
                *mine.entry(name).or_default() += count;
            }
        }
    }
}

/// The name of a variant, which ends the writing.
struct Name(String);

impl fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.find(|c: char| !c.is_alphanumeric());
        self.0.push_str(&text[..end.unwrap_or(text.len())]);
        end.map_or(Ok(()), |_| Err(fmt::Error))
    }
}

/// Counts one more of this variant.
pub fn count(of: &mut BTreeMap<String, u64>, what: &impl Debug) {
    let mut name = Name(String::new());
    // Cut off behind the name: what is in a stage is long.
    let _ = write!(name, "{what:?}");
    *of.entry(name.0).or_default() += 1;
}
