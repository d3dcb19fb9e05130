//! The sender and the reads behind a pool of nodes that are not at one slot.

mod common;

use assay_client::rpc::{Rpc, Severity};
use assay_client::sender::{Options, Order, SendError, Sender, Sent};
use assay_client::wire::{BASE_FEE, Wire};
use common::{account, at, broken, error, landed, node, sent};
use serde_json::{Value, json};
use solana_client::client_error::{ClientError, ClientErrorKind};
use solana_client::rpc_request::{RpcError, RpcRequest, RpcResponseErrorData};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The last block height of every transaction here.
const LAST_HEIGHT: u64 = 150;

fn sender(rpc: Rpc, deadline: Option<Duration>) -> Sender {
    let options = Options {
        poll: Duration::from_millis(1),
        resend: Duration::from_millis(2),
        deadline,
        wire: Some(Wire::Legacy),
        unit_price: 1_000_000,
        ..Options::default()
    };
    Sender::new(rpc, options)
}

fn order() -> Order {
    let payer = Arc::new(Keypair::new_from_array([1; 32]));
    let to = Pubkey::new_from_array([2; 32]);
    let pay = transfer(&payer.pubkey(), &to, 7);
    Order::new("pay", &payer, vec![pay])
}

fn blockhash(params: &Value) -> common::Answer {
    let hash = Pubkey::new_from_array([5; 32]).to_string();
    let value = json!({ "blockhash": hash, "lastValidBlockHeight": LAST_HEIGHT });
    at(10, params, value)
}

fn epoch(slot: u64, height: u64) -> common::Answer {
    Ok(json!({
        "absoluteSlot": slot, "blockHeight": height, "epoch": 0, "slotIndex": slot,
        "slotsInEpoch": 432_000, "transactionCount": null,
    }))
}

fn status(slot: u64, confirmation: &str) -> Value {
    json!([{
        "slot": slot, "confirmations": null, "err": null, "status": { "Ok": null },
        "confirmationStatus": confirmation,
    }])
}

fn refused() -> ClientError {
    ClientErrorKind::RpcError(RpcError::RpcResponseError {
        code: -32002,
        message: "simulation failed".into(),
        data: RpcResponseErrorData::SendTransactionPreflightFailure(
            serde_json::from_value(json!({
                "err": "InsufficientFundsForFee", "logs": [], "accounts": null,
                "unitsConsumed": 0, "loadedAccountsDataSize": 0, "returnData": null,
                "innerInstructions": null, "replacementBlockhash": null, "fee": null,
                "preBalances": null, "postBalances": null, "preTokenBalances": null,
                "postTokenBalances": null, "loadedAddresses": null,
            }))
            .unwrap(),
        ),
    })
    .into()
}

/// An account that was seen is not unseen because a node answers that lags.
#[tokio::test]
async fn reads_do_not_go_back_in_time() {
    let asked = AtomicU32::new(0);
    let owner = Pubkey::default();
    // Two nodes in turns, at slots 100 and 50.
    let (rpc, calls) = node(move |request, params| {
        let fresh = asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        let (slot, lamports) = if fresh { (100, 7) } else { (50, 1) };
        let found = account(&owner, lamports, &[]);
        match request {
            RpcRequest::GetAccountInfo => at(slot, params, found),
            RpcRequest::GetMultipleAccounts => at(slot, params, json!([found])),
            other => panic!("{other}"),
        }
    });
    let address = Pubkey::new_from_array([2; 32]);
    for _ in 0..5 {
        assert_eq!(rpc.balance(&address).await.unwrap(), 7);
        let all = rpc.accounts(&[address]).await.unwrap();
        assert_eq!(all[0].as_ref().unwrap().lamports, 7);
    }
    assert!(calls.of(RpcRequest::GetAccountInfo).len() >= 5);
    // Nor behind what a transaction is known to have done.
    rpc.saw(101);
    let (first, _) = node(|_, params| at(100, params, Value::Null));
    first.saw(101);
    let error = first.patience(Duration::ZERO).balance(&address).await;
    assert_eq!(error.unwrap_err().severity(), Severity::Temporary);
}

/// The chain is past the last height by one node, the transaction unknown to another that is not
/// there yet, though it landed: signed again it would be paid twice.
#[tokio::test]
async fn a_lagging_nodes_ignorance_is_no_expiry() {
    let looks = AtomicU32::new(0);
    let (rpc, calls) = node(move |request, params| match request {
        RpcRequest::GetLatestBlockhash => blockhash(params),
        RpcRequest::SendTransaction => Ok(json!(sent(params).signatures[0].to_string())),
        RpcRequest::GetEpochInfo | RpcRequest::GetBlockHeight => match request {
            RpcRequest::GetEpochInfo => epoch(200, LAST_HEIGHT + 1),
            _ => Ok(json!(LAST_HEIGHT + 1)),
        },
        RpcRequest::GetSignatureStatuses => {
            // For long only the node at slot 90 answers.
            let value = match looks.fetch_add(1, Ordering::SeqCst) {
                0..40 => return at(90, params, json!([null])),
                _ => status(95, "confirmed"),
            };
            at(200, params, value)
        }
        RpcRequest::GetTransaction => Ok(Value::Null),
        other => panic!("{other}"),
    });
    let sent = sender(rpc, None).send(&order()).await.unwrap();
    assert_eq!(sent.slot, 95);
    let signatures: HashSet<String> = calls
        .of(RpcRequest::SendTransaction)
        .iter()
        .map(|params| common::sent(params).signatures[0].to_string())
        .collect();
    assert_eq!(signatures.len(), 1, "signed once");
}

/// What is confirmed to be unknown at the right slot has expired, and only when that is final.
#[tokio::test]
async fn an_expiry_is_final_before_it_counts() {
    let heights = AtomicU32::new(0);
    let (rpc, calls) = node(move |request, params| match request {
        RpcRequest::GetLatestBlockhash => blockhash(params),
        RpcRequest::SendTransaction => Ok(json!(sent(params).signatures[0].to_string())),
        RpcRequest::GetEpochInfo => {
            assert_eq!(params[0]["commitment"], "finalized");
            let past = u64::from(heights.fetch_add(1, Ordering::SeqCst) >= 5);
            epoch(200, LAST_HEIGHT + past)
        }
        RpcRequest::GetSignatureStatuses => at(200, params, json!([null])),
        // What `done` reads: not by a node behind the expiry.
        RpcRequest::GetAccountInfo => {
            assert_eq!(params[1]["minContextSlot"], 200);
            at(200, params, account(&Pubkey::default(), 7, &[]))
        }
        other => panic!("{other}"),
    });
    let done = || async { Ok(rpc.balance(&Pubkey::default()).await? == 7) };
    let sent = sender(rpc.clone(), None).send_unless(&order(), done).await;
    assert_eq!(sent.unwrap(), Sent::AlreadyDone);
    assert!(calls.of(RpcRequest::GetEpochInfo).len() >= 6);
}

/// The answer to the first sending is lost, the second is refused because of what the first has
/// done: it has landed, and nobody may be told that it was refused.
#[tokio::test]
async fn a_refusal_counts_only_if_nothing_can_land() {
    let (sends, looks) = (AtomicU32::new(0), AtomicU32::new(0));
    let (rpc, _) = node(move |request, params| match request {
        RpcRequest::GetLatestBlockhash => blockhash(params),
        RpcRequest::SendTransaction => Err(match sends.fetch_add(1, Ordering::SeqCst) {
            0 => broken(),
            _ => refused(),
        }),
        RpcRequest::GetEpochInfo => epoch(20, 20),
        RpcRequest::GetSignatureStatuses => {
            let value = match looks.fetch_add(1, Ordering::SeqCst) {
                0..20 => json!([null]),
                20..30 => status(15, "processed"),
                _ => status(15, "confirmed"),
            };
            at(20, params, value)
        }
        RpcRequest::GetTransaction => Ok(landed(15, &common_transaction())),
        other => panic!("{other}"),
    });
    let sent = sender(rpc, None).send(&order()).await.unwrap();
    assert_eq!(sent.slot, 15);

    // Where no node can have it, a refusal is one at once.
    let sends = AtomicU32::new(0);
    let (rpc, calls) = node(move |request, params| match request {
        RpcRequest::GetLatestBlockhash => blockhash(params),
        RpcRequest::SendTransaction => {
            assert_eq!(params[1]["minContextSlot"], 10, "as new as the blockhash");
            Err(match sends.fetch_add(1, Ordering::SeqCst) {
                // Behind; too many requests.
                0 => error(-32016),
                1 => error(429),
                _ => refused(),
            })
        }
        RpcRequest::GetEpochInfo => epoch(20, 20),
        RpcRequest::GetSignatureStatuses => at(20, params, json!([null])),
        other => panic!("{other}"),
    });
    let refused = sender(rpc, None).send(&order()).await.unwrap_err();
    assert!(matches!(refused, SendError::Refused { .. }), "{refused}");
    assert_eq!(calls.of(RpcRequest::SendTransaction).len(), 3);
}

fn common_transaction() -> solana_transaction::versioned::VersionedTransaction {
    let order = order();
    let signers: Vec<&Keypair> = order.signers.iter().map(|k| k.as_ref()).collect();
    let hash = [5; 32].into();
    assay_client::wire::transaction(
        Wire::Legacy,
        &signers,
        &order.instructions,
        &order.budget,
        hash,
    )
    .unwrap()
    .0
}

/// That it landed stands, whether the node gives the transaction or not; the fee follows from it.
#[tokio::test]
async fn a_confirmed_transaction_without_its_report_has_landed() {
    for gone in [true, false] {
        let (rpc, _) = node(move |request, params| match request {
            RpcRequest::GetLatestBlockhash => blockhash(params),
            RpcRequest::SendTransaction => Ok(json!(sent(params).signatures[0].to_string())),
            RpcRequest::GetSignatureStatuses => at(20, params, status(15, "confirmed")),
            RpcRequest::GetTransaction if gone => Err(error(-32601)),
            RpcRequest::GetTransaction => Ok(Value::Null),
            other => panic!("{other}"),
        });
        let mut order = order();
        order.budget.units = 10_000;
        let sent = sender(rpc, None).send(&order).await.unwrap();
        assert_eq!((sent.slot, sent.units), (15, None));
        // A lamport a unit; some units more tell equal orders apart.
        let priority = sent.lamports - BASE_FEE;
        assert!((10_000..11_000).contains(&priority), "{priority}");
    }
}

/// Whoever is told that time is up is told what may still land.
#[tokio::test]
async fn a_timeout_names_what_may_still_land() {
    let (rpc, calls) = node(move |request, params| match request {
        RpcRequest::GetLatestBlockhash => blockhash(params),
        RpcRequest::SendTransaction => Err(broken()),
        RpcRequest::GetEpochInfo => epoch(20, 20),
        RpcRequest::GetSignatureStatuses => at(20, params, json!([null])),
        other => panic!("{other}"),
    });
    let sender = sender(rpc, Some(Duration::from_millis(20)));
    let error = sender.send(&order()).await.unwrap_err();
    let signature = sent(&calls.of(RpcRequest::SendTransaction)[0]).signatures[0];
    assert!(
        error.to_string().contains(&signature.to_string()),
        "{error}"
    );
    let SendError::TimedOut { pending, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(pending, Some(signature));
}
