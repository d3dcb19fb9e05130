//! What the tables' values hold, borsh-encoded.

use super::StoreError;
use assay_ledger::Hash;
use assay_ledger::header::{Header, Params};
use assay_ledger::result::TxResult;
use assay_ledger::state::StateComponents;
use assay_ledger::transaction::Transaction;
use borsh::{BorshDeserialize, BorshSerialize};

/// A transaction in its place.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TxRecord {
    /// Hash of the request's signing bytes; none for a message from L1.
    pub id: Option<Hash>,
    /// As it is shipped.
    pub transaction: Transaction,
    /// What it did.
    pub result: TxResult,
    /// The outputs' bytes, where a model ran.
    pub outputs: Option<Vec<u8>>,
}

/// A closed batch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BatchRecord {
    /// Its header.
    pub header: Header,
    /// Transactions that ran a model.
    pub inferences: u32,
}

/// Where the ledger is: written with every commit.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Progress {
    /// Number of the batch being built.
    pub number: u64,
    /// Hash of its parent's header.
    pub parent: Hash,
    /// Transactions in it so far.
    pub transactions: u32,
    /// The state after them.
    pub components: StateComponents,
    /// The parameters that it is built under.
    pub params: Params,
    /// Counts since genesis.
    pub totals: Totals,
}

/// Counts since genesis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Totals {
    /// Transactions of any kind.
    pub transactions: u64,
    /// Transactions that ran a model.
    pub inferences: u64,
    /// Requests refused.
    pub refused: u64,
}

/// What a transaction on L1 does for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum L1Step {
    /// Creates and opens the data account.
    Create = 0,
    /// Writes chunks.
    Write = 1,
    /// Turns the chunks' hashes into the data root.
    Seal = 2,
    /// Posts the header.
    Post = 3,
    /// Makes the batch final.
    Finalise = 4,
    /// Closes the data account; its rent comes back.
    Close = 5,
}

impl L1Step {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Seal => "seal",
            Self::Post => "post",
            Self::Finalise => "finalise",
            Self::Close => "close",
        }
    }
}

/// A transaction on L1 that was confirmed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct L1Record {
    /// Counts a batch's L1 transactions in the order in which they were confirmed.
    pub order: u32,
    /// What it did.
    pub step: L1Step,
    /// The fee paid in lamports.
    pub lamports: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// What all L1 transactions cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct L1Totals {
    /// Fees paid in lamports.
    pub lamports: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

impl L1Totals {
    /// These and one more transaction.
    pub fn with(self, record: &L1Record) -> Self {
        Self {
            lamports: self.lamports.saturating_add(record.lamports),
            bytes: self.bytes.saturating_add(record.bytes),
        }
    }
}

/// The encoding of `record`.
pub fn encode<T: BorshSerialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    borsh::to_vec(record).map_err(|e| StoreError::Record(e.to_string()))
}

/// The record in `bytes`.
pub fn decode<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, StoreError> {
    T::try_from_slice(bytes).map_err(|e| StoreError::Record(e.to_string()))
}
