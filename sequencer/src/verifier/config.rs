//! The verifier's configuration.

use crate::config::{Commitment, ExecutorChoice, TxVersion};
use crate::replica::runs::Caps;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Configuration of `assay verifier`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerifierConfig {
    /// HTTP address of an L1 node; the client's if absent.
    pub rpc_url: Option<String>,
    /// Address of the rollup's account; the client's if absent.
    pub rollup: Option<String>,
    /// File of the keypair that opens disputes over wrong batches; without one they are only reported.
    pub keypair: Option<PathBuf>,
    /// Price of a compute unit in micro-lamports; raised on every retry.
    pub priority_fee: u64,
    /// The form of transactions.
    pub transactions: TxVersion,
    /// Where the replica and the blobs are kept.
    pub data_dir: PathBuf,
    /// Whether a new folder begins with the newest final batch's state, as an API gives it, and not at genesis.
    pub from_final: bool,
    /// What runs the models.
    pub executor: ExecutorChoice,
    /// The share of the models' runs that is done again.
    pub sample: f64,
    /// Bytes of parameters, inputs, all values and outputs of one run: a model that takes more is not run. For a while it
    /// takes up to four times as much.
    pub memory: u64,
    /// What chooses that share, 64 hex digits; random at every start if absent.
    pub seed: Option<String>,
    /// APIs that have the models' bytes, besides the client's `api`, which is asked last.
    pub blobs: Vec<String>,
    /// Where health and metrics are served; nowhere if absent.
    pub listen: Option<SocketAddr>,
    /// How settled a block must be before it is believed.
    pub commitment: Commitment,
    /// Milliseconds between two looks at L1.
    pub poll_ms: u64,
    /// Seconds for which one that is to end waits for the bytes of models that runs need.
    pub patience_secs: u64,
}

impl VerifierConfig {
    /// [`VerifierConfig::poll_ms`].
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    /// [`VerifierConfig::patience_secs`].
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_secs)
    }
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            rpc_url: None,
            rollup: None,
            keypair: None,
            priority_fee: 0,
            transactions: TxVersion::Auto,
            data_dir: PathBuf::from("assay-verifier"),
            from_final: false,
            executor: ExecutorChoice::Auto,
            sample: 1.0,
            memory: Caps::default().memory,
            seed: None,
            blobs: Vec::new(),
            listen: None,
            commitment: Commitment::Confirmed,
            poll_ms: 400,
            patience_secs: 60,
        }
    }
}
