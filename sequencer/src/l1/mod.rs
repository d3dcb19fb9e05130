//! L1: posting batches, following what happens there.
//!
//! * [`poster`]: closed batches go to L1 and become final; every step is derived from L1's state
//! * `data`: a batch's data account; `costs`: what a batch cost, found again on L1
//! * [`room`]: how many more batches L1 takes
//! * `overdue`: what to do when L1 takes a batch no more
//! * [`posting`]: what goes to L1
//! * [`pace`]: how often L1 is looked at
//! * [`follower`]: the inbox's messages come to the engine
//! * [`health`]: failures of calls to the node
//! * [`lease`]: which process of the key is at work
//! * [`error`]: what goes wrong, and how bad it is

pub mod costs;
mod data;
pub mod error;
pub mod follower;
pub mod health;
pub mod lease;
mod overdue;
pub mod pace;
pub mod poster;
pub mod posting;
pub mod room;

use crate::config::Config;
use assay_client::accounts;
use assay_client::rpc::{Rpc, TIMEOUT};
use assay_client::sender::{Options, Sender};
use assay_client::wire::Wire;
use assay_ledger::Key;
use assay_ledger::header::Params;
use error::L1Error;
use settlement::state::{Chain, Rollup};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::sync::Arc;
use std::time::Duration;

/// What L1 says about the rollup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// The newest batch on L1.
    pub tip: u64,
    /// The newest final batch.
    pub finalised: u64,
    /// Messages in the inbox.
    pub inbox: u64,
}

/// The rollup that is served: what does not change while the service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupInfo {
    /// Address of its account.
    pub rollup: Key,
    /// The sequencer's key.
    pub sequencer: Key,
    /// The bridge program.
    pub bridge: Key,
    /// The escrow program.
    pub escrow: Key,
    /// The parameters in force.
    pub params: Params,
    /// Whether batches go to L1 in version-1 transactions.
    pub version1: bool,
}

/// The way to L1: a node, a key, a rollup.
#[derive(Clone)]
pub struct L1 {
    /// Sends transactions.
    pub sender: Sender,
    /// The sequencer's key.
    pub key: Arc<Keypair>,
    /// The rollup's account.
    pub rollup: Pubkey,
}

/// How long a call to a node may take at most, with slots of this length: half of the time that a side of a
/// dispute has for a move, so that a node that never answers costs no dispute.
pub fn timeout(params: &Params, slot: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_secs(2);
    let slots = u32::try_from(params.extension).unwrap_or(u32::MAX);
    (slot.saturating_mul(slots) / 2).clamp(SHORTEST, TIMEOUT)
}

impl L1 {
    /// The way that `config` describes, on which no call takes longer than `timeout`. Nothing is asked yet.
    pub fn new(config: &Config, key: Arc<Keypair>, timeout: Duration) -> Self {
        let rpc = Rpc::within(&config.rpc_url, config.l1.commitment.into(), timeout);
        let options = Options {
            unit_price: config.l1.priority_fee,
            max_unit_price: config.l1.max_priority_fee.max(config.l1.priority_fee),
            wire: config.l1.transactions.wire(),
            ..Options::default()
        };
        Self {
            sender: Sender::new(rpc, options),
            key,
            rollup: Pubkey::new_from_array(config.rollup.0),
        }
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        self.sender.rpc()
    }

    /// The rollup's account.
    pub async fn rollup(&self) -> Result<Rollup, L1Error> {
        Ok(accounts::rollup(self.rpc(), &self.rollup).await?)
    }

    /// The rollup's chain of batches.
    pub async fn chain(&self) -> Result<Box<Chain>, L1Error> {
        Ok(accounts::chain(self.rpc(), &self.rollup).await?)
    }

    /// What is served, and where L1 stands.
    pub async fn look(&self) -> Result<(RollupInfo, Heads), L1Error> {
        let rollup = self.rollup().await?;
        let chain = self.chain().await?;
        let wire = self.sender.wire().await?;
        Ok((
            RollupInfo {
                rollup: self.rollup.to_bytes(),
                sequencer: self.key.pubkey().to_bytes(),
                bridge: rollup.config.bridge.to_bytes(),
                escrow: rollup.config.escrow.to_bytes(),
                params: rollup.config.params.into(),
                version1: wire == Wire::Version1,
            },
            Heads {
                tip: chain.tip_number,
                finalised: chain.final_number,
                inbox: rollup.inbox_count,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_ends_before_the_time_for_a_move() {
        let usual: Params = crate::rollup::defaults(None).unwrap().params.into();
        let slot = Duration::from_millis(400);
        assert_eq!(timeout(&usual, slot), TIMEOUT);
        let short = Params {
            extension: 20,
            ..usual
        };
        assert_eq!(timeout(&short, slot), Duration::from_secs(4));
        assert_eq!(timeout(&short, slot / 8), Duration::from_secs(2));
    }
}
