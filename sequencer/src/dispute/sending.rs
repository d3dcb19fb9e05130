//! What is being sent, and what failed and is tried again: one dispute or demand that hangs, or cannot be
//! answered now, must not hold up the others.

use super::error::DisputeError;
use crate::l1::error::Severity;
use assay_ledger::Hash;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::task::{Id, JoinError, JoinSet};

/// How long a look at L1 waits for what is being sent, so that what comes after it is sent at once.
pub const TOGETHER: Duration = Duration::from_millis(400);
/// Things in which something is sent at a time.
const WIDTH: usize = 16;
/// The first wait after a failure, and the longest one: short beside any clock.
const FIRST: Duration = Duration::from_millis(400);
const LONGEST: Duration = Duration::from_secs(5);

/// What is being sent, and what failed, by name: the account or the batch that it is about.
#[derive(Debug, Default)]
pub struct Sending {
    tasks: JoinSet<Sent>,
    /// The names of each task, of which the first is its own.
    names: HashMap<Id, Vec<Hash>>,
    later: Later,
}

impl Sending {
    /// Whether nothing is being sent about this, and it does not wait after a failure.
    pub fn is_free(&self, name: &Hash) -> bool {
        let under_way = self.names.values().any(|names| names.contains(name));
        !under_way && self.later.is_due(name, Instant::now())
    }

    /// Whether nothing is being sent.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Sends something about these, of which there is one at least.
    pub async fn start(
        &mut self,
        names: Vec<Hash>,
        what: impl Future<Output = Result<(), DisputeError>> + Send + 'static,
    ) -> Result<(), DisputeError> {
        while self.tasks.len() >= WIDTH {
            let ended = self.tasks.join_next_with_id().await;
            self.ended(ended)?;
        }
        let task = self.tasks.spawn(what);
        self.names.insert(task.id(), names);
        Ok(())
    }

    /// Waits until something that is being sent has ended, for `wait` at most. Whether something has.
    pub async fn some(&mut self, wait: Duration) -> Result<bool, DisputeError> {
        let first = tokio::time::timeout(wait, self.tasks.join_next_with_id());
        let Ok(Some(first)) = first.await else {
            return Ok(false);
        };
        self.ended(Some(first))?;
        while let Some(more) = self.tasks.try_join_next_with_id() {
            self.ended(Some(more))?;
        }
        Ok(true)
    }

    fn ended(&mut self, ended: Option<Result<(Id, Sent), JoinError>>) -> Result<(), DisputeError> {
        let (id, result) = match ended {
            None => return Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(error)) => (error.id(), Err(DisputeError::Ended(error.to_string()))),
        };
        let names = self.names.remove(&id).unwrap_or_default();
        let Some(name) = names.first() else {
            return Ok(());
        };
        match result {
            Ok(()) => {
                self.later.done(name);
                Ok(())
            }
            Err(error) => self.failed(*name, error),
        }
    }

    /// Notes that something failed: it is tried again later. An error if that is of no use.
    pub fn failed(&mut self, name: Hash, error: DisputeError) -> Result<(), DisputeError> {
        if error.severity() == Severity::Critical {
            return Err(error);
        }
        tracing::warn!(%error, about = %solana_pubkey::Pubkey::from(name), "disputes: trying again");
        self.later.failed(name, error, Instant::now());
        Ok(())
    }

    /// Forgets the failures about what is no more.
    pub fn retain(&mut self, is: impl Fn(&Hash) -> bool) {
        self.later.troubles.retain(|name, _| is(name));
    }

    /// What is wrong with this.
    pub fn trouble(&self, name: &Hash) -> Option<&Trouble> {
        self.later.troubles.get(name)
    }

    /// What fails for the longest time.
    pub fn oldest(&self) -> Option<&Trouble> {
        let all = self.later.troubles.values();
        all.min_by_key(|trouble| trouble.since)
    }
}

/// How sending went.
type Sent = Result<(), DisputeError>;

#[derive(Debug, Default)]
struct Later {
    troubles: HashMap<Hash, Trouble>,
}

/// A failure that was not made good yet.
#[derive(Debug)]
pub struct Trouble {
    /// The last error.
    pub error: DisputeError,
    /// When the first one was.
    pub since: Instant,
    wait: Duration,
    again: Instant,
}

impl Later {
    fn is_due(&self, name: &Hash, now: Instant) -> bool {
        let trouble = self.troubles.get(name);
        trouble.is_none_or(|trouble| trouble.again <= now)
    }

    /// Each time it waits twice as long.
    fn failed(&mut self, name: Hash, error: DisputeError, now: Instant) {
        let before = self.troubles.get(&name);
        let wait = before.map_or(FIRST, |trouble| (2 * trouble.wait).min(LONGEST));
        let trouble = Trouble {
            error,
            since: before.map_or(now, |trouble| trouble.since),
            wait,
            again: now + wait,
        };
        self.troubles.insert(name, trouble);
    }

    fn done(&mut self, name: &Hash) {
        self.troubles.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> DisputeError {
        DisputeError::TooLong("buffer")
    }

    #[test]
    fn what_fails_waits_longer_each_time_and_alone() {
        let mut later = Later::default();
        let begun = Instant::now();
        later.failed([1; 32], error(), begun);
        assert!(!later.is_due(&[1; 32], begun) && later.is_due(&[2; 32], begun));
        let after = begun + FIRST;
        assert!(later.is_due(&[1; 32], after));
        later.failed([1; 32], error(), after);
        assert!(!later.is_due(&[1; 32], after + FIRST));
        assert!(later.is_due(&[1; 32], after + 2 * FIRST));
        for _ in 0..40 {
            later.failed([1; 32], error(), after);
        }
        assert!(later.is_due(&[1; 32], after + LONGEST));
        assert_eq!(later.troubles[&[1; 32]].since, begun);
        later.done(&[1; 32]);
        assert!(later.is_due(&[1; 32], after));
    }

    #[tokio::test]
    async fn what_hangs_or_fails_holds_up_nothing_else() {
        let mut sending = Sending::default();
        let hangs = std::future::pending();
        sending.start(vec![[1; 32], [2; 32]], hangs).await.unwrap();
        let fails = async { Err(error()) };
        sending.start(vec![[3; 32]], fails).await.unwrap();
        let panics = async { panic!("on purpose") };
        sending.start(vec![[4; 32]], panics).await.unwrap();
        sending
            .start(vec![[5; 32]], async { Ok(()) })
            .await
            .unwrap();
        assert!(!sending.is_free(&[1; 32]) && !sending.is_free(&[2; 32]));
        while sending.names.len() > 1 {
            assert!(sending.some(Duration::from_secs(60)).await.unwrap());
        }
        assert!(sending.is_free(&[5; 32]) && !sending.is_free(&[2; 32]));
        for failed in [[3; 32], [4; 32]] {
            assert!(!sending.is_free(&failed) && sending.trouble(&failed).is_some());
        }
        sending.retain(|name| *name == [4; 32]);
        assert!(sending.is_free(&[3; 32]));
        assert!(matches!(
            sending.oldest().unwrap().error,
            DisputeError::Ended(_)
        ));
    }
}
