//! A node that dies in mid-batch and comes back: batches are late, and nothing is lost.

use crate::support::{L1, Process, SOLS, first_chunks, until, until_final};
use crate::wire::Wire;
use anyhow::{Context, Result};
use assay::dev::network::dev_rollup;
use assay_client::accounts;
use assay_client::api::{BatchStatus, Key32};
use assay_client::wallet::Wallet;
use assay_ledger::SOL;
use assay_ledger::request::Action;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_in_mid_batch_and_comes_back_loses_nothing() -> Result<()> {
    let l1 = L1::start().await?;
    let wire = Wire::to(l1.chain.rpc_url()).await?;
    let mut config = l1.config();
    config.rpc_url = wire.url.clone();
    config.batch.age_ms = 600_000;
    config.l1.in_flight = 2;
    let process = Process::start(&l1, &config).await?;
    let api = &process.api;
    let client = Wallet::random();
    l1.fund(api, &client, SOLS).await?;
    let first = api.status().await?.building.number;
    let transfers: Vec<_> = (0..1_000)
        .map(|i| {
            let to = [(i % 200) as u8 + 1; 32];
            l1.sign(&client, i, Action::Transfer { to, amount: 1 })
        })
        .collect();
    let outcomes = api.submit(&transfers).await?;
    assert!(outcomes.iter().all(|o| o.accepted));
    api.close_batch().await?;
    first_chunks(api, first).await?;
    wire.cut();
    // The service serves and fills the next batch meanwhile.
    let during = l1.sign(
        &client,
        1_000,
        Action::Transfer {
            to: [7; 32],
            amount: 5,
        },
    );
    assert!(api.submit(&[during]).await?[0].accepted);
    api.close_batch().await?;
    until("the poster to notice", || async {
        let metrics = reqwest_text(api.url(), "/metrics").await?;
        let retries = metrics
            .lines()
            .find_map(|l| l.strip_prefix("assay_l1_retries_total "))
            .and_then(|n| n.parse::<u64>().ok());
        Ok((retries > Some(0)).then_some(()))
    })
    .await?;
    assert_eq!(api.batch(first).await?.status, BatchStatus::Closed);
    wire.mend();
    let batch = until_final(api, first).await?;
    until_final(api, first + 1).await?;
    assert_eq!(batch.l1.iter().filter(|t| t.step == "post").count(), 1);
    let chain = accounts::chain(l1.sender.rpc(), &l1.rollup).await?;
    assert_eq!(chain.tip_number, first + 1);
    let account = api.account(Key32(client.key()), Key32(SOL)).await?.unwrap();
    assert_eq!((account.nonce, account.balance), (1_001, SOLS - 1_005));
    // The data account is closed: its rent is back.
    let data = assay_client::pda::batch_data(&l1.sequencer.address(), first);
    assert!(l1.sender.rpc().account(&data).await?.is_none());
    process.stop().await?;
    l1.chain.stop().await
}

/// An outage so long that what was sent to the inbox meanwhile is overdue: L1 takes the batches that
/// were closed before no more.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_l1_takes_no_more_are_built_again() -> Result<()> {
    let mut rollup = dev_rollup();
    rollup.inbox_grace = 60;
    let l1 = L1::with(rollup).await?;
    let wire = Wire::to(l1.chain.rpc_url()).await?;
    let mut config = l1.config();
    config.rpc_url = wire.url.clone();
    config.batch.age_ms = 600_000;
    config.l1.in_flight = 2;
    let process = Process::start(&l1, &config).await?;
    let api = &process.api;
    let (client, other) = (Wallet::random(), Wallet::random());
    l1.fund(api, &client, SOLS).await?;
    let first = api.status().await?.building.number;
    let transfers = |from: u64, count: u64| -> Vec<_> {
        (from..from + count)
            .map(|i| {
                let to = [(i % 200) as u8 + 1; 32];
                l1.sign(&client, i, Action::Transfer { to, amount: 1 })
            })
            .collect()
    };
    let mut told = api.submit(&transfers(0, 1_000)).await?;
    api.close_batch().await?;
    // Its data is there in part, which will be other data.
    first_chunks(api, first).await?;
    wire.cut();
    told.extend(api.submit(&transfers(1_000, 50)).await?);
    api.close_batch().await?;
    told.extend(api.submit(&transfers(1_050, 50)).await?);
    assert!(told.iter().all(|outcome| outcome.accepted));
    let unposted = api.batch(first).await?;
    for _ in 0..3 {
        l1.deposit(&other, SOLS).await?;
    }
    l1.overdue(4, rollup.inbox_grace).await?;
    wire.mend();

    let batch = until_final(api, first).await?;
    assert_ne!(batch.hash, unposted.hash);
    assert_eq!(batch.tx_count, unposted.tx_count + 3);
    api.close_batch().await?;
    until_final(api, first + 2).await?;
    let chain = accounts::chain(l1.sender.rpc(), &l1.rollup).await?;
    assert_eq!(chain.tip_number, first + 2);
    let slot = |number: u64| chain.slots[number as usize % chain.slots.len()];
    assert_eq!(slot(first).hash, batch.hash.0);
    assert_eq!(slot(first).inbox_cursor, 4);
    for outcome in &told {
        let found = api.transaction(outcome.id).await?;
        let then = outcome.executed.as_ref().context("accepted")?;
        assert_eq!(
            (found.executed.status, found.executed.batch),
            (0, then.batch)
        );
    }
    let metrics = reqwest_text(api.url(), "/metrics").await?;
    assert!(metrics.contains("assay_rebuilds_total 1"), "{metrics}");
    let account = api.account(Key32(other.key()), Key32(SOL)).await?.unwrap();
    assert_eq!(account.balance, 3 * SOLS);
    let account = api.account(Key32(client.key()), Key32(SOL)).await?.unwrap();
    assert_eq!((account.nonce, account.balance), (1_100, SOLS - 1_100));
    process.stop().await?;
    l1.chain.stop().await
}

async fn reqwest_text(url: &str, path: &str) -> Result<String> {
    Ok(reqwest::get(format!("{url}{path}")).await?.text().await?)
}
