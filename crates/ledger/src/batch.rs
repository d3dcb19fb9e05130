//! A whole batch: its transactions' tree, its header, and doing it again.

use crate::data::data_root;
use crate::header::{Header, Lane};
use crate::result::TxResult;
use crate::state::StateComponents;
use crate::transaction::Transaction;
use crate::transition::Env;
use crate::{Hash, RULES_VERSION, codec, merkle};
use alloc::vec::Vec;

const TX_TAG: &[u8] = b"assay:leaf:1";

/// Leaf of the transaction tree: the length of the shipped form's borsh encoding (4 bytes), that
/// encoding, and the result's.
pub fn tx_leaf(tx: &Transaction, result: &TxResult) -> Hash {
    let (head, input, tail) = tx.encoding();
    let length = (head.len() + input.len() + tail.len()) as u32;
    // Writing to a vector cannot fail.
    let result = borsh::to_vec(result).unwrap_or_default();
    merkle::leaf(
        TX_TAG,
        &[&length.to_le_bytes(), &head, input, tail, &result],
    )
}

/// Root of the transaction tree over its leaves.
pub fn tx_root(leaves: &[Hash]) -> Hash {
    merkle::root(leaves)
}

impl From<&Header> for Env {
    fn from(header: &Header) -> Self {
        Self {
            rollup: header.rollup,
            number: header.number,
            sequencer: header.sequencer,
            params: header.params,
            inbox_end: header.state.inbox.cursor,
        }
    }
}

/// The header of a batch on top of `parent` (its header's hash), with the `state` after it, the
/// leaves of its transactions and their `data`.
pub fn seal(
    env: &Env,
    parent: Hash,
    state: StateComponents,
    leaves: &[Hash],
    data: &[u8],
) -> Header {
    Header {
        rollup: env.rollup,
        rules: RULES_VERSION,
        codec: codec::VERSION,
        lane: Lane::L1,
        number: env.number,
        parent,
        sequencer: env.sequencer,
        state,
        tx_root: tx_root(leaves),
        tx_count: leaves.len() as u32,
        data_root: data_root(data),
        data_len: data.len() as u32,
        params: env.params,
    }
}

/// Header and data of a batch of these transactions with their results.
pub fn assemble(
    env: &Env,
    parent: Hash,
    state: StateComponents,
    records: &[(Transaction, TxResult)],
) -> (Header, Vec<u8>) {
    let leaves: Vec<Hash> = records.iter().map(|(tx, r)| tx_leaf(tx, r)).collect();
    let mut encoder = codec::Encoder::default();
    for (tx, _) in records {
        encoder.push(tx.clone());
    }
    let data = encoder.finish();
    (seal(env, parent, state, &leaves, &data), data)
}

#[cfg(feature = "std")]
mod replay;
#[cfg(feature = "std")]
pub use replay::{Derived, Difference, Replayed, Run, derive, replay};
