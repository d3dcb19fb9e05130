//! What a verifier says of runs that it cannot re-execute: never that they are verified.

use crate::mirror::Mirror;
use crate::support::{L1, PATIENCE, until_final};
use crate::verifier::{Process, Work, config, same_state};
use anyhow::{Context, Result};
use assay::service::Service;
use assay::store::Store;
use assay::verifier::config::VerifierConfig;
use assay::verifier::{End, Event, Verifier};
use assay_client::http::Api;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// A sequencer, a final batch of its with twelve runs, and an API that gives all but blobs until it is told to.
struct World {
    l1: L1,
    service: Service,
    api: Api,
    mirror: Mirror,
    giving: Arc<AtomicBool>,
    batch: u64,
}

/// What a verifier has said: of which batch, its runs, those re-executed and those unverified.
type Said = Arc<Mutex<Vec<(u64, u64, u64, u64)>>>;

impl World {
    async fn start() -> Result<Self> {
        let l1 = L1::start().await?;
        let service = Service::start(l1.config()).await?;
        let api = Api::new(service.url());
        let giving: Arc<AtomicBool> = Arc::default();
        let given = giving.clone();
        let gives = move |path: &str| !path.contains("/blobs/") || given.load(Ordering::SeqCst);
        let mirror = Mirror::before(&service.url(), gives).await?;
        let work = Work::start(&l1, &api).await?;
        let batch = work.batch(12).await?;
        until_final(&api, batch).await?;
        Ok(Self {
            l1,
            service,
            api,
            mirror,
            giving,
            batch,
        })
    }

    async fn verifier(&self, patience_secs: u64, sample: f64) -> Result<(Verifier, Said)> {
        let said = Said::default();
        let told = said.clone();
        let listener = move |event: &Event<'_>| match event {
            Event::Right(right, _) => {
                let number = right.header.number;
                let batch = (number, right.runs, right.again, right.unverified);
                told.lock().unwrap().push(batch);
            }
            Event::Rechecked(rechecked) => {
                let unverified = if rechecked.invalid { rechecked.runs } else { 0 };
                let number = rechecked.header.number;
                let batch = (number, rechecked.runs, rechecked.runs, unverified);
                told.lock().unwrap().push(batch);
            }
            other => panic!("{other:?}"),
        };
        let config = VerifierConfig {
            patience_secs,
            sample,
            seed: Some("07".repeat(32)),
            ..config(&self.l1, "verifier")
        };
        let (rpc, mirrors) = (self.l1.chain.rpc_url(), [self.mirror.url.clone()]);
        let rollup = self.l1.rollup;
        let verifier = Verifier::open(&config, rpc, rollup, &mirrors, Arc::new(listener)).await?;
        Ok((verifier, said))
    }

    async fn stop(self) -> Result<()> {
        self.service.stop().await?;
        self.l1.chain.stop().await
    }
}

/// What was said last of a batch.
fn last(said: &Said, batch: u64) -> Option<(u64, u64, u64)> {
    let said = said.lock().unwrap();
    let mut of = said.iter().rev().filter(|(number, ..)| *number == batch);
    of.next()
        .map(|(_, runs, again, unverified)| (*runs, *again, *unverified))
}

async fn ends(verifier: &mut Verifier) -> Result<End> {
    let run = verifier.run(true, CancellationToken::new());
    tokio::time::timeout(PATIENCE, run).await?
}

/// The bytes come while it waits for them, after the batch is final.
#[tokio::test(flavor = "multi_thread")]
async fn a_final_batch_is_re_executed_when_the_bytes_come() -> Result<()> {
    let world = World::start().await?;
    let (mut verifier, said) = world.verifier(600, 1.0).await?;
    let mut standing = verifier.standing();
    let running = tokio::spawn(async move {
        let end = ends(&mut verifier).await;
        (verifier, end)
    });
    let unverified = standing.wait_for(|standing| standing.unverified_runs > 0);
    let seen = tokio::time::timeout(PATIENCE, unverified).await??.clone();
    assert_eq!(last(&said, world.batch), Some((12, 0, 12)));
    assert!(seen.trouble().context("a trouble")?.contains("unverified"));
    world.giving.store(true, Ordering::SeqCst);
    let (verifier, end) = running.await?;
    let End::Done(standing) = end? else {
        anyhow::bail!("a batch is invalid");
    };
    assert_eq!(
        (standing.unverified_batches, standing.unverified_runs),
        (0, 0)
    );
    assert_eq!(last(&said, world.batch), Some((12, 12, 0)));
    same_state(&world.api, &verifier).await?;
    drop(verifier);
    world.stop().await
}

/// Bytes that never come: their own exit code, and nothing is called verified. The next start finds them.
#[tokio::test(flavor = "multi_thread")]
async fn what_stays_unverified_has_an_exit_code_and_outlasts_a_restart() -> Result<()> {
    let world = World::start().await?;
    let dir = world.l1.dir.path().join("verifier");
    let words = ["--once", "--patience", "0"];
    let mut process = Process::start(&world.l1, &world.mirror.url, &dir, &words)?;
    let mut events: Vec<Value> = Vec::new();
    while let Some(event) = process.event().await? {
        events.push(event);
    }
    assert_eq!(process.child.wait().await?.code(), Some(4));
    let of = |event: &&Value| event["batch"].as_u64() == Some(world.batch);
    let batch = events.iter().find(of).context("the batch")?;
    assert_eq!(batch["event"], "unverified");
    assert_eq!(
        (&batch["runs"], &batch["unverified"]),
        (&12.into(), &12.into())
    );
    let ended = events.last().context("an end")?;
    assert_eq!(ended["event"], "ended");
    assert_eq!(ended["unverified_runs"], 12);
    assert_eq!(ended["unverified_batches"], 1);

    // Whoever has put another output root there is found out as soon as the bytes are here.
    let store = Store::open(&dir, &world.l1.rollup.to_bytes(), &[0; 32])?;
    let right = store.unverified(world.batch)?;
    let mut wrong = right.clone();
    wrong[5].output_root[0] ^= 1;
    store.keep_unverified(world.batch, &wrong)?;
    drop(store);
    world.giving.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let (mut verifier, said) = world.verifier(600, 1.0).await?;
        let End::Wrong(number) = ends(&mut verifier).await? else {
            anyhow::bail!("an invalid final batch is not seen");
        };
        assert_eq!(number, world.batch);
        assert_eq!(last(&said, world.batch), Some((12, 12, 12)));
    }
    let store = Store::open(&dir, &world.l1.rollup.to_bytes(), &[0; 32])?;
    store.keep_unverified(world.batch, &right)?;
    drop(store);
    let mut process = Process::start(&world.l1, &world.mirror.url, &dir, &["--once"])?;
    let mut events: Vec<Value> = Vec::new();
    while let Some(event) = process.event().await? {
        events.push(event);
    }
    assert_eq!(process.child.wait().await?.code(), Some(0));
    let ended = events.last().context("an end")?;
    assert_eq!(ended["unverified_runs"], 0);
    world.stop().await
}

/// What a sample leaves out was not to be re-executed: a batch is verified without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sample_verifies_what_it_takes() -> Result<()> {
    let world = World::start().await?;
    world.giving.store(true, Ordering::SeqCst);
    let (mut verifier, said) = world.verifier(600, 0.5).await?;
    let End::Done(standing) = ends(&mut verifier).await? else {
        anyhow::bail!("a batch is invalid");
    };
    assert_eq!(standing.unverified_runs, 0);
    // It may have come before the bytes did: what it takes is re-executed all the same.
    let (_, again, unverified) = last(&said, world.batch).context("the batch")?;
    assert!(
        again > 0 && again < 12 && unverified == 0,
        "{again} {unverified}"
    );
    drop(verifier);
    world.stop().await
}
