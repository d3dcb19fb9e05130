//! A sequencer whose stake backs no batch: it does not begin, or accepts nothing, and defends what is pending.

use crate::challenged::{Liar, headers};
use crate::disputes::{chain, rich, rollup};
use crate::support::{L1, SOLS, until, until_final};
use crate::verifier::Work;
use anyhow::{Context, Result};
use assay::config::Config;
use assay::dev::network::bond;
use assay::service::Service;
use assay_client::api::Outcome;
use assay_client::http::{Api, ApiError};
use assay_client::instructions::settlement as make;
use assay_client::sender::Order;
use assay_client::wallet::Wallet;
use assay_client::{accounts, disputes};
use assay_dispute::game::{Claim, Stage};
use assay_ledger::request::Action;
use solana_instruction::Instruction;

impl L1 {
    /// Has the sequencer's key do something on L1.
    async fn as_sequencer(&self, instruction: Instruction) -> Result<()> {
        let order = Order::new("stake", self.sequencer.keypair(), vec![instruction]);
        self.sender.send(&order).await?;
        Ok(())
    }

    /// Asks for so much of the stake back.
    async fn unbond(&self, lamports: u64) -> Result<()> {
        let key = self.sequencer.address();
        let request = make::request_unbond(&self.rollup, &key, lamports);
        self.as_sequencer(request).await
    }

    async fn transfer(&self, api: &Api, from: &Wallet, nonce: u64) -> Result<Outcome, ApiError> {
        let action = Action::Transfer {
            to: [9; 32],
            amount: 1,
        };
        let request = self.sign(from, nonce, action);
        Ok(api.submit(&[request]).await?.remove(0))
    }
}

/// Why `api` accepts nothing, as soon as it does not.
async fn refuses(api: &Api) -> Result<String> {
    until("requests to be refused", || async {
        Ok(api.status().await?.not_accepting)
    })
    .await
}

async fn accepts(api: &Api) -> Result<()> {
    until("requests to be accepted", || async {
        Ok(api.status().await?.not_accepting.is_none().then_some(()))
    })
    .await
}

async fn get(api: &Api, path: &str) -> Result<(u16, String)> {
    let answer = reqwest::get(format!("{}{path}", api.url())).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Every way of asking says that nothing is accepted, and why.
async fn says(api: &Api, sent: Result<Outcome, ApiError>, why: &str) -> Result<()> {
    match sent {
        Err(ApiError::Refused {
            status,
            code,
            message,
        }) => {
            assert_eq!((status, code.as_str()), (503, "not_accepting"));
            assert!(message.contains(why), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let (status, text) = get(api, "/health").await?;
    assert_eq!(status, 503);
    assert!(text.contains(why), "{text}");
    let (_, metrics) = get(api, "/metrics").await?;
    assert!(metrics.contains("assay_accepting 0"), "{metrics}");
    Ok(())
}

async fn does_not_start(config: &Config) -> String {
    match Service::start(config.clone()).await {
        Ok(_) => panic!("it starts"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stake_nothing_is_accepted_until_it_is_back() -> Result<()> {
    let l1 = L1::start().await?;
    let mut stranger = l1.config();
    stranger.keypair = l1.dir.path().join("stranger.json");
    rich(&l1, "stranger.json").await?;
    let error = does_not_start(&stranger).await;
    assert!(
        error.contains("assay init ID --no-rollup --bond SOL"),
        "{error}"
    );
    assert!(!stranger.data_dir.exists(), "it has begun with a folder");

    let service = Service::start(l1.config()).await?;
    let api = Api::new(service.url());
    let client = Wallet::random();
    l1.fund(&api, &client, SOLS).await?;
    assert!(l1.transfer(&api, &client, 0).await?.accepted);
    assert_eq!(get(&api, "/health").await?, (200, "ok".into()));
    // All that is left is less than a slice.
    l1.unbond(99 * SOLS + 1).await?;
    let why = refuses(&api).await?;
    assert!(why.contains("assay bond add SOL"), "{why}");
    says(&api, l1.transfer(&api, &client, 1).await, &why).await?;
    l1.unbond(99 * SOLS).await?;
    accepts(&api).await?;
    assert!(l1.transfer(&api, &client, 1).await?.accepted);
    let (_, metrics) = get(&api, "/metrics").await?;
    assert!(metrics.contains("assay_accepting 1"), "{metrics}");

    // Everything is withdrawn, and at last the account is closed, while it runs.
    let _ = api.close_batch().await;
    until_final(&api, api.status().await?.building.number - 1).await?;
    let (rpc, key) = (l1.sender.rpc(), l1.sequencer.address());
    l1.unbond(100 * SOLS).await?;
    let stake = accounts::sequencer(rpc, &l1.rollup, &key).await?;
    l1.skip_to(stake.context("the stake")?.unbond_slot).await?;
    l1.as_sequencer(make::withdraw_bond(&l1.rollup, &key))
        .await?;
    assert!(refuses(&api).await?.contains("0 lamports"));
    let none = does_not_start(&Config {
        data_dir: l1.dir.path().join("other"),
        ..l1.config()
    })
    .await;
    assert!(none.contains("assay bond add SOL"), "{none}");
    let earned = accounts::sequencer(rpc, &l1.rollup, &key).await?;
    if earned.context("the account")?.earned > 0 {
        l1.as_sequencer(make::claim_fees(&l1.rollup, &key)).await?;
    }
    l1.as_sequencer(make::close_sequencer(&l1.rollup, &key))
        .await?;
    until("its account to be missed", || async {
        let why = api.status().await?.not_accepting;
        Ok(why.filter(|why| why.contains("assay init")))
    })
    .await?;
    let why = refuses(&api).await?;
    says(&api, l1.transfer(&api, &client, 2).await, &why).await?;

    bond(
        &l1.sender,
        &l1.operator,
        &l1.sequencer,
        &l1.rollup,
        5 * SOLS,
    )
    .await?;
    accepts(&api).await?;
    let outcome = l1.transfer(&api, &client, 2).await?;
    let executed = outcome.executed.context("accepted")?;
    let _ = api.close_batch().await;
    until_final(&api, executed.batch).await?;
    service.stop().await?;
    l1.chain.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_batches_are_defended_without_a_stake_for_more() -> Result<()> {
    let l1 = L1::with(rollup(800)).await?;
    let mut service = Service::start(l1.config()).await?;
    let mut api = Api::new(service.url());
    let mut work = Work::start(&l1, &api).await?;
    let number = work.batch(20).await?;
    let header = until("the batch", || async {
        let chain = chain(&l1).await?;
        let posted = headers(&l1, &chain).await?;
        Ok(posted.into_iter().find(|h| h.number == number))
    })
    .await?;
    l1.unbond(100 * SOLS).await?;
    let why = refuses(&api).await?;

    // It starts again, as there is something to defend, and accepts nothing from the first moment on.
    service.stop().await?;
    service = Service::start(l1.config()).await?;
    api = Api::new(service.url());
    let client = Wallet::random();
    says(&api, l1.transfer(&api, &client, 0).await, &why).await?;
    let key = rich(&l1, "liar.json").await?;
    let claims = vec![Claim::Transactions, Claim::Execution];
    let mut liar = Liar {
        l1: &l1,
        key,
        claims,
        child: 0,
    };
    let dispute = liar.open(0, &header).await?;
    let end = liar.play(&dispute, &l1.sequencer.address()).await?;
    assert!(matches!(end, Stage::Element(..)), "{end:?}");
    let found = disputes::get(l1.sender.rpc(), &dispute).await?;
    assert!(found.is_some_and(|found| found.head.hash == header.hash()));

    l1.unbond(0).await?;
    accepts(&api).await?;
    work.api = api.clone();
    work.batch(3).await?;
    service.stop().await?;
    l1.chain.stop().await
}
