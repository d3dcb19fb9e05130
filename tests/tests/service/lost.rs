//! Disputes that are lost: a challenger that did not move in time.

use crate::disputes::{chain, lying, rich, rollup, told};
use crate::support::{L1, until};
use crate::verifier::{Work, config};
use anyhow::{Context, Result, ensure};
use assay::dev::cheat::Cheat;
use assay::verifier::config::VerifierConfig;
use assay::verifier::{End, Event, Verifier};
use assay_client::disputes::{self, Of};
use assay_client::http::Api;
use assay_client::instructions::disputes as make;
use assay_client::pda;
use assay_client::sender::Order;
use assay_ledger::header::Header;
use solana_pubkey::Pubkey;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// What a verifier that ends by itself comes to, and what it did in disputes.
async fn once(l1: &L1, api: &Api, key: Option<PathBuf>) -> Result<(End, Vec<String>)> {
    let config = VerifierConfig {
        keypair: key,
        ..config(l1, "verifier")
    };
    let steps: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = steps.clone();
    let listener = Arc::new(move |event: &Event<'_>| {
        if let Event::Disputed(done) = event {
            told.lock().unwrap().push(done.what.clone());
        }
    });
    let mirrors = [api.url().to_owned()];
    let rpc = l1.chain.rpc_url();
    let mut verifier = Verifier::open(&config, rpc, l1.rollup, &mirrors, listener).await?;
    let running = verifier.run(true, CancellationToken::new());
    let end = tokio::time::timeout(crate::support::PATIENCE, running).await??;
    let steps = steps.lock().unwrap().clone();
    Ok((end, steps))
}

/// Opens a dispute over the batch of `header`, says nothing in it, and loses it.
async fn lose(l1: &L1, key: &assay_client::wallet::Wallet, header: &Header) -> Result<Pubkey> {
    let rpc = l1.sender.rpc();
    let open = make::open_dispute(&key.address(), 7, header);
    let order = Order::new("open", key.keypair(), vec![open]).units(400_000);
    l1.sender.send(&order).await?;
    let dispute = pda::dispute(&l1.rollup, &key.address(), 7);
    let found = disputes::get(rpc, &dispute).await?.context("it is open")?;
    let deadline = found.game.clocks.deadline(assay_dispute::Side::Challenger);
    until("the clock to run out", || async {
        Ok((rpc.slot().await? > deadline).then_some(()))
    })
    .await?;
    let time_out = make::time_out(&l1.rollup, &dispute, &l1.sequencer.address());
    let order = Order::new("time_out", l1.operator.keypair(), vec![time_out]).units(100_000);
    l1.sender.send(&order).await?;
    Ok(dispute)
}

/// Nobody but the other side claims what it has won, and it is gone; then the account is closed for it. And
/// a dispute that was lost is not opened again, by whatever process.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_was_lost_is_closed_and_not_opened_again() -> Result<()> {
    let mut parameters = rollup(2_000);
    parameters.params.clock = 30;
    parameters.params.extension = 20;
    let l1 = L1::with(parameters).await?;
    let rpc = l1.sender.rpc();
    let (service, cheater) = lying(&l1, Cheat::WrongBalance).await?;
    let api = Api::new(service.url());
    let work = Work::start(&l1, &api).await?;
    let lie = told(&cheater, &work).await?;
    // All that it needs it has before the sequencer is gone.
    let (end, steps) = once(&l1, &api, None).await?;
    assert_eq!((end, steps.len()), (End::Wrong(lie.number), 0));
    service.stop().await?;

    let challenger = rich(&l1, "challenger.json").await?;
    let dispute = lose(&l1, &challenger, &lie).await?;
    let lost = disputes::get(rpc, &dispute).await?.context("it is there")?;
    assert_eq!(lost.head.asserter_due, lie.params.dispute_bond);
    let asserter = rpc.balance(&l1.sequencer.address()).await?;
    let before = rpc.balance(&challenger.address()).await?;
    let key = l1.dir.path().join("challenger.json");
    let (end, steps) = once(&l1, &api, Some(key.clone())).await?;
    assert_eq!(end, End::Wrong(lie.number));
    assert_eq!(steps, ["claim_payout + close"]);
    let paid = rpc.balance(&l1.sequencer.address()).await?;
    assert_eq!(paid, asserter + lie.params.dispute_bond);
    let after = rpc.balance(&challenger.address()).await?;
    assert!(after > before, "the rent is back");
    // The next process, which finds no trace of it on L1.
    let (end, steps) = once(&l1, &api, Some(key)).await?;
    assert_eq!((end, steps.len()), (End::Wrong(lie.number), 0));
    assert_eq!(rpc.balance(&challenger.address()).await?, after);
    ensure!(
        disputes::find(rpc, &l1.rollup, Of::Anybody)
            .await?
            .is_empty()
    );
    assert!(chain(&l1).await?.live(lie.number, &lie.hash()).is_some());

    // Somebody else is not held back by it.
    rich(&l1, "other.json").await?;
    let other = l1.dir.path().join("other.json");
    let (end, steps) = once(&l1, &api, Some(other)).await?;
    assert!(matches!(end, End::Done(_)), "{end:?} {steps:?}");
    assert!(chain(&l1).await?.live(lie.number, &lie.hash()).is_none());
    l1.chain.stop().await
}
