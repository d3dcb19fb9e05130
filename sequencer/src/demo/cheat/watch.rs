//! The verifier at work, and what it tells.

use crate::verifier::config::VerifierConfig;
use crate::verifier::{End, Event, Standing, Verifier};
use anyhow::{Context, Result, bail};
use assay_ledger::header::Header;
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What it has told.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The first batch that it found to be wrong, and why.
    pub wrong: Option<(Header, String)>,
    /// The newest batch that it has done again and found right.
    pub right: Option<Header>,
    /// The accounts of its disputes, demands and buffers.
    pub accounts: BTreeSet<Pubkey>,
}

/// A verifier at work.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    standing: watch::Receiver<Standing>,
    stop: CancellationToken,
    running: JoinHandle<Result<(Verifier, End)>>,
}

impl Watch {
    /// Starts it.
    pub async fn start(
        config: &VerifierConfig,
        rpc_url: &str,
        rollup: Pubkey,
        mirrors: &[String],
    ) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let told = seen.clone();
        let listener = move |event: &Event<'_>| tell(&mut locked(&told), event);
        let listener = Arc::new(listener);
        let mut verifier = Verifier::open(config, rpc_url, rollup, mirrors, listener).await?;
        let (standing, stop) = (verifier.standing(), CancellationToken::new());
        let token = stop.clone();
        let running = tokio::spawn(async move {
            let end = verifier.run(false, token).await?;
            Ok((verifier, end))
        });
        Ok(Self {
            seen,
            standing,
            stop,
            running,
        })
    }

    /// What it has told.
    pub fn seen(&self) -> Seen {
        locked(&self.seen).clone()
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Waits until its newest right batch is such a one; an error if it ends before.
    pub async fn until_right(
        &mut self,
        patience: Duration,
        such: impl Fn(&Header) -> bool,
    ) -> Result<()> {
        let seen = self.seen.clone();
        // It is told of a batch before it shows it.
        let right = self.standing.wait_for(|standing| {
            let right = locked(&seen).right;
            right.is_some_and(|header| header.number == standing.head && such(&header))
        });
        let waited = tokio::time::timeout(patience, right).await;
        let waited = waited.map(|right| right.map(|_| ()));
        match waited {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => bail!("the verifier has ended"),
            Err(_) => bail!("the verifier does not get on: {:?}", self.standing()),
        }
    }

    /// Stops it.
    pub async fn stop(self) -> Result<Verifier> {
        self.stop.cancel();
        let (verifier, end) = self.running.await.context("the verifier")??;
        match end {
            End::Done(_) => Ok(verifier),
            End::Wrong(number) => {
                bail!("batch {number} is wrong, and the verifier did nothing about it")
            }
        }
    }
}

fn tell(seen: &mut Seen, event: &Event<'_>) {
    match event {
        Event::Wrong(wrong) => {
            let header = wrong.batch.posted.header;
            seen.wrong.get_or_insert((header, wrong.why.to_string()));
        }
        Event::Malformed(header) => {
            let why = "a program that it deploys is none".to_owned();
            seen.wrong.get_or_insert((**header, why));
        }
        Event::Disputed(done) => {
            seen.accounts.insert(done.dispute);
            seen.accounts.extend(done.buffer);
        }
        Event::Right(right, _) => seen.right = Some(right.header),
        Event::Reverted(..) | Event::Rechecked(_) => {}
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
