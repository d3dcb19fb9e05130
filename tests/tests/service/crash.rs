//! SIGKILL at any point: what was answered is there, and no batch is posted twice.

use crate::support::{L1, Model, Process, SOLS, until_final};
use anyhow::Result;
use assay_client::accounts;
use assay_client::api::{Hash32, Key32, Outcome};
use assay_client::wallet::Wallet;
use assay_ledger::SOL;
use assay_ledger::header::genesis_hash;
use std::collections::HashSet;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_sigkill_and_no_batch_is_posted_twice() -> Result<()> {
    let l1 = L1::start().await?;
    let mut config = l1.config();
    // Small batches, so that kills hit the poster in all of its steps.
    config.batch.transactions = 300;
    let (publisher, client) = (Wallet::random(), Wallet::random());
    let mut process = Process::start(&l1, &config).await?;
    l1.fund(&process.api, &publisher, SOLS).await?;
    l1.fund(&process.api, &client, SOLS).await?;
    let model = Model::deploy(&l1, &process.api, &publisher).await?;

    let mut answered: Vec<Outcome> = Vec::new();
    let mut nonce = 0;
    for round in 0..4u64 {
        let api = process.api.clone();
        let requests: Vec<_> = (0..2_000)
            .map(|i| l1.sign(&client, nonce + i, model.infer(i)))
            .collect();
        let submit = async {
            let mut outcomes = Vec::new();
            for part in requests.chunks(50) {
                match api.submit(part).await {
                    Ok(some) => outcomes.extend(some),
                    Err(_) => break,
                }
            }
            outcomes
        };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(150 + 250 * round)).await;
            process.kill().await
        };
        let (outcomes, killed) = tokio::join!(submit, kill);
        killed?;
        assert!(outcomes.iter().all(|o| o.accepted), "{outcomes:?}");
        answered.extend(outcomes);
        process = Process::start(&l1, &config).await?;
        for outcome in &answered {
            let found = process.api.transaction(outcome.id).await?;
            assert_eq!(Some(&found.executed), outcome.executed.as_ref());
        }
        let account = process.api.account(Key32(client.key()), Key32(SOL)).await?;
        // What was stored and not answered counts too.
        nonce = account.map_or(0, |a| a.nonce);
        assert!(nonce as usize >= answered.len());
    }
    assert!(
        answered.len() > 100,
        "only {} answered: nothing was tried",
        answered.len()
    );

    // A call that was lost may be made again.
    let last = l1.sign(&client, nonce - 1, model.infer(0));
    let again = process.api.submit(&[last]).await?;
    assert!(again[0].accepted || again[0].error.as_ref().is_some_and(|e| e.code == "nonce"));

    let _ = process.api.close_batch().await;
    let number = process.api.status().await?.building.number - 1;
    until_final(&process.api, number).await?;
    let chain = accounts::chain(l1.sender.rpc(), &l1.rollup).await?;
    assert_eq!(chain.tip_number, number);
    let mut parent = Hash32(genesis_hash(&l1.rollup.to_bytes()));
    let mut places = HashSet::new();
    for n in 1..=number {
        let batch = process.api.batch(n).await?;
        assert_eq!(batch.parent, parent);
        let posts = batch.l1.iter().filter(|t| t.step == "post").count();
        assert!(posts <= 1, "batch {n} was posted {posts} times");
        let slot = chain.slots[n as usize % chain.slots.len()];
        if slot.number == n {
            assert_eq!(slot.hash, batch.hash.0);
        }
        parent = batch.hash;
    }
    for outcome in &answered {
        let executed = outcome.executed.as_ref().unwrap();
        assert!(places.insert((executed.batch, executed.position)));
    }
    process.stop().await?;
    l1.chain.stop().await
}
