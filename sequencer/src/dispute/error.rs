//! What goes wrong in disputes, and how bad it is.

use crate::l1::error::Severity;
use crate::replica::runs::RunsError;
use crate::store::StoreError;
use crate::store::blobs::BlobError;
use assay_client::rpc::{RpcError, Severity as ClientSeverity};
use assay_client::sender::SendError;

/// Why a dispute does not go on.
#[derive(Debug, thiserror::Error)]
pub enum DisputeError {
    /// A read.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// A transaction.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Models cannot be run.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// A blob that is demanded is not here.
    #[error("a demanded blob: {0}")]
    Blob(#[from] BlobError),
    /// What is needed to play over the batch is not here.
    #[error("batch {batch} cannot be disputed or defended from this data directory: {why}")]
    Unknown {
        /// The batch.
        batch: u64,
        /// What is missing.
        why: String,
    },
    /// The batch can be disputed no more.
    #[error("the window of batch {batch} has passed: it can be disputed no more")]
    TooLate {
        /// The batch.
        batch: u64,
    },
    /// There is nothing to prove.
    #[error(
        "batch {batch} is not as it should be, but there is nothing to prove: tell the project"
    )]
    Nothing {
        /// The batch.
        batch: u64,
    },
    /// Something has more bytes than a transaction, and cannot go through a buffer.
    #[error("{0} does not fit a transaction")]
    TooLong(&'static str),
    /// What was being sent came to an end by itself.
    #[error("what was being sent ended: {0}")]
    Ended(String),
    /// Not enough lamports.
    #[error(
        "this takes {need} lamports (a bond, rent and fees), the key {key} has {have}: fund it"
    )]
    Poor {
        /// The key.
        key: solana_pubkey::Pubkey,
        /// What it takes.
        need: u64,
        /// What there is.
        have: u64,
    },
}

impl DisputeError {
    /// How bad it is. A dispute that cannot be played now is tried again as long as its clock runs:
    /// nothing is gained by stopping.
    pub fn severity(&self) -> Severity {
        let client = |severity| match severity {
            ClientSeverity::Temporary => Severity::Temporary,
            ClientSeverity::Permanent => Severity::Reset,
        };
        match self {
            Self::Rpc(e) => client(e.severity()),
            Self::Send(e) => client(e.severity()),
            Self::Store(_) => Severity::Critical,
            Self::Runs(_)
            | Self::Blob(_)
            | Self::Unknown { .. }
            | Self::TooLate { .. }
            | Self::Nothing { .. }
            | Self::TooLong(_)
            | Self::Ended(_)
            | Self::Poor { .. } => Severity::Reset,
        }
    }
}
