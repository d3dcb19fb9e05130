//! What goes wrong while a replica is made, and how bad it is.

use super::runs::RunsError;
use crate::l1::error::Severity;
use crate::store::StoreError;
use assay_client::batches::BatchError;
use assay_client::inbox::InboxError;
use assay_client::rpc::{RpcError, Severity as ClientSeverity};

/// Why a replica does not get on.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// A read.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// A batch cannot be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Messages cannot be read.
    #[error("the inbox: {0}")]
    Inbox(#[from] InboxError),
    /// The node gives other messages than the batch consumes.
    #[error(
        "the node gives other messages of L1's inbox than batch {number} consumes, which L1 has compared with its own: if this goes on, name another node (--rpc)"
    )]
    OtherMessages {
        /// The batch.
        number: u64,
    },
    /// Models cannot be run.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// Nothing can be made durable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What batches name cannot be kept.
    #[error(
        "a file in the data directory cannot be written ({0}): see that the disk is neither full nor broken"
    )]
    Io(#[from] std::io::Error),
    /// The store is in the middle of a batch.
    #[error("the data directory is a sequencer's, in the middle of a batch: name another one")]
    NotAReplica,
    /// The state contradicts itself.
    #[error(
        "the replica's state contradicts itself ({0}): remove its data directory and start anew"
    )]
    State(String),
}

impl ReplicaError {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        let client = |severity| match severity {
            ClientSeverity::Temporary => Severity::Temporary,
            ClientSeverity::Permanent => Severity::Critical,
        };
        match self {
            Self::Rpc(e) => client(e.severity()),
            Self::Batch(e) => client(e.severity()),
            Self::Inbox(e) => client(e.severity()),
            Self::OtherMessages { .. } => Severity::Temporary,
            // A stranger's model that does not run here ends nothing.
            Self::Runs(_) => Severity::Temporary,
            Self::Store(_) | Self::Io(_) => Severity::Critical,
            Self::NotAReplica | Self::State(_) => Severity::Critical,
        }
    }
}
