//! `renew_lease`.

use anchor_lang::error::ErrorCode;
use assay_tests::rollup::{SLICE, TestRollup, config};
use assay_tests::svm::{accepted, instruction, refused};
use settlement::constants::MAX_LEASE;
use settlement::errors::SettlementError as E;
use settlement::{accounts, instruction as args, seeds};
use solana_keypair::Keypair;
use solana_signer::Signer;

const FIRST: [u8; 16] = [1; 16];
const SECOND: [u8; 16] = [2; 16];
/// Slots in which the test's clock moves by ten seconds.
const TEN_SECONDS: u64 = 25;

fn rollup() -> (TestRollup, Keypair) {
    let r = TestRollup::new(1);
    let key = r.sequencer.insecure_clone();
    (r, key)
}

fn holder(r: &TestRollup, key: &Keypair) -> [u8; 16] {
    r.sequencer_account(&key.pubkey()).lease_instance
}

#[test]
fn another_process_waits_until_the_lease_has_run_out() {
    let (mut r, key) = rollup();
    accepted(r.renew_lease(&key, FIRST, 10, false));
    refused(r.renew_lease(&key, SECOND, 10, false), E::Leased);
    r.svm.warp(TEN_SECONDS - 3);
    refused(r.renew_lease(&key, SECOND, 10, false), E::Leased);
    // Renewed, it runs on.
    accepted(r.renew_lease(&key, FIRST, 20, false));
    r.svm.warp(TEN_SECONDS);
    refused(r.renew_lease(&key, SECOND, 10, false), E::Leased);
    r.svm.warp(TEN_SECONDS);
    accepted(r.renew_lease(&key, SECOND, 10, false));
    assert_eq!(holder(&r, &key), SECOND);
    refused(r.renew_lease(&key, FIRST, 10, false), E::Leased);
}

#[test]
fn who_gives_it_up_is_followed_at_once() {
    let (mut r, key) = rollup();
    accepted(r.renew_lease(&key, FIRST, 10, false));
    // Nobody gives up what another has.
    refused(r.renew_lease(&key, SECOND, 0, false), E::Leased);
    accepted(r.renew_lease(&key, FIRST, 0, false));
    accepted(r.renew_lease(&key, SECOND, 10, false));
    assert_eq!(holder(&r, &key), SECOND);
}

#[test]
fn an_operator_may_take_it_over() {
    let (mut r, key) = rollup();
    accepted(r.renew_lease(&key, FIRST, 10, false));
    accepted(r.renew_lease(&key, SECOND, 10, true));
    assert_eq!(holder(&r, &key), SECOND);
    refused(r.renew_lease(&key, FIRST, 10, false), E::Leased);
}

#[test]
fn it_is_bounded_and_somebodys() {
    let (mut r, key) = rollup();
    accepted(r.renew_lease(&key, FIRST, MAX_LEASE, false));
    for take_over in [false, true] {
        let long = r.renew_lease(&key, FIRST, MAX_LEASE + 1, take_over);
        refused(long, E::LeaseTooLong);
        refused(r.renew_lease(&key, [0; 16], 1, take_over), E::NoInstance);
    }
}

#[test]
fn refuses_who_is_not_the_sequencer() {
    let (mut r, key) = rollup();
    let thief = r.svm.rich_key();
    let renew = instruction(
        settlement::ID,
        accounts::RenewLease {
            key: thief.pubkey(),
            sequencer: seeds::sequencer(&r.address, &key.pubkey()),
        },
        args::RenewLease {
            instance: SECOND,
            seconds: 10,
            take_over: true,
        },
    );
    refused(r.svm.send(&[renew], &[&thief]), ErrorCode::ConstraintSeeds);
    let mut r = TestRollup::unregistered(&["settlement"], config());
    let key = r.svm.rich_key();
    refused(
        r.renew_lease(&key, FIRST, 10, false),
        ErrorCode::AccountNotInitialized,
    );
    accepted(r.register(&key, SLICE));
    accepted(r.renew_lease(&key, FIRST, 10, false));
}
