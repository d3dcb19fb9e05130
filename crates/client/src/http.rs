//! The client of the sequencer's HTTP API.

use crate::api::{
    AccountView, BatchView, BlobQuery, BlobView, ErrorBody, Hash32, JobView, Key32, MAX_BULK,
    ModelView, OCTETS, OutboxProof, Outcome, PREFIX, Status, SubmitAnswer, TransactionView,
    WithdrawalView,
};
use crate::causes;
use assay_ledger::Hash;
use assay_ledger::header::Header;
use assay_ledger::request::SignedRequest;
use assay_ledger::snapshot::Snapshot;
use backon::{ExponentialBuilder, Retryable};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The most of an error's body that is read.
const ERROR_BYTES: usize = 64 << 10;
/// How long a call may take.
const TOTAL: Duration = Duration::from_secs(60);
/// How long a connection may take, or one part of an answer that may take any time as a whole.
const IDLE: Duration = Duration::from_secs(20);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The service, or the way to it.
    #[error("the sequencer at {url}: {}", causes(cause))]
    Unreachable {
        /// Its address.
        url: String,
        /// What went wrong.
        cause: reqwest::Error,
    },
    /// The service says no.
    #[error("the sequencer refuses ({status}, {code}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// A word that a program can test.
        code: String,
        /// What is wrong.
        message: String,
    },
    /// The answer is longer than anything that is asked for.
    #[error("the sequencer at {url} answers with more than {limit} bytes")]
    TooLong {
        /// Its address.
        url: String,
        /// The most that is right.
        limit: u64,
    },
}

impl ApiError {
    /// Whether the service says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether to try again.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { cause, .. } => !cause.is_decode() && !cause.is_builder(),
            Self::Refused { status, .. } => matches!(status, 429 | 502..=504),
            Self::TooLong { .. } => false,
        }
    }
}

/// A sequencer's API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    url: String,
    http: reqwest::Client,
    /// For what may take any time, as long as something comes.
    patient: reqwest::Client,
}

impl Api {
    /// The API at `url`, for example `http://127.0.0.1:8600`.
    pub fn new(url: impl Into<String>) -> Self {
        Self::with_limits(url, TOTAL, IDLE)
    }

    /// The same with other limits: on a call as a whole, and on one part of a blob.
    pub fn with_limits(url: impl Into<String>, total: Duration, idle: Duration) -> Self {
        let client = reqwest::Client::builder;
        let patient = client().connect_timeout(idle).read_timeout(idle);
        Self {
            url: url.into().trim_end_matches('/').to_string(),
            http: client().timeout(total).build().unwrap_or_default(),
            patient: patient.build().unwrap_or_default(),
        }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET /v1/status`.
    pub async fn status(&self) -> Result<Status, ApiError> {
        self.get("status").await
    }

    /// The accounts of `owner`, one for each mint.
    pub async fn accounts(&self, owner: Key32) -> Result<Vec<AccountView>, ApiError> {
        self.get(&format!("accounts/{owner}")).await
    }

    /// The account of `owner` in `mint`; `None` if there is none.
    pub async fn account(
        &self,
        owner: Key32,
        mint: Key32,
    ) -> Result<Option<AccountView>, ApiError> {
        let accounts = match self.accounts(owner).await {
            Err(e) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        Ok(accounts.into_iter().find(|a| a.mint == mint))
    }

    /// The models.
    pub async fn models(&self) -> Result<Vec<ModelView>, ApiError> {
        self.get("models").await
    }

    /// A model.
    pub async fn model(&self, index: u32) -> Result<ModelView, ApiError> {
        self.get(&format!("models/{index}")).await
    }

    /// Stores a program (`program: None`) or the parameters of a program.
    pub async fn put_blob(
        &self,
        program: Option<Hash32>,
        bytes: Vec<u8>,
    ) -> Result<BlobView, ApiError> {
        let query = BlobQuery { program };
        let request = self
            .request(Method::PUT, "blobs")
            .query(&query)
            .header("content-type", OCTETS)
            .body(bytes);
        self.json(request).await
    }

    /// The bytes of a blob.
    pub async fn blob(&self, root: Hash32) -> Result<Vec<u8>, ApiError> {
        self.bytes(&format!("blobs/{root}")).await
    }

    /// The same of at most `limit` bytes, from an API that is not trusted. A large blob may take any time,
    /// as long as some of it comes.
    pub async fn blob_within(&self, root: Hash32, limit: u64) -> Result<Vec<u8>, ApiError> {
        let request = self.patient.get(self.at(&format!("blobs/{root}")));
        self.bytes_within(request, limit).await
    }

    /// What the API says the output roots of batch `number`'s `runs` are, in order: its word alone.
    pub async fn output_roots(&self, number: u64, runs: u64) -> Result<Vec<Hash>, ApiError> {
        let request = self.request(Method::GET, &format!("batches/{number}/outputs"));
        let bytes = self.bytes_within(request, runs.saturating_mul(32)).await?;
        let (roots, _) = bytes.as_chunks();
        Ok(roots.to_vec())
    }

    /// The state after the newest final batch ([`Snapshot`]), from an API that is not trusted: of its header alone until
    /// `wanted` says that it is one that is looked for, and then of as many bytes as that may have. What came until it was
    /// not.
    pub async fn snapshot(&self, wanted: impl Fn(&Header) -> bool) -> Result<Vec<u8>, ApiError> {
        let mut response = self.send(self.patient.get(self.at("snapshot"))).await?;
        let (mut bytes, mut limit) = (Vec::new(), None);
        while let Some(part) = response.chunk().await.map_err(|e| self.unreachable(e))? {
            bytes.extend_from_slice(&part);
            if limit.is_none() {
                limit = match Snapshot::header(&bytes) {
                    Ok(None) => None,
                    Ok(Some(header)) if wanted(&header) => Some(Snapshot::most_bytes(&header)),
                    _ => return Ok(bytes),
                };
            }
            if let Some(limit) = limit.filter(|limit| bytes.len() as u64 > *limit) {
                return Err(ApiError::TooLong {
                    url: self.url.clone(),
                    limit,
                });
            }
        }
        Ok(bytes)
    }

    /// Submits signed requests, as many calls as it takes; one outcome each, in order. Repeating
    /// a call is harmless: the nonce lets a request in once.
    pub async fn submit(&self, requests: &[SignedRequest]) -> Result<Vec<Outcome>, ApiError> {
        let mut outcomes = Vec::with_capacity(requests.len());
        for part in requests.chunks(MAX_BULK) {
            // Writing to a vector cannot fail.
            let body = borsh::to_vec(part).unwrap_or_default();
            let request = self
                .request(Method::POST, "transactions")
                .header("content-type", OCTETS)
                .body(body);
            let answer: SubmitAnswer = self.json(request).await?;
            outcomes.extend(answer.outcomes);
        }
        Ok(outcomes)
    }

    /// A transaction; an error of [`ApiError::is_not_found`] if it is in no batch.
    pub async fn transaction(&self, id: Hash32) -> Result<TransactionView, ApiError> {
        self.get(&format!("transactions/{id}")).await
    }

    /// The newest batches.
    pub async fn batches(&self) -> Result<Vec<BatchView>, ApiError> {
        self.get("batches").await
    }

    /// A batch.
    pub async fn batch(&self, number: u64) -> Result<BatchView, ApiError> {
        self.get(&format!("batches/{number}")).await
    }

    /// A batch's data.
    pub async fn batch_data(&self, number: u64) -> Result<Vec<u8>, ApiError> {
        self.bytes(&format!("batches/{number}/data")).await
    }

    /// Closes the batch being built, on a development network.
    pub async fn close_batch(&self) -> Result<(), ApiError> {
        self.send(self.request(Method::POST, "batches/close"))
            .await?;
        Ok(())
    }

    /// A leaf of the outbox with its proof.
    pub async fn outbox(&self, index: u64) -> Result<OutboxProof, ApiError> {
        self.get(&format!("outbox/{index}")).await
    }

    /// The withdrawals to `recipient`.
    pub async fn withdrawals(&self, recipient: Key32) -> Result<Vec<WithdrawalView>, ApiError> {
        self.get(&format!("withdrawals/{recipient}")).await
    }

    /// The result of an L1 job; an error of [`ApiError::is_not_found`] until it ran.
    pub async fn job(&self, address: Key32) -> Result<JobView, ApiError> {
        self.get(&format!("jobs/{address}")).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.at(path))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{PREFIX}/{path}", self.url)
    }

    /// A read, repeated through a short outage.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        (|| async { self.json(self.request(Method::GET, path)).await })
            .retry(
                ExponentialBuilder::default()
                    .with_min_delay(Duration::from_millis(50))
                    .with_max_times(5)
                    .with_jitter(),
            )
            .when(ApiError::is_temporary)
            .await
    }

    async fn bytes(&self, path: &str) -> Result<Vec<u8>, ApiError> {
        let response = self.send(self.request(Method::GET, path)).await?;
        let bytes = response.bytes().await.map_err(|e| self.unreachable(e))?;
        Ok(bytes.to_vec())
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ApiError> {
        let response = self.send(request).await?;
        response.json().await.map_err(|e| self.unreachable(e))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let mut response = request.send().await.map_err(|e| self.unreachable(e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let mut text = Vec::new();
        // A stranger's answer may be of any length.
        while let Ok(Some(part)) = response.chunk().await
            && text.len() < ERROR_BYTES
        {
            text.extend_from_slice(&part);
        }
        let text = String::from_utf8_lossy(&text);
        let body: ErrorBody = serde_json::from_str(&text).unwrap_or_else(|_| ErrorBody {
            code: code_of(status).into(),
            message: text.chars().take(500).collect(),
        });
        Err(ApiError::Refused {
            status: status.as_u16(),
            code: body.code,
            message: body.message,
        })
    }

    async fn bytes_within(&self, request: RequestBuilder, limit: u64) -> Result<Vec<u8>, ApiError> {
        let mut response = self.send(request).await?;
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|e| self.unreachable(e))? {
            if (bytes.len() + part.len()) as u64 > limit {
                return Err(ApiError::TooLong {
                    url: self.url.clone(),
                    limit,
                });
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    fn unreachable(&self, cause: reqwest::Error) -> ApiError {
        ApiError::Unreachable {
            url: self.url.clone(),
            cause,
        }
    }
}

fn code_of(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("error")
}
