//! Sending transactions until they are on chain, and never twice.
//!
//! A transaction is signed over a blockhash and can land only while that is good. The sender
//! sends it again and again until it is confirmed or can land no more, and only then asks the
//! caller whether the aim is reached in some other way (an earlier run, a confirmation that was
//! lost), before it signs one over a fresh blockhash with a higher priority fee. So there is
//! never more than one signed transaction of an order that could still land, and no refusal is
//! reported while one could.
//!
//! * [`attempt`]: one signed transaction, and what becomes of it

mod attempt;

use crate::rpc::{Rpc, RpcError, Severity};
use crate::wire::{Budget, Wire, WireError};
use attempt::{Fate, Submit};
use futures::{StreamExt, TryStreamExt};
use solana_instruction::Instruction;
use solana_instruction::error::InstructionError;
use solana_keypair::Keypair;
use solana_signature::Signature;
use solana_transaction_error::TransactionError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

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
    /// Nothing is known to have landed in the time given. The transaction in `pending` may still
    /// land until its blockhash expires, so whoever sends the order anew must look first.
    #[error(
        "{label}: not on chain after {} s, last error: {last}{}",
        waited.as_secs(),
        pending_text(pending)
    )]
    TimedOut {
        /// The order.
        label: &'static str,
        /// The time given.
        waited: Duration,
        /// The last thing that went wrong.
        last: String,
        /// The transaction that a node may have.
        pending: Option<Signature>,
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

fn pending_text(pending: &Option<Signature>) -> String {
    pending
        .map(|s| format!("; transaction {s} may still land: look for it before doing this again"))
        .unwrap_or_default()
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

/// Sends orders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sender {
    rpc: Rpc,
    options: Options,
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
        let over = |last: &String, pending: Option<Signature>| match self.options.deadline {
            Some(deadline) if begun.elapsed() > deadline => Err(SendError::TimedOut {
                label,
                waited: deadline,
                last: last.clone(),
                pending,
            }),
            _ => Ok(()),
        };
        let mut first = true;
        loop {
            over(&last, None)?;
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
            // Whether a node may have it: once one has, or the answer was lost, what a node says to
            // the same transaction again tells nothing; only its status does, or its expiry.
            let mut abroad = false;
            let fate = loop {
                if sent_at.is_none_or(|at| at.elapsed() >= self.options.resend) {
                    sent_at = Some(Instant::now());
                    match self.submit(&attempt, order.preflight).await {
                        Ok(()) => abroad = true,
                        Err(Submit::Node(e)) => {
                            abroad = true;
                            last = e.to_string();
                        }
                        Err(Submit::Busy(e)) => last = e.to_string(),
                        Err(Submit::Refused(TransactionError::AlreadyProcessed, _)) => {
                            abroad = true;
                        }
                        // The node that takes it lags behind the one that gave the hash.
                        Err(Submit::Refused(error @ TransactionError::BlockhashNotFound, _)) => {
                            last = error.to_string();
                        }
                        Err(Submit::Fatal(e)) if abroad => last = e.to_string(),
                        Err(Submit::Refused(error, _)) if abroad => last = error.to_string(),
                        Err(Submit::Fatal(cause)) => return Err(rpc_error(cause)),
                        Err(Submit::Refused(error, logs)) => {
                            return match done().await {
                                Ok(true) => Ok(Sent::AlreadyDone),
                                Ok(false) => Err(SendError::Refused { label, error, logs }),
                                Err(e) => Err(rpc_error(e)),
                            };
                        }
                    }
                }
                match self.fate(&attempt).await {
                    Ok(Fate::Pending) => {}
                    Ok(fate) => break fate,
                    Err(e) => last = e.to_string(),
                }
                over(&last, abroad.then(|| attempt.signature()))?;
                tokio::time::sleep(self.options.poll).await;
            };
            match fate {
                Fate::Confirmed(slot) => {
                    return Ok(Sent::Landed(self.landed(&attempt, slot).await));
                }
                Fate::Refused(error) => {
                    if done().await.map_err(rpc_error)? {
                        return Ok(Sent::AlreadyDone);
                    }
                    let logs = self.logs(&attempt.signature()).await;
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
}
