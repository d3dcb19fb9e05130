//! A block with all its transactions, in one call.

use super::{Rpc, RpcError, Severity};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use solana_client::client_error::{ClientError, ClientErrorKind};
use solana_client::rpc_request::{RpcError as JsonRpcError, RpcRequest, RpcResponseErrorData};
use solana_signature::Signature;
use solana_transaction_status_client_types::{
    EncodedConfirmedTransactionWithStatusMeta, EncodedTransactionWithStatusMeta,
};
use std::time::Duration;

/// Most bytes of a node's answer. A block has 32,768 data shreds of about a kilobyte at most;
/// base64 and the metadata make it longer.
const MAX_ANSWER: usize = 192 << 20;

/// Asks for blocks over HTTP: `solana-client` makes a tree of JSON values of every answer, which
/// for a block takes several times the memory of its text.
#[derive(Clone, Debug)]
pub(super) struct BlockSource {
    client: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<Block<'a>>,
    error: Option<AnswerError>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default)]
    transactions: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct AnswerError {
    code: i64,
    message: String,
}

impl BlockSource {
    /// The node at `url`, of which no call may take longer than `timeout`.
    pub(super) fn new(url: &str, timeout: Duration) -> Option<Self> {
        let client = reqwest::Client::builder().timeout(timeout).build().ok()?;
        Some(Self {
            client,
            url: url.into(),
        })
    }

    /// The text of the node's answer.
    async fn ask(&self, params: &Value) -> Result<Vec<u8>, ClientError> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "getBlock", "params": params });
        let answer = self.client.post(&self.url).json(&call).send().await;
        let mut answer = answer
            .and_then(reqwest::Response::error_for_status)
            .map_err(broken)?;
        let mut text = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(broken)? {
            if text.len().saturating_add(part.len()) > MAX_ANSWER {
                let why = format!("the block takes more than {MAX_ANSWER} bytes");
                return Err(ClientErrorKind::Custom(why).into());
            }
            text.extend_from_slice(&part);
        }
        Ok(text)
    }
}

/// An error of the connection, which `solana-client` would have for its own calls.
fn broken(error: reqwest::Error) -> ClientError {
    ClientErrorKind::RpcError(JsonRpcError::RpcRequestError(error.to_string())).into()
}

impl Rpc {
    /// Hands the transactions of the block in `slot` to `take`, in their order. None, or not all,
    /// where the node does not give the block: not every node serves blocks.
    pub async fn block(
        &self,
        slot: u64,
        mut take: impl FnMut(Signature, EncodedConfirmedTransactionWithStatusMeta),
    ) -> Result<(), RpcError> {
        let params = json!([slot, {
            "encoding": "base64",
            "transactionDetails": "full",
            "rewards": false,
            "commitment": "confirmed",
            "maxSupportedTransactionVersion": 1,
        }]);
        let given = match &self.blocks {
            Some(source) => {
                let answer = self.retry(|| async {
                    let text = source.ask(&params).await?;
                    match error_in(&text) {
                        Some(error) => Err(error),
                        None => Ok(text),
                    }
                });
                answer.await
            }
            None => {
                let block = self.retry(|| self.client.send(RpcRequest::GetBlock, params.clone()));
                let block: Result<Value, RpcError> = block.await;
                block.map(|block| json!({ "result": block }).to_string().into_bytes())
            }
        };
        let text = match given {
            Ok(text) => text,
            Err(error) if error.severity() == Severity::Permanent => {
                tracing::debug!(slot, %error, "the node gives no block");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Ok(Answer {
            result: Some(block),
            ..
        }) = serde_json::from_slice(&text)
        else {
            return Ok(());
        };
        for transaction in block.transactions {
            let transaction =
                serde_json::from_str::<EncodedTransactionWithStatusMeta>(transaction.get());
            let Ok(transaction) = transaction else {
                continue;
            };
            let decoded = transaction.transaction.decode();
            let Some(signature) = decoded.and_then(|t| t.signatures.first().copied()) else {
                continue;
            };
            let transaction = EncodedConfirmedTransactionWithStatusMeta {
                slot,
                transaction,
                block_time: None,
                transaction_index: None,
            };
            take(signature, transaction);
        }
        Ok(())
    }
}

/// The error in a node's answer, if it is one.
fn error_in(text: &[u8]) -> Option<ClientError> {
    match serde_json::from_slice::<Answer<'_>>(text) {
        Ok(answer) => {
            let AnswerError { code, message } = answer.error?;
            let data = RpcResponseErrorData::Empty;
            let error = JsonRpcError::RpcResponseError {
                code,
                message,
                data,
            };
            Some(ClientErrorKind::RpcError(error).into())
        }
        // A gateway's page instead of JSON.
        Err(error) => Some(ClientErrorKind::SerdeJson(error).into()),
    }
}
