//! The programs' accounts, read.

use crate::pda;
use crate::rpc::{Rpc, RpcError, read_zero_copy};
use anchor_lang::AccountDeserialize;
use settlement::state::{Chain, InboxPage, Rollup, Sequencer};
use solana_pubkey::Pubkey;

/// The rollup at `address`.
pub async fn rollup(rpc: &Rpc, address: &Pubkey) -> Result<Rollup, RpcError> {
    rpc.expect(address, "rollup").await
}

/// The batches of a rollup.
pub async fn chain(rpc: &Rpc, rollup: &Pubkey) -> Result<Box<Chain>, RpcError> {
    Ok(chain_at(rpc, rollup).await?.1)
}

/// The batches of a rollup, and the slot up to which nothing is missing there.
pub async fn chain_at(rpc: &Rpc, rollup: &Pubkey) -> Result<(u64, Box<Chain>), RpcError> {
    let address = pda::chain(rollup);
    let (slot, chain) = rpc.zero_copy_at(&address, "chain of batches").await?;
    let chain = chain.ok_or(RpcError::Missing {
        address,
        expected: "chain of batches",
    })?;
    Ok((slot, chain))
}

/// The batches of a rollup and the bond of sequencer `key`, if it has one, of the same moment.
pub async fn chain_and_bond(
    rpc: &Rpc,
    rollup: &Pubkey,
    key: &Pubkey,
) -> Result<(Box<Chain>, Option<Sequencer>), RpcError> {
    let (chain_at, bond_at) = (pda::chain(rollup), pda::sequencer(rollup, key));
    let mut found = rpc.accounts(&[chain_at, bond_at]).await?.into_iter();
    let (chain, bond) = (found.next().flatten(), found.next().flatten());
    let bad = |address, expected, reason: String| RpcError::Account {
        address,
        expected,
        reason,
    };
    let expected = "chain of batches";
    let chain = chain.ok_or(RpcError::Missing {
        address: chain_at,
        expected,
    })?;
    let chain = read_zero_copy(&chain.data).map_err(|e| bad(chain_at, expected, e.into()))?;
    let bond = bond
        .map(|bond| Sequencer::try_deserialize(&mut bond.data.as_slice()))
        .transpose()
        .map_err(|e| bad(bond_at, "sequencer", e.to_string()))?;
    Ok((Box::new(chain), bond))
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

/// The bridge's record of a mint; `None` if it is not registered.
pub async fn registered_mint(
    rpc: &Rpc,
    rollup: &Pubkey,
    mint: &Pubkey,
) -> Result<Option<bridge::state::RegisteredMint>, RpcError> {
    rpc.anchor(&pda::registered_mint(rollup, mint), "registered mint")
        .await
}

/// The vault of a rollup's lamports; `None` before the first deposit.
pub async fn sol_vault(
    rpc: &Rpc,
    rollup: &Pubkey,
) -> Result<Option<bridge::state::SolVault>, RpcError> {
    rpc.anchor(&pda::sol_vault(rollup), "SOL vault").await
}

/// Whether withdrawal `index` of the outbox was paid.
pub async fn is_paid(rpc: &Rpc, rollup: &Pubkey, index: u64) -> Result<bool, RpcError> {
    let page: Option<bridge::state::PaidPage> = rpc
        .anchor(&pda::paid_page(rollup, index), "page of paid withdrawals")
        .await?;
    Ok(page.is_some_and(|page| page.is_paid(index)))
}

/// The job at `address`; `None` if there is none (any more).
pub async fn job(rpc: &Rpc, address: &Pubkey) -> Result<Option<escrow::state::Job>, RpcError> {
    rpc.anchor(address, "job").await
}

/// The feed at `address`; `None` if there is none.
pub async fn feed(rpc: &Rpc, address: &Pubkey) -> Result<Option<escrow::state::Feed>, RpcError> {
    rpc.anchor(address, "feed").await
}

/// The nonce of a client's next job.
pub async fn next_job_nonce(rpc: &Rpc, rollup: &Pubkey, client: &Pubkey) -> Result<u64, RpcError> {
    let account: Option<escrow::state::Client> = rpc
        .anchor(&pda::escrow_client(rollup, client), "escrow client")
        .await?;
    Ok(account.map_or(0, |client| client.next_nonce))
}
