//! The two clocks of a dispute, in L1 slots.

use crate::Side;
use borsh::{BorshDeserialize, BorshSerialize};

/// What each side has left, and since when the clock of the one whose turn it is runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Clocks {
    /// Slots that the asserter has left.
    pub asserter: u64,
    /// Slots that the challenger has left.
    pub challenger: u64,
    /// The slot in which the present turn began.
    pub since: u64,
}

impl Clocks {
    /// Both sides with `allowance` slots, from slot `now` on.
    pub fn new(allowance: u64, now: u64) -> Self {
        Self {
            asserter: allowance,
            challenger: allowance,
            since: now,
        }
    }

    fn left(&mut self, side: Side) -> &mut u64 {
        match side {
            Side::Asserter => &mut self.asserter,
            Side::Challenger => &mut self.challenger,
        }
    }

    /// The last slot in which `side` may move, if it is its turn.
    pub fn deadline(&self, side: Side) -> u64 {
        let left = match side {
            Side::Asserter => self.asserter,
            Side::Challenger => self.challenger,
        };
        self.since.saturating_add(left)
    }

    /// Whether `side`, whose turn it is, has run out of time: in no slot may it both move and
    /// be timed out.
    pub fn expired(&self, side: Side, now: u64) -> bool {
        now > self.deadline(side)
    }

    /// Ends the turn of `mover`, which is charged for it, and starts that of `next`, which has at
    /// least `extension` slots for it.
    pub fn pass(&mut self, mover: Side, next: Side, now: u64, extension: u64) {
        let used = now.saturating_sub(self.since);
        let left = self.left(mover);
        *left = left.saturating_sub(used);
        let left = self.left(next);
        *left = (*left).max(extension);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_and_a_time_out_never_overlap() {
        let clocks = Clocks::new(10, 100);
        assert!(!clocks.expired(Side::Asserter, 110));
        assert!(clocks.expired(Side::Asserter, 111));
    }

    #[test]
    fn a_turn_is_charged_and_the_next_has_the_extension() {
        let mut clocks = Clocks::new(10, 100);
        clocks.pass(Side::Challenger, Side::Asserter, 107, 5);
        assert_eq!(
            (clocks.asserter, clocks.challenger, clocks.since),
            (10, 3, 107)
        );
        clocks.pass(Side::Asserter, Side::Challenger, 107, 5);
        assert_eq!((clocks.asserter, clocks.challenger), (10, 5));
        // Time that runs backwards gives nothing.
        clocks.pass(Side::Challenger, Side::Asserter, 50, 5);
        assert_eq!((clocks.challenger, clocks.since), (5, 50));
        let end = Clocks::new(u64::MAX, u64::MAX);
        assert!(!end.expired(Side::Asserter, u64::MAX));
    }
}
