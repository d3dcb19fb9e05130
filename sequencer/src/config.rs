//! The service's configuration: read by the command line from a file and the environment.

use assay_client::api::Key32;
use assay_client::wire::Wire;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Configuration of `assay sequencer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// HTTP address of an L1 node.
    pub rpc_url: String,
    /// Websocket address of the node, where it has one. Slots are polled without.
    pub ws_url: Option<String>,
    /// File of the sequencer's keypair, as `solana-keygen` writes it.
    pub keypair: PathBuf,
    /// Address of the rollup's account.
    pub rollup: Key32,
    /// Where the state and the blobs are kept.
    pub data_dir: PathBuf,
    /// APIs that have the models' bytes: asked when the state is built again from L1.
    pub blobs: Vec<String>,
    /// Where the HTTP API listens.
    pub listen: SocketAddr,
    /// What runs the models.
    pub executor: ExecutorChoice,
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// What this sequencer runs.
    pub models: ModelLimits,
    /// How batches go to L1.
    pub l1: L1Config,
    /// Limits of the HTTP API.
    pub api: ApiLimits,
    /// A development network: `POST /v1/batches/close` works.
    pub dev: bool,
    /// Take the lease at the start though another process of the key has it: its machine is gone. For one start, as a
    /// flag, and not for the file.
    pub take_over: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rpc_url: "http://127.0.0.1:8899".into(),
            ws_url: None,
            keypair: PathBuf::from("sequencer.json"),
            rollup: Key32([0; 32]),
            data_dir: PathBuf::from("assay-data"),
            blobs: Vec::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8600)),
            executor: ExecutorChoice::Auto,
            batch: BatchLimits::default(),
            models: ModelLimits::default(),
            l1: L1Config::default(),
            api: ApiLimits::default(),
            dev: false,
            take_over: false,
        }
    }
}

/// What runs the models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorChoice {
    /// A real GPU if there is one that passes its self-test, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// wgpu, a software device too.
    Wgpu,
}

impl From<ExecutorChoice> for gpu_kernels::Choice {
    fn from(choice: ExecutorChoice) -> Self {
        match choice {
            ExecutorChoice::Auto => Self::Auto,
            ExecutorChoice::Cpu => Self::Cpu,
            ExecutorChoice::Wgpu => Self::Wgpu,
        }
    }
}

/// When a batch is closed: at the first limit that is reached. The rollup's own caps on records,
/// data and work units hold besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchLimits {
    /// Transactions.
    pub transactions: u32,
    /// Bytes of data.
    pub bytes: u32,
    /// Work units.
    pub units: u64,
    /// Milliseconds since its first transaction. A batch that L1 would not take yet is not closed for
    /// its age: it fills.
    pub age_ms: u64,
    /// Closed batches that may wait for L1: while there are as many, no requests are taken.
    pub backlog: u64,
    /// Requests that are executed and made durable together.
    pub micro_batch: usize,
    /// Work units after which no more are added to those.
    pub micro_batch_units: u64,
    /// Bytes of outputs, likewise.
    pub micro_batch_outputs: u64,
    /// Bytes of outputs in answers that wait for the rest of their call. While there are more,
    /// inferences are refused.
    pub waiting_outputs: u64,
}

impl BatchLimits {
    /// [`BatchLimits::age_ms`].
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.age_ms)
    }
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            transactions: 16_384,
            bytes: 2 << 20,
            // What TOML can write.
            units: i64::MAX as u64,
            age_ms: 10_000,
            backlog: 64,
            micro_batch: 512,
            micro_batch_units: 20_000_000_000,
            micro_batch_outputs: 64 << 20,
            waiting_outputs: 256 << 20,
        }
    }
}

/// The most that models may take here. A run for more is refused, or declined for a job of L1, though
/// the rollup would permit it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelLimits {
    /// Work units of one run. Nothing else is executed meanwhile.
    pub units: u64,
    /// Bytes of parameters, inputs and all values of one run.
    pub memory: u64,
    /// Bytes of outputs of one run.
    pub output_bytes: u64,
    /// Bytes of blobs here that no deployed model names.
    pub unnamed_bytes: u64,
    /// Seconds after which such a blob may give way to others.
    pub unnamed_age_s: u64,
}

impl Default for ModelLimits {
    fn default() -> Self {
        Self {
            // Twenty seconds at the speed that verifiers are expected to have.
            units: 20_000_000_000,
            memory: 1 << 30,
            output_bytes: 16 << 20,
            unnamed_bytes: 1 << 30,
            unnamed_age_s: 600,
        }
    }
}

/// How batches go to L1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L1Config {
    /// Price of a compute unit in micro-lamports; raised on every retry.
    pub priority_fee: u64,
    /// The most that the price is raised to.
    pub max_priority_fee: u64,
    /// How settled a block must be before it is believed.
    pub commitment: Commitment,
    /// The form of transactions that carry a batch's data or the moves of a dispute.
    pub transactions: TxVersion,
    /// Chunk transactions in flight at a time.
    pub in_flight: usize,
    /// Milliseconds between two looks at L1.
    pub poll_ms: u64,
    /// Post batches again that L1 has reverted. They are held back otherwise: whatever was the cause takes
    /// a slice of the bond each time.
    pub repost: bool,
}

impl L1Config {
    /// [`L1Config::poll_ms`].
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}

impl Default for L1Config {
    fn default() -> Self {
        Self {
            priority_fee: 0,
            max_priority_fee: 1_000_000,
            commitment: Commitment::Confirmed,
            transactions: TxVersion::Auto,
            in_flight: 16,
            poll_ms: 400,
            repost: false,
        }
    }
}

/// How settled a block must be before it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Commitment {
    /// Voted for by a supermajority.
    Confirmed,
    /// Rooted.
    Finalized,
}

impl From<Commitment> for solana_commitment_config::CommitmentConfig {
    fn from(commitment: Commitment) -> Self {
        match commitment {
            Commitment::Confirmed => Self::confirmed(),
            Commitment::Finalized => Self::finalized(),
        }
    }
}

/// The form of transactions that carry a batch's data or the moves of a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TxVersion {
    /// Version 1 where the chain takes it, else legacy.
    Auto,
    /// At most 1,232 bytes: one chunk each.
    Legacy,
    /// At most 4,096 bytes: four chunks each.
    V1,
}

impl TxVersion {
    /// The form; `None` where the chain is asked.
    pub fn wire(self) -> Option<Wire> {
        match self {
            Self::Auto => None,
            Self::Legacy => Some(Wire::Legacy),
            Self::V1 => Some(Wire::Version1),
        }
    }
}

/// Limits of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiLimits {
    /// Bytes of a body that submits transactions.
    pub body_bytes: usize,
    /// Bytes of a blob.
    pub blob_bytes: usize,
    /// Calls served at a time; more are refused with 503.
    pub concurrency: usize,
    /// Seconds that a call may take.
    pub timeout_s: u64,
    /// Requests that may wait for the engine; more are refused.
    pub queue: usize,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            blob_bytes: 256 << 20,
            concurrency: 256,
            timeout_s: 30,
            queue: 65_536,
        }
    }
}
