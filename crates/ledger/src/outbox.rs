//! Messages to L1: one append-only tree for the chain's whole life.

use crate::{Hash, Key};
use assay_tensor::merkle;
use borsh::{BorshDeserialize, BorshSerialize};

/// Depth of the tree.
pub const DEPTH: u32 = 32;

const LEAF_TAG: &[u8] = b"assay:outbox:1";

/// A leaf of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum OutboxLeaf {
    /// The bridge pays `amount` of `mint` to `recipient`.
    Withdrawal {
        /// An L1 address: a wallet for SOL, the owner of the token account for SPL.
        recipient: Key,
        /// What is paid.
        mint: Key,
        /// How much.
        amount: u64,
    },
    /// The escrow settles a job.
    JobResult {
        /// The job's account.
        job: Key,
        /// Whether the model ran; otherwise the client is refunded.
        done: bool,
        /// What is charged, in lamports: at most the job's limit.
        price: u64,
        /// The sequencer's share of the price, in lamports.
        sequencer_share: u64,
        /// Who is paid that share.
        sequencer: Key,
        /// Who is paid the rest.
        publisher: Key,
        /// The model's parameters version that ran.
        version: u64,
        /// Root over the outputs' roots.
        output_root: Hash,
    },
}

impl OutboxLeaf {
    /// The leaf's hash.
    pub fn hash(&self) -> Hash {
        match self {
            Self::Withdrawal {
                recipient,
                mint,
                amount,
            } => merkle::leaf(LEAF_TAG, &[&[0], recipient, mint, &amount.to_le_bytes()]),
            Self::JobResult {
                job,
                done,
                price,
                sequencer_share,
                sequencer,
                publisher,
                version,
                output_root,
            } => merkle::leaf(
                LEAF_TAG,
                &[
                    &[1],
                    job,
                    &[u8::from(*done)],
                    &price.to_le_bytes(),
                    &sequencer_share.to_le_bytes(),
                    sequencer,
                    publisher,
                    &version.to_le_bytes(),
                    output_root,
                ],
            ),
        }
    }
}

/// Whether `leaf` is leaf `index` of the outbox with this `count` and `root`.
pub fn verify(count: u64, root: &Hash, leaf: &OutboxLeaf, index: u64, siblings: &[Hash]) -> bool {
    index < count
        && siblings.len() == DEPTH as usize
        && merkle::root_from_path(&leaf.hash(), index, siblings) == *root
}
