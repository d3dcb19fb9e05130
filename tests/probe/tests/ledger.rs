//! The ledger's step proofs in a Solana program, against the same code on this host, and what they cost.

#[path = "../../../crates/dispute/tests/common/batch.rs"]
mod batch;
mod common;

use assay_dispute::step::data::prove_data;
use assay_ledger::batch::tx_leaf;
use assay_ledger::result::TxResult;
use assay_ledger::signature::Keypair;
use assay_ledger::state::INVALID;
use assay_ledger::transaction::Transaction;
use assay_ledger::{Signature, codec, data::data_root};
use batch::{Batch, every_kind, first};
use common::{Chain, HEAP, MOST_UNITS};
use probe::Request;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Whether a signature is good, which this host's library says too, and the units.
fn decided(
    chain: &mut Chain,
    key: &[u8; 32],
    message: &[u8],
    signature: &Signature,
) -> (bool, u64) {
    let request = Request::Signature {
        key: *key,
        signature: *signature,
    };
    let answer = chain.decide(&request, message);
    let good = assay_ledger::signature::verify(key, message, signature);
    assert_eq!(answer.verdicts == [0], good);
    (good, answer.units)
}

#[test]
fn signatures_are_decided_alike() {
    let mut chain = Chain::new();
    let vectors = include_str!("../../../crates/ledger/tests/vectors/ed25519.txt");
    for line in vectors.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split(" | ").collect();
        let message = hex::decode(parts[2]).unwrap();
        let key = hex::decode(parts[3]).unwrap().try_into().unwrap();
        let signature = hex::decode(parts[4]).unwrap().try_into().unwrap();
        let (good, _) = decided(&mut chain, &key, &message, &signature);
        assert_eq!(good, parts[1] == "accept", "{}", parts[0]);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for case in 0..200 {
        let mut seed = [0; 32];
        rng.fill(&mut seed);
        let pair = Keypair::from_seed(seed);
        let mut message = vec![0; rng.random_range(0..500)];
        rng.fill(&mut message[..]);
        let mut signature = pair.sign(&message);
        assert!(decided(&mut chain, &pair.public(), &message, &signature).0);
        let bit = rng.random_range(0..512);
        signature[bit / 8] ^= 1 << (bit % 8);
        let bad = decided(&mut chain, &pair.public(), &message, &signature);
        assert!(!bad.0, "{case}");
    }
    let pair = Keypair::from_seed([1; 32]);
    for length in [0, 200, 400] {
        let message = vec![5; length];
        let signature = pair.sign(&message);
        let (_, units) = decided(&mut chain, &pair.public(), &message, &signature);
        println!("a signature of {length} bytes: {units} units");
        assert!(units < 150_000);
    }
}

fn state(batch: &Batch, roots: &[assay_ledger::Hash], index: u32) -> (Request, Vec<u8>) {
    let proof = batch.prove(roots, index);
    let consumed = batch.witness(index);
    let cursor = consumed.map(|witness| witness.components.inbox.cursor);
    let request = Request::State {
        header: Box::new(batch.header),
        states_root: assay_tensor::merkle::root(roots),
        index,
        after: roots[index as usize + 1],
        chain: cursor.and_then(|cursor| batch.message_chain(cursor)),
    };
    (request, proof)
}

#[test]
fn states_are_decided_alike() {
    let mut chain = Chain::new();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut most, mut heap) = (0, 0);
    for batch in [every_kind(), first().finish()] {
        for index in 0..batch.header.tx_count {
            let at = index as usize;
            let (request, proof) = state(&batch, &batch.roots, index);
            let right = chain.decide(&request, &proof);
            assert_eq!(right.verdicts, [0]);
            let mut roots = batch.roots.clone();
            roots[at + 1][9] ^= 1;
            let (request, proof) = state(&batch, &roots, index);
            let wrong = chain.decide(&request, &proof);
            assert_eq!(wrong.verdicts, [1]);
            println!(
                "{:<32} {:>6} units, {:>5} bytes of heap, {:>5} of the proof",
                batch.kinds[at],
                right.units,
                right.heap,
                proof.len()
            );
            most = most.max(right.units).max(wrong.units);
            heap = heap.max(right.heap).max(wrong.heap);
            // A leaf with another result.
            let mut records = batch.records.clone();
            records[at].1.fee += 1;
            let lied = batch.with_records(records);
            assert_eq!(lied.roots[at + 1], INVALID);
            let (request, proof) = state(&lied, &lied.roots, index);
            assert_eq!(chain.decide(&request, &proof).verdicts, [0]);
            let (request, proof) = state(&lied, &batch.roots, index);
            assert_eq!(chain.decide(&request, &proof).verdicts, [1]);
            // Changed bytes are no proof on either side, and end neither.
            let (request, proof) = state(&batch, &batch.roots, index);
            for _ in 0..20 {
                let mut changed = proof.clone();
                let byte = rng.random_range(0..changed.len());
                changed[byte] ^= 1 << rng.random_range(0..8);
                assert_ne!(chain.decide(&request, &changed).verdicts, [1]);
            }
        }
    }
    println!("{most} units, {heap} bytes of heap at most");
    assert!(most < MOST_UNITS, "{most}");
    // A program around it has to have something left.
    assert!(heap < HEAP * 3 / 4, "{heap}");
}

#[test]
fn data_is_decided_alike() {
    let mut chain = Chain::new();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let result = TxResult::default();
    let mut largest = |byte: fn(u8) -> u8| -> Vec<Transaction> {
        let mut input = vec![0; assay_ledger::request::MAX_INPUT];
        rng.fill(&mut input[..]);
        input.iter_mut().for_each(|b| *b = byte(*b));
        let infer = Transaction::Infer {
            from: u32::MAX,
            model: 1,
            pinned: true,
            input,
            signature: [3; 64],
        };
        vec![infer; 16]
    };
    let batches = [
        (
            "every kind",
            every_kind().records.into_iter().map(|(tx, _)| tx).collect(),
        ),
        ("largest, of bytes", largest(|b| b)),
        ("largest, of 0 to 16", largest(|b| b % 17)),
        ("largest, of bits", largest(|b| b % 2)),
    ];
    let header = first().finish().header;
    let (mut most, mut heap) = (0, 0);
    for (name, transactions) in batches {
        let data = codec::encode(&transactions);
        let header = |data: &[u8]| assay_ledger::header::Header {
            data_root: data_root(data),
            data_len: data.len() as u32,
            tx_count: transactions.len() as u32,
            ..header
        };
        let (mut highest, mut longest) = (0, 0);
        for (index, tx) in (0u32..).zip(&transactions) {
            let leaf = tx_leaf(tx, &result);
            let header = header(&data);
            let proof = prove_data(&header, &data, index).unwrap();
            for (claimed, expected) in [
                (None, 0),
                (Some((result, leaf)), 0),
                (Some((result, [1; 32])), 1),
            ] {
                let request = Request::Data {
                    header: Box::new(header),
                    index,
                    claimed,
                };
                let answer = chain.decide(&request, &proof);
                assert_eq!(answer.verdicts, [expected]);
                highest = highest.max(answer.units);
                longest = longest.max(proof.len());
                heap = heap.max(answer.heap);
            }
        }
        println!("{name:<24} {highest:>7} units, {longest:>6} bytes at most");
        most = most.max(highest);
        // Malformed: some bit anywhere.
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for _ in 0..40 {
            let mut data = data.clone();
            let byte = rng.random_range(0..200.min(data.len()));
            data[byte] ^= 1 << rng.random_range(0..8);
            let index = rng.random_range(0..transactions.len() as u32);
            let header = header(&data);
            let request = Request::Data {
                header: Box::new(header),
                index,
                claimed: None,
            };
            let proof = prove_data(&header, &data, index).unwrap();
            let whole = codec::decode_from(&&data[..], header.tx_count, index);
            let answer = chain.decide(&request, &proof);
            assert_eq!(answer.verdicts, [u8::from(whole.is_err())]);
            most = most.max(answer.units);
            heap = heap.max(answer.heap);
        }
    }
    println!("{most} units, {heap} bytes of heap at most");
    assert!(most < MOST_UNITS, "{most}");
    assert!(heap < HEAP * 3 / 4, "{heap}");
}
