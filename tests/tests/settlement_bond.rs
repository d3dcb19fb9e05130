//! `register_sequencer`, `add_bond`, `request_unbond`, `withdraw_bond`, `claim_fees`,
//! `close_sequencer`.

use anchor_lang::error::ErrorCode;
use anchor_lang::system_program;
use assay_tests::batch::Draft;
use assay_tests::rollup::{SLICE, TestRollup, config};
use assay_tests::svm::{accepted, instruction, refused};
use settlement::errors::SettlementError as E;
use settlement::events::{BondChanged, FeesClaimed};
use settlement::{accounts, instruction as args, seeds};
use solana_keypair::Keypair;
use solana_signer::Signer;

fn rollup(slices: u64) -> (TestRollup, Keypair) {
    let r = TestRollup::new(slices);
    let key = r.sequencer.insecure_clone();
    (r, key)
}

mod register_sequencer {
    use super::*;

    #[test]
    fn locks_the_bond() {
        let mut r = TestRollup::unregistered(&["settlement"], config());
        let key = r.svm.rich_key();
        let before = r.svm.lamports(&key.pubkey());
        let sent = accepted(r.register(&key, 3 * SLICE));
        let account = r.sequencer_account(&key.pubkey());
        assert_eq!(
            (account.key, account.rollup, account.bond),
            (key.pubkey(), r.address, 3 * SLICE)
        );
        let address = seeds::sequencer(&r.address, &key.pubkey());
        let rent = r.svm.rent(settlement::state::Sequencer::size());
        assert_eq!(r.svm.lamports(&address), rent + 3 * SLICE);
        assert_eq!(before - r.svm.lamports(&key.pubkey()), rent + 3 * SLICE);
        let event: BondChanged = sent.event();
        assert_eq!((event.sequencer, event.bond), (key.pubkey(), 3 * SLICE));
    }

    /// While turns do not rotate, a stranger's batch would fork the chain of the sequencer at work.
    #[test]
    fn refuses_whom_the_authority_does_not_let_in() {
        let mut r = TestRollup::unregistered(&["settlement"], config());
        let stranger = r.svm.rich_key();
        refused(r.register_by(&stranger, &stranger, SLICE), E::NotAuthority);
        // Naming the authority is not enough.
        let mut register = instruction(
            settlement::ID,
            accounts::RegisterSequencer {
                key: stranger.pubkey(),
                authority: r.authority.pubkey(),
                rollup: r.address,
                sequencer: seeds::sequencer(&r.address, &stranger.pubkey()),
                system_program: system_program::ID,
            },
            args::RegisterSequencer { bond: SLICE },
        );
        register.accounts[1].is_signer = false;
        refused(
            r.svm.send(&[register], &[&stranger]),
            ErrorCode::AccountNotSigner,
        );
        // The authority of another rollup is none here.
        let other = r.svm.rich_key();
        let mine = std::mem::replace(&mut r.authority, other);
        accepted(r.initialize(8, config()));
        let other = std::mem::replace(&mut r.authority, mine);
        refused(r.register_by(&other, &stranger, SLICE), E::NotAuthority);
        accepted(r.register(&stranger, SLICE));
    }

    #[test]
    fn refuses_less_than_a_slice() {
        let mut r = TestRollup::unregistered(&["settlement"], config());
        let key = r.svm.rich_key();
        refused(r.register(&key, SLICE - 1), E::BondTooSmall);
        accepted(r.register(&key, SLICE));
    }

    #[test]
    fn refuses_a_second_time() {
        let (mut r, key) = rollup(1);
        refused(r.register(&key, SLICE), 0u32);
    }
}

mod add_bond {
    use super::*;

    #[test]
    fn the_sequencer_adds_to_its_own() {
        let (mut r, key) = rollup(1);
        let sent = accepted(r.add_bond(&key, 5));
        assert_eq!(r.sequencer_account(&key.pubkey()).bond, SLICE + 5);
        assert_eq!(sent.event::<BondChanged>().bond, SLICE + 5);
    }

    #[test]
    fn refuses_an_unregistered_sequencer() {
        let (mut r, _) = rollup(1);
        let stranger = r.svm.rich_key();
        refused(r.add_bond(&stranger, 5), ErrorCode::AccountNotInitialized);
    }

    /// What a stranger adds would have to wait for the unbonding delay before the account can be closed, and
    /// then he would add again.
    #[test]
    fn a_stranger_cannot_hold_up_who_leaves() {
        let (mut r, key) = rollup(1);
        accepted(r.request_unbond(&key, SLICE));
        r.svm.warp(200);
        accepted(r.withdraw_bond(&key));
        let stranger = r.svm.rich_key();
        refused(
            r.add_bond_of(&key.pubkey(), &stranger, 1),
            ErrorCode::ConstraintSeeds,
        );
        accepted(r.close_sequencer(&key));
    }
}

mod request_unbond {
    use super::*;

    #[test]
    fn a_request_replaces_the_one_before() {
        let (mut r, key) = rollup(2);
        accepted(r.request_unbond(&key, SLICE));
        r.svm.warp(10);
        let sent = accepted(r.request_unbond(&key, 5));
        let account = r.sequencer_account(&key.pubkey());
        assert_eq!(account.unbonding, 5);
        assert_eq!(account.unbond_slot, r.svm.slot() + 200);
        assert_eq!(sent.event::<BondChanged>().unbonding, 5);
    }

    #[test]
    fn refuses_more_than_the_bond() {
        let (mut r, key) = rollup(2);
        refused(r.request_unbond(&key, 2 * SLICE + 1), E::BondExceeded);
    }

    #[test]
    fn refuses_an_unregistered_key() {
        let (mut r, _) = rollup(2);
        let stranger = r.svm.rich_key();
        refused(
            r.request_unbond(&stranger, 1),
            ErrorCode::AccountNotInitialized,
        );
    }
}

mod withdraw_bond {
    use super::*;

    #[test]
    fn pays_after_the_delay_and_not_a_slot_before() {
        let (mut r, key) = rollup(2);
        refused(r.withdraw_bond(&key), E::NotUnbonding);
        accepted(r.request_unbond(&key, 2 * SLICE));
        refused(r.withdraw_bond(&key), E::UnbondTooEarly);
        r.svm.warp(199);
        refused(r.withdraw_bond(&key), E::UnbondTooEarly);
        r.svm.warp(1);
        let before = r.svm.lamports(&key.pubkey());
        accepted(r.withdraw_bond(&key));
        assert_eq!(r.svm.lamports(&key.pubkey()) - before, 2 * SLICE);
        let account = r.sequencer_account(&key.pubkey());
        assert_eq!((account.bond, account.unbonding), (0, 0));
        refused(r.withdraw_bond(&key), E::NotUnbonding);
    }

    #[test]
    fn a_request_of_nothing_cancels() {
        let (mut r, key) = rollup(1);
        accepted(r.request_unbond(&key, SLICE));
        r.svm.warp(200);
        accepted(r.request_unbond(&key, 0));
        refused(r.withdraw_bond(&key), E::NotUnbonding);
        let draft = Draft::new(&r, 1);
        r.settle(&draft);
    }

    #[test]
    fn never_goes_below_the_locked_slices() {
        let mut late = config();
        // So that the delay ends with batches still pending.
        late.params.window = 1_000;
        late.unbond_delay = 1_000;
        let mut r = TestRollup::with(&["settlement"], late, 3);
        let key = r.sequencer.insecure_clone();
        accepted(r.request_unbond(&key, SLICE));
        r.svm.warp(500);
        for _ in 0..2 {
            let draft = Draft::new(&r, 1);
            r.settle(&draft);
        }
        // Posting is refused: of three slices two are locked and one is leaving.
        let draft = Draft::new(&r, 1);
        r.publish(&draft);
        refused(r.post(&draft), E::NoFreeSlice);
        r.svm.warp(500);
        // The request was for one slice, and two others cover the two batches.
        accepted(r.withdraw_bond(&key));
        accepted(r.request_unbond(&key, 1));
        // Both batches are past their window, but nobody has made them final.
        r.svm.warp(1_000);
        refused(r.withdraw_bond(&key), E::BondLocked);
        accepted(r.finalize());
        accepted(r.withdraw_bond(&key));
        accepted(r.request_unbond(&key, SLICE));
        r.svm.warp(1_000);
        refused(r.withdraw_bond(&key), E::BondLocked);
        accepted(r.finalize());
        accepted(r.withdraw_bond(&key));
        assert_eq!(r.sequencer_account(&key.pubkey()).bond, SLICE - 1);
    }
}

mod claim_fees {
    use super::*;

    #[test]
    fn pays_what_final_batches_earned_once() {
        let (mut r, key) = rollup(1);
        let user = r.svm.rich_key();
        refused(r.claim_fees(&key), E::NothingToClaim);
        accepted(r.force(&user));
        accepted(r.force(&user));
        let draft = Draft::new(&r, 0);
        r.settle(&draft);
        refused(r.claim_fees(&key), E::NothingToClaim);
        r.svm.warp(100);
        accepted(r.finalize());
        let before = r.svm.lamports(&key.pubkey());
        let sent = accepted(r.claim_fees(&key));
        // The second message paid for one waiting before it.
        let fees = 10_000 + 10_100;
        assert_eq!(r.svm.lamports(&key.pubkey()) - before, fees);
        assert_eq!(sent.event::<FeesClaimed>().lamports, fees);
        refused(r.claim_fees(&key), E::NothingToClaim);
        assert_eq!(r.sequencer_account(&key.pubkey()).bond, SLICE);
    }

    #[test]
    fn refuses_another_key() {
        let (mut r, key) = rollup(1);
        let thief = r.svm.rich_key();
        let instruction = assay_tests::svm::instruction(
            settlement::ID,
            settlement::accounts::ClaimFees {
                key: thief.pubkey(),
                sequencer: seeds::sequencer(&r.address, &key.pubkey()),
            },
            settlement::instruction::ClaimFees {},
        );
        refused(
            r.svm.send(&[instruction], &[&thief]),
            ErrorCode::ConstraintSeeds,
        );
    }
}

mod close_sequencer {
    use super::*;

    #[test]
    fn returns_the_rent_when_all_is_withdrawn() {
        let (mut r, key) = rollup(1);
        refused(r.close_sequencer(&key), E::SequencerNotEmpty);
        accepted(r.request_unbond(&key, SLICE));
        r.svm.warp(200);
        accepted(r.withdraw_bond(&key));
        let before = r.svm.lamports(&key.pubkey());
        accepted(r.close_sequencer(&key));
        let rent = r.svm.rent(settlement::state::Sequencer::size());
        assert_eq!(r.svm.lamports(&key.pubkey()) - before, rent);
        accepted(r.register(&key, SLICE));
    }

    #[test]
    fn refuses_while_fees_are_unclaimed() {
        let (mut r, key) = rollup(1);
        let user = r.svm.rich_key();
        accepted(r.force(&user));
        let draft = Draft::new(&r, 0);
        r.settle(&draft);
        r.svm.warp(100);
        accepted(r.finalize());
        accepted(r.request_unbond(&key, SLICE));
        r.svm.warp(200);
        accepted(r.withdraw_bond(&key));
        refused(r.close_sequencer(&key), E::SequencerNotEmpty);
        accepted(r.claim_fees(&key));
        accepted(r.close_sequencer(&key));
    }
}
