//! Disputes and demands where a transaction is small and slots are as long as mainnet's.

use crate::disputes::{Watch, cleaned, honest_again, lying, reverted, rich, rollup, told};
use crate::support::L1;
use crate::verifier::Work;
use anyhow::{Context, Result};
use assay::config::TxVersion;
use assay::dev::cheat::Cheat;
use assay_client::http::Api;
use assay_client::wire;
use solana_pubkey::Pubkey;
use std::time::Duration;

/// The most bytes of a legacy transaction.
const LEGACY: usize = 1_232;

/// The bytes of each transaction of a dispute.
async fn sizes(l1: &L1, dispute: &Pubkey) -> Result<Vec<usize>> {
    let rpc = l1.sender.rpc();
    let mut sizes = Vec::new();
    for entry in rpc.client().get_signatures_for_address(dispute).await? {
        let found = rpc.transaction(&entry.signature.parse()?).await?;
        let decoded = found.and_then(|t| t.transaction.transaction.decode());
        sizes.push(wire::bytes_of(&decoded.context("a transaction")?.message));
    }
    Ok(sizes)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_a_legacy_transaction_goes_through_buffers() -> Result<()> {
    let mut l1 = L1::at(rollup(2_000), Duration::from_millis(400)).await?;
    l1.transactions = TxVersion::Legacy;
    let challenger = rich(&l1, "challenger.json").await?;
    let (mut service, mut cheater) = lying(&l1, Cheat::WrongOutput).await?;
    let mut work = Work::start(&l1, &Api::new(service.url())).await?;
    let rpc = l1.chain.rpc_url().to_owned();
    let api = work.api.clone();
    let mut watch = Watch::start(&l1, &api, &rpc, "verifier", "challenger.json").await?;
    for cheat in [Cheat::WrongOutput, Cheat::WrongBalance] {
        if cheat != Cheat::WrongOutput {
            service.stop().await?;
            (service, cheater) = lying(&l1, cheat).await?;
            work.api = Api::new(service.url());
        }
        let lie = told(&cheater, &work).await?;
        reverted(&l1, &lie).await?;
        honest_again(&l1, &mut watch, &lie).await?;
        cleaned(&l1, &challenger).await?;
        let (steps, dispute) = watch.take();
        // A proof about an element may be short; one about the state never is.
        if cheat == Cheat::WrongBalance {
            for what in ["buffer", "write"] {
                assert!(steps.iter().any(|step| step == what), "{cheat}: {steps:?}");
            }
        }
        let sizes = sizes(&l1, &dispute.context("a dispute")?).await?;
        println!("{cheat}: {steps:?}, transactions of {sizes:?} bytes");
        assert!(sizes.iter().all(|bytes| *bytes <= LEGACY), "{sizes:?}");
    }
    watch.stop().await?;
    service.stop().await?;
    l1.chain.stop().await
}
