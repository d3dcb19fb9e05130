//! Whether requests are accepted: only while what is answered can go to L1.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

/// Why no requests are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The key has no account as a sequencer.
    #[error(
        "its key is no sequencer of this rollup on L1, so that no batch could be posted: `assay init ID --no-rollup --bond SOL` registers it"
    )]
    Unregistered,
    /// The stake does not back a batch.
    #[error(
        "its stake on L1, less what is being withdrawn, is {left} lamports where each batch locks {slice}, so that no batch could be posted: `assay bond add SOL` adds to it"
    )]
    Stake {
        /// Lamports bonded and not being withdrawn.
        left: u64,
        /// Lamports that each batch locks.
        slice: u64,
    },
    /// The lease could not be renewed.
    #[error(
        "its lease on L1 could not be renewed in time, so that another process of the same key may have taken its place: it is tried again; see to the node and to the key's lamports"
    )]
    Lease,
}

/// A moment on both clocks: one stands still while the machine sleeps, the other may be set.
#[derive(Clone, Copy, Debug)]
pub struct Moment(Instant, SystemTime);

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// The time since, by the clock by which more has passed.
    pub fn elapsed(&self) -> Duration {
        let by_wall = self.1.elapsed().unwrap_or_default();
        self.0.elapsed().max(by_wall)
    }
}

/// What the gate depends on.
#[derive(Debug, Default)]
struct State {
    stake: Option<Closed>,
    /// Since when the lease is held, and for how long; none where there is no lease, as in a benchmark.
    lease: Option<(Moment, Duration)>,
}

/// Whether requests are accepted. Clones are one gate, which is open at first.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<RwLock<State>>);

impl Gate {
    /// Says whether the stake backs batches. Returns whether that is news.
    pub fn set_stake(&self, closed: Option<Closed>) -> bool {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state.stake, closed).is_some() != closed.is_some()
    }

    /// Says that the lease was renewed: it is held for `time` from `since` on.
    pub fn set_lease(&self, since: Moment, time: Duration) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.lease = Some((since, time));
    }

    /// How long the lease is held from now on; none where there is no lease.
    pub fn lease_left(&self) -> Option<Duration> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (since, time) = state.lease?;
        Some(time.saturating_sub(since.elapsed()))
    }

    /// Why no requests are accepted; none while they are.
    pub fn closed(&self) -> Option<Closed> {
        let stake = self.0.read().unwrap_or_else(PoisonError::into_inner).stake;
        let lapsed = self.lease_left().is_some_and(|left| left.is_zero());
        stake.or(lapsed.then_some(Closed::Lease))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_open_while_the_stake_and_the_lease_are_there() {
        let gate = Gate::default();
        assert_eq!(gate.closed(), None);
        assert!(gate.set_stake(Some(Closed::Unregistered)));
        let less = Closed::Stake { left: 1, slice: 2 };
        assert!(!gate.set_stake(Some(less)));
        assert_eq!(gate.closed(), Some(less));
        assert!(gate.set_stake(None));
        gate.set_lease(Moment::now(), Duration::from_secs(1_000));
        assert_eq!(gate.closed(), None);
        gate.set_lease(Moment::now(), Duration::ZERO);
        assert_eq!(gate.closed(), Some(Closed::Lease));
    }

    #[test]
    fn a_lease_runs_out_by_either_clock() {
        let gate = Gate::default();
        let hour = Duration::from_secs(3_600);
        let moment = Moment(Instant::now(), SystemTime::now() - hour);
        gate.set_lease(moment, hour);
        assert_eq!(gate.closed(), Some(Closed::Lease));
        if let Some(earlier) = Instant::now().checked_sub(Duration::from_secs(10)) {
            gate.set_lease(Moment(earlier, SystemTime::now()), Duration::from_secs(10));
            assert_eq!(gate.closed(), Some(Closed::Lease));
        }
    }
}
