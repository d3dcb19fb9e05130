//! A sequencer's state, built again from L1: where the data directory is new, or older than L1, because a disk was
//! lost. What was answered and is in no batch on L1 is lost with it, and so are the outputs' bytes of what was run.

use crate::config::Config;
use crate::l1::error::Severity;
use crate::l1::pace::Pace;
use crate::l1::{Heads, L1};
use crate::replica::error::ReplicaError;
use crate::replica::fetch::Fetcher;
use crate::replica::mirrors::Mirrors;
use crate::replica::runs::{Caps, Models};
use crate::replica::{Fetched, Outcome, Patience, Replica};
use crate::store::Store;
use crate::store::blobs::Blobs;
use anyhow::{Context, Result, bail};
use std::sync::Arc;

/// Does the batches of L1 again that the data directory, whose `store` is given, lacks, if it lacks some. It may be interrupted at any
/// time, and goes on where it was.
pub async fn recover(config: &Config, l1: &L1, heads: &Heads, store: Store) -> Result<()> {
    let (ours, building) = match store.progress()? {
        Some(progress) => (progress.number.saturating_sub(1), progress.transactions),
        None => (0, 0),
    };
    // With transactions that L1 does not have, or batches that are others there, somebody must see to it.
    if ours >= heads.tip || building != 0 || is_another(&store, l1, ours).await? {
        return Ok(());
    }
    tracing::warn!(
        ours,
        tip = heads.tip,
        "this data directory lacks batches that are on L1: they are done again, from L1"
    );
    let blobs = Blobs::open(&config.data_dir).context("cannot make the directory of blobs")?;
    let mirrors = Mirrors::new(&config.blobs);
    // What it has run, it has to run again.
    let caps = Caps {
        memory: u64::MAX,
        ..Caps::default()
    };
    let fetcher = Fetcher::new(mirrors.clone(), blobs.clone(), caps.memory);
    let models = Models::start(config.executor, blobs, mirrors, None, caps)?;
    let (rpc, dir) = (l1.rpc().clone(), &config.data_dir);
    let mut replica = Replica::open(rpc, l1.rollup, Arc::new(store), dir)?.with_records();
    let mut pace = Pace::new(config.l1.poll());
    let mut news = fetcher.news();
    loop {
        news.mark_unchanged();
        match catch_up(&mut replica, &models, &fetcher).await {
            Ok(()) => return Ok(()),
            Err(Trouble::Replica(error)) if error.severity() != Severity::Critical => {
                tracing::warn!(%error, "building the state from L1: trying again");
                tokio::select! {
                    () = tokio::time::sleep(pace.failed()) => {}
                    _ = news.changed() => {}
                }
            }
            Err(error) => bail!(error),
        }
    }
}

/// Whether L1 has another batch where the store's newest is.
async fn is_another(store: &Store, l1: &L1, number: u64) -> Result<bool> {
    let Some(record) = store.batch(number)? else {
        return Ok(false);
    };
    let chain = l1.chain().await?;
    let slot = &chain.slots[(number % chain.slots.len() as u64) as usize];
    Ok(slot.number == number && slot.hash != record.header.hash())
}

/// Why batches are not done again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(
        "batch {0} on L1 is wrong ({1}): no batch can be made on top of it, start again when it has been reverted"
    )]
    Wrong(u64, String),
}

async fn catch_up(
    replica: &mut Replica,
    models: &Models,
    fetcher: &Fetcher,
) -> Result<(), Trouble> {
    let look = replica.look().await?;
    for posted in look.batches {
        let (header, rpc) = (posted.header, replica.rpc().clone());
        let data = replica.data().read(&rpc, &posted).await;
        let data = data.map_err(ReplicaError::from)?;
        replica.read_inbox(&header).await?;
        let batch = Fetched { posted, data };
        match tokio::task::block_in_place(|| replica.advance(batch, models, Patience::Wait))? {
            Outcome::Right(right) => {
                for naming in &right.named {
                    fetcher.want(naming.model, naming.program());
                }
                tracing::info!(
                    batch = header.number,
                    of = look.heads.tip,
                    runs = right.runs,
                    "a batch of L1 is done again"
                );
            }
            Outcome::Wrong(wrong) => {
                return Err(Trouble::Wrong(header.number, wrong.why.to_string()));
            }
        }
    }
    Ok(())
}
