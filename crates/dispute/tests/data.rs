//! Proofs of a record of the data: honest data convicts nobody, every malformation does, whatever is changed
//! in the proof.

#[path = "common/batch.rs"]
mod batch;

use assay_dispute::Hash;
use assay_dispute::step::ProofError;
use assay_dispute::step::data::{check_data, prove_data};
use assay_ledger::batch::tx_leaf;
use assay_ledger::codec;
use assay_ledger::data::{CHUNK, data_root};
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::transaction::{Destination, Transaction};
use batch::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::OnceLock;

/// How many cases a test takes: `ASSAY_CASES`, or else `default`.
fn cases(default: u64) -> u64 {
    let cases = std::env::var("ASSAY_CASES").ok();
    cases.and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The header of a batch that has these bytes for its data.
fn header(data: &[u8], tx_count: u32) -> Header {
    static ANY: OnceLock<Header> = OnceLock::new();
    Header {
        data_root: data_root(data),
        data_len: data.len() as u32,
        tx_count,
        ..*ANY.get_or_init(|| first().finish().header)
    }
}

/// A batch of several blocks: many inferences, and everything else.
fn transactions() -> Vec<Transaction> {
    let mut all: Vec<_> = every_kind().records.into_iter().map(|(tx, _)| tx).collect();
    all.extend((0..70u32).map(|i| Transaction::Infer {
        from: i * i,
        model: i % 3,
        pinned: i % 4 == 0,
        input: (0..i * 9 % 300).map(|p| (p * i % 17) as u8).collect(),
        signature: [i as u8; 64],
    }));
    all.extend(first().finish().records.into_iter().map(|(tx, _)| tx));
    all
}

#[test]
fn honest_data_convicts_nobody() {
    let transactions = transactions();
    let data = codec::encode(&transactions);
    let header = header(&data, transactions.len() as u32);
    let result = TxResult {
        fee: 7,
        ..TxResult::default()
    };
    let mut most = 0;
    for (index, tx) in (0u32..).zip(&transactions) {
        let proof = prove_data(&header, &data, index).unwrap();
        assert_eq!(check_data(&header, index, None, &proof), Ok(false));
        let leaf = tx_leaf(tx, &result);
        let right = Some((&result, &leaf));
        assert_eq!(check_data(&header, index, right, &proof), Ok(false));
        // A leaf of anything else is not the data's.
        let other = TxResult::default();
        for wrong in [
            (&other, &leaf),
            (&result, &[8; 32]),
            (&result, &tx_leaf(tx, &other)),
        ] {
            assert_eq!(check_data(&header, index, Some(wrong), &proof), Ok(true));
        }
        let next = &transactions[(index as usize + 1) % transactions.len()];
        let leaf = tx_leaf(next, &result);
        let wrong = Some((&result, &leaf));
        assert_eq!(check_data(&header, index, wrong, &proof), Ok(next != tx));
        most = most.max(proof.len());
    }
    println!(
        "{} bytes of data, proofs of {most} bytes at most",
        data.len()
    );
    let count = transactions.len() as u32;
    assert_eq!(prove_data(&header, &data, count), None);
    assert_eq!(prove_data(&header, &data[1..], 0), None);
    let proof = prove_data(&header, &data, 0).unwrap();
    assert_eq!(
        check_data(&header, count, None, &proof),
        Err(ProofError::Malformed)
    );
}

/// What the data itself says wrongly.
#[test]
fn each_malformation_convicts() {
    let transactions = transactions();
    let count = transactions.len() as u32;
    let good = codec::encode(&transactions);
    let blocks = count.div_ceil(16) as usize;
    let first_block = 5 + 4 * blocks;
    let mut bad: Vec<(&str, Vec<u8>, u32)> = vec![
        ("nothing", Vec::new(), 0),
        ("four bytes", good[..4].to_vec(), 0),
        ("no table", good[..9].to_vec(), 0),
        ("a byte less", good[..good.len() - 1].to_vec(), count - 1),
        ("a byte more", [&good[..], &[0]].concat(), count - 1),
    ];
    let mut change = |name, at: usize, to: u8, index| {
        let mut data = good.clone();
        assert_ne!(data[at], to);
        data[at] = to;
        bad.push((name, data, index));
    };
    change("version", 0, 2, 0);
    change("fewer records", 1, count as u8 - 1, 3);
    change("more records", 1, count as u8 + 1, 3);
    change("an end before the start", 9 + 3, 0xff, 16);
    change("a block longer than its records", 5, good[5] + 1, 0);
    change("a column's width", first_block, 65, 2);
    change("a kind that is none", first_block + 1, 9, 5);
    for (name, data, index) in &bad {
        let header = header(data, count);
        let proof = prove_data(&header, data, *index).unwrap();
        assert_eq!(
            check_data(&header, *index, None, &proof),
            Ok(true),
            "{name}"
        );
        // Whatever the leaf is.
        let result = TxResult::default();
        let claimed = Some((&result, &[1; 32]));
        assert_eq!(
            check_data(&header, *index, claimed, &proof),
            Ok(true),
            "{name}"
        );
    }
}

/// On any bytes the proof says what the decoder says that has them all.
#[test]
fn a_proof_says_what_the_whole_data_says() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let transactions = transactions();
    let good = codec::encode(&transactions);
    let (mut wrong, mut right) = (0, 0);
    for _ in 0..cases(400) {
        let mut data = good.clone();
        for _ in 0..rng.random_range(1..4) {
            // Half of the changes where the structure is.
            let range = if rng.random() { 0..200 } else { 0..data.len() };
            let at = rng.random_range(range);
            data[at] ^= 1 << rng.random_range(0..8);
        }
        if rng.random_range(0..20) == 0 {
            data.truncate(rng.random_range(0..data.len()));
        }
        let count = transactions.len() as u32;
        let header = header(&data, count);
        for _ in 0..4 {
            let index = rng.random_range(0..count);
            let proof = prove_data(&header, &data, index).unwrap();
            let whole = codec::decode_from(&&data[..], count, index);
            assert_eq!(check_data(&header, index, None, &proof), Ok(whole.is_err()));
            let result = TxResult::default();
            let leaf = tx_leaf(&transactions[index as usize], &result);
            let same = whole.is_ok_and(|tx| tx == transactions[index as usize]);
            let claimed = Some((&result, &leaf));
            assert_eq!(check_data(&header, index, claimed, &proof), Ok(!same));
            *(if same { &mut right } else { &mut wrong }) += 1;
        }
    }
    assert!(wrong > 50 && right > 50, "{wrong} wrong, {right} right");
}

#[test]
fn no_change_of_a_proof_convicts_honest_data() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let transactions = transactions();
    let data = codec::encode(&transactions);
    let count = transactions.len() as u32;
    let header = header(&data, count);
    let result = TxResult::default();
    let proofs: Vec<_> = (0..count)
        .map(|index| prove_data(&header, &data, index).unwrap())
        .collect();
    let leaves: Vec<Hash> = transactions.iter().map(|tx| tx_leaf(tx, &result)).collect();
    for _ in 0..cases(20_000) {
        let index = rng.random_range(0..count);
        let of = if rng.random() {
            index
        } else {
            rng.random_range(0..count)
        };
        let mut proof = proofs[of as usize].clone();
        for _ in 0..rng.random_range(0..4) {
            let len = proof.len().max(1);
            let at = rng.random_range(0..len);
            match rng.random_range(0..6) {
                // The indices are at the front.
                0 | 1 => {
                    let at = at % 40;
                    if let Some(byte) = proof.get_mut(at) {
                        *byte = byte.wrapping_add(rng.random_range(1..4));
                    }
                }
                2 => {
                    if let Some(byte) = proof.get_mut(at) {
                        *byte ^= 1 << rng.random_range(0..8);
                    }
                }
                3 => proof.truncate(at),
                4 => proof.extend(vec![rng.random::<u8>(); rng.random_range(1..40)]),
                _ => {
                    let end = (at + rng.random_range(0..CHUNK)).min(proof.len());
                    if at < end {
                        proof.drain(at..end);
                    }
                }
            }
        }
        let claimed = Some((&result, &leaves[index as usize]));
        assert_ne!(check_data(&header, index, claimed, &proof), Ok(true));
        assert_ne!(check_data(&header, index, None, &proof), Ok(true));
    }
    for (index, proof) in (0..).zip(&proofs).step_by(9) {
        for end in 0..proof.len() {
            assert!(check_data(&header, index, None, &proof[..end]).is_err());
        }
    }
}

/// Chunks that are the data's, but not all that the record needs, show nothing.
#[test]
fn chunks_that_lack_show_nothing() {
    let transactions = transactions();
    let data = codec::encode(&transactions);
    let header = header(&data, transactions.len() as u32);
    let hashes: Vec<Hash> = data
        .chunks(CHUNK)
        .map(assay_ledger::data::chunk_hash)
        .collect();
    let levels = assay_tensor::merkle::Levels::new(hashes);
    let open = |indices: &[u64]| {
        let mut proof = Vec::from((indices.len() as u16).to_le_bytes());
        proof.extend(indices.iter().flat_map(|i| (*i as u32).to_le_bytes()));
        for index in indices {
            proof.extend_from_slice(data.chunks(CHUNK).nth(*index as usize).unwrap());
        }
        proof.extend(levels.siblings(indices).unwrap().iter().flatten());
        proof
    };
    let lacks = Err(ProofError::Opening("a chunk of the record"));
    let chunks = data.len().div_ceil(CHUNK) as u64;
    for index in 0..transactions.len() as u32 {
        let needed = prove_data(&header, &data, index).unwrap();
        let count = u16::from_le_bytes([needed[0], needed[1]]) as usize;
        let needed: Vec<u64> = needed[2..2 + 4 * count]
            .chunks(4)
            .map(|i| u32::from_le_bytes(i.try_into().unwrap()).into())
            .collect();
        for without in 0..needed.len() {
            let mut some = needed.clone();
            some.remove(without);
            let verdict = check_data(&header, index, None, &open(&some));
            assert_eq!(verdict, lacks);
        }
        // More than it needs does no harm.
        let all: Vec<u64> = (0..chunks).collect();
        assert_eq!(check_data(&header, index, None, &open(&all)), Ok(false));
    }
    assert_eq!(check_data(&header, 0, None, &[0, 0]), lacks);
}

#[test]
fn the_largest_records_are_proven() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let largest = |rng: &mut ChaCha8Rng| Transaction::Infer {
        from: u32::MAX,
        model: u32::MAX,
        pinned: true,
        input: (0..assay_ledger::request::MAX_INPUT)
            .map(|_| rng.random())
            .collect(),
        signature: [3; 64],
    };
    let mut transactions: Vec<_> = (0..16).map(|_| largest(&mut rng)).collect();
    transactions.push(Transaction::Transfer {
        from: 1,
        to: Destination::Account(2),
        amount: 3,
        signature: [4; 64],
    });
    let data = codec::encode(&transactions);
    let header = header(&data, transactions.len() as u32);
    let result = TxResult::default();
    let mut most = 0;
    for (index, tx) in (0u32..).zip(&transactions) {
        let proof = prove_data(&header, &data, index).unwrap();
        let leaf = tx_leaf(tx, &result);
        let claimed = Some((&result, &leaf));
        assert_eq!(check_data(&header, index, claimed, &proof), Ok(false));
        most = most.max(proof.len());
    }
    println!("proofs of {most} bytes at most");
    assert!(most < 24_576, "{most}");
}

#[test]
fn random_bytes_are_no_proof() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let data = codec::encode(&transactions());
    let header = header(&data, transactions().len() as u32);
    for _ in 0..cases(20_000) {
        let mut bytes = vec![0; rng.random_range(0..4_000)];
        rng.fill(&mut bytes[..]);
        if bytes.len() > 2 {
            (bytes[0], bytes[1]) = (rng.random_range(0..6), 0);
        }
        assert!(check_data(&header, 0, None, &bytes).is_err());
    }
}
