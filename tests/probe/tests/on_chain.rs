//! The ledger's step proofs in a Solana program, against the same code on this host, and what they cost.

#[path = "../../../crates/dispute/tests/common/batch.rs"]
mod batch;

use assay_dispute::step::data::prove_data;
use assay_ledger::batch::tx_leaf;
use assay_ledger::result::TxResult;
use assay_ledger::signature::Keypair;
use assay_ledger::state::INVALID;
use assay_ledger::transaction::Transaction;
use assay_ledger::{Signature, codec, data::data_root};
use batch::{Batch, every_kind, first};
use litesvm::LiteSVM;
use probe::{Request, decide};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use solana_account::Account;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair as Payer;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use std::path::Path;

/// The bar for any step proof.
const MOST_UNITS: u64 = 700_000;

struct Chain {
    svm: LiteSVM,
    payer: Payer,
    program: Pubkey,
    request: Pubkey,
}

impl Chain {
    fn new() -> Self {
        let mut svm = LiteSVM::default()
            .with_feature_set(LiteSVM::mainnet_feature_set())
            .with_builtins()
            .with_lamports(1_000_000_000_000_000_000)
            .with_sysvars()
            .with_feature_accounts()
            .with_default_programs()
            .with_sigverify(false)
            .with_blockhash_check(true);
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => target.into(),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        };
        let path = target.join("deploy/probe.so");
        let binary = std::fs::read(&path).unwrap_or_else(|error| {
            let path = path.display();
            panic!("could not read {path}: {error}\nbuild it with `cargo xtask programs`")
        });
        let program = Pubkey::new_from_array([7; 32]);
        svm.add_program(program, &binary).unwrap();
        let payer = Payer::new_from_array([1; 32]);
        svm.airdrop(&payer.pubkey(), 1_000_000_000_000).unwrap();
        Self {
            svm,
            payer,
            program,
            request: Pubkey::new_from_array([8; 32]),
        }
    }

    /// The program's answer and the units that it took.
    fn call(&mut self, request: &[u8]) -> (u8, u64) {
        let account = Account {
            lamports: 1_000_000_000_000,
            data: request.to_vec(),
            owner: self.program,
            ..Account::default()
        };
        self.svm.set_account(self.request, account).unwrap();
        let instructions = [
            ComputeBudgetInstruction::set_compute_unit_limit(1_400_000),
            Instruction {
                program_id: self.program,
                accounts: vec![AccountMeta::new_readonly(self.request, false)],
                data: Vec::new(),
            },
        ];
        self.svm.expire_blockhash();
        let blockhash = self.svm.latest_blockhash();
        let payer = self.payer.pubkey();
        let message = Message::new_with_blockhash(&instructions, Some(&payer), &blockhash);
        let message = VersionedMessage::Legacy(message);
        let transaction = VersionedTransaction::try_new(message, &[&self.payer]).unwrap();
        let sent = self.svm.send_transaction(transaction);
        let meta = sent.unwrap_or_else(|failed| panic!("{:?} {:?}", failed.err, failed.meta.logs));
        // The runtime cuts zeros off the end.
        assert_eq!(meta.return_data.data.get(1), Some(&1));
        (meta.return_data.data[0], meta.compute_units_consumed - 150)
    }

    /// The answer, which is the host's too, and the units.
    fn decide(&mut self, request: &Request, rest: &[u8]) -> (u8, u64) {
        let mut bytes = borsh::to_vec(request).unwrap();
        bytes.extend_from_slice(rest);
        let (verdict, units) = self.call(&bytes);
        assert_eq!(Some(verdict), decide(&bytes));
        (verdict, units)
    }

    fn signature(&mut self, key: &[u8; 32], message: &[u8], signature: &Signature) -> (bool, u64) {
        let request = Request::Signature {
            key: *key,
            signature: *signature,
        };
        let (bad, units) = self.decide(&request, message);
        let good = assay_ledger::signature::verify(key, message, signature);
        assert_eq!(bad == 0, good);
        (good, units)
    }
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
        let (good, _) = chain.signature(&key, &message, &signature);
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
        assert!(chain.signature(&pair.public(), &message, &signature).0);
        let bit = rng.random_range(0..512);
        signature[bit / 8] ^= 1 << (bit % 8);
        let bad = chain.signature(&pair.public(), &message, &signature);
        assert!(!bad.0, "{case}");
    }
    let pair = Keypair::from_seed([1; 32]);
    for length in [0, 200, 400] {
        let message = vec![5; length];
        let signature = pair.sign(&message);
        let (_, units) = chain.signature(&pair.public(), &message, &signature);
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
    let mut most = 0;
    for batch in [every_kind(), first().finish()] {
        for index in 0..batch.header.tx_count {
            let at = index as usize;
            let (request, proof) = state(&batch, &batch.roots, index);
            let (verdict, right) = chain.decide(&request, &proof);
            assert_eq!(verdict, 0);
            let mut roots = batch.roots.clone();
            roots[at + 1][9] ^= 1;
            let (request, proof) = state(&batch, &roots, index);
            let (verdict, wrong) = chain.decide(&request, &proof);
            assert_eq!(verdict, 1);
            println!(
                "{:<32} {right:>7} units, {:>6} bytes",
                batch.kinds[at],
                proof.len()
            );
            most = most.max(right).max(wrong);
            // A leaf with another result.
            let mut records = batch.records.clone();
            records[at].1.fee += 1;
            let lied = batch.with_records(records);
            assert_eq!(lied.roots[at + 1], INVALID);
            let (request, proof) = state(&lied, &lied.roots, index);
            assert_eq!(chain.decide(&request, &proof).0, 0);
            let (request, proof) = state(&lied, &batch.roots, index);
            assert_eq!(chain.decide(&request, &proof).0, 1);
            // Changed bytes are no proof on either side, and end neither.
            let (request, proof) = state(&batch, &batch.roots, index);
            for _ in 0..20 {
                let mut changed = proof.clone();
                let byte = rng.random_range(0..changed.len());
                changed[byte] ^= 1 << rng.random_range(0..8);
                assert_ne!(chain.decide(&request, &changed).0, 1);
            }
        }
    }
    println!("{most} units at most");
    assert!(most < MOST_UNITS, "{most}");
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
    let mut most = 0;
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
                let (verdict, units) = chain.decide(&request, &proof);
                assert_eq!(verdict, expected);
                highest = highest.max(units);
                longest = longest.max(proof.len());
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
            let (verdict, units) = chain.decide(&request, &proof);
            assert_eq!(verdict, u8::from(whole.is_err()));
            most = most.max(units);
        }
    }
    println!("{most} units at most");
    assert!(most < MOST_UNITS, "{most}");
}
