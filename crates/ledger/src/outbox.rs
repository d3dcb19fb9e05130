//! Messages to L1: one append-only tree for the chain's whole life.

use crate::state::empty_root;
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
///
/// `siblings` are from the leaf's level up. Levels that they leave out at the top have the
/// empty subtree for a sibling, as all levels above `depth(count)` do in a tree filled from the
/// left: so a proof in a legacy transaction has about 20 siblings instead of [`DEPTH`].
pub fn verify(count: u64, root: &Hash, leaf: &OutboxLeaf, index: u64, siblings: &[Hash]) -> bool {
    if index >= count || siblings.len() > DEPTH as usize {
        return false;
    }
    let mut hash = merkle::root_from_path(&leaf.hash(), index, siblings);
    let mut empty = empty_root(siblings.len() as u32);
    for level in siblings.len() as u32..DEPTH {
        hash = if (index >> level) & 1 == 0 {
            merkle::node(&hash, &empty)
        } else {
            merkle::node(&empty, &hash)
        };
        empty = merkle::node(&empty, &empty);
    }
    hash == *root
}

/// The part of a full path that a proof needs while the outbox has `count` leaves: see [`verify`].
pub fn trim(count: u64, siblings: &[Hash]) -> &[Hash] {
    &siblings[..siblings.len().min(merkle::depth(count) as usize)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn withdrawal(i: u64) -> OutboxLeaf {
        OutboxLeaf::Withdrawal {
            recipient: [7; 32],
            mint: [0; 32],
            amount: i,
        }
    }

    /// The path in a tree of depth [`DEPTH`] that holds `leaves` from the left, and its root.
    fn full_path(leaves: &[Hash], index: u64) -> (Hash, Vec<Hash>) {
        let mut siblings = merkle::path(leaves, index).unwrap();
        for level in siblings.len() as u32..DEPTH {
            siblings.push(empty_root(level));
        }
        let root = merkle::root_from_path(&leaves[index as usize], index, &siblings);
        (root, siblings)
    }

    #[test]
    fn a_trimmed_path_proves_as_the_full_one_does() {
        for count in 1..=9u64 {
            let leaves: Vec<Hash> = (0..count).map(|i| withdrawal(i).hash()).collect();
            for index in 0..count {
                let (root, full) = full_path(&leaves, index);
                let short = trim(count, &full);
                assert_eq!(short.len(), merkle::depth(count) as usize);
                assert!(verify(count, &root, &withdrawal(index), index, &full));
                assert!(verify(count, &root, &withdrawal(index), index, short));
                assert!(!verify(count, &root, &withdrawal(index + 1), index, short));
                assert!(!verify(
                    count,
                    &root,
                    &withdrawal(index),
                    index + count,
                    short
                ));
                assert!(!verify(count, &root, &withdrawal(index), index ^ 1, short));
                if let [cut @ .., _] = short {
                    assert!(!verify(count, &root, &withdrawal(index), index, cut));
                }
                let mut long = full.clone();
                long.push(empty_root(DEPTH));
                assert!(!verify(count, &root, &withdrawal(index), index, &long));
            }
        }
    }
}
