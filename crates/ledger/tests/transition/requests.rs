//! What an owner's requests do, and which of them cannot be there.

use super::*;

#[test]
fn a_transfer_moves_and_creates() {
    let (mut state, env) = (small(), env(2));
    let to = Action::Transfer {
        to: user(1).public(),
        amount: 300,
    };
    assert_eq!(
        act(&mut state, &env, &user(0), SOL, to),
        TxResult::plain(Status::Done)
    );
    assert_eq!(
        (balance(&state, 0, SOL), balance(&state, 1, SOL)),
        (700, 1_300)
    );
    let before = state.heads().accounts;
    let new = Action::Transfer {
        to: user(8).public(),
        amount: 700,
    };
    assert!(act(&mut state, &env, &user(0), SOL, new).done());
    assert_eq!((balance(&state, 0, SOL), balance(&state, 8, SOL)), (0, 700));
    assert_eq!(state.heads().accounts, before + 1);
    assert_eq!(nonce(&state, 0, SOL), 2);
    // To oneself: nothing but the nonce changes.
    let own = Action::Transfer {
        to: user(8).public(),
        amount: 700,
    };
    assert!(act(&mut state, &env, &user(8), SOL, own).done());
    assert_eq!((balance(&state, 8, SOL), nonce(&state, 8, SOL)), (700, 1));
}

#[test]
fn too_little_balance_fails_and_uses_the_nonce() {
    let (mut state, env) = (small(), env(2));
    for (i, action) in [
        Action::Transfer {
            to: user(1).public(),
            amount: 1_001,
        },
        Action::Transfer {
            to: user(8).public(),
            amount: 1_001,
        },
        Action::Withdraw {
            recipient: [1; 32],
            amount: 1_001,
        },
    ]
    .into_iter()
    .enumerate()
    {
        let result = act(&mut state, &env, &user(0), SOL, action);
        assert_eq!(result, TxResult::plain(Status::InsufficientBalance));
        assert_eq!(
            (balance(&state, 0, SOL), nonce(&state, 0, SOL)),
            (1_000, i as u64 + 1)
        );
    }
    assert!(state.find(&user(8).public(), &SOL).is_none());
    assert_eq!(state.heads().outbox, 0);
}

/// Nothing is moved: no account is made, and no leaf of the outbox that would be there for ever.
#[test]
fn an_amount_of_zero_fails() {
    let (mut state, env) = (small(), env(2));
    for action in [
        Action::Transfer {
            to: user(1).public(),
            amount: 0,
        },
        Action::Transfer {
            to: user(8).public(),
            amount: 0,
        },
        Action::Withdraw {
            recipient: [9; 32],
            amount: 0,
        },
    ] {
        let result = act(&mut state, &env, &user(0), SOL, action);
        assert_eq!(result, TxResult::plain(Status::ZeroAmount));
    }
    assert!(state.find(&user(8).public(), &SOL).is_none());
    assert_eq!((state.heads().outbox, nonce(&state, 0, SOL)), (0, 3));
}

#[test]
fn a_withdrawal_is_a_leaf_of_the_outbox() {
    let (mut state, env) = (small(), env(2));
    let action = Action::Withdraw {
        recipient: [9; 32],
        amount: 120,
    };
    assert!(act(&mut state, &env, &user(2), TOKEN, action).done());
    assert_eq!(balance(&state, 2, TOKEN), 380);
    let leaf = OutboxLeaf::Withdrawal {
        recipient: [9; 32],
        mint: TOKEN,
        amount: 120,
    };
    assert_eq!(state.outbox_leaf(0), Some(leaf));
}

/// Whatever the state fills in was signed: any of it being another makes the signature a bad one.
#[test]
fn what_is_not_shipped_is_signed() {
    let (mut state, env) = (small(), env(2));
    let model = state.model(0).unwrap();
    let good = Action::Infer {
        model: 0,
        program_root: model.program_root,
        price: 100,
        version: Some(1),
        input: vec![0; DIGITS],
    };
    let signed = sign(&state, &env, &user(0), SOL, good);
    let mut wrong = Vec::new();
    let mut spoil = |f: &dyn Fn(&mut assay_ledger::request::Request)| {
        let mut request = signed.request.clone();
        f(&mut request);
        wrong.push(user(0).sign(&request.signing_bytes()));
    };
    spoil(&|r| r.rollup[0] ^= 1);
    spoil(&|r| r.owner = user(1).public());
    spoil(&|r| r.mint = TOKEN);
    spoil(&|r| r.nonce += 1);
    let action = |f: fn(&mut u32, &mut [u8; 32], &mut u64, &mut Option<u64>, &mut Vec<u8>)| {
        move |r: &mut assay_ledger::request::Request| {
            let Action::Infer {
                model,
                program_root,
                price,
                version,
                input,
            } = &mut r.action
            else {
                unreachable!()
            };
            f(model, program_root, price, version, input);
        }
    };
    spoil(&action(|model, _, _, _, _| *model = 1));
    spoil(&action(|_, root, _, _, _| root[0] ^= 1));
    spoil(&action(|_, _, price, _, _| *price += 1));
    spoil(&action(|_, _, _, version, _| *version = None));
    spoil(&action(|_, _, _, version, _| *version = Some(2)));
    spoil(&action(|_, _, _, _, input| input[0] = 1));
    wrong.push(user(1).sign(&signed.request.signing_bytes()));
    let before = state.components();
    for (i, signature) in wrong.into_iter().enumerate() {
        let tx = Transaction::Infer {
            from: 1,
            model: 0,
            pinned: true,
            input: vec![0; DIGITS],
            signature,
        };
        let fault = apply(&mut state, &env, &tx, [0; 32]);
        assert_eq!(fault, Err(Fault::Invalid(Invalid::Signature)), "{i}");
        assert_eq!(state.components(), before);
        let claimed = TxResult::plain(Status::Done);
        let root = apply_root(&mut state, &env, &tx, &claimed, &mut Each);
        assert_eq!(root, Ok(INVALID));
    }
    // A replay has the wrong nonce.
    let tx = ship(&mut state, &env, &signed).unwrap();
    assert!(apply(&mut state, &env, &tx, [0; 32]).unwrap().done());
    let fault = apply(&mut state, &env, &tx, [0; 32]);
    assert_eq!(fault, Err(Fault::Invalid(Invalid::Signature)));
}

#[test]
fn what_is_shipped_wrongly_may_not_be_there() {
    let (mut state, env) = (small(), env(2));
    let signature = [1; 64];
    let transfer = |from, to| Transaction::Transfer {
        from,
        to,
        amount: 1,
        signature,
    };
    let run = |from, model, input: usize| Transaction::Infer {
        from,
        model,
        pinned: false,
        input: vec![0; input],
        signature,
    };
    let (token, _) = state.find(&user(1).public(), &TOKEN).unwrap();
    let update = Transaction::Update {
        model: 2,
        parameters_root: [0; 32],
        price: 0,
        signature,
    };
    let cases = [
        (
            transfer(99, Destination::Account(1)),
            Invalid::NoSuchAccount(99),
        ),
        (
            transfer(1, Destination::Account(99)),
            Invalid::NoSuchAccount(99),
        ),
        (
            transfer(1, Destination::Account(token)),
            Invalid::Destination,
        ),
        (
            transfer(1, Destination::New(user(1).public())),
            Invalid::Destination,
        ),
        (transfer(1, Destination::Account(2)), Invalid::Destination),
        (transfer(1, Destination::Account(3)), Invalid::Signature),
        // Nobody signs for the sentinel: its key has small order.
        (transfer(0, Destination::Account(1)), Invalid::Signature),
        (run(99, 0, DIGITS), Invalid::NoSuchAccount(99)),
        (run(1, 2, DIGITS), Invalid::NoSuchModel(2)),
        (run(1, 0, MAX_INPUT + 1), Invalid::InputTooLong),
        (update, Invalid::NoSuchModel(2)),
        (Transaction::Inbox, Invalid::NoMessage),
        (Transaction::DeclineJob, Invalid::NoMessage),
    ];
    let before = state.components();
    for (tx, invalid) in cases {
        let fault = apply(&mut state, &env, &tx, [0; 32]);
        assert_eq!(fault, Err(Fault::Invalid(invalid)), "{tx:?}");
        assert_eq!(state.components(), before);
    }
    state.push_message(deposit([1; 32], SOL, 1));
    let fault = apply(&mut state, &env, &Transaction::DeclineJob, [0; 32]);
    assert_eq!(fault, Err(Fault::Invalid(Invalid::NotAJob)));
}

#[test]
fn a_request_that_does_not_fit_the_state_is_refused_with_its_reason() {
    let (mut state, env) = (small(), env(2));
    let model = state.model(0).unwrap();
    let signed = sign(
        &state,
        &env,
        &user(0),
        SOL,
        infer(0, &model, vec![0; DIGITS]),
    );
    let refused = |state: &mut FullState, f: &dyn Fn(&mut assay_ledger::request::Request)| {
        let mut signed = signed.clone();
        f(&mut signed.request);
        ship(state, &env, &signed).unwrap_err()
    };
    assert_eq!(refused(&mut state, &|r| r.rollup[0] ^= 1), Refused::Rollup);
    assert_eq!(
        refused(&mut state, &|r| r.owner[0] ^= 1),
        Refused::NoAccount
    );
    let nonce = Refused::Nonce {
        expected: 0,
        got: 4,
    };
    assert_eq!(refused(&mut state, &|r| r.nonce = 4), nonce);
    let with = |f: &dyn Fn(&mut Action)| {
        let mut state = state.clone();
        refused(&mut state, &|r| f(&mut r.action))
    };
    let set = |program: [u8; 32], at: u32, paid: u64, pin: Option<u64>, len: usize| Action::Infer {
        model: at,
        program_root: program,
        price: paid,
        version: pin,
        input: vec![0; len],
    };
    let root = model.program_root;
    let price = Refused::Price {
        expected: 100,
        got: 99,
    };
    let version = Refused::Version {
        expected: 1,
        got: 3,
    };
    assert_eq!(
        with(&|a| *a = set(root, 7, 100, None, 64)),
        Refused::NoSuchModel(7)
    );
    assert_eq!(
        with(&|a| *a = set([0; 32], 0, 100, None, 64)),
        Refused::Program
    );
    assert_eq!(with(&|a| *a = set(root, 0, 99, None, 64)), price);
    assert_eq!(with(&|a| *a = set(root, 0, 100, Some(3), 64)), version);
    let long = Refused::InputTooLong;
    assert_eq!(with(&|a| *a = set(root, 0, 100, None, MAX_INPUT + 1)), long);
}
