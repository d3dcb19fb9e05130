//! Beginning at a final batch: with its state from whoever gives it, if it is the one that L1 names.

use super::mirrors::Mirrors;
use crate::store::snapshot::NoBeginning;
use crate::store::{Store, StoreError};
use assay_client::accounts;
use assay_client::http::ApiError;
use assay_client::rpc::{Rpc, RpcError};
use assay_ledger::header::Header;
use assay_ledger::snapshot::{NoSnapshot, Snapshot};
use settlement::state::Chain;
use solana_pubkey::Pubkey;
use std::time::Duration;
use tokio::time::error::Elapsed;

/// Why a replica does not begin at a final batch.
#[derive(Debug, thiserror::Error)]
pub enum NoStart {
    /// Nobody gives a state.
    #[error(
        "nobody gives the state after a final batch (the last one asked: {last}): name another source with --blobs, or begin at genesis, without --from-final"
    )]
    Nobody {
        /// What came of the last source.
        last: String,
    },
    /// A read of L1.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a source's state is not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Snapshot(#[from] NoSnapshot),
    #[error("it gives the state after batch {0}, which is not final on L1 in this form")]
    NotFinal(u64),
    #[error("it is too slow")]
    Slow,
}

/// How long a source may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Fills a new `store` with the state after a final batch of the rollup, from the first of the mirrors that gives it. Its batch's number; `None` if no batch is final yet.
pub async fn at_final(
    rpc: &Rpc,
    rollup: &Pubkey,
    store: &Store,
    mirrors: &Mirrors,
) -> Result<Option<u64>, NoStart> {
    let mut last = String::from("none is named");
    for api in mirrors.apis() {
        let chain = accounts::chain(rpc, rollup).await?;
        if chain.final_number == 0 {
            return Ok(None);
        }
        let is_final = |header: &Header| is_final(&chain, rollup, header);
        let given = tokio::time::timeout(PATIENCE, api.snapshot(is_final)).await;
        let begun = match take(given, is_final) {
            Ok(snapshot) => match tokio::task::block_in_place(|| store.begin(&snapshot)) {
                Ok(()) => Ok(snapshot.header.number),
                Err(NoBeginning::Snapshot(why)) => Err(why.into()),
                Err(NoBeginning::Store(error)) => return Err(error.into()),
            },
            Err(why) => Err(why),
        };
        match begun {
            Ok(batch) => {
                tracing::info!(batch, from = api.url(), "begins with a final batch's state");
                return Ok(Some(batch));
            }
            Err(error) => {
                tracing::warn!(%error, from = api.url(), "its state is not taken");
                last = format!("{}: {error}", api.url());
            }
        }
    }
    Err(NoStart::Nobody { last })
}

/// Whether a batch is the rollup's and final on L1.
fn is_final(chain: &Chain, rollup: &Pubkey, header: &Header) -> bool {
    let slot = chain.final_batch(header.number);
    let is_final = slot.is_ok_and(|slot| slot.hash == header.hash());
    is_final && header.rollup == rollup.to_bytes()
}

/// What was given in time, if its batch is final.
fn take(
    given: Result<Result<Vec<u8>, ApiError>, Elapsed>,
    is_final: impl Fn(&Header) -> bool,
) -> Result<Snapshot, Refused> {
    let bytes = given.map_err(|_| Refused::Slow)??;
    match Snapshot::header(&bytes)? {
        Some(header) if !is_final(&header) => Err(Refused::NotFinal(header.number)),
        _ => Ok(Snapshot::decode(&bytes)?),
    }
}
