//! Demands for what a batch's deployment names, answered by the sequencer itself.

use crate::support::{L1, SOLS, until};
use crate::verifier::{Work, config};
use anyhow::{Context, Result};
use assay::config::TxVersion;
use assay::dev::network::dev_rollup;
use assay::dispute::cases::knowledge;
use assay::service::Service;
use assay::verifier::Verifier;
use assay_client::accounts;
use assay_client::api::Hash32;
use assay_client::deploy::airdrop;
use assay_client::http::Api;
use assay_client::instructions::demands as make;
use assay_client::pda;
use assay_client::sender::Order;
use assay_client::wallet::Wallet;
use assay_dispute::demand::{Blob, Named, Pieces};
use assay_ledger::header::Header;
use assay_ledger::transaction::Transaction;
use assay_tensor::merkle;
use settlement::state::Demand;
use solana_pubkey::Pubkey;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The batch with the first deployment, and where that is in it.
fn deployment(verifier: &Verifier) -> Result<(Header, Named)> {
    let store = verifier.replica().store();
    for number in 1..=verifier.replica().head().number {
        let header = store.batch(number)?.context("a batch")?.header;
        // No model is callable before the batch after its deployment.
        let known = knowledge(store, &header, |_| Vec::new())?;
        let found = known.transactions().iter().zip(known.results());
        let found = (0u32..).zip(found);
        let mut found = found.filter(|(_, (tx, _))| matches!(tx, Transaction::Deploy { .. }));
        if let Some((index, (transaction, result))) = found.next() {
            let named = Named {
                index,
                transaction: transaction.clone(),
                result: *result,
                path: merkle::path(known.leaves(), index.into()).context("a leaf")?,
                updated: None,
            };
            return Ok((header, named));
        }
    }
    anyhow::bail!("nothing was deployed")
}

/// What a sequencer has to say fits legacy transactions through buffers, and version-1 ones at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_sequencer_answers_what_is_demanded_of_its_models() -> Result<()> {
    let mut rollup = dev_rollup();
    rollup.params.window = 9_000;
    rollup.unbond_delay = 18_000;
    let l1 = L1::with(rollup).await?;
    let mut settings = l1.config();
    settings.l1.transactions = TxVersion::Legacy;
    let service = Service::start(settings.clone()).await?;
    let api = Api::new(service.url());
    Work::start(&l1, &api).await?;
    // What was deployed is callable from the batch after it on: that one is closed, and on its way.
    let closed = api.status().await?.building.number;
    until("the batches on L1", || async {
        let chain = accounts::chain(l1.sender.rpc(), &l1.rollup).await?;
        Ok((chain.tip_number + 1 >= closed).then_some(()))
    })
    .await?;
    let rpc = l1.chain.rpc_url().to_owned();
    let mirrors = [service.url()];
    let silent = Arc::new(|_: &assay::verifier::Event<'_>| {});
    let config = config(&l1, "verifier");
    let mut verifier = Verifier::open(&config, &rpc, l1.rollup, &mirrors, silent).await?;
    verifier.run(true, CancellationToken::new()).await?;
    let (header, named) = deployment(&verifier)?;

    let demander = Wallet::random();
    airdrop(l1.sender.rpc(), &demander.address(), 10 * SOLS).await?;
    let key = demander.address();
    let opened = async |id: u64, of: Blob, first: u64, count: u8| {
        let pieces = Pieces { of, first, count };
        let open = make::open_demand(&key, id, &header, pieces, &named);
        let order = Order::new("demand", demander.keypair(), vec![open]).units(400_000);
        l1.sender.send(&order).await?;
        Ok::<_, anyhow::Error>(pda::demand(&l1.rollup, &key, id))
    };
    let answered = async |address: &Pubkey| {
        let answered: Demand = until("the answers", || async {
            let demand: Option<Demand> = l1.sender.rpc().anchor(address, "demand").await?;
            Ok(demand.filter(|demand| demand.over))
        })
        .await?;
        assert_eq!(answered.left, 0);
        Ok::<_, anyhow::Error>(answered)
    };
    let demand = async |id: u64, of: Blob, first: u64, count: u8| {
        answered(&opened(id, of, first, count).await?).await
    };
    let paid = demand(0, Blob::Chunks { parameter: 0 }, 0, 3).await?;
    assert!(paid.fee > 0);
    // Past the end of a parameter there is nothing, and that is said.
    demand(1, Blob::Chunks { parameter: 0 }, 1 << 40, 2).await?;
    demand(2, Blob::Operators, 0, 2).await?;
    service.stop().await?;
    settings.l1.transactions = TxVersion::V1;
    let service = Service::start(settings.clone()).await?;
    // What cannot be answered does not stop the rest, whichever comes first.
    let rpc = l1.sender.rpc();
    let Transaction::Deploy {
        parameters_root, ..
    } = &named.transaction
    else {
        anyhow::bail!("a deployment");
    };
    let file = Hash32(*parameters_root).to_string();
    let blob = settings.data_dir.join("blobs").join(file);
    let aside = l1.dir.path().join("aside");
    std::fs::rename(&blob, &aside)?;
    let mut unanswered = Vec::new();
    for id in 10..14 {
        unanswered.push(opened(id, Blob::Chunks { parameter: 0 }, 0, 2).await?);
    }
    for id in 14..18 {
        demand(id, Blob::Operators, 1, 2).await?;
    }
    for address in &unanswered {
        let open: Demand = rpc
            .anchor(address, "demand")
            .await?
            .context("it is there")?;
        assert_eq!(open.left, 3);
    }
    std::fs::rename(&aside, &blob)?;
    for address in &unanswered {
        answered(address).await?;
    }
    demand(3, Blob::Chunks { parameter: 0 }, 0, 2).await?;
    demand(4, Blob::Inputs, 0, 1).await?;
    demand(5, Blob::Outputs, 0, 1).await?;
    demand(6, Blob::Parameters, 0, 1).await?;
    service.stop().await?;
    l1.chain.stop().await
}
