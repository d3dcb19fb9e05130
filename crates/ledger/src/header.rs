//! A batch's header: what the settlement program hashes and everything refers to.

use crate::state::StateComponents;
use crate::{Hash, Key};
use assay_tensor::hash::hashv;
use borsh::{BorshDeserialize, BorshSerialize};

const HEADER_TAG: &[u8] = b"assay:header:1";

/// Where a batch's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Lane {
    /// In L1 instruction data, sealed.
    L1 = 0,
}

/// Copies of the parameters in force: a batch is settled by these and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Params {
    /// Slots from posting to finality.
    pub window: u64,
    /// Lamports of the sequencer's bond that a pending batch locks.
    pub bond_slice: u64,
    /// Work units that a batch may use.
    pub max_units: u64,
    /// Records that a batch may have.
    pub max_records: u32,
    /// Bytes of data that a batch may have.
    pub max_data: u32,
    /// Batches after which a deployed or updated model is callable.
    pub model_delay: u64,
    /// The sequencer's share of each price, in basis points.
    pub sequencer_share: u16,
    /// Slots that each side of a dispute has for all its moves.
    pub clock: u64,
    /// Slots that a side of a dispute has at least after each move of the other.
    pub extension: u64,
    /// Lamports that a challenger puts down.
    pub dispute_bond: u64,
}

/// A batch's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// Address of the rollup's account.
    pub rollup: Key,
    /// [`crate::RULES_VERSION`] that it was made under.
    pub rules: u16,
    /// Version of the batch codec.
    pub codec: u8,
    /// Where the data is.
    pub lane: Lane,
    /// From 1; the genesis state is batch 0.
    pub number: u64,
    /// Hash of the parent's header ([`genesis_hash`] for batch 1).
    pub parent: Hash,
    /// Who made it.
    pub sequencer: Key,
    /// The state after it, of which the program computes the root.
    pub state: StateComponents,
    /// Root over the transactions' leaves.
    pub tx_root: Hash,
    /// Number of transactions.
    pub tx_count: u32,
    /// Root over the data's chunks.
    pub data_root: Hash,
    /// Bytes of data.
    pub data_len: u32,
    /// The parameters in force.
    pub params: Params,
}

impl Header {
    /// The batch's name: SHA-256 of the tag and the borsh encoding.
    pub fn hash(&self) -> Hash {
        // Writing to a vector cannot fail.
        let bytes = borsh::to_vec(self).unwrap_or_default();
        hashv(&[HEADER_TAG, &bytes])
    }
}

/// The hash that stands for batch 0 of `rollup`.
pub fn genesis_hash(rollup: &Key) -> Hash {
    hashv(&[b"assay:genesis:1", rollup])
}
