//! Two processes of one key with two data folders: one at a time is at work.

use crate::support::{L1, Process, SOLS, until};
use anyhow::Result;
use assay::config::Config;
use assay::service::Service;
use assay_client::wallet::Wallet;

/// Longer than any lease runs.
const HOUR: i64 = 3_600;

/// Why a sequencer with this configuration does not start.
async fn refused(config: &Config) -> String {
    match Service::start(config.clone()).await {
        Ok(_) => panic!("a second process starts"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_does_not_begin_while_the_first_is_at_work() -> Result<()> {
    let l1 = L1::start().await?;
    let config = l1.config();
    let other = Config {
        data_dir: l1.dir.path().join("other"),
        ..config.clone()
    };
    let first = Process::start(&l1, &config).await?;
    let instance = first.api.status().await?.instance;
    let error = refused(&other).await;
    assert!(error.contains(&instance), "{error}");
    assert!(error.contains("--take-over"), "{error}");
    assert!(!other.data_dir.join("blobs").exists(), "it has begun");

    // Killed, it comes back at once where it was; another place has to wait.
    first.kill().await?;
    let error = refused(&other).await;
    assert!(error.contains(&instance), "{error}");
    let first = Process::start(&l1, &config).await?;
    assert_eq!(first.api.status().await?.instance, instance);
    first.kill().await?;
    l1.travel(HOUR).await?;
    let second = Service::start(other.clone()).await?;
    let error = refused(&config).await;
    assert!(!error.contains(&instance), "{error}");

    // Stopped, it gives its place up.
    second.stop().await?;
    let first = Process::start(&l1, &config).await?;
    first.stop().await?;
    let second = Service::start(other).await?;
    second.stop().await?;
    l1.chain.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_taken_over_ends() -> Result<()> {
    let l1 = L1::start().await?;
    let config = l1.config();
    let first = Process::start(&l1, &config).await?;
    let client = Wallet::random();
    l1.fund(&first.api, &client, SOLS).await?;
    until("its batches on L1", || async {
        let status = first.api.status().await?;
        let all = status.building.transactions == 0 && status.tip + 1 == status.building.number;
        Ok(all.then_some(()))
    })
    .await?;
    let other = Config {
        data_dir: l1.dir.path().join("other"),
        take_over: true,
        ..config
    };
    let second = Service::start(other).await?;
    let log = first.fails().await?;
    assert!(
        log.contains("another process sequences with this key"),
        "{log}"
    );
    let api = assay_client::http::Api::new(second.url());
    let status = api.status().await?;
    assert!(log.contains(&status.instance), "{log}");
    assert_eq!(status.not_accepting, None);
    second.stop().await?;
    l1.chain.stop().await
}
