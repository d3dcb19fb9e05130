//! A verifier among transactions of strangers: they hide no wrong batch from it.

use crate::disputes::{Watch, World, bond, cleaned, honest_again, reverted, told};
use crate::support::until;
use crate::verifier::Work;
use anyhow::{Result, ensure};
use assay::bench::junk::stand_in::{Limits, StandIn};
use assay::dev::cheat::Cheat;
use assay_client::disputes::{Of, find};
use assay_client::{accounts, pda};
use std::time::Duration;

/// Transactions for each account: two pages of a node's list.
const JUNK: u32 = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_disputes_a_wrong_batch_among_junk() -> Result<()> {
    let world = World::start(Cheat::WrongBalance).await?;
    let World {
        l1, api, cheater, ..
    } = &world;
    let work = Work::start(l1, api).await?;
    let limits = Limits {
        latency: Duration::from_millis(1),
        calls_per_second: 400,
    };
    let node = StandIn::start(l1.chain.rpc_url(), limits).await?;
    let mut watch = Watch::start(l1, api, node.url(), "verifier", "challenger.json").await?;
    let number = api.status().await?.building.number;
    // Or the sequencer might lie in one before.
    until("the batches before it on L1", || async {
        let chain = accounts::chain(l1.sender.rpc(), &l1.rollup).await?;
        Ok((chain.tip_number + 1 >= number).then_some(()))
    })
    .await?;
    let data = pda::batch_data(&l1.sequencer.address(), number);
    node.attack(&pda::chain(&l1.rollup), JUNK, 1).await?;
    node.attack(&data, JUNK, 2).await?;
    node.attack(&pda::inbox_page(&l1.rollup, 0), JUNK, 1)
        .await?;
    node.ready().await?;
    let staked = bond(l1).await?;
    let lie = told(cheater, &work).await?;
    ensure!(
        lie.number == number,
        "another batch is wrong: {}",
        lie.number
    );
    node.end().await?;
    let key = world.challenger.address();
    until("the dispute", || async {
        let found = find(l1.sender.rpc(), &l1.rollup, Of::Challenger(key)).await?;
        Ok((!found.is_empty()).then_some(()))
    })
    .await?;
    // It has met the junk.
    assert!(node.served() > u64::from(JUNK) / 2, "{}", node.served());
    reverted(l1, &lie).await?;
    honest_again(l1, &mut watch, &lie).await?;
    cleaned(l1, &world.challenger).await?;
    assert_eq!(bond(l1).await?, staked - lie.params.bond_slice);
    watch.stop().await?;
    world.stop().await
}
