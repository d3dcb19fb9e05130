//! A sequencer whose disk is lost: it builds its state again from L1, and goes on.

use crate::support::{L1, until, until_final};
use crate::verifier::{Work, config, same_state};
use anyhow::{Context, Result};
use assay::demo::cheat::publisher::Publisher;
use assay::service::Service;
use assay::verifier::{End, Verifier};
use assay_client::accounts;
use assay_client::api::Key32;
use assay_client::http::Api;
use assay_ledger::SOL;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_sequencer_that_has_lost_its_disk_goes_on_from_l1() -> Result<()> {
    let l1 = L1::start().await?;
    let mut settings = l1.config();
    settings.batch.transactions = 40;
    let service = Service::start(settings.clone()).await?;
    let mut work_api = Api::new(service.url());
    let mut work = Work::start(&l1, &work_api).await?;
    work.batch(70).await?;
    work.messages().await?;
    work.batch(5).await?;
    // Under load batches may be built again, and have other numbers then.
    let last = until("all batches on L1", || async {
        let chain = accounts::chain(l1.sender.rpc(), &l1.rollup).await?;
        let building = work_api.status().await?.building;
        let all = building.transactions == 0 && building.number == chain.tip_number + 1;
        Ok(all.then_some(chain.tip_number))
    })
    .await?;
    let before = work_api.batch(last).await?;
    let client = Key32(work.client());
    let held = work_api.account(client, Key32(SOL)).await?;
    let transaction = work_api.status().await?.counters;
    service.stop().await?;

    // Somebody else has the models' bytes.
    let publisher = Publisher::start().await?;
    for entry in std::fs::read_dir(settings.data_dir.join("blobs"))? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a name")?;
        publisher.publish(name, std::fs::read(entry.path())?);
    }
    std::fs::remove_dir_all(&settings.data_dir)?;
    settings.blobs = vec![publisher.url().to_owned()];
    let service = Service::start(settings.clone()).await?;
    work_api = Api::new(service.url());
    work.api = work_api.clone();
    let after = work_api.batch(last).await?;
    assert_eq!((after.hash, after.state), (before.hash, before.state));
    assert_eq!(work_api.account(client, Key32(SOL)).await?, held);
    let counters = work_api.status().await?.counters;
    assert_eq!(counters.inferences, transaction.inferences);
    assert_eq!(counters.transactions, transaction.transactions);

    // It serves, makes batches on top, and answers for the ones before.
    let next = work.batch(4).await?;
    until_final(&work_api, next).await?;
    let silent = Arc::new(|_: &assay::verifier::Event<'_>| {});
    let (config, rpc) = (config(&l1, "verifier"), l1.chain.rpc_url());
    let mirrors = [service.url()];
    let mut verifier = Verifier::open(&config, rpc, l1.rollup, &mirrors, silent).await?;
    let end = verifier.run(true, CancellationToken::new()).await?;
    assert!(matches!(end, End::Done(_)), "{end:?}");
    assert!(verifier.replica().head().number >= next);
    same_state(&work_api, &verifier).await?;
    service.stop().await?;

    // What is there is not built again.
    let service = Service::start(settings).await?;
    assert_eq!(Api::new(service.url()).batch(last).await?.hash, before.hash);
    service.stop().await?;
    l1.chain.stop().await
}
