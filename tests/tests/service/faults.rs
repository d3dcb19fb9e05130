//! A sequencer and a verifier on a node of which every fourth call fails.

use crate::faulty::Faulty;
use crate::load::Load;
use crate::support::{L1, Process, until};
use crate::verifier::config;
use anyhow::{Context, Result};
use assay::verifier::{End, Verifier};
use assay_client::http::Api;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The failures that a service has counted, by kind.
async fn failures(api: &Api) -> Result<Vec<(String, u64)>> {
    let text = reqwest::get(format!("{}/metrics", api.url())).await?;
    let text = text.text().await?;
    let lines = text.lines();
    let counts = lines.filter_map(|line| line.strip_prefix("assay_node_failures_total{kind=\""));
    let counts = counts.filter_map(|rest| rest.split_once("\"} "));
    counts
        .map(|(kind, count)| Ok((kind.to_owned(), count.parse()?)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_drops_doubles_and_delays_calls_loses_and_doubles_nothing() -> Result<()> {
    let l1 = L1::start().await?;
    let node = Faulty::before(l1.chain.rpc_url(), 8).await?;
    let mut settings = l1.config();
    settings.rpc_url = node.url.clone();
    settings.batch.age_ms = 500;
    let process = Process::start(&l1, &settings).await?;
    let api = process.api.clone();
    let load = Load::start(&l1, &api).await?;
    let silent = Arc::new(|_: &assay::verifier::Event<'_>| {});
    let mirrors = [api.url().to_owned()];
    let config = config(&l1, "verifier");
    let mut verifier = Verifier::open(&config, &node.url, l1.rollup, &mirrors, silent).await?;
    let (standing, stopped) = (verifier.standing(), CancellationToken::new());
    let stop = stopped.clone();
    let verifying = tokio::spawn(async move { verifier.run(false, stop).await });

    let begin = api.status().await?.tip;
    node.fail(0.25);
    let stop = CancellationToken::new();
    let loading = tokio::spawn(load.until(stop.clone()));
    until("three batches under faults", || async {
        Ok((api.status().await?.tip >= begin + 3).then_some(()))
    })
    .await?;
    stop.cancel();
    let load = loading.await??;
    process
        .logged("calls to the Solana node fail repeatedly")
        .await?;
    node.fail(0.0);
    process
        .logged("calls to the Solana node work again")
        .await?;
    let counted = failures(&api).await?;
    for kind in ["rate_limited", "gateway"] {
        let (_, count) = (counted.iter().find(|(k, _)| k == kind)).context(kind)?;
        assert!(*count > 0, "{counted:?}");
    }
    let again = load.again;
    let outcomes = load.check(&l1).await?;
    assert_eq!(again, 0, "the clients notice nothing of it");
    until("the verifier", || async {
        Ok((standing.borrow().head == outcomes.batches).then_some(()))
    })
    .await?;
    stopped.cancel();
    let end = verifying.await??;
    assert!(matches!(end, End::Done(s) if s.wrong.is_none()));
    let log = process.log()?;
    for line in ["node fail repeatedly", "node work again"] {
        assert_eq!(log.matches(line).count(), 1, "{line} in {log}");
    }
    let (calls, failed) = node.counts();
    println!(
        "{} requests answered, {} batches; {failed} of {calls} calls failed: {counted:?}",
        outcomes.answered, outcomes.batches
    );
    process.stop().await?;
    l1.chain.stop().await
}
