//! Random histories of everything that can happen: the whole store and a witness agree on every
//! transaction, balances are conserved, accounts stay one ordered list, and a checkpoint brings
//! everything back.

#[path = "../common/mod.rs"]
mod common;
mod world;

use assay_ledger::SOL;
use assay_ledger::outbox::{self, OutboxLeaf};
use assay_ledger::request::Action;
use assay_ledger::signature::Each;
use assay_ledger::store::FullState;
use assay_ledger::transition::{apply, apply_root};
use assay_ledger::witness::{BadWitness, Witness};
use common::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use world::*;

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn store_and_witness_agree(ops in history(1..80)) {
        run(&ops);
    }

    #[test]
    fn a_rollback_brings_everything_back(first in history(0..40), second in history(1..40), third in history(0..10)) {
        let mut world = run(&first);
        let kept = world.state.take_changes();
        let before = world.state.components();
        let mut other = world.state.clone();
        let checkpoint = world.state.checkpoint();
        for op in &second {
            if let Some(tx) = world.transaction(op) {
                let _ = apply(&mut world.state, &world.env, &tx, [0; 32]);
            }
            if op[1] % 4 == 0 {
                world.state.components();
            }
        }
        world.state.start_batch();
        let inner = world.state.checkpoint();
        for op in &third {
            if let Some(tx) = world.transaction(op) {
                let _ = apply(&mut world.state, &world.env, &tx, [0; 32]);
            }
        }
        if third.len() % 2 == 0 {
            world.state.rollback(inner);
        } else {
            world.state.release(inner);
        }
        world.state.rollback(checkpoint);
        prop_assert_eq!(world.state.components(), before);
        prop_assert_eq!(world.state.accounts(), other.accounts());
        prop_assert_eq!(world.state.models(), other.models());
        prop_assert_eq!(world.state.heads(), other.heads());
        // What is to be kept is still as it was given out: nothing new but repeats.
        let repeated = world.state.take_changes();
        prop_assert_eq!(repeated.heads, kept.heads);
        for (i, account) in repeated.accounts {
            prop_assert_eq!(other.account(i), Some(account));
        }
        prop_assert!(repeated.outbox.is_empty());
        // The messages are there again.
        prop_assert_eq!(world.state.next_message().is_some() || other.next_message().is_none(), true);
        prop_assert_eq!(other.components(), before);
    }

    #[test]
    fn what_changed_makes_the_same_state(parts in prop::collection::vec(history(0..30), 1..4)) {
        let mut world = World::new();
        let (mut accounts, mut models, mut outbox) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for ops in parts {
            for op in &ops {
                if let Some(tx) = world.transaction(op) {
                    let _ = apply(&mut world.state, &world.env, &tx, [0; 32]);
                }
            }
            let changes = world.state.take_changes();
            accounts.extend(changes.accounts);
            models.extend(changes.models);
            outbox.extend(changes.outbox);
            let mut again = FullState::from_parts(
                &changes.heads,
                accounts.values().copied(),
                models.values().copied(),
                outbox.values().copied(),
            ).unwrap();
            prop_assert_eq!(again.components(), world.state.components());
            prop_assert_eq!(again.next_push(), changes.heads.inbox.cursor);
            let nothing = again.take_changes();
            prop_assert!(nothing.accounts.is_empty() && nothing.models.is_empty() && nothing.outbox.is_empty());
        }
    }

    #[test]
    fn the_outbox_opens_as_it_was(ops in history(1..60)) {
        let mut world = World::new();
        let mut heads = vec![world.state.components().outbox];
        for op in &ops {
            if let Some(tx) = world.transaction(op) {
                let _ = apply(&mut world.state, &world.env, &tx, [0; 32]);
            }
            let head = world.state.components().outbox;
            if heads.last() != Some(&head) {
                heads.push(head);
            }
        }
        for head in heads {
            for i in 0..head.count {
                let leaf = world.state.outbox_leaf(i).unwrap();
                let path = world.state.outbox_path(i, head.count).unwrap();
                prop_assert!(outbox::verify(head.count, &head.root, &leaf, i, &path));
                let short = outbox::trim(head.count, &path);
                prop_assert!(outbox::verify(head.count, &head.root, &leaf, i, short));
            }
            prop_assert!(world.state.outbox_path(head.count, head.count).is_none());
        }
    }
}

/// The histories above are worth something only if they reach what there is.
#[test]
fn histories_reach_every_kind_and_most_ends() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[8; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..60 {
        let ops = history(60..80).new_tree(&mut runner).unwrap().current();
        for (name, count) in run(&ops).seen {
            *seen.entry(name).or_default() += count;
        }
    }
    let expected = [
        "Inbox Done",
        "Inbox BadMessage",
        "Inbox InsufficientBalance",
        "Inbox NoSuchModel",
        "Inbox NotCallable",
        "Inbox PriceLimit",
        "Inbox NoMessage",
        "DeclineJob Declined",
        "DeclineJob NotAJob",
        "Transfer Done",
        "Transfer InsufficientBalance",
        "Transfer Signature",
        "Transfer Destination",
        "Withdraw Done",
        "Withdraw InsufficientBalance",
        "Deploy Done",
        "Deploy BadProgram",
        "Update Done",
        "Update Signature",
        "Infer Done",
        "Infer NotCallable",
        "Infer InsufficientBalance",
        "Infer InputSize",
        "Infer WrongMint",
        "Infer Units",
        "Infer InputTooLong",
    ];
    let missing: Vec<_> = expected
        .into_iter()
        .filter(|n| !seen.contains_key(*n))
        .collect();
    assert!(missing.is_empty(), "{missing:?} of {seen:#?}");
}

#[test]
fn what_was_rolled_back_is_given_out_again() {
    let (mut state, env) = (small(), env(2));
    let model = state.model(0).unwrap();
    let run = infer(0, &model, vec![0; DIGITS]);
    assert!(act(&mut state, &env, &user(0), SOL, run).done());
    let before = state.components();
    assert_eq!(before.units, 10);
    let withdraw = |amount| Action::Withdraw {
        recipient: [1; 32],
        amount,
    };
    state.take_changes();
    let checkpoint = state.checkpoint();
    state.start_batch();
    assert!(act(&mut state, &env, &user(1), SOL, withdraw(1)).done());
    assert_eq!(state.take_changes().outbox.len(), 1);
    state.rollback(checkpoint);
    assert_eq!(state.components(), before);
    assert!(act(&mut state, &env, &user(1), SOL, withdraw(2)).done());
    let changes = state.take_changes();
    let leaf = OutboxLeaf::Withdrawal {
        recipient: [1; 32],
        mint: SOL,
        amount: 2,
    };
    assert_eq!(changes.outbox, vec![(0, leaf)]);
    let (index, account) = state.find(&user(1).public(), &SOL).unwrap();
    assert!(changes.accounts.contains(&(index, account)));
}

#[test]
fn a_witness_is_for_one_root() {
    let mut state = small();
    let env = env(2);
    let to = Action::Transfer {
        to: user(1).public(),
        amount: 1,
    };
    let tx = tx(&mut state, &env, &user(0), SOL, to);
    let witness = Witness::record(&mut state, &env, &tx);
    let bad = witness.clone().open(&[0; 32]).unwrap_err();
    assert_eq!(bad, BadWitness::Components);
    let mut less = witness.clone();
    less.accounts.siblings.pop();
    let root = state.components().root();
    assert_eq!(less.open(&root).unwrap_err(), BadWitness::Accounts);
    // An account that is there, claimed not to be.
    let mut gone = witness;
    gone.accounts.leaves[0].1 = None;
    assert_eq!(gone.open(&root).unwrap_err(), BadWitness::Accounts);
}

#[test]
fn what_was_kept_is_checked() {
    use assay_ledger::store::Corrupt;
    let state = small();
    let heads = state.heads();
    let parts = |accounts: Vec<_>, models: Vec<_>| {
        FullState::from_parts(&heads, accounts, models, []).map(|_| ())
    };
    let (accounts, models) = (state.accounts().to_vec(), state.models().to_vec());
    assert_eq!(parts(accounts.clone(), models.clone()), Ok(()));
    assert_eq!(
        parts(accounts[1..].to_vec(), models.clone()),
        Err(Corrupt::Missing)
    );
    assert_eq!(parts(accounts.clone(), vec![]), Err(Corrupt::Missing));
    let mut unlinked = accounts.clone();
    unlinked[2].next = 0;
    assert_eq!(parts(unlinked, models.clone()), Err(Corrupt::List));
    let mut twice = accounts.clone();
    twice[2] = twice[1];
    assert_eq!(parts(twice, models.clone()), Err(Corrupt::List));
    let mut orphan = models;
    orphan[0].publisher = 99;
    assert_eq!(parts(accounts, orphan), Err(Corrupt::Publisher));
}

proptest! {
    #![proptest_config(cases(400))]

    /// Whatever bytes a stranger makes of a witness: they do not decode, or do not open, or give no
    /// answer, or the right one.
    #[test]
    fn changed_bytes_of_a_witness_prove_nothing_else(
        to in 0..9u8,
        amount in 0..1_500u64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut state = small();
        let env = env(2);
        let action = Action::Transfer { to: user(to).public(), amount };
        let tx = tx(&mut state, &env, &user(0), SOL, action);
        let root = state.components().root();
        let mut bytes = borsh::to_vec(&Witness::record(&mut state, &env, &tx)).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let result = apply(&mut state, &env, &tx, [0; 32]).unwrap();
        let Ok(Ok(mut partial)) = borsh::from_slice::<Witness>(&bytes).map(|w| w.open(&root)) else {
            return Ok(());
        };
        let after = apply_root(&mut partial, &env, &tx, &result, &mut Each);
        prop_assert!(after.is_err() || after == Ok(state.components().root()));
    }
}
