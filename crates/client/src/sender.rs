//! Sending transactions until they are on chain, and never twice.
//!
//! A transaction is signed over a blockhash and can land only while that is good. The sender
//! sends it again and again until it is confirmed or can land no more, and only then asks the
//! caller whether the aim is reached in some other way (an earlier run, a confirmation that was
//! lost), before it signs one over a fresh blockhash with a higher priority fee. So there is
//! never more than one signed transaction of an order that could still land.

use crate::rpc::{Rpc, RpcError, Severity, severity};
use crate::wire::{self, Budget, Wire, WireError};
use futures::{StreamExt, TryStreamExt};
use solana_client::client_error::{ClientError, ClientErrorKind};
use solana_client::rpc_config::RpcSendTransactionConfig;
use solana_client::rpc_request::{RpcError as JsonRpcError, RpcResponseErrorData};
use solana_commitment_config::CommitmentLevel;
use solana_instruction::Instruction;
use solana_instruction::error::InstructionError;
use solana_keypair::Keypair;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;
use solana_transaction_status_client_types::{TransactionConfirmationStatus, TransactionStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Compute units that are added to tell orders apart: two equal ones over one blockhash would be
/// one and the same transaction, and the second would seem to have landed with the first.
const MARKS: u32 = 1_000;
static NEXT_MARK: AtomicU32 = AtomicU32::new(0);

/// What is to be done on chain.
#[derive(Clone)]
pub struct Order {
    /// In a word, for logs: `deposit`, `post`.
    pub label: &'static str,
    /// The instructions.
    pub instructions: Vec<Instruction>,
    /// Who signs; the first pays.
    pub signers: Vec<Arc<Keypair>>,
    /// Compute units and the like; the sender sets the price.
    pub budget: Budget,
    /// Whether the node runs it once before it takes it, so that what would fail costs no fee.
    pub preflight: bool,
}

impl Order {
    /// An order with the usual budget.
    pub fn new(label: &'static str, signer: &Arc<Keypair>, instructions: Vec<Instruction>) -> Self {
        Self {
            label,
            instructions,
            signers: vec![signer.clone()],
            budget: Budget::default(),
            preflight: true,
        }
    }

    /// The same without the node's trial run: for many transactions that cannot fail.
    pub fn without_preflight(mut self) -> Self {
        self.preflight = false;
        self
    }

    /// The same with another compute limit.
    pub fn units(mut self, units: u32) -> Self {
        self.budget.units = units;
        self
    }

    /// The same with one more signer.
    pub fn signer(mut self, signer: &Arc<Keypair>) -> Self {
        self.signers.push(signer.clone());
        self
    }
}

/// A transaction that is on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Its name.
    pub signature: Signature,
    /// Its slot.
    pub slot: u64,
    /// The fee really paid, priority fee included.
    pub lamports: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Compute units used, where the node says so.
    pub units: Option<u64>,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Its transaction landed.
    Landed(Landed),
    /// The caller's check says that the aim is reached, though no transaction of this order is
    /// known to have done it.
    AlreadyDone,
}

impl Sent {
    /// The transaction, if one of this order landed.
    pub fn landed(&self) -> Option<&Landed> {
        match self {
            Self::Landed(landed) => Some(landed),
            Self::AlreadyDone => None,
        }
    }
}

/// Why an order failed.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The chain refuses it.
    #[error(
        "{label}: the chain refuses the transaction: {error}{}",
        logs_text(logs)
    )]
    Refused {
        /// The order.
        label: &'static str,
        /// Why.
        error: TransactionError,
        /// The programs' log, where the node gave it.
        logs: Vec<String>,
    },
    /// It cannot be made.
    #[error("{label}: {cause}")]
    Wire {
        /// The order.
        label: &'static str,
        /// Why.
        cause: WireError,
    },
    /// The node.
    #[error("{label}: {cause}")]
    Rpc {
        /// The order.
        label: &'static str,
        /// What is wrong.
        cause: RpcError,
    },
    /// Nothing landed in the time given. It may still land until the blockhash expires.
    #[error("{label}: not on chain after {} s, last error: {last}", waited.as_secs())]
    TimedOut {
        /// The order.
        label: &'static str,
        /// The time given.
        waited: Duration,
        /// The last thing that went wrong.
        last: String,
    },
}

impl SendError {
    /// The program's own error number, where it refused.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Refused {
                error: TransactionError::InstructionError(_, InstructionError::Custom(code)),
                ..
            } => Some(*code),
            _ => None,
        }
    }

    /// Whether to try again.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Refused { .. } | Self::Wire { .. } => Severity::Permanent,
            Self::Rpc { cause, .. } => cause.severity(),
            Self::TimedOut { .. } => Severity::Temporary,
        }
    }
}

fn logs_text(logs: &[String]) -> String {
    // The line that says it, if there is one; Anchor's is "AnchorError ... Error Message: ...".
    let said = logs
        .iter()
        .find(|l| l.contains("Error Message") || l.contains("AnchorError"))
        .or_else(|| logs.iter().rfind(|l| l.contains("failed")));
    said.map(|l| format!(" ({})", l.trim_start_matches("Program log: ")))
        .unwrap_or_default()
}

/// How to send.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Micro-lamports per compute unit at first.
    pub unit_price: u64,
    /// What the price is multiplied by after each expiry (from 1 micro-lamport if it was 0).
    pub escalation: u64,
    /// The price at most.
    pub max_unit_price: u64,
    /// Time between looks at the chain.
    pub poll: Duration,
    /// Time after which the same transaction is sent again.
    pub resend: Duration,
    /// Time after which an order fails; `None` for never.
    pub deadline: Option<Duration>,
    /// Always this format, instead of asking the cluster.
    pub wire: Option<Wire>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            unit_price: 0,
            escalation: 10,
            max_unit_price: 1_000_000,
            poll: Duration::from_millis(100),
            resend: Duration::from_secs(2),
            deadline: Some(Duration::from_secs(120)),
            wire: None,
        }
    }
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

/// Sends orders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sender {
    rpc: Rpc,
    options: Options,
}

/// One signed transaction of an order, and until when it can land.
struct Attempt {
    transaction: VersionedTransaction,
    bytes: usize,
    last_height: u64,
}

/// What the chain says about an attempt.
enum Fate {
    Confirmed(u64),
    Refused(TransactionError),
    Pending,
    Expired,
}

impl Sender {
    /// A sender to `rpc`.
    pub fn new(rpc: Rpc, options: Options) -> Self {
        Self { rpc, options }
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The format that orders go out in.
    pub async fn wire(&self) -> Result<Wire, RpcError> {
        match self.options.wire {
            Some(wire) => Ok(wire),
            None => self.rpc.wire().await,
        }
    }

    /// Sends an order that fails when it is carried out twice, or that may be.
    pub async fn send(&self, order: &Order) -> Result<Landed, SendError> {
        let never = || async { Ok(false) };
        match self.send_unless(order, never).await? {
            Sent::Landed(landed) => Ok(landed),
            Sent::AlreadyDone => unreachable!("`never` never says so"),
        }
    }

    /// Sends an order unless `done` says that its aim is reached. `done` is asked before each
    /// transaction is signed but the first, and when the chain refuses one.
    pub async fn send_unless<F: Future<Output = Result<bool, RpcError>>>(
        &self,
        order: &Order,
        done: impl Fn() -> F,
    ) -> Result<Sent, SendError> {
        let label = order.label;
        let rpc_error = |cause| SendError::Rpc { label, cause };
        let begun = Instant::now();
        let mut last = String::from("none");
        let mut price = self.options.unit_price;
        let mark = NEXT_MARK.fetch_add(1, Ordering::Relaxed);
        let over = |last: &String| match self.options.deadline {
            Some(deadline) if begun.elapsed() > deadline => Err(SendError::TimedOut {
                label,
                waited: deadline,
                last: last.clone(),
            }),
            _ => Ok(()),
        };
        let mut first = true;
        loop {
            over(&last)?;
            if !first {
                match done().await {
                    Ok(true) => return Ok(Sent::AlreadyDone),
                    Ok(false) => {}
                    Err(e) if e.severity() == Severity::Temporary => {
                        last = e.to_string();
                        tokio::time::sleep(self.options.resend).await;
                        continue;
                    }
                    Err(e) => return Err(rpc_error(e)),
                }
            }
            let attempt = match self.sign(order, price, mark).await {
                Ok(attempt) => attempt,
                Err(e) if e.severity() == Severity::Temporary => {
                    last = e.to_string();
                    tokio::time::sleep(self.options.poll).await;
                    continue;
                }
                Err(e) => return Err(e),
            };
            first = false;
            let mut sent_at: Option<Instant> = None;
            // Once the node has taken it, what it says to the same transaction again tells
            // nothing; only its status does.
            let mut taken = false;
            let fate = loop {
                if sent_at.is_none_or(|at| at.elapsed() >= self.options.resend) {
                    sent_at = Some(Instant::now());
                    match self.submit(&attempt, order.preflight).await {
                        Ok(()) => taken = true,
                        Err(Submit::Node(e)) => last = e.to_string(),
                        Err(_) if taken => {}
                        Err(Submit::Fatal(cause)) => return Err(rpc_error(cause)),
                        Err(Submit::Refused(error, logs)) => {
                            // Perhaps because an earlier sending of it, the answer to which was
                            // lost, has landed.
                            match self.fate(&attempt).await {
                                Ok(Fate::Confirmed(slot)) => break Fate::Confirmed(slot),
                                Ok(_) if done().await.map_err(rpc_error)? => {
                                    return Ok(Sent::AlreadyDone);
                                }
                                _ => {}
                            }
                            match error {
                                TransactionError::AlreadyProcessed => taken = true,
                                // The node that takes it lags behind the one that gave the hash.
                                TransactionError::BlockhashNotFound => last = error.to_string(),
                                _ => return Err(SendError::Refused { label, error, logs }),
                            }
                        }
                    }
                }
                match self.fate(&attempt).await {
                    Ok(Fate::Pending) => {}
                    Ok(fate) => break fate,
                    Err(e) => last = e.to_string(),
                }
                over(&last)?;
                tokio::time::sleep(self.options.poll).await;
            };
            match fate {
                Fate::Confirmed(slot) => {
                    return Ok(Sent::Landed(
                        self.landed(&attempt, slot).await.map_err(rpc_error)?,
                    ));
                }
                Fate::Refused(error) => {
                    if done().await.map_err(rpc_error)? {
                        return Ok(Sent::AlreadyDone);
                    }
                    let logs = self.logs(&attempt.transaction.signatures[0]).await;
                    return Err(SendError::Refused { label, error, logs });
                }
                Fate::Expired | Fate::Pending => {
                    last = "the blockhash expired".into();
                    price =
                        (price.max(1) * self.options.escalation).min(self.options.max_unit_price);
                    tracing::warn!(label, price, "transaction expired, signing it again");
                }
            }
        }
    }

    /// Sends many orders that do not depend on each other, `width` at a time; results in order.
    pub async fn send_all(
        &self,
        orders: Vec<Order>,
        width: usize,
    ) -> Result<Vec<Landed>, SendError> {
        futures::stream::iter(orders)
            .map(|order| async move { self.send(&order).await })
            .buffered(width.max(1))
            .try_collect()
            .await
    }

    async fn sign(&self, order: &Order, unit_price: u64, mark: u32) -> Result<Attempt, SendError> {
        let label = order.label;
        let rpc_error = |cause| SendError::Rpc { label, cause };
        let wire = self.wire().await.map_err(rpc_error)?;
        let (blockhash, last_height) = self.rpc.blockhash().await.map_err(rpc_error)?;
        let signers: Vec<&Keypair> = order.signers.iter().map(|k| k.as_ref()).collect();
        let budget = Budget {
            unit_price,
            units: order.budget.units.saturating_add(mark % MARKS),
            ..order.budget
        };
        let (transaction, bytes) =
            wire::transaction(wire, &signers, &order.instructions, &budget, blockhash)
                .map_err(|cause| SendError::Wire { label, cause })?;
        Ok(Attempt {
            transaction,
            bytes,
            last_height,
        })
    }

    async fn submit(&self, attempt: &Attempt, preflight: bool) -> Result<(), Submit> {
        let config = RpcSendTransactionConfig {
            skip_preflight: !preflight,
            preflight_commitment: Some(CommitmentLevel::Processed),
            // We resend ourselves.
            max_retries: Some(0),
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

    /// Looks the attempt up. What is unknown to a chain that was past the last height before the
    /// look can land no more.
    async fn fate(&self, attempt: &Attempt) -> Result<Fate, ClientError> {
        let client = self.rpc.client();
        let signature = attempt.transaction.signatures[0];
        let statuses = client.get_signature_statuses(&[signature]).await?.value;
        if let Some(Some(status)) = statuses.into_iter().next() {
            return Ok(Fate::of(status));
        }
        if client.get_block_height().await? <= attempt.last_height {
            return Ok(Fate::Pending);
        }
        let statuses = client
            .get_signature_statuses_with_history(&[signature])
            .await?
            .value;
        Ok(match statuses.into_iter().next().flatten() {
            Some(status) => Fate::of(status),
            None => Fate::Expired,
        })
    }

    async fn landed(&self, attempt: &Attempt, slot: u64) -> Result<Landed, RpcError> {
        let signature = attempt.transaction.signatures[0];
        // The status can be known a moment before the transaction itself.
        let mut meta = None;
        for _ in 0..50 {
            meta = self
                .rpc
                .transaction(&signature)
                .await?
                .and_then(|t| t.transaction.meta);
            if meta.is_some() {
                break;
            }
            tokio::time::sleep(self.options.poll).await;
        }
        let meta = meta.ok_or_else(|| RpcError::Node {
            url: self.rpc.url(),
            cause: Box::new(ClientError::from(ClientErrorKind::RpcError(
                JsonRpcError::RpcRequestError(format!(
                    "the node confirms transaction {signature} and does not have it"
                )),
            ))),
        })?;
        Ok(Landed {
            signature,
            slot,
            lamports: meta.fee,
            bytes: attempt.bytes as u64,
            units: meta.compute_units_consumed.into(),
        })
    }

    async fn logs(&self, signature: &Signature) -> Vec<String> {
        let found = self.rpc.transaction(signature).await.ok().flatten();
        found
            .and_then(|t| t.transaction.meta)
            .and_then(|m| Option::from(m.log_messages))
            .unwrap_or_default()
    }
}

/// What became of handing a transaction to the node.
enum Submit {
    /// Its simulation fails.
    Refused(TransactionError, Vec<String>),
    /// The node is away or busy.
    Node(ClientError),
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
            Severity::Temporary => Self::Node(error),
            Severity::Permanent => Self::Fatal(RpcError::Node {
                url: rpc.url(),
                cause: Box::new(error),
            }),
        }
    }
}
