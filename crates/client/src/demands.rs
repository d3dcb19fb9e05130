//! Reading demands: the accounts as L1 has them, with the pieces that were answered.
//!
//! The program keeps the bytes of every answer in the demand's account, each of which it has checked
//! against what the batch names. So no transaction is read, and nothing that a stranger writes to L1
//! comes between an answer and its reader.

use crate::rpc::{Rpc, RpcError};
use anchor_lang::{AccountDeserialize, Discriminator};
use settlement::state::demand::answered;
use settlement::state::{Chain, Demand};
use solana_account::Account;
use solana_client::rpc_filter::{Memcmp, RpcFilterType};
use solana_pubkey::Pubkey;

/// Where the rollup, the demander and the asserter are in a demand's account: after discriminator,
/// version, bump and state.
const ROLLUP: usize = 8 + 3;
const DEMANDER: usize = ROLLUP + 32;
const ASSERTER: usize = DEMANDER + 32;

/// A demand as L1 has it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its account.
    pub address: Pubkey,
    /// What it holds.
    pub demand: Demand,
    /// The pieces that were answered, by their places among those demanded.
    pub pieces: Vec<(u8, Vec<u8>)>,
}

impl Found {
    fn new(address: Pubkey, account: &Account) -> Result<Self, RpcError> {
        let demand = Demand::try_deserialize(&mut account.data.as_slice());
        let demand = demand.map_err(|e| RpcError::Account {
            address,
            expected: "demand",
            reason: e.to_string(),
        })?;
        let pieces = answered(&account.data).map(|(place, bytes)| (place, bytes.to_vec()));
        Ok(Self {
            address,
            demand,
            pieces: pieces.collect(),
        })
    }

    /// Whether its batch is pending.
    pub fn is_live(&self, chain: &Chain) -> bool {
        let slot = chain.live(self.demand.number, &self.demand.hash);
        slot.is_some_and(|slot| slot.life == self.demand.life)
    }
}

/// The demands of `demander` in a rollup.
pub async fn of(rpc: &Rpc, rollup: &Pubkey, demander: &Pubkey) -> Result<Vec<Found>, RpcError> {
    find(rpc, rollup, bytes(DEMANDER, demander.as_ref()), None).await
}

/// The demands over batches of `asserter` in a rollup, without the pieces that were answered.
pub async fn over(rpc: &Rpc, rollup: &Pubkey, asserter: &Pubkey) -> Result<Vec<Found>, RpcError> {
    let asserter = bytes(ASSERTER, asserter.as_ref());
    find(rpc, rollup, asserter, Some(Demand::size())).await
}

async fn find(
    rpc: &Rpc,
    rollup: &Pubkey,
    of: RpcFilterType,
    len: Option<usize>,
) -> Result<Vec<Found>, RpcError> {
    let filters = [
        bytes(0, Demand::DISCRIMINATOR),
        bytes(ROLLUP, rollup.as_ref()),
        of,
    ];
    let found = rpc.owned_heads(&settlement::ID, &filters, len).await?;
    let found = found
        .iter()
        .map(|(address, account)| Found::new(*address, account));
    let mut found: Vec<Found> = found.collect::<Result<_, _>>()?;
    // Nodes give them in any order.
    found.sort_by_key(|found| (found.demand.number, found.address));
    Ok(found)
}

fn bytes(at: usize, bytes: &[u8]) -> RpcFilterType {
    RpcFilterType::Memcmp(Memcmp::new_base58_encoded(at, bytes))
}
