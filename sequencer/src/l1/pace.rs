//! How often L1 is looked at.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// The longest time between two looks, when one fails after the other.
const LONGEST: Duration = Duration::from_secs(10);

/// The time from one look at L1 to the next: longer and longer while they fail.
#[derive(Debug)]
pub struct Pace {
    poll: Duration,
    failing: ExponentialBackoff,
}

impl Pace {
    /// With `poll` between two looks that went well.
    pub fn new(poll: Duration) -> Self {
        Self {
            poll,
            failing: failing(poll),
        }
    }

    /// How long to wait after a look that went well.
    pub fn good(&mut self) -> Duration {
        self.failing = failing(self.poll);
        self.poll
    }

    /// How long to wait after one that failed.
    pub fn failed(&mut self) -> Duration {
        self.failing.next().unwrap_or(LONGEST)
    }
}

fn failing(poll: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(poll)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_while_looks_fail_and_are_short_again_after_one_that_does_not() {
        let poll = Duration::from_millis(50);
        let mut pace = Pace::new(poll);
        assert_eq!(pace.good(), poll);
        let waits: Vec<Duration> = (0..20).map(|_| pace.failed()).collect();
        // A wait has up to as much again added to it.
        let longest = 2 * LONGEST;
        assert!(waits.iter().all(|wait| (poll..=longest).contains(wait)));
        assert!(waits[0] <= 2 * poll && waits[19] >= LONGEST, "{waits:?}");
        assert_eq!(pace.good(), poll);
        assert!(pace.failed() <= 2 * poll);
    }
}
