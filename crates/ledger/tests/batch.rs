//! Whole batches: what one is made of is what a verifier finds, and whatever is not so is found.

mod common;

use assay_ledger::batch::{Difference, Run, assemble, derive, replay, tx_leaf, tx_root};
use assay_ledger::header::Header;
use assay_ledger::inbox::{Job, MessageKind};
use assay_ledger::request::Action;
use assay_ledger::signature::Known;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::transition::{Env, Fault, Invalid, apply, apply_with};
use assay_ledger::{Hash, SOL, codec, data};
use common::*;

const PARENT: Hash = [44; 32];

/// What a "model" gives: something of what it was asked.
fn output(program_root: &Hash, input: &[u8]) -> Hash {
    assay_ledger::merkle::leaf(b"test", &[program_root, input])
}

fn run(runs: &[Run]) -> Vec<Option<Hash>> {
    let root = |r: &Run| Some(output(&r.program_root, &r.input));
    runs.iter().map(root).collect()
}

/// The same, but for the run of this transaction.
fn all_but(index: u32) -> impl FnOnce(&[Run]) -> Vec<Option<Hash>> {
    move |runs| {
        let known = runs.iter().zip(run(runs));
        known
            .map(|(r, root)| root.filter(|_| r.index != index))
            .collect()
    }
}

struct Made {
    before: FullState,
    after: FullState,
    env: Env,
    header: Header,
    data: Vec<u8>,
}

/// Batch 2 with a bit of everything, made as a sequencer does.
fn made() -> Made {
    let mut before = small();
    let env = env(2);
    before.push_message(deposit(user(6).public(), SOL, 77));
    for model in [0, 1] {
        let job = Job {
            job: [70; 32],
            model,
            program_root: before.model(model).unwrap().program_root,
            max_price: 100,
            output_bytes: 40,
            input: vec![9; DIGITS],
        };
        before.push_message(message(MessageKind::Job, &job));
    }
    let mut state = before.clone();
    state.start_batch();
    let mut records = Vec::new();
    let mut put = |state: &mut FullState, tx: Transaction, output_root| {
        let result = apply(state, &env, &tx, output_root).unwrap();
        records.push((tx, result));
    };
    let program_root = state.model(0).unwrap().program_root;
    put(&mut state, Transaction::Inbox, [0; 32]);
    for i in 0..40u8 {
        let payer = user(i % 2);
        let model = state.model(0).unwrap();
        let input = vec![i % 17; DIGITS];
        let root = output(&program_root, &input);
        let action = infer(0, &model, input);
        let tx = tx(&mut state, &env, &payer, SOL, action);
        // From some point on the balances are too small: a failure has no output.
        put(&mut state, tx, root);
        if i == 3 {
            put(
                &mut state,
                Transaction::Inbox,
                output(&program_root, &[9; DIGITS]),
            );
            put(&mut state, Transaction::DeclineJob, [0; 32]);
        }
    }
    let action = Action::Withdraw {
        recipient: [8; 32],
        amount: 11,
    };
    let tx = tx(&mut state, &env, &user(2), TOKEN, action);
    put(&mut state, tx, [0; 32]);
    let components = state.components();
    let (header, data) = assemble(&env, PARENT, components, &records);
    assert_eq!(header.tx_count, 44);
    Made {
        before,
        after: state,
        env,
        header,
        data,
    }
}

/// The batch with other transactions in its data, committed to as they are.
fn with_transactions(made: &Made, f: impl FnOnce(&mut Vec<Transaction>)) -> (Header, Vec<u8>) {
    let mut transactions = codec::decode_all(&made.data).unwrap();
    f(&mut transactions);
    with_data(
        made,
        codec::encode(&transactions),
        transactions.len() as u32,
    )
}

fn with_data(made: &Made, data: Vec<u8>, tx_count: u32) -> (Header, Vec<u8>) {
    let header = Header {
        data_root: data::data_root(&data),
        data_len: data.len() as u32,
        tx_count,
        ..made.header
    };
    (header, data)
}

#[test]
fn a_batch_done_again_is_the_same() {
    let mut made = made();
    let mut state = made.before.clone();
    let mut asked = Vec::new();
    let replayed = replay(&mut state, &PARENT, &made.header, &made.data, |runs| {
        asked = runs.to_vec();
        run(runs)
    })
    .unwrap();
    assert_eq!(state.components(), made.after.components());
    assert_eq!(replayed.records.len(), 44);
    let leaves: Vec<Hash> = replayed
        .records
        .iter()
        .map(|(t, r)| tx_leaf(t, r))
        .collect();
    assert_eq!(leaves, replayed.leaves);
    // The job's answer, the declined one's, the withdrawal.
    let sent = made.before.heads().outbox;
    let senders: Vec<u32> = (sent..sent + 3).map(|i| replayed.sender(i)).collect();
    assert_eq!(senders, [5, 6, 43]);
    assert_eq!(replayed.outbox.last(), Some(&(sent + 3)));
    // The ids are those of what was signed.
    let mut again = made.before.clone();
    again.start_batch();
    for ((tx, result), id) in replayed.records.iter().zip(&replayed.ids) {
        assert_eq!(tx.signature().is_some(), id.is_some());
        let mut known = Known {
            id: id.unwrap_or_default(),
            signature: tx.signature().copied().unwrap_or([0; 64]),
        };
        let claim = result.output_root;
        let applied = apply_with(&mut again, &made.env, tx, claim, &mut known);
        assert_eq!(applied, Ok(*result));
    }
    // Ten runs each of the first two users' balances, and the job.
    let indices: Vec<u32> = asked.iter().map(|r| r.index).collect();
    assert_eq!(asked.len(), 21);
    assert!(indices.contains(&5) && indices.is_sorted());
    let job = asked.iter().find(|r| r.index == 5).unwrap();
    assert_eq!(job.input, vec![9; DIGITS]);
    // And once more on top: its parent is another now.
    let again = replay(
        &mut state,
        &made.header.hash(),
        &made.header,
        &made.data,
        run,
    );
    assert_eq!(again, Err(Difference::Parent));
}

/// Replays and expects a difference, and the state as it was.
fn differs(made: &Made, header: &Header, data: &[u8]) -> Difference {
    let mut state = made.before.clone();
    let before = state.components();
    let difference = replay(&mut state, &PARENT, header, data, run)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(state.components(), before);
    assert_eq!(state.next_message(), made.before.next_message());
    difference
}

#[test]
fn whatever_a_header_says_wrongly_is_found() {
    let made = made();
    let good = made.header;
    let header = |f: &dyn Fn(&mut Header)| {
        let mut header = good;
        f(&mut header);
        differs(&made, &header, &made.data)
    };
    assert_eq!(header(&|h| h.parent[0] ^= 1), Difference::Parent);
    assert_eq!(header(&|h| h.rules += 1), Difference::Version);
    assert_eq!(header(&|h| h.codec += 1), Difference::Version);
    assert_eq!(header(&|h| h.params.max_records = 43), Difference::Limits);
    assert_eq!(
        header(&|h| h.params.max_data = h.data_len - 1),
        Difference::Limits
    );
    assert_eq!(header(&|h| h.data_len += 1), Difference::NotItsData);
    assert_eq!(header(&|h| h.data_root[0] ^= 1), Difference::NotItsData);
    assert_eq!(header(&|h| h.tx_count -= 1), Difference::Malformed);
    assert_eq!(header(&|h| h.tx_root[0] ^= 1), Difference::TxRoot);
    assert_eq!(
        header(&|h| h.state.accounts.root[0] ^= 1),
        Difference::State
    );
    // The last message that is consumed is then not there.
    let message = Difference::Transaction {
        index: 6,
        fault: Fault::Invalid(Invalid::NoMessage),
    };
    assert_eq!(header(&|h| h.state.inbox.cursor -= 1), message);
    assert_eq!(header(&|h| h.state.inbox.cursor += 1), Difference::State);
    assert_eq!(header(&|h| h.state.units += 1), Difference::State);
    let signature = Difference::Transaction {
        index: 1,
        fault: Fault::Invalid(Invalid::Signature),
    };
    assert_eq!(header(&|h| h.rollup[0] ^= 1), signature);
    // Another number makes the models callable or not; here it is what is signed that stays good.
    assert_eq!(header(&|h| h.number = 1), Difference::TxRoot);
    assert_eq!(header(&|h| h.sequencer[0] ^= 1), Difference::State);
    assert_eq!(
        header(&|h| h.params.sequencer_share += 100),
        Difference::State
    );
}

#[test]
fn whatever_the_data_does_wrongly_is_found() {
    let made = made();
    let forged = with_transactions(&made, |t| {
        let Transaction::Infer { signature, .. } = &mut t[9] else {
            panic!()
        };
        signature[40] ^= 1;
    });
    let at = |index, fault: Invalid| Difference::Transaction {
        index,
        fault: Fault::Invalid(fault),
    };
    let find = |(header, data): (Header, Vec<u8>)| differs(&made, &header, &data);
    assert_eq!(find(forged), at(9, Invalid::Signature));
    // A signature that only the whole batch shows as bad: the first one is named all the same.
    let swapped = with_transactions(&made, |t| t.swap(2, 4));
    assert_eq!(find(swapped), at(2, Invalid::Signature));
    let skipped = with_transactions(&made, |t| {
        t.remove(0);
    });
    // The job is taken for the deposit, and so on: all results are others.
    assert_eq!(find(skipped), Difference::TxRoot);
    let invented = with_transactions(&made, |t| t.push(Transaction::Inbox));
    assert_eq!(find(invented), at(44, Invalid::NoMessage));
    let dropped = with_transactions(&made, |t| {
        t.pop();
    });
    assert_eq!(find(dropped), Difference::TxRoot);
    let mut data = made.data.clone();
    data.push(0);
    assert_eq!(find(with_data(&made, data, 44)), Difference::Malformed);
    let hidden = with_data(&made, made.data.clone(), 43);
    assert_eq!(find(hidden), Difference::Malformed);
}

#[test]
fn another_output_is_another_leaf() {
    let made = made();
    let mut state = made.before.clone();
    let other = |runs: &[Run]| {
        let mut roots = run(runs);
        roots[3].as_mut().unwrap()[0] ^= 1;
        roots
    };
    let difference = replay(&mut state, &PARENT, &made.header, &made.data, other);
    assert_eq!(difference, Err(Difference::TxRoot));
    let env = Env {
        inbox_end: made.header.state.inbox.cursor,
        ..made.env
    };
    assert_eq!(Env::from(&made.header), env);
    assert!(replay(&mut state, &PARENT, &made.header, &made.data, run).is_ok());
}

#[test]
fn what_follows_from_the_data_ends_where_a_transaction_may_not_be_there() {
    let made = made();
    let transactions = codec::decode_all(&made.data).unwrap();
    let mut state = made.before.clone();
    let before = state.components();
    let all = derive(&mut state, &made.header, &transactions, run);
    assert_eq!((all.results.len(), all.fault), (44, None));
    let leaves: Vec<Hash> = transactions
        .iter()
        .zip(&all.results)
        .map(|(tx, result)| tx_leaf(tx, result))
        .collect();
    assert_eq!(tx_root(&leaves), made.header.tx_root);

    // Whatever the header says of the leaves and of the state after it, as much follows.
    let mut header = made.header;
    header.tx_root = [1; 32];
    header.state.accounts.root = [1; 32];
    let same = derive(&mut state, &header, &transactions, run);
    assert_eq!(same, all);

    let mut forged = transactions.clone();
    let Transaction::Infer { signature, .. } = &mut forged[9] else {
        panic!()
    };
    signature[40] ^= 1;
    let part = derive(&mut state, &made.header, &forged, run);
    assert_eq!(part.results, all.results[..9]);
    assert_eq!(part.runs, all.runs[..part.runs.len()]);
    assert!(part.runs.iter().all(|run| run.index < 9) && all.runs.len() > part.runs.len());
    assert_eq!(part.fault, Some(Fault::Invalid(Invalid::Signature)));
    assert_eq!(state.components(), before);
    assert_eq!(state.next_message(), made.before.next_message());
}

/// Index of the job that runs, and of an inference.
const JOB: u32 = 5;
const INFERENCE: u32 = 1;

#[test]
fn a_run_that_cannot_be_done_hides_nothing_else() {
    let made = made();
    let before = made.before.clone().components();
    for unknown in [INFERENCE, JOB] {
        let find = |header: &Header, data: &[u8]| {
            let mut state = made.before.clone();
            let found = replay(&mut state, &PARENT, header, data, all_but(unknown));
            assert_eq!(state.components(), before);
            found.map(|_| ()).unwrap_err()
        };
        let unseen = Difference::Outputs(vec![unknown]);
        assert_eq!(find(&made.header, &made.data), unseen);
        // What no output is in is wrong all the same: each part of the state, and a signature.
        let changes: [fn(&mut Header); 8] = [
            |h| h.state.accounts.root[0] ^= 1,
            |h| h.state.accounts.count += 1,
            |h| h.state.models.root[0] ^= 1,
            |h| h.state.models.count += 1,
            |h| h.state.inbox.chain[0] ^= 1,
            |h| h.state.inbox.cursor += 1,
            |h| h.state.outbox.count += 1,
            |h| h.state.units += 1,
        ];
        for change in changes {
            let mut header = made.header;
            change(&mut header);
            assert_eq!(find(&header, &made.data), Difference::State);
        }
        // Of the messages to L1 only a job's answer depends on an output.
        let mut header = made.header;
        header.state.outbox.root[0] ^= 1;
        let expected = match unknown {
            JOB => unseen.clone(),
            _ => Difference::State,
        };
        assert_eq!(find(&header, &made.data), expected);
        // And the leaves cannot be compared.
        let mut header = made.header;
        header.tx_root[0] ^= 1;
        assert_eq!(find(&header, &made.data), unseen);
        let (header, data) = with_transactions(&made, |t| t.swap(2, 4));
        let fault = Fault::Invalid(Invalid::Signature);
        assert_eq!(
            find(&header, &data),
            Difference::Transaction { index: 2, fault }
        );
    }
    // An executor that gives too few answers knows no more than it gave.
    let mut state = made.before.clone();
    let none = replay(&mut state, &PARENT, &made.header, &made.data, |_| {
        Vec::new()
    });
    let Err(Difference::Outputs(unknown)) = none else {
        panic!("{none:?}")
    };
    assert_eq!(unknown.len(), 21);
}

#[test]
fn what_follows_without_an_output_is_all_but_that_output() {
    let made = made();
    let transactions = codec::decode_all(&made.data).unwrap();
    let mut state = made.before.clone();
    let all = derive(&mut state, &made.header, &transactions, run);
    assert!(all.unknown.is_empty() && all.ends_as(&made.header, &transactions));
    for unknown in [INFERENCE, JOB] {
        let but = derive(&mut state, &made.header, &transactions, all_but(unknown));
        assert_eq!((&but.unknown, &but.runs), (&vec![unknown], &all.runs));
        assert_eq!(but.after == all.after, unknown == INFERENCE);
        assert!(but.ends_as(&made.header, &transactions));
        let mut results = all.results.clone();
        results[unknown as usize].output_root = [0; 32];
        assert_eq!(but.results, results);
    }
}
