//! What goes wrong between the service and L1, and how bad it is.

use super::lease::Instance;
use crate::store::StoreError;
use assay_client::inbox::InboxError;
use assay_client::rpc::{RpcError, Severity as ClientSeverity};
use assay_client::sender::SendError;
use settlement::errors::SettlementError;
use solana_pubkey::Pubkey;

/// How bad an error is, so that callers need not guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Try the same again, later.
    Temporary,
    /// What was believed about L1 is wrong: look again, then go on.
    Reset,
    /// Somebody must see to it: stop.
    Critical,
}

/// An error towards L1.
#[derive(Debug, thiserror::Error)]
pub enum L1Error {
    /// Reading failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// Sending failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The inbox could not be read.
    #[error("the inbox: {0}")]
    Inbox(InboxError),
    /// A data account holds something else.
    #[error("data account {0} holds something else: it is closed and written again")]
    ForeignData(Pubkey),
    /// L1 has batches that the store does not have.
    #[error(
        "L1 is at batch {tip}, the store ends at {ours} and has transactions that L1 does not have: this data directory is not the one that the batches were made from; restore that one, or name a new one, for which the state is built from L1"
    )]
    Behind {
        /// L1's newest batch.
        tip: u64,
        /// The store's newest closed batch.
        ours: u64,
    },
    /// L1 has another batch than the store.
    #[error(
        "batch {0} on L1 is not the one in the store: another process sequences with this key; stop one of them and restore its data directory"
    )]
    Fork(u64),
    /// Another process of the key is at work.
    #[error(
        "another process sequences with this key: instance {by} (its log and its `GET /v1/status` say which one it is), whose lease on L1 runs for {seconds} s more unless it is renewed. Stop that process, or this one would answer requests that are lost; if its machine is gone, wait, or start once with --take-over"
    )]
    Leased {
        /// Which one.
        by: Instance,
        /// Seconds until its lease runs out.
        seconds: i64,
    },
    /// Ended by the service's shutdown.
    #[error("stopped")]
    Stopped,
}

impl From<InboxError> for L1Error {
    fn from(e: InboxError) -> Self {
        Self::Inbox(e)
    }
}

impl L1Error {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Rpc(e) => from_client(e.severity()),
            Self::Send(e) => sending(e),
            Self::Inbox(e) => from_client(e.severity()),
            Self::ForeignData(_) => Severity::Reset,
            Self::Store(_)
            | Self::Behind { .. }
            | Self::Fork(_)
            | Self::Leased { .. }
            | Self::Stopped => Severity::Critical,
        }
    }
}

fn from_client(severity: ClientSeverity) -> Severity {
    match severity {
        ClientSeverity::Temporary => Severity::Temporary,
        ClientSeverity::Permanent => Severity::Critical,
    }
}

/// A refusal by the program is a wrong belief about L1, or a condition that passes.
fn sending(error: &SendError) -> Severity {
    const TEMPORARY: [SettlementError; 3] = [
        SettlementError::NoFreeSlice,
        SettlementError::TooManyPending,
        SettlementError::WindowOpen,
    ];
    const CRITICAL: [SettlementError; 9] = [
        SettlementError::HeaderMismatch,
        SettlementError::WrongRules,
        SettlementError::WrongParams,
        SettlementError::EmptyBatch,
        SettlementError::OverCap,
        SettlementError::InvalidState,
        SettlementError::OutboxShrank,
        SettlementError::InboxChain,
        SettlementError::UnknownVersion,
    ];
    let is = |list: &[SettlementError]| {
        let codes = list.iter().map(|e| u32::from(*e));
        error
            .code()
            .is_some_and(|code| codes.into_iter().any(|c| c == code))
    };
    match error {
        SendError::Refused { .. } if is(&CRITICAL) => Severity::Critical,
        SendError::Refused { .. } if is(&TEMPORARY) => Severity::Temporary,
        SendError::Refused { .. } => Severity::Reset,
        SendError::Wire { .. } => Severity::Critical,
        SendError::Rpc { .. } | SendError::TimedOut { .. } => from_client(error.severity()),
    }
}
