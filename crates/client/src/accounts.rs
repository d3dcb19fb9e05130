//! The programs' accounts, read.

use crate::pda;
use crate::rpc::{Rpc, RpcError};
use settlement::state::{Chain, InboxPage, Rollup, Sequencer};
use solana_pubkey::Pubkey;

/// The rollup at `address`.
pub async fn rollup(rpc: &Rpc, address: &Pubkey) -> Result<Rollup, RpcError> {
    rpc.expect(address, "rollup").await
}

/// The batches of a rollup.
pub async fn chain(rpc: &Rpc, rollup: &Pubkey) -> Result<Box<Chain>, RpcError> {
    let address = pda::chain(rollup);
    rpc.zero_copy(&address, "chain of batches")
        .await?
        .ok_or(RpcError::Missing {
            address,
            expected: "chain of batches",
        })
}

/// The bond of sequencer `key`; `None` if it has none.
pub async fn sequencer(
    rpc: &Rpc,
    rollup: &Pubkey,
    key: &Pubkey,
) -> Result<Option<Sequencer>, RpcError> {
    rpc.anchor(&pda::sequencer(rollup, key), "sequencer").await
}

/// A page of the inbox; `None` if it is not open (yet, or any more).
pub async fn inbox_page(
    rpc: &Rpc,
    rollup: &Pubkey,
    page: u64,
) -> Result<Option<Box<InboxPage>>, RpcError> {
    rpc.zero_copy(&pda::inbox_page(rollup, page), "inbox page")
        .await
}
