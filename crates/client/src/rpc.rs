//! A Solana node, or a pool of them behind one address, spoken to through `solana-client`: reads that
//! outlast a short outage, and that never go back in time.
//!
//! The nodes of a pool are not at one slot. An account that was read at a slot, or a transaction seen to
//! land in it, must not be gone at the next read because another node answers: every read of an
//! account names the newest slot seen so far, and a node that is not there yet is asked again.

mod block;
mod health;

pub use health::{FailureKind, Health};

use crate::causes;
use crate::wire::Wire;
use anchor_lang::{AccountDeserialize, Discriminator};
use backon::{ExponentialBuilder, Retryable};
use solana_account::Account;
use solana_account_decoder_client_types::{UiAccount, UiAccountEncoding, UiDataSliceConfig};
use solana_client::client_error::{ClientError, ClientErrorKind};
use solana_client::nonblocking::rpc_client::RpcClient;
use solana_client::rpc_client::RpcClientConfig;
use solana_client::rpc_config::{
    RpcAccountInfoConfig, RpcContextConfig, RpcProgramAccountsConfig, RpcTransactionConfig,
};
use solana_client::rpc_filter::RpcFilterType;
use solana_client::rpc_request::{RpcError as JsonRpcError, RpcRequest};
use solana_client::rpc_response::{Response, RpcBlockhash, RpcKeyedAccount};
use solana_clock::Clock;
use solana_commitment_config::CommitmentConfig;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction_status_client_types::{
    EncodedConfirmedTransactionWithStatusMeta, UiTransactionEncoding,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

/// The feature gate of version-1 transactions.
const VERSION1_FEATURE: Pubkey =
    Pubkey::from_str_const("txv1aq4pp281K9um3tnPgkfX8UqtFT6wcVW3hNezGLL");
/// Owns the accounts of feature gates.
const FEATURE_PROGRAM: Pubkey =
    Pubkey::from_str_const("Feature111111111111111111111111111111111111");

/// How bad an error is, so that callers need not guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The node is away, behind or busy: try again later.
    Temporary,
    /// The same call will fail again.
    Permanent,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The node, or the way to it.
    #[error("the Solana node at {url}: {}", causes(cause))]
    Node {
        /// Its address.
        url: String,
        /// What it said.
        cause: Box<ClientError>,
    },
    /// An account does not hold what it should.
    #[error("account {address} is not a {expected}: {reason}")]
    Account {
        /// Its address.
        address: Pubkey,
        /// What was expected there.
        expected: &'static str,
        /// Why it is not.
        reason: String,
    },
    /// An account is not there.
    #[error("there is no {expected} at {address}")]
    Missing {
        /// Where it was looked for.
        address: Pubkey,
        /// What was expected there.
        expected: &'static str,
    },
}

impl RpcError {
    /// Whether to try again.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Node { cause, .. } => severity(cause),
            Self::Account { .. } | Self::Missing { .. } => Severity::Permanent,
        }
    }
}

/// How bad an error of `solana-client` is.
pub fn severity(error: &ClientError) -> Severity {
    use Severity::{Permanent, Temporary};
    match error.kind() {
        ClientErrorKind::Io(_) | ClientErrorKind::Reqwest(_) | ClientErrorKind::Middleware(_) => {
            Temporary
        }
        ClientErrorKind::RpcError(JsonRpcError::RpcRequestError(_)) => Temporary,
        // Block cleaned up, not available, unhealthy, behind; internal error; HTTP-like codes
        // that gateways put there.
        ClientErrorKind::RpcError(JsonRpcError::RpcResponseError {
            code: -32001 | -32004 | -32005 | -32014 | -32016 | -32603 | 429 | 500..=599,
            ..
        }) => Temporary,
        // A gateway's page instead of JSON.
        ClientErrorKind::SerdeJson(_) => Temporary,
        _ => Permanent,
    }
}

/// A node. Cheap to clone.
#[derive(Clone)]
pub struct Rpc {
    client: Arc<RpcClient>,
    /// Gives blocks, where the node is one behind an address.
    blocks: Option<block::BlockSource>,
    /// How settled a block must be before anything in it is read.
    commitment: CommitmentConfig,
    version1: Arc<OnceCell<bool>>,
    patience: Duration,
    /// The newest slot of which something was read.
    newest: Arc<AtomicU64>,
    health: Health,
}

/// How long a call to a node may take, where nothing is in a hurry.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// A blockhash to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blockhash {
    /// It.
    pub hash: Hash,
    /// The last block height at which it is good.
    pub last_height: u64,
    /// The slot that the node was at.
    pub slot: u64,
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("url", &self.url()).finish()
    }
}

impl Rpc {
    /// A node at `url`, read at commitment `confirmed`.
    pub fn new(url: impl Into<String>) -> Self {
        Self::within(url, CommitmentConfig::confirmed(), TIMEOUT)
    }

    /// A node at `url`, read at this commitment, of which no call may take longer than `timeout`.
    pub fn within(url: impl Into<String>, commitment: CommitmentConfig, timeout: Duration) -> Self {
        let url = url.into();
        let blocks = block::BlockSource::new(&url, timeout);
        let health = Health::new(&url);
        let watched = health::Watched::new(&url, timeout, health.clone());
        let config = RpcClientConfig::with_commitment(commitment);
        Self {
            blocks,
            health,
            ..Self::with_client(RpcClient::new_sender(watched, config))
        }
    }

    /// A node behind any client, a mocked one for example.
    pub fn with_client(client: RpcClient) -> Self {
        Self {
            commitment: client.commitment(),
            client: Arc::new(client),
            blocks: None,
            version1: Arc::new(OnceCell::new()),
            patience: Duration::from_secs(10),
            newest: Arc::default(),
            health: Health::default(),
        }
    }

    /// How calls to it fare.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The same node, a read of which is tried again for `patience` before it fails.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The same node, whose accounts are read as they are for good: as of the newest slot that L1 will not take back.
    pub fn finalized(&self) -> Self {
        Self {
            commitment: CommitmentConfig::finalized(),
            // What was read of newer slots says nothing about that one.
            newest: Arc::default(),
            ..self.clone()
        }
    }

    /// The client underneath, for what is not here.
    pub fn client(&self) -> &RpcClient {
        &self.client
    }

    /// The node's address.
    pub fn url(&self) -> String {
        self.client.url()
    }

    /// How long a slot is, by the node's newest sample; the usual 400 ms where it has none.
    pub async fn slot_time(&self) -> Duration {
        let samples = self.client.get_recent_performance_samples(Some(1)).await;
        let sample = samples.ok().and_then(|samples| samples.into_iter().next());
        match sample {
            Some(s) if s.num_slots > 0 => {
                let period = f64::from(s.sample_period_secs);
                Duration::from_secs_f64(period / s.num_slots as f64)
            }
            _ => Duration::from_millis(400),
        }
    }

    /// Runs `call` until it succeeds, fails for good, or patience ends.
    pub async fn retry<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        call: impl FnMut() -> F,
    ) -> Result<T, RpcError> {
        call.retry(
            ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(50))
                .with_max_delay(Duration::from_secs(2))
                .with_jitter()
                .without_max_times()
                .with_total_delay(Some(self.patience)),
        )
        .when(|e| severity(e) == Severity::Temporary)
        .notify(|e, after| {
            self.health.unread(e);
            tracing::debug!(error = %e, ?after, "Solana node: trying again");
        })
        .await
        .map_err(|cause| RpcError::Node {
            url: self.url(),
            cause: Box::new(cause),
        })
    }

    /// Notes that something is known of `slot`: from now on no account is read at an older one.
    pub fn saw(&self, slot: u64) {
        // What is confirmed becomes final half a minute later: readers of what is final are told
        // by their own reads only.
        if !self.commitment.is_finalized() {
            self.newest.fetch_max(slot, Ordering::Relaxed);
        }
    }

    /// What is at an address or several, and the slot after which the node read it: none older than
    /// was seen before.
    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        request: RpcRequest,
        what: impl serde::Serialize,
    ) -> Result<(u64, T), RpcError> {
        let what = &what;
        let response: Response<T> = self
            .retry(|| {
                self.client
                    .send(request, serde_json::json!([what, self.reading()]))
            })
            .await?;
        let slot = response.context.slot;
        self.newest.fetch_max(slot, Ordering::Relaxed);
        Ok((slot, response.value))
    }

    /// The account at `address`; `None` if there is none.
    pub async fn account(&self, address: &Pubkey) -> Result<Option<Account>, RpcError> {
        Ok(self.account_at(address).await?.1)
    }

    /// The account at `address`, and the slot after which the node read it: what landed up to
    /// there is in it.
    pub async fn account_at(&self, address: &Pubkey) -> Result<(u64, Option<Account>), RpcError> {
        let (slot, found): (u64, Option<UiAccount>) = self
            .read(RpcRequest::GetAccountInfo, address.to_string())
            .await?;
        let found = found
            .map(|account| decoded(address, &account))
            .transpose()?;
        Ok((slot, found))
    }

    /// The accounts at `addresses`, in order.
    pub async fn accounts(&self, addresses: &[Pubkey]) -> Result<Vec<Option<Account>>, RpcError> {
        let mut all = Vec::with_capacity(addresses.len());
        for part in addresses.chunks(100) {
            let names: Vec<String> = part.iter().map(Pubkey::to_string).collect();
            let (_, found): (u64, Vec<Option<UiAccount>>) =
                self.read(RpcRequest::GetMultipleAccounts, names).await?;
            if found.len() != part.len() {
                let (asked, given) = (part.len(), found.len());
                return Err(self.nonsense(format!("{given} accounts for {asked} addresses")));
            }
            for (address, account) in part.iter().zip(found) {
                all.push(account.map(|a| decoded(address, &a)).transpose()?);
            }
        }
        Ok(all)
    }

    /// The accounts of `program` that pass `filters`, in the node's order.
    pub async fn owned(
        &self,
        program: &Pubkey,
        filters: &[RpcFilterType],
    ) -> Result<Vec<(Pubkey, Account)>, RpcError> {
        self.owned_heads(program, filters, None).await
    }

    /// The same with the first `len` bytes of each account's data only; with all for `None`.
    pub async fn owned_heads(
        &self,
        program: &Pubkey,
        filters: &[RpcFilterType],
        len: Option<usize>,
    ) -> Result<Vec<(Pubkey, Account)>, RpcError> {
        let data_slice = len.map(|length| UiDataSliceConfig { offset: 0, length });
        let found: Response<Vec<RpcKeyedAccount>> = self
            .retry(|| {
                let config = RpcProgramAccountsConfig {
                    filters: Some(filters.to_vec()),
                    account_config: RpcAccountInfoConfig {
                        data_slice,
                        ..self.reading()
                    },
                    with_context: Some(true),
                    ..RpcProgramAccountsConfig::default()
                };
                let what = serde_json::json!([program.to_string(), config]);
                self.client.send(RpcRequest::GetProgramAccounts, what)
            })
            .await?;
        self.newest.fetch_max(found.context.slot, Ordering::Relaxed);
        let decode = |keyed: &RpcKeyedAccount| {
            let address = keyed.pubkey.parse::<Pubkey>();
            let address = address.map_err(|e| self.nonsense(format!("an address: {e}")))?;
            Ok((address, decoded(&address, &keyed.account)?))
        };
        found.value.iter().map(decode).collect()
    }

    /// How accounts are read: as new as anything that was read before.
    fn reading(&self) -> RpcAccountInfoConfig {
        RpcAccountInfoConfig {
            encoding: Some(UiAccountEncoding::Base64Zstd),
            commitment: Some(self.commitment),
            data_slice: None,
            min_context_slot: Some(self.newest.load(Ordering::Relaxed)),
        }
    }

    /// An answer that is none.
    fn nonsense(&self, what: String) -> RpcError {
        RpcError::Node {
            url: self.url(),
            cause: Box::new(ClientErrorKind::Custom(what).into()),
        }
    }

    /// The Anchor account at `address`; `None` if there is none.
    pub async fn anchor<T: AccountDeserialize>(
        &self,
        address: &Pubkey,
        expected: &'static str,
    ) -> Result<Option<T>, RpcError> {
        let Some(account) = self.account(address).await? else {
            return Ok(None);
        };
        T::try_deserialize(&mut account.data.as_slice())
            .map(Some)
            .map_err(|e| RpcError::Account {
                address: *address,
                expected,
                reason: e.to_string(),
            })
    }

    /// The Anchor account at `address`, which must be there.
    pub async fn expect<T: AccountDeserialize>(
        &self,
        address: &Pubkey,
        expected: &'static str,
    ) -> Result<T, RpcError> {
        self.anchor(address, expected)
            .await?
            .ok_or(RpcError::Missing {
                address: *address,
                expected,
            })
    }

    /// The zero-copy account at `address`; `None` if there is none.
    pub async fn zero_copy<T: Discriminator + bytemuck::AnyBitPattern>(
        &self,
        address: &Pubkey,
        expected: &'static str,
    ) -> Result<Option<Box<T>>, RpcError> {
        Ok(self.zero_copy_at(address, expected).await?.1)
    }

    /// The same with the slot after which the node read it.
    pub async fn zero_copy_at<T: Discriminator + bytemuck::AnyBitPattern>(
        &self,
        address: &Pubkey,
        expected: &'static str,
    ) -> Result<(u64, Option<Box<T>>), RpcError> {
        let (slot, account) = self.account_at(address).await?;
        let Some(account) = account else {
            return Ok((slot, None));
        };
        read_zero_copy(&account.data)
            .map(|t| (slot, Some(Box::new(t))))
            .map_err(|reason| RpcError::Account {
                address: *address,
                expected,
                reason: reason.into(),
            })
    }

    /// Lamports at `address`, 0 where there is no account.
    pub async fn balance(&self, address: &Pubkey) -> Result<u64, RpcError> {
        Ok(self.account(address).await?.map_or(0, |a| a.lamports))
    }

    /// Lamports that keep an account of `bytes` alive.
    pub async fn rent(&self, bytes: usize) -> Result<u64, RpcError> {
        self.retry(|| self.client.get_minimum_balance_for_rent_exemption(bytes))
            .await
    }

    /// The newest slot.
    pub async fn slot(&self) -> Result<u64, RpcError> {
        self.retry(|| self.client.get_slot_with_commitment(self.commitment))
            .await
    }

    /// The clock as programs see it.
    pub async fn clock(&self) -> Result<Clock, RpcError> {
        let address = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");
        let missing = RpcError::Missing {
            address,
            expected: "clock",
        };
        let account = self.account(&address).await?.ok_or(missing)?;
        wincode::deserialize(&account.data).map_err(|e| RpcError::Account {
            address,
            expected: "clock",
            reason: e.to_string(),
        })
    }

    /// The newest blockhash.
    pub async fn blockhash(&self) -> Result<Blockhash, RpcError> {
        let response: Response<RpcBlockhash> = self
            .retry(|| {
                let config = RpcContextConfig {
                    commitment: Some(self.commitment),
                    min_context_slot: Some(self.newest.load(Ordering::Relaxed)),
                };
                self.client
                    .send(RpcRequest::GetLatestBlockhash, serde_json::json!([config]))
            })
            .await?;
        let RpcBlockhash {
            blockhash,
            last_valid_block_height,
        } = response.value;
        Ok(Blockhash {
            hash: blockhash
                .parse()
                .map_err(|_| self.nonsense(format!("a blockhash {blockhash}")))?,
            last_height: last_valid_block_height,
            slot: response.context.slot,
        })
    }

    /// A confirmed transaction; `None` if the node does not know it (yet).
    pub async fn transaction(
        &self,
        signature: &Signature,
    ) -> Result<Option<EncodedConfirmedTransactionWithStatusMeta>, RpcError> {
        let config = RpcTransactionConfig {
            encoding: Some(UiTransactionEncoding::Base64),
            commitment: Some(CommitmentConfig::confirmed()),
            max_supported_transaction_version: Some(1),
        };
        let found = self
            .retry(|| async {
                match self
                    .client
                    .get_transaction_with_config(signature, config)
                    .await
                {
                    Ok(t) => Ok(Some(t)),
                    // `null` does not parse as a transaction.
                    Err(e) if is_null(&e) => Ok(None),
                    Err(e) => Err(e),
                }
            })
            .await?;
        Ok(found)
    }

    /// Whether the cluster takes version-1 transactions: whether their feature is active. A
    /// simulated transaction would not tell, some simulators take them regardless.
    pub async fn takes_version1(&self) -> Result<bool, RpcError> {
        self.version1
            .get_or_try_init(|| async {
                let feature = self.account(&VERSION1_FEATURE).await?;
                // A feature's account is an optional slot of activation.
                Ok(feature
                    .is_some_and(|f| f.owner == FEATURE_PROGRAM && f.data.first() == Some(&1)))
            })
            .await
            .copied()
    }

    /// The format to use: version 1 where the cluster takes it.
    pub async fn wire(&self) -> Result<Wire, RpcError> {
        Ok(if self.takes_version1().await? {
            Wire::Version1
        } else {
            Wire::Legacy
        })
    }
}

fn decoded(address: &Pubkey, account: &UiAccount) -> Result<Account, RpcError> {
    account.to_account().ok_or(RpcError::Account {
        address: *address,
        expected: "account",
        reason: "the node's answer does not decode".into(),
    })
}

/// A zero-copy account from its bytes, wherever they lie in memory.
pub fn read_zero_copy<T: Discriminator + bytemuck::AnyBitPattern>(
    data: &[u8],
) -> Result<T, &'static str> {
    let body = data
        .strip_prefix(T::DISCRIMINATOR)
        .ok_or("it has another discriminator")?;
    let body = body.get(..size_of::<T>()).ok_or("it is too short")?;
    bytemuck::try_pod_read_unaligned(body).map_err(|_| "its bytes do not fit")
}

fn is_null(error: &ClientError) -> bool {
    matches!(error.kind(), ClientErrorKind::SerdeJson(e) if e.to_string().contains("null"))
}
