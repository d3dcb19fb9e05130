//! The sequencer's HTTP API: what its routes take and give, as the service and its clients share it.
//!
//! In JSON a key is base58, a hash is 64 hex digits, bytes are base64 and amounts are whole base
//! units. `POST /v1/transactions` also takes `application/octet-stream`, the borsh encoding of a
//! list of signed requests.

mod text;
mod transactions;

pub use text::{Base64, Hash32, Key32, Signature64, TextError};
pub use transactions::{
    Executed, JsonAction, JsonRequest, Outcome, Refusal, Stage, SubmitAnswer, SubmitJson,
    TransactionView,
};

use assay_ledger::outbox::OutboxLeaf;
use assay_ledger::state::{StateComponents, TreeHead};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of every route's version.
pub const PREFIX: &str = "/v1";
/// The media type of borsh bodies and of blobs.
pub const OCTETS: &str = "application/octet-stream";
/// The most signed requests that one call may carry.
pub const MAX_BULK: usize = 4_096;

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// A word that a program can test, for example `not_found`.
    pub code: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

/// Answer of `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the software.
    pub version: String,
    /// Address of the rollup's account.
    pub rollup: Key32,
    /// The sequencer's key.
    pub sequencer: Key32,
    /// The programs on L1.
    pub programs: Programs,
    /// What runs the models, for example `cpu (avx512-vnni)`.
    pub executor: String,
    /// The process, as its lease on L1 names it.
    pub instance: String,
    /// Why no requests are accepted for now; absent while they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_accepting: Option<String>,
    /// The parameters in force.
    pub params: ParamsView,
    /// The batch being built.
    pub building: Building,
    /// The newest batch on L1, 0 for none.
    pub tip: u64,
    /// The newest final batch, 0 for none.
    pub finalised: u64,
    /// Batches that are closed and not yet on L1.
    pub unposted: u64,
    /// Batches after the newest on L1 that L1 takes now: places for pending batches, and free slices
    /// of the bond.
    pub l1_room: u64,
    /// Requests that wait to be executed.
    pub queue: u64,
    /// Messages from L1.
    pub inbox: InboxView,
    /// Leaves of the outbox so far.
    pub outbox: u64,
    /// Whether L1 takes version-1 transactions.
    pub version1: bool,
    /// Counts since genesis.
    pub counters: Counters,
}

/// The programs that a rollup lives in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Programs {
    /// Batches, bonds, the inbox.
    pub settlement: Key32,
    /// Deposits and withdrawals.
    pub bridge: Key32,
    /// Jobs paid on L1.
    pub escrow: Key32,
}

/// The parameters in force (see `assay_ledger::header::Params`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ParamsView {
    /// Slots from posting to finality.
    pub window: u64,
    /// Lamports of the bond that a pending batch locks.
    pub bond_slice: u64,
    /// Work units of a batch at most.
    pub max_units: u64,
    /// Records of a batch at most.
    pub max_records: u32,
    /// Bytes of a batch at most.
    pub max_data: u32,
    /// Batches after which a deployed model is callable.
    pub model_delay: u64,
    /// The sequencer's share of each price in basis points.
    pub sequencer_share: u16,
    /// Slots that each side of a dispute has for all its moves.
    pub clock: u64,
    /// Slots that a side of a dispute has at least after each move of the other.
    pub extension: u64,
    /// Lamports that a challenger puts down.
    pub dispute_bond: u64,
}

impl From<assay_ledger::header::Params> for ParamsView {
    fn from(p: assay_ledger::header::Params) -> Self {
        Self {
            window: p.window,
            bond_slice: p.bond_slice,
            max_units: p.max_units,
            max_records: p.max_records,
            max_data: p.max_data,
            model_delay: p.model_delay,
            sequencer_share: p.sequencer_share,
            clock: p.clock,
            extension: p.extension,
            dispute_bond: p.dispute_bond,
        }
    }
}

/// The batch being built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Building {
    /// Its number.
    pub number: u64,
    /// Transactions in it so far.
    pub transactions: u32,
    /// Work units used so far.
    pub units: u64,
}

/// How far the L2 has read the inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxView {
    /// Messages seen on L1.
    pub seen: u64,
    /// Messages consumed.
    pub consumed: u64,
}

/// Counts since genesis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Transactions of any kind.
    pub transactions: u64,
    /// Transactions that ran a model.
    pub inferences: u64,
    /// Requests refused before they were ordered.
    pub refused: u64,
    /// Lamports spent on L1 by the sequencer.
    pub l1_lamports: u64,
    /// Bytes of the transactions that the sequencer sent to L1.
    pub l1_bytes: u64,
}

/// An L2 account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// Its index, which batches name it by.
    pub index: u32,
    /// Whose signature moves it.
    pub owner: Key32,
    /// What it holds; `11111111111111111111111111111111` for lamports.
    pub mint: Key32,
    /// In the mint's base units.
    pub balance: u64,
    /// The nonce of the next request.
    pub nonce: u64,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelView {
    /// Its index, which transactions name it by.
    pub index: u32,
    /// Owner of the publisher's account, who may update it.
    pub publisher: Key32,
    /// The mint of its price.
    pub mint: Key32,
    /// The tensor program.
    pub program_root: Hash32,
    /// The parameters.
    pub parameters_root: Hash32,
    /// Price of one run in the mint's base units.
    pub price: u64,
    /// Work units of one run.
    pub units: u64,
    /// Bytes of one run's inputs, all together.
    pub input_bytes: u32,
    /// Counts deployments and updates, from 1.
    pub version: u64,
    /// The first batch in which it can be called.
    pub callable_from: u64,
    /// Whether a request for it would be taken now: callable, and both blobs are here.
    pub callable: bool,
    /// Why it cannot be called though its time has come (a blob is missing or does not check).
    pub problem: Option<String>,
}

/// Query of `PUT /v1/blobs`: what the bytes are, which decides what they are named by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobQuery {
    /// Absent: the bytes are an encoded tensor program, named by its program root. Present: they
    /// are the parameters of the program with this root (already there), named by their
    /// parameters root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Hash32>,
}

/// Answer of `PUT /v1/blobs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobView {
    /// The bytes' name: a program root or a parameters root (see [`BlobQuery`]).
    pub root: Hash32,
    /// How many bytes.
    pub bytes: u64,
}

/// Where a batch is on its way to finality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// Closed, its data on the way to L1.
    Closed,
    /// On L1, its window open.
    Posted,
    /// Its window has passed: settled.
    Final,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchView {
    /// Its number, from 1.
    pub number: u64,
    /// Hash of its header, its name.
    pub hash: Hash32,
    /// Hash of the parent's header.
    pub parent: Hash32,
    /// Who made it.
    pub sequencer: Key32,
    /// The state root after it.
    pub state_root: Hash32,
    /// The components of the state root.
    pub state: StateView,
    /// Root over its transactions' leaves.
    pub tx_root: Hash32,
    /// Number of transactions.
    pub tx_count: u32,
    /// Transactions that ran a model.
    pub inferences: u32,
    /// Root over its data's chunks.
    pub data_root: Hash32,
    /// Bytes of its data.
    pub data_len: u32,
    /// Where it is on its way to finality.
    pub status: BatchStatus,
    /// What it cost on L1, transaction by transaction.
    pub l1: Vec<L1Transaction>,
    /// Lamports of all of them.
    pub l1_lamports: u64,
    /// Bytes of all of them.
    pub l1_bytes: u64,
}

/// A transaction on L1 that a batch needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct L1Transaction {
    /// What it did: `create`, `write`, `seal`, `post`, `finalise`, `close`.
    pub step: String,
    /// Its signature, base58.
    pub signature: Signature64,
    /// The fee really paid.
    pub lamports: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// A fixed-depth tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreeView {
    /// Leaves in use.
    pub count: u64,
    /// Its root.
    pub root: Hash32,
}

impl From<TreeHead> for TreeView {
    fn from(t: TreeHead) -> Self {
        Self {
            count: t.count,
            root: Hash32(t.root),
        }
    }
}

/// The components of a state root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateView {
    /// Accounts.
    pub accounts: TreeView,
    /// Models.
    pub models: TreeView,
    /// Messages consumed.
    pub inbox_cursor: u64,
    /// The inbox chain's value after them.
    pub inbox_chain: Hash32,
    /// Messages to L1.
    pub outbox: TreeView,
    /// Work units used.
    pub units: u64,
}

impl From<StateComponents> for StateView {
    fn from(s: StateComponents) -> Self {
        Self {
            accounts: s.accounts.into(),
            models: s.models.into(),
            inbox_cursor: s.inbox.cursor,
            inbox_chain: Hash32(s.inbox.chain),
            outbox: s.outbox.into(),
            units: s.units,
        }
    }
}

/// A leaf of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum OutboxView {
    /// The bridge pays.
    Withdrawal {
        /// Who receives on L1.
        recipient: Key32,
        /// What is paid.
        mint: Key32,
        /// How much.
        amount: u64,
    },
    /// The escrow settles a job.
    JobResult {
        /// The job's account.
        job: Key32,
        /// Whether the model ran.
        done: bool,
        /// What is charged, lamports.
        price: u64,
        /// The sequencer's share of it.
        sequencer_share: u64,
        /// Who is paid that share.
        sequencer: Key32,
        /// Who is paid the rest.
        publisher: Key32,
        /// The model's version that ran.
        version: u64,
        /// Root over the outputs' roots.
        output_root: Hash32,
    },
}

impl From<OutboxLeaf> for OutboxView {
    fn from(leaf: OutboxLeaf) -> Self {
        match leaf {
            OutboxLeaf::Withdrawal {
                recipient,
                mint,
                amount,
            } => Self::Withdrawal {
                recipient: Key32(recipient),
                mint: Key32(mint),
                amount,
            },
            OutboxLeaf::JobResult {
                job,
                done,
                price,
                sequencer_share,
                sequencer,
                publisher,
                version,
                output_root,
            } => Self::JobResult {
                job: Key32(job),
                done,
                price,
                sequencer_share,
                sequencer: Key32(sequencer),
                publisher: Key32(publisher),
                version,
                output_root: Hash32(output_root),
            },
        }
    }
}

impl From<&OutboxView> for OutboxLeaf {
    fn from(view: &OutboxView) -> Self {
        match view {
            OutboxView::Withdrawal {
                recipient,
                mint,
                amount,
            } => Self::Withdrawal {
                recipient: recipient.0,
                mint: mint.0,
                amount: *amount,
            },
            OutboxView::JobResult {
                job,
                done,
                price,
                sequencer_share,
                sequencer,
                publisher,
                version,
                output_root,
            } => Self::JobResult {
                job: job.0,
                done: *done,
                price: *price,
                sequencer_share: *sequencer_share,
                sequencer: sequencer.0,
                publisher: publisher.0,
                version: *version,
                output_root: output_root.0,
            },
        }
    }
}

/// Answer of `GET /v1/outbox/{index}`: a leaf with its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxProof {
    /// The leaf's index.
    pub index: u64,
    /// The leaf.
    pub leaf: OutboxView,
    /// The batch whose outbox root the path leads to: the newest final one that L1 still holds.
    pub batch: u64,
    /// Leaves of that batch's outbox.
    pub count: u64,
    /// The root itself.
    pub root: Hash32,
    /// Siblings from the leaf's level up.
    pub siblings: Vec<Hash32>,
}

/// A withdrawal, as `GET /v1/withdrawals/{recipient}` lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WithdrawalView {
    /// Index of its outbox leaf.
    pub index: u64,
    /// What is paid.
    pub mint: Key32,
    /// How much.
    pub amount: u64,
    /// The batch that it is in.
    pub batch: u64,
    /// Whether that batch is final, so that L1 pays now.
    pub payable: bool,
}

/// Answer of `GET /v1/jobs/{address}`: an L1 job's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// The job's account on L1.
    pub job: Key32,
    /// Index of its outbox leaf.
    pub index: u64,
    /// The batch that ran it.
    pub batch: u64,
    /// Whether that batch is final, so that it can be settled now.
    pub settleable: bool,
    /// The result.
    pub result: OutboxView,
    /// The outputs, each with its opening in the result's output root; none where declined.
    pub outputs: Vec<OutputView>,
}

/// One output of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputView {
    /// `i8` or `i32`.
    pub dtype: String,
    /// The shape.
    pub dims: Vec<u32>,
    /// Its bytes.
    pub data: Base64,
    /// Siblings in the outputs' tree.
    pub siblings: Vec<Hash32>,
}
