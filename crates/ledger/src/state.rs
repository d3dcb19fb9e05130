//! The state root and its components.

use crate::{Hash, Key, inbox, outbox};
use assay_tensor::hash::hashv;
use assay_tensor::merkle;
use borsh::{BorshDeserialize, BorshSerialize};

/// Depth of the tree of accounts: at most 2^24 of them.
pub const ACCOUNT_DEPTH: u32 = 24;
/// Depth of the tree of models.
pub const MODEL_DEPTH: u32 = 16;

const ROOT_TAG: &[u8] = b"assay:state:1";
const ACCOUNT_TAG: &[u8] = b"assay:account:1";
const MODEL_TAG: &[u8] = b"assay:model:1";

/// The absorbing root that no batch can post: the state after a transaction that may not be
/// there.
pub const INVALID: Hash = [0xff; 32];

/// A fixed-depth tree filled from the left: number of leaves in use, and its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TreeHead {
    /// Leaves in use; the next leaf's index.
    pub count: u64,
    /// The root; unused leaves are [`merkle::EMPTY_LEAF`].
    pub root: Hash,
}

/// How far the L2 has read the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct InboxHead {
    /// Messages consumed.
    pub cursor: u64,
    /// The chain's value after them ([`inbox::GENESIS`] after none).
    pub chain: Hash,
}

/// The components of the state root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StateComponents {
    /// Accounts, depth [`ACCOUNT_DEPTH`].
    pub accounts: TreeHead,
    /// Models, depth [`MODEL_DEPTH`].
    pub models: TreeHead,
    /// Messages from L1.
    pub inbox: InboxHead,
    /// Messages to L1, depth [`outbox::DEPTH`].
    pub outbox: TreeHead,
    /// Work units used in this batch so far.
    pub units: u64,
}

impl StateComponents {
    /// The state root: SHA-256 of the tag and the components' borsh encoding.
    pub fn root(&self) -> Hash {
        hashv(&[
            ROOT_TAG,
            &self.accounts.count.to_le_bytes(),
            &self.accounts.root,
            &self.models.count.to_le_bytes(),
            &self.models.root,
            &self.inbox.cursor.to_le_bytes(),
            &self.inbox.chain,
            &self.outbox.count.to_le_bytes(),
            &self.outbox.root,
            &self.units.to_le_bytes(),
        ])
    }

    /// The state in which the next batch starts: the same, with no units used.
    pub fn next_batch(&self) -> Self {
        Self { units: 0, ..*self }
    }

    /// The state of a new rollup: the sentinel account alone ([`Account::SENTINEL`]), no
    /// models, nothing consumed, nothing sent.
    pub fn genesis() -> Self {
        let mut accounts = Account::SENTINEL.leaf();
        let mut empty = merkle::EMPTY_LEAF;
        for _ in 0..ACCOUNT_DEPTH {
            accounts = merkle::node(&accounts, &empty);
            empty = merkle::node(&empty, &empty);
        }
        Self {
            accounts: TreeHead {
                count: 1,
                root: accounts,
            },
            models: TreeHead {
                count: 0,
                root: empty_root(MODEL_DEPTH),
            },
            inbox: InboxHead {
                cursor: 0,
                chain: inbox::GENESIS,
            },
            outbox: TreeHead {
                count: 0,
                root: empty_root(outbox::DEPTH),
            },
            units: 0,
        }
    }
}

/// Root of a tree of `depth` without leaves.
pub fn empty_root(depth: u32) -> Hash {
    (0..depth).fold(merkle::EMPTY_LEAF, |h, _| merkle::node(&h, &h))
}

/// An account: the balance of one owner in one mint.
///
/// The accounts are one list in the order of `(owner, mint)`, linked by `next`, so that there
/// is exactly one for each pair and its absence can be shown by its neighbours. Without that a
/// sequencer could open a second account for a pair, replay the first one's signatures on it,
/// and dodge forced transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// Whose signature moves it.
    pub owner: Key,
    /// What it holds; [`crate::SOL`] for lamports.
    pub mint: Key,
    /// In the mint's base units.
    pub balance: u64,
    /// Signed transactions of this account so far.
    pub nonce: u64,
    /// Index of the account next in the order of `(owner, mint)`; 0 (the sentinel) after the last.
    pub next: u32,
}

impl Account {
    /// Account 0: the head of the list, of the zero owner, whose key nobody can sign for.
    pub const SENTINEL: Self = Self {
        owner: [0; 32],
        mint: [0; 32],
        balance: 0,
        nonce: 0,
        next: 0,
    };

    /// The leaf's hash.
    pub fn leaf(&self) -> Hash {
        merkle::leaf(
            ACCOUNT_TAG,
            &[
                &self.owner,
                &self.mint,
                &self.balance.to_le_bytes(),
                &self.nonce.to_le_bytes(),
                &self.next.to_le_bytes(),
            ],
        )
    }
}

/// A deployed model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Model {
    /// The publisher's account: its owner may update the model, its mint is the price's, and
    /// it is paid.
    pub publisher: u32,
    /// The tensor program.
    pub program_root: Hash,
    /// The parameters.
    pub parameters_root: Hash,
    /// Price of one run, in the base units of the publisher's mint.
    pub price: u64,
    /// Work units of one run.
    pub units: u64,
    /// Bytes of one run's inputs, all together.
    pub input_bytes: u32,
    /// Bytes of one run's outputs, all together.
    pub output_bytes: u32,
    /// Counts deployments and updates, from 1.
    pub version: u64,
    /// The first batch number in which it is callable.
    pub callable_from: u64,
}

impl Model {
    /// The leaf's hash.
    pub fn leaf(&self) -> Hash {
        merkle::leaf(
            MODEL_TAG,
            &[
                &self.publisher.to_le_bytes(),
                &self.program_root,
                &self.parameters_root,
                &self.price.to_le_bytes(),
                &self.units.to_le_bytes(),
                &self.input_bytes.to_le_bytes(),
                &self.output_bytes.to_le_bytes(),
                &self.version.to_le_bytes(),
                &self.callable_from.to_le_bytes(),
            ],
        )
    }
}
