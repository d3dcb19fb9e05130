//! What the ledger's parts cost on this machine, on one thread. `cargo run --release -p
//! assay-ledger --example bench_ledger [transactions]`; the development profile compiles this
//! crate and its arithmetic optimised too.

use assay_ledger::batch::{assemble, replay, seal, tx_leaf};
use assay_ledger::codec;
use assay_ledger::header::Params;
use assay_ledger::inbox::{Deposit, Message, MessageKind};
use assay_ledger::request::{Action, Request, SignedRequest};
use assay_ledger::signature::{Assumed, Keypair, verify, verify_batch};
use assay_ledger::steps::{state_roots, witness_at};
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, apply, apply_with, ship};
use assay_ledger::witness::Witness;
use assay_ledger::{Hash, Key, ProgramHeader, SOL, Signature};
use std::time::Instant;

const USERS: usize = 1_000;
const PIXELS: usize = 64;

fn report(what: &str, n: usize, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    let rate = n as f64 / seconds;
    println!(
        "{what:<44} {rate:>12.0} /s {:>10.3} us each",
        seconds * 1e6 / n as f64
    );
}

fn env() -> Env {
    Env {
        rollup: [3; 32],
        number: 1,
        sequencer: [4; 32],
        params: Params {
            window: 50,
            bond_slice: 0,
            max_units: u64::MAX,
            max_records: u32::MAX,
            max_data: u32::MAX,
            model_delay: 0,
            sequencer_share: 2_000,
            clock: 150,
            extension: 20,
            dispute_bond: 0,
        },
        inbox_end: u64::MAX,
    }
}

/// A state with funded users and one model of the digits' shape.
fn prepare(users: &[Keypair], env: &Env) -> FullState {
    let mut state = FullState::genesis();
    for user in users {
        let deposit = Deposit {
            owner: user.public(),
            mint: SOL,
            amount: 1 << 40,
        };
        state.push_message(Message {
            kind: MessageKind::Deposit,
            payload: borsh::to_vec(&deposit).expect("a deposit encodes"),
        });
        apply(&mut state, env, &Transaction::Inbox, [0; 32]).expect("a deposit is credited");
    }
    let program = ProgramHeader {
        inputs: 1,
        parameters: 8,
        operators: 12,
        outputs: 1,
        units: 100_000,
        input_bytes: PIXELS as u64,
        parameter_bytes: 400,
        value_bytes: 900,
        output_bytes: 40,
        operators_root: [1; 32],
        parameters_root: [2; 32],
        inputs_root: [3; 32],
        outputs_root: [4; 32],
    };
    let deploy = Action::Deploy {
        program,
        parameters_root: [5; 32],
        price: 5_000,
    };
    let deploy = sign(&state, env, &users[0], 0, deploy);
    let deploy = ship(&mut state, env, &deploy).expect("the publisher has an account");
    apply(&mut state, env, &deploy, [0; 32]).expect("a model is deployed");
    state.components();
    state
}

fn sign(state: &FullState, env: &Env, user: &Keypair, ahead: u64, action: Action) -> SignedRequest {
    let nonce = state.find(&user.public(), &SOL).map_or(0, |(_, a)| a.nonce);
    let request = Request {
        rollup: env.rollup,
        owner: user.public(),
        mint: SOL,
        nonce: nonce + ahead,
        action,
    };
    SignedRequest {
        signature: user.sign(&request.signing_bytes()),
        request,
    }
}

fn main() {
    let n: usize = std::env::args()
        .nth(1)
        .and_then(|a| a.parse().ok())
        .unwrap_or(20_000);
    let env = env();
    let users: Vec<Keypair> = (0..USERS as u64)
        .map(|i| {
            let mut seed = [7; 32];
            seed[..8].copy_from_slice(&i.to_le_bytes());
            Keypair::from_seed(seed)
        })
        .collect();
    let base = prepare(&users, &env);
    let model = base.model(0).expect("the model was deployed");

    let start = Instant::now();
    let requests: Vec<SignedRequest> = (0..n)
        .map(|i| {
            let action = Action::Infer {
                model: 0,
                program_root: model.program_root,
                price: model.price,
                version: None,
                input: (0..PIXELS).map(|p| ((i * 7 + p * 5) % 17) as u8).collect(),
            };
            sign(&base, &env, &users[i % USERS], (i / USERS) as u64, action)
        })
        .collect();
    report("sign", n, start);

    let messages: Vec<Vec<u8>> = requests.iter().map(|r| r.request.signing_bytes()).collect();
    let items: Vec<(&Key, &[u8], &Signature)> = requests
        .iter()
        .zip(&messages)
        .map(|(r, m)| (&r.request.owner, &m[..], &r.signature))
        .collect();
    let single = items.len().min(2_000);
    let start = Instant::now();
    assert!(items[..single].iter().all(|(k, m, s)| verify(k, m, s)));
    report("verify one by one", single, start);
    for size in [64, 256, 1_024] {
        let start = Instant::now();
        assert!(items.chunks(size).all(verify_batch));
        report(&format!("verify in batches of {size}"), n, start);
    }

    let mut state = base.clone();
    let output: Hash = [6; 32];
    let start = Instant::now();
    let mut records = Vec::with_capacity(n);
    for request in &requests {
        let tx = ship(&mut state, &env, request).expect("the request fits the state");
        let result = apply_with(&mut state, &env, &tx, output, &mut Assumed);
        records.push((tx, result.expect("the transaction applies")));
    }
    report("ship and apply, no signatures", n, start);
    let mut again = base.clone();
    let start = Instant::now();
    for (tx, _) in &records {
        apply_with(&mut again, &env, tx, output, &mut Assumed).expect("it applied before");
    }
    report("apply, no signatures", n, start);
    let start = Instant::now();
    let components = state.components();
    println!(
        "{:<44} {:>12.3} ms",
        format!("state root after these ({USERS} accounts changed)"),
        start.elapsed().as_secs_f64() * 1e3
    );

    let start = Instant::now();
    let leaves: Vec<Hash> = records.iter().map(|(tx, r)| tx_leaf(tx, r)).collect();
    report("transaction leaf", n, start);
    let transactions: Vec<Transaction> = records.iter().map(|(tx, _)| tx.clone()).collect();
    let start = Instant::now();
    let data = codec::encode(&transactions);
    let mb = data.len() as f64 / 1e6;
    println!(
        "{:<44} {:>12.1} MB/s ({:.2} bytes a transaction)",
        "encode",
        mb / start.elapsed().as_secs_f64(),
        data.len() as f64 / n as f64
    );
    let start = Instant::now();
    let decoded = codec::decode_all(&data).expect("what was encoded decodes");
    println!(
        "{:<44} {:>12.1} MB/s",
        "decode",
        mb / start.elapsed().as_secs_f64()
    );
    assert_eq!(decoded, transactions);
    let start = Instant::now();
    let header = seal(&env, [9; 32], components, &leaves, &data);
    println!(
        "{:<44} {:>12.3} ms",
        "seal (transaction root, data root)",
        start.elapsed().as_secs_f64() * 1e3
    );
    assert_eq!(header, assemble(&env, [9; 32], components, &records).0);

    let mut verifier = base.clone();
    // A batch starts with no units used; so did the one above.
    let start = Instant::now();
    replay(&mut verifier, &[9; 32], &header, &data, |runs| {
        vec![Some(output); runs.len()]
    })
    .expect("the batch replays");
    report("replay, signatures included", n, start);

    let mut state = base.clone();
    let batch_env = Env::from(&header);
    let start = Instant::now();
    let roots = state_roots(&mut state, &batch_env, &records).expect("the state is whole");
    report("state roots between them, signatures included", n, start);
    assert_eq!(roots.last(), Some(&header.state.root()));
    let start = Instant::now();
    let last = n as u32 - 1;
    let witness = witness_at(&mut state, &batch_env, &records, last).expect("the state is whole");
    assert_eq!(
        witness.map(|w| w.components.root()),
        roots.get(n - 1).copied()
    );
    println!(
        "{:<44} {:>12.3} ms",
        "witness of the last of them",
        start.elapsed().as_secs_f64() * 1e3
    );

    let mut state = base.clone();
    let some = records.len().min(2_000);
    let (mut bytes, start) = (0, Instant::now());
    for (tx, _) in &records[..some] {
        let witness = Witness::record(&mut state, &env, tx);
        bytes += borsh::to_vec(&witness).expect("a witness encodes").len();
        apply_with(&mut state, &env, tx, output, &mut Assumed).expect("it applied before");
    }
    report(
        &format!(
            "witness ({} bytes on average), roots each time",
            bytes / some
        ),
        some,
        start,
    );
}
