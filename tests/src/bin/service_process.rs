//! A sequencer in a process of its own, for tests that kill it: `service_process CONFIG.json`.
//! It prints the API's address when it serves, and ends when its standard input does.

use anyhow::{Context, Result};
use assay::config::Config;
use assay::service::Service;
use std::io::Read;

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let path = std::env::args()
        .nth(1)
        .context("usage: service_process CONFIG.json")?;
    let config: Config = serde_json::from_slice(&std::fs::read(path)?)?;
    let service = Service::start(config).await?;
    println!("{}", service.url());
    // A thread that reads standard input cannot be interrupted: it is none of the runtime's.
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = end.send(());
    });
    service
        .run_until(async {
            let _ = ended.await;
        })
        .await
}
