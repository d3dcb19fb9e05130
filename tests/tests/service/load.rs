//! A client that keeps asking until it is answered, and knows what must have come of it.

use crate::support::{L1, Model, SOLS, until, until_final};
use crate::verifier::{config, same_state};
use anyhow::{Context, Result, ensure};
use assay::verifier::{End, Verifier};
use assay_client::accounts;
use assay_client::api::{Hash32, Key32, Outcome};
use assay_client::http::{Api, ApiError};
use assay_client::wallet::Wallet;
use assay_ledger::header::genesis_hash;
use assay_ledger::request::{Action, SignedRequest};
use assay_ledger::{Key, SOL};
use futures::{StreamExt, TryStreamExt};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the client deposits.
const DEPOSIT: u64 = 100 * SOLS;
/// What a withdrawal is of.
const WITHDRAWN: u64 = 7;

/// A client under whose load a sequencer is.
pub struct Load {
    rollup: solana_pubkey::Pubkey,
    api: Api,
    client: Wallet,
    model: Model,
    nonce: u64,
    answered: Vec<Outcome>,
    /// Calls that failed, and were made again.
    pub again: u64,
    /// How many were answered so far, for whoever watches.
    pub count: Arc<AtomicU64>,
}

/// What came of the load.
#[derive(Debug)]
pub struct Outcomes {
    /// Requests answered.
    pub answered: usize,
    /// Batches final.
    pub batches: u64,
}

impl Load {
    pub async fn start(l1: &L1, api: &Api) -> Result<Self> {
        let (publisher, client) = (Wallet::random(), Wallet::random());
        l1.fund(api, &publisher, SOLS).await?;
        l1.fund(api, &client, DEPOSIT).await?;
        Ok(Self {
            rollup: l1.rollup,
            api: api.clone(),
            model: Model::deploy(l1, api, &publisher).await?,
            client,
            nonce: 0,
            answered: Vec::new(),
            again: 0,
            count: Arc::default(),
        })
    }

    /// Request number `nonce`, which is always the same.
    fn request(&self, nonce: u64) -> SignedRequest {
        let action = match nonce % 16 {
            0 => Action::Withdraw {
                recipient: self.client.key(),
                amount: WITHDRAWN,
            },
            4 | 8 | 12 => self.model.infer(nonce),
            _ => Action::Transfer {
                to: destination(nonce),
                amount: 1,
            },
        };
        self.client.sign(&self.rollup, SOL, nonce, action)
    }

    /// The next `count` requests in one call, which is made again until it is answered.
    pub async fn call(&mut self, count: u64) -> Result<()> {
        let requests: Vec<_> = (self.nonce..self.nonce + count)
            .map(|nonce| self.request(nonce))
            .collect();
        let outcomes = loop {
            match self.api.submit(&requests).await {
                Ok(outcomes) => break outcomes,
                Err(e) if e.is_temporary() => {
                    self.again += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(e) => return Err(e.into()),
            }
        };
        ensure!(outcomes.iter().all(|o| o.accepted), "{outcomes:?}");
        self.answered.extend(outcomes);
        self.nonce += count;
        self.count.store(self.nonce, Ordering::Relaxed);
        Ok(())
    }

    /// Calls until `stop`.
    pub async fn until(mut self, stop: CancellationToken) -> Result<Self> {
        // So many a second that the batches can be done again in little time.
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            pace.tick().await;
            self.call(10).await?;
        }
        Ok(self)
    }

    /// Checks that nothing was lost, nothing executed or posted twice, and that the balances are conserved.
    pub async fn check(self, l1: &L1) -> Result<Outcomes> {
        match self.api.close_batch().await {
            Err(ApiError::Refused { code, .. }) if code == "empty" => {}
            closed => closed.map(|_| ())?,
        }
        let last = self.api.status().await?.building.number - 1;
        until_final(&self.api, last).await?;
        self.check_answers().await?;
        self.check_batches(l1, last).await?;
        self.check_balances(l1).await?;
        Ok(Outcomes {
            answered: self.answered.len(),
            batches: last,
        })
    }

    /// Every answer is still true, and each has its own place.
    async fn check_answers(&self) -> Result<()> {
        futures::stream::iter(&self.answered)
            .map(|outcome| async move {
                let found = self.api.transaction(outcome.id).await?;
                assert_eq!(Some(&found.executed), outcome.executed.as_ref());
                assert_eq!(found.executed.status, 0);
                Ok::<_, anyhow::Error>(())
            })
            .buffer_unordered(16)
            .try_collect::<()>()
            .await?;
        let places = self.answered.iter().filter_map(|o| o.executed.as_ref());
        let places: HashSet<_> = places.map(|e| (e.batch, e.position)).collect();
        assert_eq!(places.len(), self.answered.len());
        assert_eq!(self.answered.len() as u64, self.nonce);
        Ok(())
    }

    /// Batches 1 to `last` follow each other, and each was posted once.
    async fn check_batches(&self, l1: &L1, last: u64) -> Result<()> {
        let chain = accounts::chain(l1.sender.rpc(), &l1.rollup).await?;
        assert_eq!(chain.tip_number, last);
        let mut parent = Hash32(genesis_hash(&l1.rollup.to_bytes()));
        for number in 1..=last {
            let batch = self.api.batch(number).await?;
            assert_eq!(batch.parent, parent);
            let posts = batch.l1.iter().filter(|t| t.step == "post").count();
            assert!(posts <= 1, "batch {number} was posted {posts} times");
            let slot = chain.slots[number as usize % chain.slots.len()];
            if slot.number == number {
                assert_eq!(slot.hash, batch.hash.0);
            }
            parent = batch.hash;
        }
        Ok(())
    }

    /// What is on L2 and what was withdrawn is what was deposited, as a verifier finds it that begins at genesis.
    async fn check_balances(&self, l1: &L1) -> Result<()> {
        let account = self.api.account(Key32(self.client.key()), Key32(SOL));
        let account = account.await?.context("the client's account")?;
        assert_eq!(account.nonce, self.nonce);
        let fees = self.answered.iter().filter_map(|o| o.executed.as_ref());
        let fees: u64 = fees.map(|executed| executed.fee).sum();
        let withdrawn = self.nonce.div_ceil(16) * WITHDRAWN;
        let infers = |nonce: &u64| matches!(nonce % 16, 4 | 8 | 12);
        let transferred = (0..self.nonce).filter(|n| n % 16 != 0 && !infers(n));
        let transferred = transferred.count() as u64;
        assert_eq!(account.balance, DEPOSIT - fees - withdrawn - transferred);

        let silent = Arc::new(|_: &assay::verifier::Event<'_>| {});
        let (config, rpc) = (config(l1, "last-verifier"), l1.chain.rpc_url());
        let mirrors = [self.api.url().to_owned()];
        let mut verifier = Verifier::open(&config, rpc, l1.rollup, &mirrors, silent).await?;
        let end = verifier.run(true, CancellationToken::new()).await?;
        assert!(matches!(end, End::Done(_)), "{end:?}");
        same_state(&self.api, &verifier).await?;
        let total = verifier.replica().state().total(&SOL);
        assert_eq!(total + u128::from(withdrawn), u128::from(DEPOSIT + SOLS));
        Ok(())
    }
}

/// One of fifty accounts.
fn destination(nonce: u64) -> Key {
    [(nonce % 50) as u8 + 1; 32]
}

/// Waits until so many requests were answered.
pub async fn answered(count: &AtomicU64, least: u64) -> Result<()> {
    until("answers", || async {
        Ok((count.load(Ordering::Relaxed) >= least).then_some(()))
    })
    .await
}
