//! Disputes that are lost, by a challenger that did not move in time, and that seem to be: L1 took them back.

use crate::disputes::{Watch, chain, lying, rich, rollup, told};
use crate::liar::Liar;
use crate::support::{L1, hex, until};
use crate::verifier::{Work, config};
use anyhow::{Context, Result, ensure};
use assay::dev::cheat::Cheat;
use assay::verifier::config::VerifierConfig;
use assay::verifier::{End, Event, Verifier};
use assay_client::disputes::{self, Of};
use assay_client::http::Api;
use assay_client::instructions::disputes as make;
use assay_client::pda;
use assay_client::rpc::Rpc;
use assay_client::sender::Order;
use assay_client::wallet::Wallet;
use assay_ledger::header::Header;
use serde_json::{Value, json};
use solana_account::Account;
use solana_client::rpc_request::RpcRequest;
use solana_pubkey::Pubkey;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Opens a dispute over the batch of `header`.
async fn open(l1: &L1, key: &Wallet, header: &Header) -> Result<Pubkey> {
    let open = make::open_dispute(&key.address(), 7, header);
    let order = Order::new("open", key.keypair(), vec![open]).units(400_000);
    l1.sender.send(&order).await?;
    Ok(pda::dispute(&l1.rollup, &key.address(), 7))
}

/// Says nothing in a dispute, and loses it.
async fn lose(l1: &L1, dispute: &Pubkey) -> Result<()> {
    let rpc = l1.sender.rpc();
    let found = disputes::get(rpc, dispute).await?.context("it is open")?;
    let deadline = found.game.clocks.deadline(assay_dispute::Side::Challenger);
    until("the clock to run out", || async {
        Ok((rpc.slot().await? > deadline).then_some(()))
    })
    .await?;
    let time_out = make::time_out(&l1.rollup, dispute, &l1.sequencer.address());
    let order = Order::new("time_out", l1.operator.keypair(), vec![time_out]).units(100_000);
    l1.sender.send(&order).await?;
    Ok(())
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
    let dispute = open(&l1, &challenger, &lie).await?;
    lose(&l1, &dispute).await?;
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

/// A node for which what is final stays as it was in the first look, until it tells the truth.
struct Slow {
    node: Liar,
    /// Looks at what is confirmed.
    looks: Arc<AtomicU64>,
}

impl Slow {
    async fn before(l1: &L1) -> Result<Self> {
        let looks: Arc<AtomicU64> = Arc::default();
        let seen = looks.clone();
        let first: Mutex<Option<Value>> = Mutex::default();
        let lie = move |method: &str, asked: &Value, answer: &mut Value| {
            if method != "getProgramAccounts" {
                return;
            }
            if asked[1]["commitment"] != "finalized" {
                seen.fetch_add(1, Ordering::SeqCst);
                return;
            }
            let mut first = first.lock().unwrap();
            answer["value"] = first.get_or_insert(answer["value"].clone()).clone();
        };
        let node = Liar::before(l1.chain.rpc_url(), lie).await?;
        Ok(Self { node, looks })
    }

    /// Waits until a verifier has looked, and has done what follows from it.
    async fn looked(&self) -> Result<()> {
        // A look asks for disputes, and may ask for buffers and demands.
        let enough = self.looks.load(Ordering::SeqCst) + 8;
        until("looks", || async {
            Ok((self.looks.load(Ordering::SeqCst) >= enough).then_some(()))
        })
        .await
    }

    /// What it says now is final, and stays so.
    async fn fix(&self, l1: &L1) -> Result<usize> {
        let rpc = Rpc::new(&self.node.url).finalized();
        let found = disputes::find(&rpc, &l1.rollup, Of::Anybody).await?;
        Ok(found.len())
    }
}

/// Makes an account of the chain what it was.
async fn put_back(l1: &L1, address: &Pubkey, account: &Account) -> Result<()> {
    let method = "surfnet_setAccount";
    let update = json!({
        "lamports": account.lamports, "owner": account.owner.to_string(),
        "data": hex(&account.data),
    });
    let params = json!([address.to_string(), update]);
    let client = l1.sender.rpc().client();
    let _: Value = client.send(RpcRequest::Custom { method }, params).await?;
    Ok(())
}

/// L1 has confirmed the opening of a dispute, and takes the block back.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_l1_rolls_back_is_not_lost() -> Result<()> {
    let l1 = L1::with(rollup(2_000)).await?;
    let rpc = l1.sender.rpc();
    let (service, cheater) = lying(&l1, Cheat::WrongBalance).await?;
    let api = Api::new(service.url());
    let work = Work::start(&l1, &api).await?;
    let lie = told(&cheater, &work).await?;
    let (end, _) = once(&l1, &api, None).await?;
    assert_eq!(end, End::Wrong(lie.number));
    // Nobody answers, so that there is one transaction to be taken back.
    service.stop().await?;
    rich(&l1, "challenger.json").await?;
    let slow = Slow::before(&l1).await?;
    assert_eq!(slow.fix(&l1).await?, 0);
    let ring = pda::chain(&l1.rollup);
    let before = rpc.account(&ring).await?.context("the chain's account")?;
    let url = &slow.node.url;
    let watch = Watch::start(&l1, &api, url, "verifier", "challenger.json").await?;
    let open = || async {
        let found = disputes::find(rpc, &l1.rollup, Of::Anybody).await?;
        Ok(found.first().map(|found| found.address))
    };
    let first = until("the dispute", open).await?;
    slow.looked().await?;

    put_back(&l1, &ring, &before).await?;
    put_back(&l1, &first, &Account::default()).await?;
    assert_eq!(until("the dispute again", open).await?, first);
    // And not once more.
    slow.looked().await?;
    let steps = watch.steps();
    let opened = steps.iter().filter(|step| step.contains("open"));
    assert_eq!(opened.count(), 2, "{steps:?}");
    watch.stop().await?;
    l1.chain.stop().await
}

/// A verdict that L1 may take back is none yet: the verifier neither gives the batch up nor opens another dispute.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_is_not_given_up_before_its_loss_is_final() -> Result<()> {
    let mut parameters = rollup(2_000);
    parameters.params.clock = 30;
    parameters.params.extension = 20;
    let l1 = L1::with(parameters).await?;
    let rpc = l1.sender.rpc();
    let (service, cheater) = lying(&l1, Cheat::WrongBalance).await?;
    let api = Api::new(service.url());
    let work = Work::start(&l1, &api).await?;
    let lie = told(&cheater, &work).await?;
    let (end, _) = once(&l1, &api, None).await?;
    assert_eq!(end, End::Wrong(lie.number));
    service.stop().await?;
    let challenger = rich(&l1, "challenger.json").await?;
    let slow = Slow::before(&l1).await?;
    let dispute = open(&l1, &challenger, &lie).await?;
    assert_eq!(slow.fix(&l1).await?, 1);
    lose(&l1, &dispute).await?;

    let url = &slow.node.url;
    let watch = Watch::start(&l1, &api, url, "verifier", "challenger.json").await?;
    until("the account to be closed", || async {
        Ok((watch.steps() == ["claim_payout + close"]).then_some(()))
    })
    .await?;
    slow.looked().await?;
    assert!(!watch.has_ended());
    slow.node.lies(false);
    assert_eq!(watch.end().await?, End::Wrong(lie.number));
    assert!(
        disputes::find(rpc, &l1.rollup, Of::Anybody)
            .await?
            .is_empty()
    );
    l1.chain.stop().await
}
