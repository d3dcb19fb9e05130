//! SIGKILL at random moments, again and again: of the sequencer and of the verifier, under load.
//!
//! `ASSAY_KILLS` is how often, `ASSAY_KILLS_SEED` which moments; `cargo xtask kills` sets them.

use crate::load::{Load, answered};
use crate::support::{L1, Process, until};
use crate::verifier::{Process as VerifierProcess, config};
use anyhow::{Context, Result, ensure};
use assay::verifier::{End, Verifier};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The longest that a process lives.
const LIFE: u64 = 1_500;

fn from_environment(name: &str, usual: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is a number")),
        Err(_) => Ok(usual),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_moments_lose_nothing_and_double_nothing() -> Result<()> {
    let kills = from_environment("ASSAY_KILLS", 20)?;
    let mut seeded = ChaCha8Rng::seed_from_u64(from_environment("ASSAY_KILLS_SEED", 1)?);
    let l1 = L1::start().await?;
    let mut settings = l1.config();
    settings.batch.age_ms = 300;
    // Clients ask the same address again.
    settings.listen = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut sequencer = Process::start(&l1, &settings).await?;
    let api = sequencer.api.clone();
    let load = Load::start(&l1, &api).await?;
    let dir = l1.dir.path().join("verifier");
    let mut verifier = VerifierProcess::start(&l1, api.url(), &dir, &[])?;

    let (stop, count, begun) = (CancellationToken::new(), load.count.clone(), Instant::now());
    let loading = tokio::spawn(load.until(stop.clone()));
    let (mut of_sequencer, mut of_verifier) = (0, 0);
    while of_sequencer + of_verifier < kills {
        // The moment is random: while it starts, or at work.
        let life = Duration::from_millis(seeded.random_range(0..LIFE));
        tokio::time::sleep(life).await;
        if seeded.random_ratio(1, 4) {
            of_verifier += 1;
            ensure!(verifier.child.try_wait()?.is_none(), "the verifier ended");
            verifier.child.kill().await?;
            verifier = VerifierProcess::start(&l1, api.url(), &dir, &[])?;
        } else {
            of_sequencer += 1;
            ensure!(sequencer.is_alive()?, "it ended: {}", sequencer.log()?);
            sequencer.kill().await?;
            sequencer = Process::spawn(&l1, &settings)?;
        }
    }
    // It is at work still.
    answered(
        &count,
        count.load(std::sync::atomic::Ordering::Relaxed) + 100,
    )
    .await?;
    stop.cancel();
    let load = loading.await??;
    let seconds = begun.elapsed().as_secs_f64();
    let again = load.again;
    let outcomes = load.check(&l1).await?;

    // The verifier that was killed goes on to the end.
    verifier.child.kill().await?;
    let silent = Arc::new(|_: &assay::verifier::Event<'_>| {});
    let config = config(&l1, "verifier");
    let (rpc, mirrors) = (l1.chain.rpc_url(), [api.url().to_owned()]);
    let mut survivor = Verifier::open(&config, rpc, l1.rollup, &mirrors, silent).await?;
    let end = survivor.run(true, CancellationToken::new()).await?;
    assert!(matches!(end, End::Done(s) if s.head == outcomes.batches));
    println!(
        "{kills} kills in {seconds:.0} s ({of_sequencer} of the sequencer, {of_verifier} of the verifier): {} requests answered, {again} calls made again, {} batches",
        outcomes.answered, outcomes.batches
    );
    until("the last state", || async {
        Ok(api.status().await?.not_accepting.is_none().then_some(()))
    })
    .await?;
    sequencer.stop().await?;
    l1.chain.stop().await
}

fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}
