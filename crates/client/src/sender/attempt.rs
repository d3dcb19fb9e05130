//! One signed transaction: made, handed to the node, looked up.

use super::{Landed, Order, SendError, Sender};
use crate::rpc::{Rpc, RpcError, Severity, severity};
use crate::wire::{self, BASE_FEE, Budget};
use solana_client::client_error::{ClientError, ClientErrorKind};
use solana_client::rpc_config::RpcSendTransactionConfig;
use solana_client::rpc_request::{RpcError as JsonRpcError, RpcResponseErrorData};
use solana_commitment_config::{CommitmentConfig, CommitmentLevel};
use solana_keypair::Keypair;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;
use solana_transaction_status_client_types::{TransactionConfirmationStatus, TransactionStatus};

/// Compute units that are added to tell orders apart: two equal ones over one blockhash would be
/// one and the same transaction, and the second would seem to have landed with the first.
const MARKS: u32 = 1_000;

/// How often the node is asked for a transaction that it has confirmed.
const LANDED_LOOKS: u32 = 50;

/// One signed transaction of an order, and until when it can land.
pub(super) struct Attempt {
    transaction: VersionedTransaction,
    bytes: usize,
    /// What the chain takes for it.
    lamports: u64,
    /// The last block height at which it can land.
    last_height: u64,
    /// The slot of the node that gave the blockhash.
    slot: u64,
}

impl Attempt {
    pub(super) fn signature(&self) -> Signature {
        self.transaction.signatures[0]
    }
}

/// What the chain says about an attempt.
pub(super) enum Fate {
    /// It is in this slot.
    Confirmed(u64),
    /// It is on chain and failed.
    Refused(TransactionError),
    /// It may land.
    Pending,
    /// It can land no more.
    Expired,
}

impl Fate {
    fn of(status: TransactionStatus) -> Self {
        match (status.confirmation_status(), status.err) {
            (TransactionConfirmationStatus::Processed, _) => Self::Pending,
            (_, Some(error)) => Self::Refused(error),
            (_, None) => Self::Confirmed(status.slot),
        }
    }
}

impl Sender {
    pub(super) async fn sign(
        &self,
        order: &Order,
        unit_price: u64,
        mark: u32,
    ) -> Result<Attempt, SendError> {
        let label = order.label;
        let rpc_error = |cause| SendError::Rpc { label, cause };
        let wire = self.wire().await.map_err(rpc_error)?;
        let blockhash = self.rpc.blockhash().await.map_err(rpc_error)?;
        let signers: Vec<&Keypair> = order.signers.iter().map(|k| k.as_ref()).collect();
        let budget = Budget {
            unit_price,
            units: order.budget.units.saturating_add(mark % MARKS),
            ..order.budget
        };
        let (transaction, bytes) =
            wire::transaction(wire, &signers, &order.instructions, &budget, blockhash.hash)
                .map_err(|cause| SendError::Wire { label, cause })?;
        let signatures = transaction.signatures.len() as u64;
        Ok(Attempt {
            transaction,
            bytes,
            lamports: (signatures * BASE_FEE).saturating_add(budget.priority_fee()),
            last_height: blockhash.last_height,
            slot: blockhash.slot,
        })
    }

    pub(super) async fn submit(&self, attempt: &Attempt, preflight: bool) -> Result<(), Submit> {
        let config = RpcSendTransactionConfig {
            skip_preflight: !preflight,
            preflight_commitment: Some(CommitmentLevel::Processed),
            // We resend ourselves.
            max_retries: Some(0),
            // A node that lags would find missing what is there, and refuse.
            min_context_slot: preflight.then_some(attempt.slot),
            ..Default::default()
        };
        let client = self.rpc.client();
        match client
            .send_transaction_with_config(&attempt.transaction, config)
            .await
        {
            Ok(_) => Ok(()),
            Err(e) => Err(Submit::from(e, &self.rpc)),
        }
    }

    /// Looks the attempt up.
    ///
    /// It can land no more when the final chain is past its last height and has not got it. Both
    /// are known from nodes that need not be the same: an answer that it is unknown counts if
    /// that node was at the slot at which the height was seen, or later.
    pub(super) async fn fate(&self, attempt: &Attempt) -> Result<Fate, ClientError> {
        let client = self.rpc.client();
        let signature = attempt.signature();
        let known = client.get_signature_statuses(&[signature]).await?.value;
        if let Some(Some(status)) = known.into_iter().next() {
            return Ok(self.told(status));
        }
        let past = client
            .get_epoch_info_with_commitment(CommitmentConfig::finalized())
            .await?;
        if past.block_height <= attempt.last_height {
            return Ok(Fate::Pending);
        }
        let known = client
            .get_signature_statuses_with_history(&[signature])
            .await?;
        Ok(match known.value.into_iter().next().flatten() {
            Some(status) => self.told(status),
            None if known.context.slot < past.absolute_slot => Fate::Pending,
            None => {
                // Whether the aim is reached in another way is not to be read from before that.
                self.rpc.saw(past.absolute_slot);
                Fate::Expired
            }
        })
    }

    fn told(&self, status: TransactionStatus) -> Fate {
        let fate = Fate::of(status);
        if let Fate::Confirmed(slot) = fate {
            self.rpc.saw(slot);
        }
        fate
    }

    /// The report on an attempt that is on chain. That it landed stands, whether the node gives the
    /// transaction or not; the fee follows from it.
    pub(super) async fn landed(&self, attempt: &Attempt, slot: u64) -> Landed {
        let signature = attempt.signature();
        // The status can be known a moment before the transaction itself.
        let mut meta = None;
        for _ in 0..LANDED_LOOKS {
            match self.rpc.transaction(&signature).await {
                Ok(found) => meta = found.and_then(|t| t.transaction.meta),
                Err(error) => {
                    tracing::warn!(%error, %signature, "on chain, and the node does not give it");
                    break;
                }
            }
            if meta.is_some() {
                break;
            }
            tokio::time::sleep(self.options.poll).await;
        }
        let units = meta.as_ref().map(|m| m.compute_units_consumed.clone());
        Landed {
            signature,
            slot,
            lamports: meta.map_or(attempt.lamports, |m| m.fee),
            bytes: attempt.bytes as u64,
            units: units.and_then(Into::into),
        }
    }

    pub(super) async fn logs(&self, signature: &Signature) -> Vec<String> {
        let found = self.rpc.transaction(signature).await.ok().flatten();
        found
            .and_then(|t| t.transaction.meta)
            .and_then(|m| Option::from(m.log_messages))
            .unwrap_or_default()
    }
}

/// Why a node did not take a transaction.
pub(super) enum Submit {
    /// Its simulation fails.
    Refused(TransactionError, Vec<String>),
    /// The node is away, and may have taken it before.
    Node(ClientError),
    /// The node cannot take it now, and has not.
    Busy(ClientError),
    /// The node will never take it.
    Fatal(RpcError),
}

impl Submit {
    fn from(error: ClientError, rpc: &Rpc) -> Self {
        if let Some(refused) = error.get_transaction_error() {
            let logs = match error.kind() {
                ClientErrorKind::RpcError(JsonRpcError::RpcResponseError {
                    data: RpcResponseErrorData::SendTransactionPreflightFailure(result),
                    ..
                }) => result.logs.clone().unwrap_or_default(),
                _ => Vec::new(),
            };
            return Self::Refused(refused, logs);
        }
        // Some nodes say it in words only.
        let words = TransactionError::AlreadyProcessed.to_string();
        if error.to_string().contains(&words) {
            return Self::Refused(TransactionError::AlreadyProcessed, Vec::new());
        }
        match severity(&error) {
            Severity::Temporary if not_taken(&error) => Self::Busy(error),
            Severity::Temporary => Self::Node(error),
            Severity::Permanent => Self::Fatal(RpcError::Node {
                url: rpc.url(),
                cause: Box::new(error),
            }),
        }
    }
}

/// Whether the transaction cannot have got to the chain: no connection, or the node says that it is
/// behind, not yet at the slot asked for, or that there are too many requests.
fn not_taken(error: &ClientError) -> bool {
    match error.kind() {
        ClientErrorKind::Reqwest(e) => e.is_connect(),
        ClientErrorKind::RpcError(JsonRpcError::RpcResponseError { code, .. }) => {
            matches!(code, -32005 | -32016 | 429)
        }
        _ => false,
    }
}
