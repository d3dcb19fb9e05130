//! Every lie about a state convicts.

use super::*;

/// Whatever the asserter says the state is, unless it is right.
#[test]
fn another_state_is_wrong() {
    for batch in batches() {
        let (first, last) = (batch.roots[0], batch.header.state.root());
        for index in 0..batch.header.tx_count {
            let kind = batch.kinds[index as usize];
            let right = batch.roots[index as usize + 1];
            let mut others = vec![INVALID, [9; 32], first, last, batch.roots[index as usize]];
            others.extend(richer(&batch, index));
            let mut near = right;
            near[31] ^= 1;
            others.push(near);
            for other in others.into_iter().filter(|other| *other != right) {
                let roots = lied(&batch, index, other);
                assert_eq!(verdict(&batch, &roots, index), Ok(true), "{kind}");
            }
        }
    }
}

/// The states after transaction `index` in which one thing is another: an account's balance, nonce or
/// successor, the units, the cursor, the outbox.
fn richer(batch: &Batch, index: u32) -> Vec<Hash> {
    let mut state = batch.state.clone();
    state.start_batch();
    for (tx, result) in &batch.records[..=index as usize] {
        apply(&mut state, &batch.env(), tx, result.output_root).unwrap();
    }
    let mut others = Vec::new();
    for account in 0..state.accounts().len() as u32 {
        let mut other = state.clone();
        let mut changed = other.read_account(account).unwrap();
        match account % 3 {
            0 => changed.balance += 1,
            1 => changed.nonce += 1,
            _ => changed.next ^= 1,
        }
        other.write_account(account, changed).unwrap();
        others.push(other.components().root());
    }
    let mut components = state.components();
    components.units += 1;
    others.push(components.root());
    components = state.components();
    components.inbox.cursor += 1;
    others.push(components.root());
    components = state.components();
    components.outbox.count += 1;
    others.push(components.root());
    others
}

/// The batch in which transaction `index` is another, and the honest roots up to there.
fn with(batch: &Batch, index: u32, lie: impl FnOnce(&mut Transaction, &mut TxResult)) -> Batch {
    let mut records = batch.records.clone();
    let (tx, result) = &mut records[index as usize];
    lie(tx, result);
    batch.with_records(records)
}

/// Asserts that the batch's transaction `index` may not be there, and that an asserter loses who says that it
/// may, and wins who says that it may not.
#[track_caller]
fn may_not_be_there(batch: &Batch, honest: &Batch, index: u32, what: &str) {
    let at = index as usize;
    let kind = batch.kinds[at];
    assert_eq!(batch.roots[..=at], honest.roots[..=at], "{kind}: {what}");
    assert_eq!(batch.roots[at + 1], INVALID, "{kind}: {what}");
    assert_eq!(
        verdict(batch, &batch.roots, index),
        Ok(false),
        "{kind}: {what}"
    );
    let claimed = verdict(batch, &honest.roots, index);
    assert_eq!(claimed, Ok(true), "{kind}: {what}");
    // What comes after it is as invalid.
    for index in (index + 1..batch.header.tx_count).take(1) {
        assert_eq!(verdict(batch, &batch.roots, index), Ok(false));
        let roots = lied(batch, index, honest.roots[index as usize + 1]);
        assert_eq!(verdict(batch, &roots, index), Ok(true));
    }
}

#[test]
fn a_wrong_result_is_wrong() {
    type Lie = (&'static str, fn(&mut TxResult));
    let lies: [Lie; 8] = [
        ("status", |r| r.status ^= 1),
        ("a status that is none", |r| r.status = 200),
        ("fee up", |r| r.fee += 1),
        ("fee", |r| r.fee = r.fee.wrapping_sub(1)),
        ("program", |r| r.program_root[0] ^= 1),
        ("parameters", |r| r.parameters_root[31] ^= 1),
        ("input", |r| r.input_root[7] ^= 1),
        ("an output of nothing", |r| r.output_root = [1; 32]),
    ];
    for honest in batches() {
        for index in 0..honest.header.tx_count {
            let ran = honest.records[index as usize].1.program_root != [0; 32];
            for (what, lie) in lies {
                if ran && what.starts_with("an output") {
                    continue;
                }
                let batch = with(&honest, index, |_, result| lie(result));
                may_not_be_there(&batch, &honest, index, what);
            }
        }
    }
}

/// The output root of a run is not for this proof to judge: it is taken as given, whatever it is.
#[test]
fn another_output_is_another_claim() {
    let honest = every_kind();
    for index in 0..honest.header.tx_count {
        let at = index as usize;
        if honest.records[at].1.program_root == [0; 32] {
            continue;
        }
        let batch = with(&honest, index, |_, result| result.output_root[3] ^= 1);
        assert_ne!(batch.roots[at + 1], INVALID);
        assert_eq!(verdict(&batch, &batch.roots, index), Ok(false));
        // A job's is in the outbox, an inference's nowhere in the state.
        let in_state = honest.kinds[at] == "job";
        let kind = honest.kinds[at];
        assert_eq!(
            verdict(&batch, &honest.roots, index),
            Ok(in_state),
            "{kind}"
        );
    }
}

#[test]
fn a_wrong_signature_is_wrong() {
    for honest in batches() {
        let mut state = honest.state.clone();
        state.start_batch();
        for index in 0..honest.header.tx_count {
            let (tx, result) = &honest.records[index as usize];
            let signed = expand(&mut state, &honest.env(), tx).unwrap();
            apply(&mut state, &honest.env(), tx, result.output_root).unwrap();
            let Some(signed) = signed else { continue };
            let owner = (0..50).map(user).find(|u| u.public() == signed.terms.owner);
            let owner = owner.unwrap();
            let resigned = |pair: &assay_ledger::signature::Keypair, f: &dyn Fn(&mut _)| {
                let mut terms = signed.terms;
                f(&mut terms);
                pair.sign(&terms.signing_bytes())
            };
            let good = resigned(&owner, &|_| {});
            let (mut r, mut s, mut over) = (good, good, good);
            r[3] ^= 1;
            s[40] ^= 1;
            over[63] |= 0xf0;
            let wrong = [
                (
                    "nonce before",
                    resigned(&owner, &|t| t.nonce = t.nonce.wrapping_sub(1)),
                ),
                ("nonce after", resigned(&owner, &|t| t.nonce += 1)),
                ("rollup", resigned(&owner, &|t| t.rollup[0] ^= 1)),
                ("mint", resigned(&owner, &|t| t.mint[0] ^= 1)),
                ("somebody else's", resigned(&user(30), &|_| {})),
                ("R", r),
                ("s", s),
                ("s past the order", over),
                ("none", [0; 64]),
            ];
            for (what, signature) in wrong {
                let batch = with(&honest, index, |tx, _| {
                    *signature_of(tx).unwrap() = signature
                });
                may_not_be_there(&batch, &honest, index, what);
            }
        }
    }
}

/// Transactions that name what is not there, or are not what was signed.
#[test]
fn a_wrong_transaction_is_wrong() {
    let honest = every_kind();
    let accounts = honest.header.state.accounts.count as u32;
    for index in 0..honest.header.tx_count {
        type Lie<'a> = (&'static str, Box<dyn Fn(&mut Transaction) -> bool + 'a>);
        let lies: Vec<Lie<'_>> = vec![
            (
                "an account that is not",
                Box::new(|tx| match tx {
                    Transaction::Transfer { from, .. }
                    | Transaction::Withdraw { from, .. }
                    | Transaction::Deploy { from, .. }
                    | Transaction::Infer { from, .. } => {
                        *from = accounts;
                        true
                    }
                    Transaction::Update { model, .. } => {
                        *model = 99;
                        true
                    }
                    _ => false,
                }),
            ),
            (
                "another destination",
                Box::new(|tx| match tx {
                    Transaction::Transfer { to, .. } => {
                        *to = match to {
                            // In another mint.
                            Destination::Account(_) => Destination::Account(2),
                            Destination::New(_) => Destination::New(user(0).public()),
                        };
                        true
                    }
                    _ => false,
                }),
            ),
            (
                "more",
                Box::new(|tx| match tx {
                    Transaction::Transfer { amount, .. } | Transaction::Withdraw { amount, .. } => {
                        *amount += 1;
                        true
                    }
                    Transaction::Update { price, .. } | Transaction::Deploy { price, .. } => {
                        *price += 1;
                        true
                    }
                    Transaction::Infer { input, .. } => {
                        input[0] ^= 1;
                        true
                    }
                    _ => false,
                }),
            ),
            (
                "pinned",
                Box::new(|tx| match tx {
                    Transaction::Infer { pinned, .. } => {
                        *pinned ^= true;
                        true
                    }
                    _ => false,
                }),
            ),
            (
                "too long an input",
                Box::new(|tx| match tx {
                    Transaction::Infer { input, .. } => {
                        input.resize(16_385, 0);
                        true
                    }
                    _ => false,
                }),
            ),
        ];
        for (what, lie) in &lies {
            let mut applies = false;
            let batch = with(&honest, index, |tx, _| applies = lie(tx));
            if applies {
                may_not_be_there(&batch, &honest, index, what);
            }
        }
        // A message that is no job cannot be declined.
        let kind = honest.kinds[index as usize];
        if honest.records[index as usize].0 == Transaction::Inbox && !kind.starts_with("job") {
            let batch = with(&honest, index, |tx, _| *tx = Transaction::DeclineJob);
            may_not_be_there(&batch, &honest, index, "declined");
        }
    }
}

/// A batch that consumes more messages than its header says is invalid from there on, whatever L1 has sent.
#[test]
fn a_message_past_the_end_is_wrong() {
    let honest = every_kind();
    let consuming = |(tx, _): &(Transaction, TxResult)| tx.consumes_message();
    let last = honest.records.iter().rposition(consuming).unwrap() as u32;
    let mut batch = honest.clone();
    batch.header.state.inbox.cursor -= 1;
    let batch = batch.with_records(honest.records.clone());
    may_not_be_there(&batch, &honest, last, "past the end");
    // Nobody needs to show the message, and nobody may.
    let mut witness = batch.witness(last).unwrap();
    assert_eq!(witness.message, None);
    witness.message = honest.witness(last).unwrap().message;
    assert!(witness.message.is_some());
    let proof = batch.prove_with(&honest.roots, last, Some(&witness));
    let claims = batch.claims(&honest.roots, last);
    let refused = Err(ProofError::Opening("the message"));
    assert_eq!(check(&batch, &claims, &proof), refused);
}

/// Messages are not in the state: only L1's own convince.
#[test]
fn a_forged_message_proves_nothing() {
    let batch = every_kind();
    let refused = Err(ProofError::Opening("the message"));
    for index in 0..batch.header.tx_count {
        let witness = batch.witness(index).unwrap();
        let claims = batch.claims(&batch.roots, index);
        let Some(message) = witness.message.clone() else {
            let mut with = witness;
            with.message = Some(job(0, 1));
            let proof = batch.prove_with(&batch.roots, index, Some(&with));
            assert_eq!(check(&batch, &claims, &proof), refused);
            continue;
        };
        let mut longer = message.clone();
        longer.payload.push(0);
        let mut changed = message.clone();
        changed.payload[3] ^= 1;
        let mut empty = message.clone();
        empty.payload.clear();
        let others = (0..batch.header.tx_count).filter_map(|i| batch.witness(i)?.message);
        let kinds = [deposit([1; 32], [0; 32], 1), job(0, 100)].map(|m| m.kind);
        let kinds = kinds.map(|kind| assay_ledger::inbox::Message {
            kind,
            payload: message.payload.clone(),
        });
        let forged = [longer, changed, empty]
            .into_iter()
            .chain(kinds)
            .chain(others);
        for forged in forged.filter(|forged| *forged != message) {
            let witness = Witness {
                message: Some(forged),
                ..witness.clone()
            };
            let proof = batch.prove_with(&batch.roots, index, Some(&witness));
            assert_eq!(check(&batch, &claims, &proof), refused);
        }
        let without = Witness {
            message: None,
            ..witness
        };
        let proof = batch.prove_with(&batch.roots, index, Some(&without));
        assert!(check(&batch, &claims, &proof).is_err());
        // One that is L1's, where nobody has shown L1's value.
        let proof = batch.prove(&batch.roots, index);
        let unknown = check_state(&claims, &proof, &|_| None, &mut Each);
        assert_eq!(unknown, refused);
    }
}
