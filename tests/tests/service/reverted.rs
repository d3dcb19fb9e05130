//! A batch that L1 has reverted is not posted again as if nothing had happened: what was the cause would
//! take a slice of the bond each time.

use crate::challenged::headers;
use crate::disputes::{chain, reverted, rich, rollup};
use crate::support::{L1, SOLS, until};
use anyhow::{Context, Result};
use assay::service::Service;
use assay_client::disputes;
use assay_client::http::Api;
use assay_client::instructions::disputes as make;
use assay_client::pda;
use assay_client::sender::Order;
use assay_client::wallet::Wallet;
use assay_dispute::game::{Claim, Move};

#[tokio::test(flavor = "multi_thread")]
async fn a_reverted_batch_is_held_back_until_its_operator_says_otherwise() -> Result<()> {
    let l1 = L1::with(rollup(160)).await?;
    let mut settings = l1.config();
    let service = Service::start(settings.clone()).await?;
    l1.fund(&Api::new(service.url()), &Wallet::random(), SOLS)
        .await?;
    let header = until("a batch on L1", || async {
        let chain = chain(&l1).await?;
        Ok(headers(&l1, &chain).await?.into_iter().next())
    })
    .await?;

    // It is right, but nobody is there to say so.
    service.stop().await?;
    let liar = rich(&l1, "liar.json").await?;
    let (key, sequencer) = (liar.address(), l1.sequencer.address());
    let dispute = pda::dispute(&l1.rollup, &key, 0);
    let send = async |instruction| {
        let order = Order::new("liar", liar.keypair(), vec![instruction]).units(400_000);
        l1.sender.send(&order).await
    };
    send(make::open_dispute(&key, 0, &header)).await?;
    let opened = disputes::get(l1.sender.rpc(), &dispute).await?;
    let state = opened.context("the dispute")?.state;
    let claim = Move::Claim(Claim::Transactions);
    send(make::play(&l1.rollup, &dispute, &key, state, &claim)).await?;
    until("the time-out", || async {
        let ended = send(make::time_out(&l1.rollup, &dispute, &sequencer)).await;
        Ok(ended.is_ok().then_some(()))
    })
    .await?;
    reverted(&l1, &header).await?;

    let service = Service::start(settings.clone()).await?;
    let metrics = format!("{}/metrics", service.url());
    let held = format!("assay_held_batch {}", header.number);
    until("the batch to be held back", || async {
        let text = reqwest::get(&metrics).await?.text().await?;
        Ok(text.contains(&held).then_some(()))
    })
    .await?;
    assert!(
        chain(&l1)
            .await?
            .live(header.number, &header.hash())
            .is_none()
    );
    service.stop().await?;

    settings.l1.repost = true;
    let service = Service::start(settings).await?;
    until("the batch on L1 again", || async {
        let live = chain(&l1)
            .await?
            .live(header.number, &header.hash())
            .is_some();
        Ok(live.then_some(()))
    })
    .await?;
    service.stop().await?;
    l1.chain.stop().await
}
