//! A verifier that begins at a final batch: with the state that somebody gives, if it is L1's.

use crate::support::{L1, until_final};
use crate::verifier::{Work, config, same_state};
use anyhow::{Context, Result, bail};
use assay::service::Service;
use assay::verifier::config::VerifierConfig;
use assay::verifier::{End, Event, Verifier};
use assay_client::http::Api;
use assay_ledger::snapshot::Snapshot;
use axum::{Router, routing};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// An API that gives these bytes, whatever it is asked for.
async fn giving(bytes: Vec<u8>) -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let give = move || async move { bytes.clone() };
    let router = Router::new().fallback(routing::get(give));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// The verifier, and the numbers of the batches that it does again.
async fn open(
    l1: &L1,
    config: &VerifierConfig,
    mirrors: &[String],
) -> Result<(Verifier, Arc<Mutex<Vec<u64>>>)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let listener = move |event: &Event<'_>| match event {
        Event::Right(right, _) => told.lock().unwrap().push(right.header.number),
        other => panic!("{other:?}"),
    };
    let rpc = l1.chain.rpc_url();
    let verifier = Verifier::open(config, rpc, l1.rollup, mirrors, Arc::new(listener)).await?;
    Ok((verifier, seen))
}

async fn once(verifier: &mut Verifier) -> Result<()> {
    match verifier.run(true, CancellationToken::new()).await? {
        End::Done(_) => Ok(()),
        End::Wrong(number) => bail!("batch {number} is wrong"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_begins_at_a_final_batch_with_the_state_that_l1_names() -> Result<()> {
    let l1 = L1::start().await?;
    let service = Service::start(l1.config()).await?;
    let api = Api::new(service.url());
    let from_final = |dir: &str| VerifierConfig {
        from_final: true,
        ..config(&l1, dir)
    };

    // As long as no batch is final, that is genesis.
    let (verifier, _) = open(&l1, &from_final("early"), &[service.url()]).await?;
    assert_eq!(verifier.replica().head().number, 0);
    drop(verifier);

    let work = Work::start(&l1, &api).await?;
    work.messages().await?;
    let last = work.batch(20).await?;
    until_final(&api, last).await?;

    // A state with a lamport more, under the true header; the same under a header that names it; and rubbish.
    let true_one = Snapshot::decode(&api.snapshot(|_| true).await?)?;
    let mut richer = true_one.clone();
    richer.accounts[1].balance += 1;
    let mut named = richer.clone();
    let mut state = true_one.state()?;
    state.start_batch();
    named.header.state = state.components();
    named.accounts = true_one.accounts.clone();
    // And one that hides what its models take.
    let mut hiding = true_one.clone();
    hiding.programs.clear();
    let liars = [
        giving(hiding.encode()).await?,
        giving(richer.encode()).await?,
        giving(named.encode()).await?,
        giving(b"no state".to_vec()).await?,
    ];
    for liar in &liars {
        let alone = open(&l1, &from_final("lied-to"), std::slice::from_ref(liar)).await;
        let error = format!("{:#}", alone.err().context("a lie is taken")?);
        assert!(
            error.contains("nobody gives the state after a final batch"),
            "{error}"
        );
        assert!(error.contains(liar.as_str()), "{error}");
    }

    // The next source is asked. What was lied about has left nothing behind.
    let mirrors = [&liars[..], &[service.url()][..]].concat();
    let config = from_final("lied-to");
    let (mut verifier, seen) = open(&l1, &config, &mirrors).await?;
    let begun = verifier.replica().head();
    assert!(begun.number >= last, "{begun:?}");
    let next = work.batch(7).await?;
    until_final(&api, next).await?;
    once(&mut verifier).await?;
    let head = verifier.replica().head().number;
    assert!(head >= next);
    let done = seen.lock().unwrap().clone();
    assert_eq!(done, (begun.number + 1..=head).collect::<Vec<_>>());
    same_state(&api, &verifier).await?;
    // The program was deployed before, and could be demanded.
    let program = work.model.imported.program.header();
    let known = verifier.replica().store().program_header(&program.root())?;
    assert_eq!(known, Some(program));
    drop(verifier);

    // It goes on where it was, and does not begin again.
    let next = work.batch(2).await?;
    until_final(&api, next).await?;
    let (mut verifier, seen) = open(&l1, &config, &mirrors).await?;
    assert_eq!(verifier.replica().head().number, head);
    once(&mut verifier).await?;
    assert_eq!(seen.lock().unwrap().first(), Some(&(head + 1)));
    same_state(&api, &verifier).await?;
    drop(verifier);
    service.stop().await?;
    l1.chain.stop().await
}
