//! The client's sender against a real chain behind a connection that loses, repeats and forgets.

use assay::dev::chain::{Chain, Options as ChainOptions};
use assay_client::rpc::{Rpc, Severity};
use assay_client::sender::{Options, Order, SendError, Sender, Sent};
use assay_client::wire::{BASE_FEE, Wire};
use solana_client::client_error::{ClientError, ClientErrorKind};
use solana_client::nonblocking::rpc_client::RpcClient;
use solana_client::rpc_client::RpcClientConfig;
use solana_client::rpc_request::{RpcError, RpcRequest};
use solana_client::rpc_sender::{RpcSender, RpcTransportStats};
use solana_commitment_config::CommitmentConfig;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const SOL: u64 = 1_000_000_000;

/// What becomes of a call.
enum Fault {
    /// It goes through.
    None,
    /// The node never hears of it, the caller is told so.
    Unreachable,
    /// The node does it, the answer is lost.
    AnswerLost,
    /// The node never hears of it, the caller is told that all is well.
    Swallowed,
    /// The node does it twice.
    Twice,
    /// The node says that it knows nothing.
    Amnesia,
}

type Plan = Box<dyn Fn(RpcRequest, u32) -> Fault + Send + Sync>;

/// A connection with faults: the plan is told the call and, of sendings, how many came before.
struct Faulty {
    inner: RpcClient,
    plan: Plan,
    sends: AtomicU32,
}

fn unreachable() -> ClientError {
    ClientErrorKind::RpcError(RpcError::RpcRequestError(
        "connection refused (a fault)".into(),
    ))
    .into()
}

#[async_trait::async_trait]
impl RpcSender for Faulty {
    async fn send(
        &self,
        request: RpcRequest,
        params: serde_json::Value,
    ) -> Result<serde_json::Value, ClientError> {
        let before = match request {
            RpcRequest::SendTransaction => self.sends.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        let pass = || self.inner.send(request, params.clone());
        match (self.plan)(request, before) {
            Fault::None => pass().await,
            Fault::Unreachable => Err(unreachable()),
            Fault::AnswerLost => {
                let _: Result<serde_json::Value, _> = pass().await;
                Err(unreachable())
            }
            Fault::Swallowed => Ok(swallowed(&params)),
            Fault::Twice => {
                let first = pass().await;
                let _: Result<serde_json::Value, _> = pass().await;
                first
            }
            Fault::Amnesia => {
                let mut answer: serde_json::Value = pass().await?;
                answer["value"] = serde_json::json!([null]);
                Ok(answer)
            }
        }
    }

    fn get_transport_stats(&self) -> RpcTransportStats {
        RpcTransportStats::default()
    }

    fn url(&self) -> String {
        self.inner.url()
    }
}

/// The signature that a node would answer for the transaction in `params`.
fn swallowed(params: &serde_json::Value) -> serde_json::Value {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(params[0].as_str().unwrap())
        .unwrap();
    let transaction: solana_transaction::versioned::VersionedTransaction =
        wincode::deserialize(&bytes).unwrap();
    serde_json::json!(transaction.signatures[0].to_string())
}

struct Fixture {
    chain: Chain,
    payer: Arc<Keypair>,
    to: Pubkey,
}

impl Fixture {
    async fn new(slot_ms: u64, version1: bool) -> Self {
        let chain = Chain::start(ChainOptions {
            slot: Duration::from_millis(slot_ms),
            version1,
            ..Default::default()
        })
        .await
        .unwrap();
        let payer = Arc::new(Keypair::new());
        let rpc = Rpc::new(chain.rpc_url());
        let signature = rpc
            .client()
            .request_airdrop(&payer.pubkey(), 10 * SOL)
            .await
            .unwrap();
        rpc.client().poll_for_signature(&signature).await.unwrap();
        Self {
            chain,
            payer,
            to: Pubkey::new_unique(),
        }
    }

    fn sender(&self, plan: impl Fn(RpcRequest, u32) -> Fault + Send + Sync + 'static) -> Sender {
        let faulty = Faulty {
            inner: RpcClient::new(self.chain.rpc_url().to_string()),
            plan: Box::new(plan),
            sends: AtomicU32::new(0),
        };
        let config = RpcClientConfig::with_commitment(CommitmentConfig::confirmed());
        let rpc = Rpc::with_client(RpcClient::new_sender(faulty, config));
        let options = Options {
            poll: Duration::from_millis(20),
            resend: Duration::from_millis(200),
            deadline: Some(Duration::from_secs(60)),
            ..Options::default()
        };
        Sender::new(rpc, options)
    }

    fn order(&self, lamports: u64) -> Order {
        let instructions = vec![transfer(&self.payer.pubkey(), &self.to, lamports)];
        Order::new("transfer", &self.payer, instructions).units(10_000)
    }

    async fn received(&self) -> u64 {
        Rpc::new(self.chain.rpc_url())
            .balance(&self.to)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fee_and_the_bytes_are_the_real_ones_in_both_formats() {
    for version1 in [true, false] {
        let f = Fixture::new(50, version1).await;
        let sender = f.sender(|_, _| Fault::None);
        let wire = sender.wire().await.unwrap();
        assert_eq!(wire == Wire::Version1, version1);
        let before = sender.rpc().balance(&f.payer.pubkey()).await.unwrap();
        let landed = sender.send(&f.order(SOL)).await.unwrap();
        let after = sender.rpc().balance(&f.payer.pubkey()).await.unwrap();
        assert_eq!(landed.lamports, BASE_FEE);
        assert_eq!(before - after, SOL + landed.lamports);
        assert_eq!(f.received().await, SOL);
        let stored = sender.rpc().transaction(&landed.signature).await.unwrap();
        let stored = stored.unwrap().transaction.transaction.decode().unwrap();
        let bytes = wincode::serialize(&stored).unwrap().len() as u64;
        assert_eq!(bytes, landed.bytes);
        f.chain.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_swallowed_and_repeated_sendings_move_the_money_once() {
    let f = Fixture::new(50, true).await;
    let plans: [fn(RpcRequest, u32) -> Fault; 3] = [
        |r, n| match (r, n) {
            (RpcRequest::SendTransaction, 0) => Fault::AnswerLost,
            _ => Fault::None,
        },
        |r, n| match (r, n) {
            (RpcRequest::SendTransaction, 0 | 1) => Fault::Swallowed,
            _ => Fault::None,
        },
        |r, _| match r {
            RpcRequest::SendTransaction => Fault::Twice,
            _ => Fault::None,
        },
    ];
    for (i, plan) in plans.into_iter().enumerate() {
        let landed = f.sender(plan).send(&f.order(SOL + i as u64)).await.unwrap();
        assert_eq!(landed.lamports, BASE_FEE, "plan {i}");
    }
    assert_eq!(f.received().await, 3 * SOL + 3);
    f.chain.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_orders_are_carried_out_each() {
    let f = Fixture::new(400, true).await;
    let sender = f.sender(|_, _| Fault::None);
    let landed = sender.send_all(vec![f.order(SOL); 5], 5).await.unwrap();
    let signatures: std::collections::HashSet<_> = landed.iter().map(|l| l.signature).collect();
    assert_eq!(signatures.len(), 5);
    assert_eq!(f.received().await, 5 * SOL);
    f.chain.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_and_comes_back_is_waited_for() {
    let f = Fixture::new(50, true).await;
    // For a while all calls fail, and then one in four, in no rhythm that the sender's own could
    // fall in with.
    let calls = AtomicU32::new(0);
    let sender = f.sender(move |_, _| {
        let n = calls.fetch_add(1, Ordering::SeqCst);
        if (3..20).contains(&n) || n.wrapping_mul(2_654_435_761) >> 30 == 0 {
            Fault::Unreachable
        } else {
            Fault::None
        }
    });
    sender.send(&f.order(SOL)).await.unwrap();
    assert_eq!(f.received().await, SOL);
    f.chain.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_transaction_is_signed_again_for_a_higher_fee() {
    // A blockhash is good for 150 blocks of 10 ms.
    let f = Fixture::new(10, true).await;
    let hashes = Arc::new(AtomicU32::new(0));
    let counted = hashes.clone();
    // Until a second blockhash is asked for, nothing reaches the chain.
    let sender = f.sender(move |request, _| match request {
        RpcRequest::GetLatestBlockhash => {
            counted.fetch_add(1, Ordering::SeqCst);
            Fault::None
        }
        RpcRequest::SendTransaction if counted.load(Ordering::SeqCst) < 2 => Fault::Swallowed,
        _ => Fault::None,
    });
    let landed = sender.send(&f.order(SOL)).await.unwrap();
    assert!(hashes.load(Ordering::SeqCst) >= 2);
    assert!(landed.lamports > BASE_FEE, "{landed:?}");
    assert_eq!(f.received().await, SOL);
    f.chain.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_landed_on_a_forgetful_node_is_not_done_twice() {
    let f = Fixture::new(10, true).await;
    let sender = f.sender(|request, _| match request {
        RpcRequest::GetSignatureStatuses => Fault::Amnesia,
        _ => Fault::None,
    });
    let rpc = Rpc::new(f.chain.rpc_url());
    let (to, rpc) = (f.to, &rpc);
    let done = || async move { Ok(rpc.balance(&to).await? >= SOL) };
    let sent = sender.send_unless(&f.order(SOL), done).await.unwrap();
    assert_eq!(sent, Sent::AlreadyDone);
    assert_eq!(f.received().await, SOL);
    f.chain.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_timeouts_say_what_they_are() {
    let f = Fixture::new(50, true).await;
    let sender = f.sender(|_, _| Fault::None);
    let error = sender.send(&f.order(100 * SOL)).await.unwrap_err();
    assert!(matches!(error, SendError::Refused { .. }), "{error}");
    // The system program's `ResultWithNegativeLamports`.
    assert_eq!(error.code(), Some(1));
    assert_eq!(error.severity(), Severity::Permanent);

    let mut options = *sender.options();
    options.deadline = Some(Duration::from_millis(500));
    let deaf = f.sender(|r, _| match r {
        RpcRequest::SendTransaction => Fault::Unreachable,
        _ => Fault::None,
    });
    let deaf = Sender::new(deaf.rpc().clone(), options);
    let error = deaf.send(&f.order(SOL)).await.unwrap_err();
    assert!(matches!(error, SendError::TimedOut { .. }), "{error}");
    assert_eq!(error.severity(), Severity::Temporary);
    assert_eq!(f.received().await, 0);
    f.chain.stop().await.unwrap();
}
