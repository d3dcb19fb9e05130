//! SIGKILL at any point: what was answered is there, and no batch is posted twice.

use crate::support::{L1, Model, Process, SOLS, first_chunks, until, until_final};
use crate::wire::Wire;
use anchor_lang::Discriminator;
use anyhow::{Context, Result};
use assay::config::Config;
use assay::dev::network::dev_rollup;
use assay_client::api::{BatchStatus, Hash32, Key32, Outcome};
use assay_client::http::{Api, ApiError};
use assay_client::wallet::Wallet;
use assay_client::{accounts, pda};
use assay_ledger::SOL;
use assay_ledger::header::genesis_hash;
use assay_ledger::request::Action;
use settlement::instruction::PostBatch;
use settlement::state::BatchData;
use std::collections::HashSet;
use tokio::sync::mpsc;

/// When the sequencer is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// While calls are being answered.
    Answering,
    /// A batch is closed, and nothing of it is on L1.
    Closed,
    /// Some of a batch's chunks are on L1.
    Writing,
    /// A batch is on L1, and the sequencer does not know.
    Posted,
}

/// A sequencer that is killed again and again, and what it promised.
struct Victim {
    l1: L1,
    wire: Wire,
    config: Config,
    client: Wallet,
    model: Model,
    process: Process,
    answered: Vec<Outcome>,
    nonce: u64,
}

impl Victim {
    async fn start() -> Result<Self> {
        let l1 = L1::start().await?;
        let wire = Wire::to(l1.chain.rpc_url()).await?;
        let mut config = l1.config();
        config.rpc_url = wire.url.clone();
        config.batch.age_ms = 600_000;
        // Slow enough to be killed between two chunks.
        config.l1.in_flight = 2;
        let (publisher, client) = (Wallet::random(), Wallet::random());
        let process = Process::start(&l1, &config).await?;
        l1.fund(&process.api, &publisher, SOLS).await?;
        l1.fund(&process.api, &client, SOLS).await?;
        let model = Model::deploy(&l1, &process.api, &publisher).await?;
        Ok(Self {
            l1,
            wire,
            config,
            client,
            model,
            process,
            answered: Vec::new(),
            nonce: 0,
        })
    }

    fn api(&self) -> &Api {
        &self.process.api
    }

    /// Inferences, all of which are answered.
    async fn infer(&mut self, count: u64) -> Result<()> {
        let requests: Vec<_> = (self.nonce..self.nonce + count)
            .map(|i| self.l1.sign(&self.client, i, self.model.infer(i)))
            .collect();
        let outcomes = self.api().submit(&requests).await?;
        assert!(outcomes.iter().all(|o| o.accepted), "{outcomes:?}");
        self.answered.extend(outcomes);
        self.nonce += count;
        Ok(())
    }

    /// A batch that is closed; its number.
    async fn close(&mut self) -> Result<u64> {
        self.infer(300).await?;
        let number = self.api().status().await?.building.number;
        self.api().close_batch().await?;
        Ok(number)
    }

    /// Brings the sequencer to `moment`, kills it there, and starts it again.
    async fn killed_at(mut self, moment: Moment) -> Result<Self> {
        match moment {
            Moment::Answering => return self.killed_while_answering().await,
            Moment::Closed => {
                self.all_final().await?;
                self.wire.cut();
                let number = self.close().await?;
                let batch = self.api().batch(number).await?;
                assert_eq!(batch.status, BatchStatus::Closed);
                assert_eq!(batch.l1.len(), 0);
            }
            Moment::Writing => {
                let number = self.close().await?;
                first_chunks(self.api(), number).await?;
                self.wire.cut();
                let (there, all) = self.chunks(number).await?;
                assert!(0 < there && there < all, "{there} of {all} chunks");
            }
            Moment::Posted => {
                let bytes = PostBatch::DISCRIMINATOR.try_into()?;
                self.all_final().await?;
                self.wire.mute_at(bytes);
                let number = self.close().await?;
                let (rpc, rollup) = (self.l1.sender.rpc(), &self.l1.rollup);
                until("the batch on L1", || async {
                    let chain = accounts::chain(rpc, rollup).await?;
                    Ok((chain.tip_number == number).then_some(()))
                })
                .await?;
                let batch = self.api().batch(number).await?;
                assert_eq!(batch.status, BatchStatus::Closed);
                assert!(batch.l1.iter().all(|t| t.step != "post"));
            }
        }
        self.killed().await
    }

    /// Kills the sequencer while a call waits for its answer.
    async fn killed_while_answering(mut self) -> Result<Self> {
        let requests: Vec<_> = (self.nonce..self.nonce + 20_000)
            .map(|i| self.l1.sign(&self.client, i, self.model.infer(i)))
            .collect();
        let api = self.api().clone();
        let (sender, mut answers) = mpsc::unbounded_channel();
        let submit = tokio::spawn(async move {
            for part in requests.chunks(100) {
                let Ok(some) = api.submit(part).await else {
                    return true;
                };
                let _ = sender.send(some);
            }
            false
        });
        for _ in 0..3 {
            self.answered
                .extend(answers.recv().await.context("an answer")?);
        }
        self.process.kill().await?;
        while let Some(some) = answers.recv().await {
            self.answered.extend(some);
        }
        assert!(submit.await?, "everything was answered: no call was hit");
        assert!(self.answered.iter().all(|o| o.accepted));
        self.process = Process::start(&self.l1, &self.config).await?;
        self.promises_are_kept().await?;
        Ok(self)
    }

    async fn killed(mut self) -> Result<Self> {
        self.process.kill().await?;
        self.wire.mend();
        self.process = Process::start(&self.l1, &self.config).await?;
        self.promises_are_kept().await?;
        Ok(self)
    }

    /// Everything that was answered is there.
    async fn promises_are_kept(&mut self) -> Result<()> {
        for outcome in &self.answered {
            let found = self.api().transaction(outcome.id).await?;
            assert_eq!(Some(&found.executed), outcome.executed.as_ref());
        }
        let key = Key32(self.client.key());
        let account = self.api().account(key, Key32(SOL)).await?;
        // What was stored and not answered counts too.
        self.nonce = account.context("the client's account")?.nonce;
        assert!(self.nonce as usize >= self.answered.len());
        Ok(())
    }

    /// Chunks of a batch's data that are on L1, and chunks that it has.
    async fn chunks(&self, number: u64) -> Result<(usize, usize)> {
        let address = pda::batch_data(&self.l1.sequencer.address(), number);
        let account = self.l1.sender.rpc().account(&address).await?;
        let data = account.context("the data account")?.data;
        let hashes = data[BatchData::sealed_size()..].chunks(32);
        let there = hashes.clone().filter(|hash| **hash != [0; 32]).count();
        Ok((there, hashes.len()))
    }

    /// Closes the batch being built, and waits until it and all before are final.
    async fn all_final(&self) -> Result<u64> {
        match self.api().close_batch().await {
            Err(ApiError::Refused { code, .. }) if code == "empty" => {}
            closed => closed?,
        }
        let number = self.api().status().await?.building.number - 1;
        until_final(self.api(), number).await?;
        Ok(number)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_sigkill_and_no_batch_is_posted_twice() -> Result<()> {
    let mut victim = Victim::start().await?;
    for moment in [
        Moment::Answering,
        Moment::Closed,
        Moment::Writing,
        Moment::Posted,
        Moment::Answering,
    ] {
        victim = (victim.killed_at(moment).await).with_context(|| format!("{moment:?}"))?;
    }

    // A call that was lost may be made again.
    let last = victim.nonce - 1;
    let last = (victim.l1).sign(&victim.client, last, victim.model.infer(last));
    let again = victim.api().submit(&[last]).await?;
    assert!(again[0].accepted, "{again:?}");
    assert_eq!(again[0].executed.as_ref().map(|e| e.status), Some(0));

    let number = victim.all_final().await?;
    let Victim {
        l1,
        process,
        answered,
        ..
    } = victim;
    let chain = accounts::chain(l1.sender.rpc(), &l1.rollup).await?;
    assert_eq!(chain.tip_number, number);
    let mut parent = Hash32(genesis_hash(&l1.rollup.to_bytes()));
    for n in 1..=number {
        let batch = process.api.batch(n).await?;
        assert_eq!(batch.parent, parent);
        // Those that nobody listened to were found again on L1.
        let posts = batch.l1.iter().filter(|t| t.step == "post").count();
        assert_eq!(posts, 1, "batch {n} was posted {posts} times");
        let slot = chain.slots[n as usize % chain.slots.len()];
        if slot.number == n {
            assert_eq!(slot.hash, batch.hash.0);
        }
        parent = batch.hash;
    }
    let mut places = HashSet::new();
    for outcome in &answered {
        let executed = outcome.executed.as_ref().context("accepted")?;
        assert!(places.insert((executed.batch, executed.position)));
    }
    process.stop().await?;
    l1.chain.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_built_again_whole_or_not_at_all() -> Result<()> {
    let mut rollup = dev_rollup();
    rollup.inbox_grace = 60;
    let l1 = L1::with(rollup).await?;
    let wire = Wire::to(l1.chain.rpc_url()).await?;
    let mut config = l1.config();
    config.rpc_url = wire.url.clone();
    config.batch.age_ms = 600_000;
    let mut process = Process::start(&l1, &config).await?;
    let (client, other) = (Wallet::random(), Wallet::random());
    l1.fund(&process.api, &client, SOLS).await?;
    wire.cut();
    let first = process.api.status().await?.building.number;
    let mut told = Vec::new();
    for nonce in 0..20 {
        let transfer = Action::Transfer {
            to: [nonce as u8 + 1; 32],
            amount: 1,
        };
        let request = l1.sign(&client, nonce, transfer);
        told.extend(process.api.submit(&[request]).await?);
        process.api.close_batch().await?;
    }
    l1.deposit(&other, SOLS).await?;
    l1.overdue(2, rollup.inbox_grace).await?;
    wire.mend();
    // Whether the kill comes before the commit or after it: the batches are either all the old ones or all
    // the new ones.
    process.logged("building batches again").await?;
    process.kill().await?;
    process = Process::start(&l1, &config).await?;
    for outcome in &told {
        let found = process.api.transaction(outcome.id).await?;
        let then = outcome.executed.as_ref().context("accepted")?;
        assert_eq!(
            (found.executed.status, found.executed.batch),
            (0, then.batch)
        );
    }
    let batch = until_final(&process.api, first).await?;
    // The client's deposit, a transfer, and what was overdue.
    assert_eq!(batch.tx_count, 3);
    until_final(&process.api, first + 19).await?;
    let account = process.api.account(Key32(other.key()), Key32(SOL)).await?;
    assert_eq!(account.map(|a| a.balance), Some(SOLS));
    process.stop().await?;
    l1.chain.stop().await
}
