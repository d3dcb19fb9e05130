//! The readers' bookkeeping, tried exhaustively on small histories: an error at each call and at each pair of
//! calls, a restart at each call, transactions listed late or withheld for a while. Whatever the order, nothing
//! is lost: once the node works, the reader has all batches with their data.

mod common;
#[path = "common/world.rs"]
mod world;

use assay_client::batches::{BatchError, Reader};
use assay_client::instructions::settlement as make;
use assay_client::rpc::{Rpc, Severity};
use assay_ledger::Hash;
use assay_ledger::data::CHUNK;
use assay_ledger::header::Header;
use common::node;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use solana_client::rpc_request::RpcRequest;
use solana_signer::Signer;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use world::World;

/// A history of batches with their data, and strangers' transactions in any slot.
struct History {
    world: World,
    data: Vec<Vec<u8>>,
}

impl History {
    fn random(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::new();
        world.blocks = rng.random_bool(0.7);
        // With short pages a few transactions are as far away as thousands.
        world.page = *[1_000, 5, 2].choose(&mut rng).unwrap();
        let mut data = Vec::new();
        let mut slot = 5;
        let junk = |world: &mut World, rng: &mut StdRng, slot: u64| {
            let most = if rng.random_bool(0.1) { 90 } else { 4 };
            for _ in 0..rng.random_range(0..most) {
                let failed = rng.random_bool(0.2);
                world.stranger(slot, failed);
            }
        };
        for number in 0..rng.random_range(1..5u8) {
            let len = rng.random_range(1..5 * CHUNK);
            let bytes: Vec<u8> = (0..len).map(|i| (i as u8) ^ number).collect();
            let me = world.key.pubkey();
            let [_, open] = make::open_data(&world.rollup, &me, 1, len as u32, 0);
            world.put(slot, &[open], false);
            let wrong = vec![0xee; len];
            for (i, chunk) in bytes.chunks(CHUNK).enumerate() {
                slot += rng.random_range(0..2);
                junk(&mut world, &mut rng, slot);
                if rng.random_bool(0.3) {
                    // Written twice: the last counts.
                    let first = i * CHUNK;
                    let end = first + chunk.len();
                    world.write(slot, i as u32, &wrong[first..end]);
                }
                world.write(slot, i as u32, chunk);
                junk(&mut world, &mut rng, slot);
            }
            slot += rng.random_range(0..2);
            junk(&mut world, &mut rng, slot);
            world.post(slot, &bytes);
            junk(&mut world, &mut rng, slot);
            data.push(bytes);
        }
        Self { world, data }
    }
}

/// What goes wrong, by the number of the call.
#[derive(Clone, Default)]
struct Faults {
    /// Calls that fail.
    errors: HashSet<u64>,
    /// Calls for a transaction that are answered with nothing.
    withheld: HashSet<u64>,
    /// Before this call the newest transactions are not listed yet, so many.
    late: (u64, usize),
    /// The call at which the reader starts anew.
    restart: Option<u64>,
}

/// Reads all; returns the calls that it took.
async fn read_all(history: &History, faults: Faults) -> u64 {
    let calls = Arc::new(Mutex::new(0u64));
    let counted = calls.clone();
    let world = history.world.clone();
    let seen = faults.clone();
    let (rpc, _) = node(move |request, params| {
        let at = {
            let mut calls = counted.lock().unwrap();
            *calls += 1;
            *calls - 1
        };
        if seen.errors.contains(&at) {
            // One that is not tried again by the client itself.
            return Err(common::error(-32004));
        }
        if request == RpcRequest::GetTransaction && seen.withheld.contains(&at) {
            return Ok(Value::Null);
        }
        let (until, count) = seen.late;
        if at < until && request == RpcRequest::GetSignaturesForAddress {
            let mut part = world.clone();
            let len = part.listed.len();
            part.listed.truncate(len.saturating_sub(count));
            return part.answer(request, params);
        }
        world.answer(request, params)
    });
    let rpc = rpc.patience(Duration::ZERO);
    let mut reader = Reader::new(history.world.rollup);
    let mut restarted = false;
    for _ in 0..2_000 {
        if !restarted && faults.restart.is_some_and(|at| *calls.lock().unwrap() > at) {
            reader = Reader::new(history.world.rollup);
            restarted = true;
        }
        match attempt(&rpc, &mut reader, history).await {
            Ok(()) => return *calls.lock().unwrap(),
            Err(error) => assert_eq!(error.severity(), Severity::Temporary, "{error}"),
        }
    }
    panic!("the reader does not end");
}

async fn attempt(rpc: &Rpc, reader: &mut Reader, history: &History) -> Result<(), BatchError> {
    let chain = history.world.chain.clone();
    let ahead = reader.read(rpc, &chain, |_| None::<Hash>).await?;
    let found: Vec<Hash> = ahead.batches.iter().map(|p| p.header.hash()).collect();
    let all: Vec<Hash> = history.world.headers.iter().map(Header::hash).collect();
    assert_eq!((ahead.common, found), (0, all));
    let data = reader.data();
    for (posted, expected) in ahead.batches.iter().zip(&history.data) {
        assert!(data.read(rpc, posted).await? == *expected);
    }
    Ok(())
}

#[tokio::test]
async fn no_order_of_errors_restarts_and_transactions_loses_anything() {
    let mut rng = StdRng::seed_from_u64(8);
    let (mut histories, mut runs) = (0, 0);
    for seed in 0..40 {
        let history = History::random(seed);
        let calls = read_all(&history, Faults::default()).await;
        if calls > 60 {
            continue;
        }
        histories += 1;
        // An error, a transaction withheld or a restart at each call, and a part listed late.
        for at in 0..calls + 2 {
            let late = (at, rng.random_range(0..12));
            for faults in [
                Faults {
                    errors: [at].into(),
                    ..Faults::default()
                },
                Faults {
                    withheld: [at].into(),
                    ..Faults::default()
                },
                Faults {
                    errors: [at, at + 1 + rng.random_range(0..calls + 1)].into(),
                    withheld: [rng.random_range(0..calls + 1)].into(),
                    restart: Some(at),
                    late,
                },
            ] {
                read_all(&history, faults).await;
                runs += 1;
            }
        }
    }
    println!("{histories} histories, {runs} runs");
}

/// Every pair of calls that fail, on a history that is small enough.
#[tokio::test]
async fn no_two_errors_lose_anything() {
    for seed in 0..60 {
        let history = History::random(seed);
        let calls = read_all(&history, Faults::default()).await;
        if calls > 24 {
            continue;
        }
        for first in 0..calls {
            for second in first..calls + 3 {
                let errors = [first, second].into();
                let faults = Faults {
                    errors,
                    ..Faults::default()
                };
                read_all(&history, faults).await;
            }
        }
    }
}
