//! A node that answers as a test says, and counts what it is asked.
#![allow(dead_code)]

use assay_client::rpc::Rpc;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use solana_client::client_error::{ClientError, ClientErrorKind};
use solana_client::nonblocking::rpc_client::RpcClient;
use solana_client::rpc_client::RpcClientConfig;
use solana_client::rpc_request::{RpcError, RpcRequest, RpcResponseErrorData};
use solana_client::rpc_sender::{RpcSender, RpcTransportStats};
use solana_commitment_config::CommitmentConfig;
use solana_pubkey::Pubkey;
use solana_transaction::versioned::VersionedTransaction;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub type Answer = Result<Value, ClientError>;

/// What the node was asked.
#[derive(Default)]
pub struct Calls {
    all: Mutex<Vec<(RpcRequest, Value)>>,
    running: AtomicU32,
    /// The most calls that ran at once.
    pub most: AtomicU32,
}

impl Calls {
    /// The parameters of all calls of this kind.
    pub fn of(&self, request: RpcRequest) -> Vec<Value> {
        let all = self.all.lock().unwrap();
        let same = all.iter().filter(|(r, _)| *r == request);
        same.map(|(_, params)| params.clone()).collect()
    }

    pub fn clear(&self) {
        self.all.lock().unwrap().clear();
    }
}

struct Node<F> {
    answer: F,
    calls: Arc<Calls>,
}

#[async_trait::async_trait]
impl<F: Fn(RpcRequest, &Value) -> Answer + Send + Sync> RpcSender for Node<F> {
    async fn send(&self, request: RpcRequest, params: Value) -> Answer {
        let running = self.calls.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.calls.most.fetch_max(running, Ordering::SeqCst);
        self.calls
            .all
            .lock()
            .unwrap()
            .push((request, params.clone()));
        tokio::task::yield_now().await;
        let answer = (self.answer)(request, &params);
        self.calls.running.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    fn get_transport_stats(&self) -> RpcTransportStats {
        RpcTransportStats::default()
    }

    fn url(&self) -> String {
        "http://node.invalid".into()
    }
}

/// A node that answers so.
pub fn node(
    answer: impl Fn(RpcRequest, &Value) -> Answer + Send + Sync + 'static,
) -> (Rpc, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    let node = Node {
        answer,
        calls: calls.clone(),
    };
    let config = RpcClientConfig::with_commitment(CommitmentConfig::confirmed());
    let rpc = Rpc::with_client(RpcClient::new_sender(node, config));
    (rpc.patience(Duration::from_secs(2)), calls)
}

/// The connection broke: nobody knows whether the node did it.
pub fn broken() -> ClientError {
    ClientErrorKind::RpcError(RpcError::RpcRequestError("connection reset".into())).into()
}

/// The node's own error.
pub fn error(code: i64) -> ClientError {
    ClientErrorKind::RpcError(RpcError::RpcResponseError {
        code,
        message: format!("error {code}"),
        data: RpcResponseErrorData::Empty,
    })
    .into()
}

/// An answer of a node at `slot`; it has none for who asks for a newer slot.
pub fn at(slot: u64, params: &Value, value: Value) -> Answer {
    let config = params.as_array().and_then(|p| p.last());
    let least = config.and_then(|c| c["minContextSlot"].as_u64());
    if least.is_some_and(|least| least > slot) {
        return Err(error(-32016));
    }
    Ok(json!({ "context": { "slot": slot, "apiVersion": "4.2.2" }, "value": value }))
}

/// An account.
pub fn account(owner: &Pubkey, lamports: u64, data: &[u8]) -> Value {
    json!({
        "lamports": lamports, "owner": owner.to_string(), "executable": false, "rentEpoch": 0,
        "space": data.len(), "data": [STANDARD.encode(data), "base64"],
    })
}

/// A transaction that succeeded in `slot`.
pub fn landed(slot: u64, transaction: &VersionedTransaction) -> Value {
    json!({
        "slot": slot, "blockTime": null, "version": "legacy",
        "transaction": [STANDARD.encode(wincode::serialize(transaction).unwrap()), "base64"],
        "meta": {
            "err": null, "status": { "Ok": null }, "fee": 5_000, "preBalances": [],
            "postBalances": [], "innerInstructions": [], "logMessages": [],
            "preTokenBalances": [], "postTokenBalances": [], "rewards": [],
            "loadedAddresses": { "writable": [], "readonly": [] },
        },
    })
}

/// The transaction that is sent with these parameters.
pub fn sent(params: &Value) -> VersionedTransaction {
    let bytes = STANDARD.decode(params[0].as_str().unwrap()).unwrap();
    wincode::deserialize(&bytes).unwrap()
}
