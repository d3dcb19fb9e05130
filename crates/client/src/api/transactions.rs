//! Signed requests and what became of them.

use super::{Base64, Hash32, Key32, Signature64};
use assay_ledger::request::{Action, Request, SignedRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A signed request in JSON. Its signature is over the same bytes as the borsh form's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JsonRequest {
    /// Address of the rollup's account.
    pub rollup: Key32,
    /// Who signs.
    pub owner: Key32,
    /// The mint of the account that pays or moves.
    pub mint: Key32,
    /// That account's nonce.
    pub nonce: u64,
    /// What is asked for.
    pub action: JsonAction,
    /// Ed25519, over `assay:tx:1`, rollup, owner, mint, nonce and the action: see "What is signed" in
    /// `crates/ledger/README.md`.
    pub signature: Signature64,
}

/// What a request asks for. Deploying and updating need the borsh form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum JsonAction {
    /// To the account of `to` in the same mint.
    Transfer {
        /// Who receives.
        to: Key32,
        /// How much.
        amount: u64,
    },
    /// To L1, through the outbox.
    Withdraw {
        /// Who receives on L1.
        recipient: Key32,
        /// How much.
        amount: u64,
    },
    /// Run a model.
    Infer {
        /// Its index.
        model: u32,
        /// Its tensor program.
        program_root: Hash32,
        /// Its price, which is the most that is paid.
        price: u64,
        /// Its version, where only that one will do.
        version: Option<u64>,
        /// The inputs' bytes one after the other.
        input: Base64,
    },
}

impl From<JsonRequest> for SignedRequest {
    fn from(json: JsonRequest) -> Self {
        Self {
            request: Request {
                rollup: json.rollup.0,
                owner: json.owner.0,
                mint: json.mint.0,
                nonce: json.nonce,
                action: match json.action {
                    JsonAction::Transfer { to, amount } => Action::Transfer { to: to.0, amount },
                    JsonAction::Withdraw { recipient, amount } => Action::Withdraw {
                        recipient: recipient.0,
                        amount,
                    },
                    JsonAction::Infer {
                        model,
                        program_root,
                        price,
                        version,
                        input,
                    } => Action::Infer {
                        model,
                        program_root: program_root.0,
                        price,
                        version,
                        input: input.0,
                    },
                },
            },
            signature: json.signature.0,
        }
    }
}

/// JSON body of `POST /v1/transactions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitJson {
    /// The requests, in the order in which they are to be taken.
    pub requests: Vec<JsonRequest>,
}

/// Answer of `POST /v1/transactions`: one outcome for each request, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitAnswer {
    /// One for each request.
    pub outcomes: Vec<Outcome>,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// Hash of the request's signing bytes, its name from now on.
    pub id: Hash32,
    /// Whether it is in a batch.
    pub accepted: bool,
    /// Why it is not.
    pub error: Option<Refusal>,
    /// What it did.
    pub executed: Option<Executed>,
}

/// Why a request is not in a batch. It consumed nothing: its nonce is still free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// A word that a program can test: `signature`, `nonce`, `rollup`, `balance`, `model`, ...
    pub code: String,
    /// What is wrong, with what was expected.
    pub message: String,
    /// Whether the same request may pass later (the queue is full, a model is not callable yet).
    pub retry: bool,
}

/// A transaction's place and result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Executed {
    /// Its batch.
    pub batch: u64,
    /// Its place there, from 0.
    pub position: u32,
    /// The ledger's status, 0 for success.
    pub status: u8,
    /// The status in words.
    pub status_text: String,
    /// What was paid, in the mint's base units.
    pub fee: u64,
    /// Root over the outputs' roots, where a model ran.
    pub output_root: Option<Hash32>,
    /// The outputs' bytes one after the other, where a model ran.
    pub outputs: Option<Base64>,
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// In the batch being built.
    Building,
    /// In a closed batch on its way to L1.
    Closed,
    /// In a batch on L1 whose window is open.
    Posted,
    /// Settled.
    Final,
}

/// Answer of `GET /v1/transactions/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionView {
    /// Hash of the request's signing bytes.
    pub id: Hash32,
    /// Place and result.
    pub executed: Executed,
    /// How far its batch is.
    pub stage: Stage,
}
