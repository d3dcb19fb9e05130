//! What a verifier does about a batch whose runs it cannot do, for they take more memory than it has, and of which
//! nothing else is wrong: before the batch is final, and after the time in which it might still be told more.

use crate::challenged::headers;
use crate::disputes::{Watch, chain, rich, rollup};
use crate::mirror::Mirror;
use crate::support::{L1, PATIENCE, until};
use crate::verifier::{Work, config};
use anyhow::{Context, Result};
use assay::service::Service;
use assay::verifier::Standing;
use assay::verifier::config::VerifierConfig;
use assay_client::disputes::{self, Found, Of};
use assay_client::http::Api;
use assay_dispute::demand::{Blob, Times};
use assay_dispute::game::Stage;
use assay_ledger::header::Header;

/// An honest sequencer, and a batch of its with runs, on L1 and far from final.
struct World {
    l1: L1,
    service: Service,
    header: Header,
    times: Times,
    /// Enough for the model's parameters and no run.
    memory: u64,
}

impl World {
    async fn start() -> Result<Self> {
        let l1 = L1::with(rollup(6_000)).await?;
        let service = Service::start(l1.config()).await?;
        let api = Api::new(service.url());
        let work = Work::start(&l1, &api).await?;
        let memory = work.model.imported.program.parameter_bytes() + 1;
        let number = work.batch(5).await?;
        let header = until("the batch on L1", || async {
            let chain = chain(&l1).await?;
            let all = headers(&l1, &chain).await?;
            Ok(all.into_iter().find(|header| header.number == number))
        })
        .await?;
        let ring = chain(&l1).await?;
        let slot = ring.live(number, &header.hash()).context("it is live")?;
        let times = Times::new(
            Blob::Chunks { parameter: 0 },
            slot.window_end,
            header.params.window,
        );
        rich(&l1, "challenger.json").await?;
        Ok(Self {
            l1,
            service,
            header,
            times,
            memory,
        })
    }

    /// A verifier that is told by `mirror`.
    async fn verifier(&self, mirror: &str) -> Result<Watch> {
        let config = VerifierConfig {
            memory: self.memory,
            keypair: Some(self.l1.dir.path().join("challenger.json")),
            ..config(&self.l1, "verifier")
        };
        Watch::with(
            &self.l1,
            self.l1.chain.rpc_url(),
            config,
            &[mirror.to_owned()],
        )
        .await
    }

    async fn disputes(&self) -> Result<Vec<Found>> {
        let rpc = self.l1.sender.rpc();
        Ok(disputes::find(rpc, &self.l1.rollup, Of::Anybody).await?)
    }

    async fn stop(self) -> Result<()> {
        self.service.stop().await?;
        self.l1.chain.stop().await
    }
}

async fn stands(watch: &mut Watch, what: impl Fn(&Standing) -> bool) -> Result<Standing> {
    let stands = watch.standing.wait_for(|standing| what(standing));
    Ok(tokio::time::timeout(PATIENCE, stands).await??.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_a_batch_is_waited_for_and_disputed_when_demands_are_over() -> Result<()> {
    let world = World::start().await?;
    let number = world.header.number;
    let mirror = Mirror::before(&world.service.url(), |path| !path.ends_with("/outputs")).await?;
    let mut watch = world.verifier(&mirror.url).await?;
    let too_large = |why: &String| why.contains("bytes of memory");
    let waits = |s: &Standing| s.head + 1 == number && s.stands.as_ref().is_some_and(too_large);
    let standing = stands(&mut watch, waits).await?;
    assert_eq!(standing.wrong, None);
    assert_eq!(world.disputes().await?.len(), 0);
    world.l1.skip_to(world.times.answer_end).await?;
    let found = until("the dispute", || async {
        Ok(world.disputes().await?.into_iter().next())
    })
    .await?;
    assert_eq!(found.head.number, number);
    assert!(
        matches!(found.game.stage, Stage::Transactions(_)),
        "{:?}",
        found.game.stage
    );
    let opened = (world.l1.sender.rpc().client())
        .get_signatures_for_address(&found.address)
        .await?;
    let first = opened.iter().map(|entry| entry.slot).min();
    assert!(first >= Some(world.times.answer_end), "{first:?}");
    let standing = stands(&mut watch, |s| s.wrong == Some(number)).await?;
    assert!(standing.finalised < number, "{standing:?}");
    watch.stop().await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_word_that_fits_a_batch_is_believed_and_not_disputed() -> Result<()> {
    let world = World::start().await?;
    let number = world.header.number;
    world.l1.skip_to(world.times.answer_end).await?;
    let mut watch = world.verifier(&world.service.url()).await?;
    let standing = stands(&mut watch, |s| s.head >= number && !s.lacks.is_empty()).await?;
    assert!(standing.finalised < number, "{standing:?}");
    assert_eq!(standing.wrong, None);
    let said = standing.trouble().unwrap_or_default();
    let word =
        format!("runs in batch {number} could not be re-executed: their outputs are unverified");
    assert!(said.contains(&word), "{said}");
    let verifier = watch.stop().await?;
    let doubts = verifier.replica().doubts();
    assert_eq!(doubts.len(), 1);
    assert_eq!(doubts[0].header, world.header);
    assert_eq!(world.disputes().await?.len(), 0);
    world.stop().await
}
