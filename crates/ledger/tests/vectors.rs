//! The public formats, pinned: `vectors/formats.txt` holds a line for each, and whoever changes
//! one changes that file with it. `ASSAY_BLESS=1 cargo test` writes it anew.

mod common;

use assay_ledger::batch::{assemble, tx_leaf};
use assay_ledger::header::genesis_hash;
use assay_ledger::inbox::{self, Deposit, Forced, Job, MessageKind, chain_next};
use assay_ledger::outbox::OutboxLeaf;
use assay_ledger::request::{Action, Request, SignedRequest};
use assay_ledger::result::{Status, TxResult};
use assay_ledger::state::{Account, Model, StateComponents};
use assay_ledger::transaction::{Destination, Transaction};
use assay_ledger::witness::Witness;
use assay_ledger::{Hash, SOL, codec, data};
use common::*;
use std::fmt::Write;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/formats.txt");

#[derive(Default)]
struct Vectors(String);

impl Vectors {
    fn section(&mut self, text: &str) {
        writeln!(self.0, "# {text}").unwrap();
    }

    fn put(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        writeln!(self.0, "{name} {}", hex::encode(bytes)).unwrap();
    }

    fn borsh(&mut self, name: &str, value: &impl borsh::BorshSerialize) {
        self.put(name, borsh::to_vec(value).unwrap());
    }
}

/// Bytes that differ everywhere.
fn key(i: u8) -> [u8; 32] {
    std::array::from_fn(|at| i.wrapping_mul(16).wrapping_add(at as u8))
}

fn signature(i: u8) -> [u8; 64] {
    std::array::from_fn(|at| i.wrapping_mul(16).wrapping_add(at as u8))
}

fn requests() -> Vec<(&'static str, Request)> {
    let request = |action| Request {
        rollup: key(1),
        owner: key(2),
        mint: key(3),
        nonce: 0x0102_0304_0506_0708,
        action,
    };
    let infer = |version| Action::Infer {
        model: 0x0a0b_0c0d,
        program_root: key(7),
        price: 5_000,
        version,
        input: vec![0, 5, 16, 255],
    };
    vec![
        (
            "transfer",
            request(Action::Transfer {
                to: key(4),
                amount: 1_000_000,
            }),
        ),
        (
            "withdraw",
            request(Action::Withdraw {
                recipient: key(5),
                amount: 77,
            }),
        ),
        (
            "deploy",
            request(Action::Deploy {
                program: program(123_456, 64, 40),
                parameters_root: key(6),
                price: 5_000,
            }),
        ),
        (
            "update",
            request(Action::Update {
                model: 3,
                program_root: key(7),
                parameters_root: key(8),
                price: 6_000,
            }),
        ),
        ("infer", request(infer(None))),
        ("infer-pinned", request(infer(Some(9)))),
    ]
}

fn transactions() -> Vec<(&'static str, Transaction)> {
    let infer = |pinned| Transaction::Infer {
        from: 300,
        model: 2,
        pinned,
        input: (0..DIGITS).map(|i| (i % 17) as u8).collect(),
        signature: signature(6),
    };
    vec![
        ("inbox", Transaction::Inbox),
        ("decline-job", Transaction::DeclineJob),
        (
            "transfer",
            Transaction::Transfer {
                from: 1,
                to: Destination::Account(70_000),
                amount: 1_000_000,
                signature: signature(1),
            },
        ),
        (
            "transfer-new",
            Transaction::Transfer {
                from: 2,
                to: Destination::New(key(4)),
                amount: 12,
                signature: signature(2),
            },
        ),
        (
            "withdraw",
            Transaction::Withdraw {
                from: 3,
                recipient: key(5),
                amount: 77,
                signature: signature(3),
            },
        ),
        (
            "deploy",
            Transaction::Deploy {
                from: 4,
                program: program(123_456, 64, 40),
                parameters_root: key(6),
                price: 5_000,
                signature: signature(4),
            },
        ),
        (
            "update",
            Transaction::Update {
                model: 3,
                parameters_root: key(8),
                price: 6_000,
                signature: signature(5),
            },
        ),
        ("infer", infer(false)),
        ("infer-pinned", infer(true)),
    ]
}

fn result() -> TxResult {
    TxResult {
        status: Status::Done as u8,
        fee: 5_000,
        program_root: key(7),
        parameters_root: key(8),
        input_root: key(10),
        output_root: key(9),
    }
}

fn signed_forms(v: &mut Vectors) {
    v.section(
        "signing bytes, the request's id (their SHA-256), and its borsh encoding with a signature",
    );
    for (name, request) in requests() {
        v.put(&format!("signing-bytes/{name}"), request.signing_bytes());
        v.put(&format!("request-id/{name}"), request.id());
        let signed = SignedRequest {
            request,
            signature: signature(1),
        };
        v.borsh(&format!("signed-request/{name}"), &signed);
    }
    v.section("the first request, signed by the key with the seed 0101..01");
    let (_, request) = &requests()[0];
    v.put("public-key", user(0).public());
    v.put("signature", user(0).sign(&request.signing_bytes()));
}

fn shipped_forms(v: &mut Vectors) {
    v.section("shipped transactions (borsh), and their leaves with the result below");
    v.borsh("result", &result());
    for (name, tx) in transactions() {
        v.borsh(&format!("transaction/{name}"), &tx);
        v.put(&format!("transaction-leaf/{name}"), tx_leaf(&tx, &result()));
    }
    v.section(
        "batch data: all of these; twenty inferences, which are two blocks; two of one byte's value; none",
    );
    let all: Vec<_> = transactions().into_iter().map(|(_, tx)| tx).collect();
    v.put("batch-data/all", codec::encode(&all));
    let many: Vec<_> = (0..20u32)
        .map(|i| Transaction::Infer {
            from: i * i,
            model: 2 + i % 2,
            pinned: i % 3 == 0,
            input: (0..i as usize % 5).map(|p| (p * 4) as u8).collect(),
            signature: signature(i as u8),
        })
        .collect();
    v.put("batch-data/two-blocks", codec::encode(&many));
    let plain: Vec<_> = [4usize, 9]
        .map(|length| Transaction::Infer {
            from: 1,
            model: 2,
            pinned: false,
            input: vec![7; length],
            signature: signature(1),
        })
        .to_vec();
    v.put("batch-data/one-value", codec::encode(&plain));
    v.put("batch-data/none", codec::encode(&[]));
    v.section("chunks: the root of 2,000 bytes 0, 1, ... in chunks of 928");
    let bytes: Vec<u8> = (0..2_000u32).map(|i| i as u8).collect();
    v.put("data-root", data::data_root(&bytes));
}

fn states(v: &mut Vectors) {
    v.section("leaves and roots of the state");
    let account = Account {
        owner: key(2),
        mint: key(3),
        balance: 1_234_567,
        nonce: 8,
        next: 9,
    };
    let model = Model {
        publisher: 5,
        program_root: key(7),
        parameters_root: key(8),
        price: 5_000,
        units: 123_456,
        input_bytes: 64,
        output_bytes: 40,
        version: 3,
        callable_from: 12,
    };
    v.put("account-leaf", account.leaf());
    v.put("model-leaf", model.leaf());
    v.borsh("components/genesis", &StateComponents::genesis());
    v.put("state-root/genesis", StateComponents::genesis().root());
    let mut state = small();
    v.borsh("components/small", &state.components());
    v.put("state-root/small", state.components().root());
    let to = Action::Transfer {
        to: user(8).public(),
        amount: 1,
    };
    let env = env(2);
    let tx = tx(&mut state, &env, &user(0), SOL, to);
    v.borsh(
        "witness/transfer-new",
        &Witness::record(&mut state, &env, &tx),
    );
}

fn messages(v: &mut Vectors) {
    v.section("payloads of messages, and the inbox's chain after each of them in turn");
    let deposit = Deposit {
        owner: key(2),
        mint: key(3),
        amount: 1_000,
    };
    let job = Job {
        job: key(10),
        model: 2,
        program_root: key(11),
        max_price: 9_000,
        output_bytes: 40,
        input: vec![1, 2, 3],
    };
    let transfer = Forced::Transfer {
        owner: key(2),
        mint: key(3),
        to: key(4),
        amount: 5,
    };
    let withdraw = Forced::Withdraw {
        owner: key(2),
        mint: key(3),
        recipient: key(5),
        amount: 6,
    };
    let payloads = [
        (
            "deposit",
            MessageKind::Deposit,
            borsh::to_vec(&deposit).unwrap(),
        ),
        ("job", MessageKind::Job, borsh::to_vec(&job).unwrap()),
        (
            "forced-transfer",
            MessageKind::Forced,
            borsh::to_vec(&transfer).unwrap(),
        ),
        (
            "forced-withdraw",
            MessageKind::Forced,
            borsh::to_vec(&withdraw).unwrap(),
        ),
    ];
    let mut chain: Hash = inbox::GENESIS;
    for (index, (name, kind, payload)) in (0u64..).zip(payloads) {
        v.put(&format!("payload/{name}"), &payload);
        chain = chain_next(&chain, index, kind, &payload);
        v.put(&format!("inbox-chain/{name}"), chain);
    }
    v.section("leaves of the outbox");
    let withdrawal = OutboxLeaf::Withdrawal {
        recipient: key(5),
        mint: key(3),
        amount: 77,
    };
    let result = OutboxLeaf::JobResult {
        job: key(10),
        done: true,
        price: 5_000,
        sequencer_share: 1_000,
        sequencer: key(11),
        publisher: key(12),
        version: 3,
        output_root: key(9),
    };
    v.put("outbox-leaf/withdrawal", withdrawal.hash());
    v.put("outbox-leaf/job-result", result.hash());
}

fn headers(v: &mut Vectors) {
    v.section("a batch of the transactions above, its header and the header's hash");
    let records: Vec<_> = transactions()
        .into_iter()
        .map(|(_, tx)| (tx, result()))
        .collect();
    let env = env(2);
    v.put("genesis-hash", genesis_hash(&env.rollup));
    let state = StateComponents::genesis();
    let (header, _) = assemble(&env, genesis_hash(&env.rollup), state, &records);
    v.borsh("header", &header);
    v.put("header-hash", header.hash());
    v.section("the state after a batch, as a verifier begins with it");
    v.put("snapshot/small", snapshot(small(), header).encode());
}

#[test]
fn the_public_formats_are_as_pinned() {
    let mut v = Vectors::default();
    v.section("The public formats of assay-ledger: a name and the bytes in hexadecimal.");
    v.section("Written by tests/vectors.rs, where the values behind them are.");
    signed_forms(&mut v);
    shipped_forms(&mut v);
    states(&mut v);
    messages(&mut v);
    headers(&mut v);
    if std::env::var_os("ASSAY_BLESS").is_some() {
        std::fs::write(PATH, &v.0).unwrap();
    }
    let pinned = std::fs::read_to_string(PATH).unwrap();
    for (now, then) in v.0.lines().zip(pinned.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(v.0.lines().count(), pinned.lines().count());
}

/// What is pinned is read back: the vectors are not only written.
#[test]
fn pinned_encodings_decode() {
    let pinned = std::fs::read_to_string(PATH).unwrap();
    let bytes = |name: &str| {
        let line = pinned
            .lines()
            .find_map(|l| l.strip_prefix(&format!("{name} ")));
        hex::decode(line.unwrap()).unwrap()
    };
    for (name, request) in requests() {
        let signed: SignedRequest =
            borsh::from_slice(&bytes(&format!("signed-request/{name}"))).unwrap();
        assert_eq!(signed.request, request);
    }
    for (name, tx) in transactions() {
        let pinned = bytes(&format!("transaction/{name}"));
        let (head, input, tail) = tx.encoding();
        assert_eq!([&head[..], input, tail].concat(), pinned);
        assert_eq!(Transaction::decode(&pinned), Some(tx));
        for end in 0..pinned.len() {
            assert_eq!(Transaction::decode(&pinned[..end]), None, "{name}");
        }
        assert_eq!(Transaction::decode(&[&pinned[..], &[0]].concat()), None);
    }
    // A length that only claims to be is refused before anything is allocated for it.
    let mut long = bytes("transaction/infer");
    long[10..14].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Transaction::decode(&long), None);
    let all: Vec<_> = transactions().into_iter().map(|(_, tx)| tx).collect();
    assert_eq!(codec::decode_all(&bytes("batch-data/all")), Ok(all));
    let witness: Witness = borsh::from_slice(&bytes("witness/transfer-new")).unwrap();
    assert!(
        witness
            .open(&bytes("state-root/small").try_into().unwrap())
            .is_ok()
    );
    let key = bytes("public-key").try_into().unwrap();
    let signature = bytes("signature").try_into().unwrap();
    assert!(assay_ledger::signature::verify(
        &key,
        &bytes("signing-bytes/transfer"),
        &signature
    ));
}
