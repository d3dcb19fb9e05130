//! `open_dispute`, `time_out`, `resolve`, `claim_payout`, `close_dispute`: what is at stake, and
//! what a verdict does.

use anchor_lang::error::ErrorCode;
use assay_dispute::Side;
use assay_dispute::game::{Claim, Class, Move};
use assay_tests::batch::Draft;
use assay_tests::disputes::Asserter;
use assay_tests::rollup::{SLICE, TestRollup, config};
use assay_tests::svm::{accepted, refused};
use settlement::constants::INCINERATOR;
use settlement::errors::SettlementError as E;
use settlement::events::*;
use settlement::game::{Party, Reason};
use settlement::seeds;
use settlement::state::Dispute;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

const WINDOW: u64 = 100;
const CLOCK: u64 = 150;
const BOND: u64 = 50_000_000;

/// A rollup with one pending batch, and somebody to dispute it.
fn posted() -> (TestRollup, Asserter, Keypair) {
    let mut r = TestRollup::new(4);
    let challenger = r.svm.rich_key();
    let asserter = Asserter::new(&r, 20, 20);
    r.settle(&asserter.draft);
    (r, asserter, challenger)
}

/// The move that makes it the asserter's turn.
fn transactions() -> Move {
    Move::Claim(Claim::Transactions)
}

/// All lamports of these accounts.
fn lamports(r: &TestRollup, accounts: &[Pubkey]) -> u64 {
    accounts.iter().map(|key| r.svm.lamports(key)).sum()
}

mod open_dispute {
    use super::*;

    #[test]
    fn takes_the_bond_and_holds_the_batch() {
        let (mut r, asserter, challenger) = posted();
        let before = r.svm.lamports(&challenger.pubkey());
        let header = asserter.header();
        let sent = accepted(r.open_dispute(&challenger, 3, &header));
        let address = r.dispute_address(&challenger.pubkey(), 3);
        let (dispute, game, state) = r.dispute(&address);
        assert_eq!(
            (dispute.rollup, dispute.challenger, dispute.asserter),
            (r.address, challenger.pubkey(), r.sequencer.pubkey())
        );
        assert_eq!((dispute.hash, dispute.number), (header.hash(), 1));
        assert_eq!((dispute.id, dispute.bond, dispute.life), (3, BOND, 0));
        assert_eq!((dispute.challenger_due, dispute.asserter_due), (0, 0));
        assert_eq!(game.header, header);
        let rent = r.svm.rent(Dispute::size());
        assert_eq!(r.svm.lamports(&address), rent + BOND);
        assert_eq!(before - r.svm.lamports(&challenger.pubkey()), rent + BOND);
        let deadline = r.svm.slot() + CLOCK;
        assert_eq!(
            dispute.class(&game, &r.chain_account(), r.svm.slot()),
            Class::Turn(Side::Challenger, deadline)
        );
        let event: DisputeOpened = sent.event();
        assert_eq!((event.dispute, event.number), (address, 1));
        assert_eq!(
            (event.bond, event.deadline, event.state),
            (BOND, deadline, state)
        );
        assert_eq!(r.chain_account().tip().disputes, 1);
        // Its window passes, but it does not become final.
        r.svm.warp(WINDOW);
        refused(r.finalize(), E::Disputed);
    }

    #[test]
    fn to_the_window_s_last_slot() {
        let (mut r, asserter, challenger) = posted();
        r.svm.warp(WINDOW - 1);
        refused(r.finalize(), E::WindowOpen);
        accepted(r.open_dispute(&challenger, 0, &asserter.header()));
        r.svm.warp(1);
        refused(
            r.open_dispute(&challenger, 1, &asserter.header()),
            E::WindowClosed,
        );
    }

    #[test]
    fn only_over_a_pending_batch() {
        let (mut r, asserter, challenger) = posted();
        let mut other = asserter.header();
        other.tx_count += 1;
        refused(r.open_dispute(&challenger, 0, &other), E::NotLive);
        other = asserter.header();
        other.number = 2;
        refused(r.open_dispute(&challenger, 0, &other), E::NotLive);
        r.svm.warp(WINDOW);
        accepted(r.finalize());
        refused(
            r.open_dispute(&challenger, 0, &asserter.header()),
            E::NotLive,
        );
    }

    #[test]
    fn refuses_a_header_of_another_rollup() {
        let (mut r, asserter, challenger) = posted();
        let mut instruction = assay_client::instructions::disputes::open_dispute(
            &challenger.pubkey(),
            0,
            &asserter.header(),
        );
        accepted(r.initialize(8, config()));
        let other = seeds::rollup(8);
        for (at, key) in [
            (1, other),
            (2, seeds::chain(&other)),
            (3, seeds::dispute(&other, &challenger.pubkey(), 0)),
        ] {
            instruction.accounts[at].pubkey = key;
        }
        refused(
            r.svm.send(&[instruction], &[&challenger]),
            E::HeaderMismatch,
        );
    }

    #[test]
    fn an_id_is_used_once_at_a_time() {
        let (mut r, asserter, challenger) = posted();
        r.disputed(&challenger, 0, &asserter.header());
        refused(r.open_dispute(&challenger, 0, &asserter.header()), 0u32);
        // Another's, and another id, are others.
        let other = r.svm.rich_key();
        r.disputed(&other, 0, &asserter.header());
        r.disputed(&challenger, u64::MAX, &asserter.header());
        assert_eq!(r.chain_account().tip().disputes, 3);
    }
}

mod time_out {
    use super::*;

    #[test]
    fn of_the_asserter_reverts_and_slashes() {
        let (mut r, asserter, challenger) = posted();
        let sequencer = r.sequencer.pubkey();
        let child = Draft::new(&r, 3);
        r.settle(&child);
        let bond = seeds::sequencer(&r.address, &sequencer);
        let everyone = [
            challenger.pubkey(),
            bond,
            INCINERATOR,
            r.address,
            r.dispute_address(&challenger.pubkey(), 0),
        ];
        let before = lamports(&r, &everyone);
        let own = r.svm.lamports(&challenger.pubkey());
        let dispute = r.disputed(&challenger, 0, &asserter.header());
        accepted(r.play(&challenger, &dispute, &transactions()));
        refused(r.time_out(&dispute, &sequencer), E::ClockRuns);
        r.svm.warp(CLOCK);
        refused(r.time_out(&dispute, &sequencer), E::ClockRuns);
        r.svm.warp(1);
        let sent = accepted(r.time_out(&dispute, &sequencer));

        let chain = r.chain_account();
        assert_eq!((chain.tip_number, chain.reverts), (0, 1));
        assert_eq!(chain.locked_bond(&sequencer).unwrap(), 0);
        assert_eq!(r.account().inbox_cursor, 0);
        assert_eq!(r.sequencer_account(&sequencer).bond, 3 * SLICE);
        assert_eq!(r.svm.lamports(&INCINERATOR), SLICE / 2);
        let event: BatchReverted = sent.event();
        assert_eq!((event.number, event.by), (1, dispute));
        assert_eq!((event.slashed, event.burned), (SLICE, SLICE / 2));
        assert_eq!(event.tip_hash, chain.tip().hash);
        assert_eq!(sent.event::<BondChanged>().bond, 3 * SLICE);
        let event: DisputeDecided = sent.event();
        assert_eq!(
            (event.winner, event.reason, event.payout),
            (Party::Challenger, Reason::Time, BOND + SLICE / 2)
        );
        let account = r.dispute(&dispute).0;
        assert_eq!((account.bond, account.asserter_due), (0, 0));
        assert_eq!(account.challenger_due, BOND + SLICE / 2);
        // Nothing more can happen to it but that it is paid.
        refused(r.time_out(&dispute, &sequencer), E::DisputeOver);
        refused(r.resolve(&dispute), E::DisputeOver);
        refused(
            r.play(&challenger, &dispute, &transactions()),
            E::DisputeOver,
        );
        refused(
            r.close_dispute(&dispute, &challenger.pubkey()),
            E::DisputeNotSettled,
        );
        accepted(r.claim_payout(&dispute, &challenger.pubkey()));
        accepted(r.close_dispute(&dispute, &challenger.pubkey()));
        assert_eq!(r.svm.lamports(&challenger.pubkey()), own + SLICE / 2);
        assert_eq!(lamports(&r, &everyone), before);
    }

    #[test]
    fn of_the_challenger_pays_the_asserter_and_releases_the_batch() {
        let (mut r, asserter, challenger) = posted();
        let sequencer = r.sequencer.pubkey();
        let own = r.svm.lamports(&sequencer);
        let dispute = r.disputed(&challenger, 0, &asserter.header());
        let rent = r.svm.rent(Dispute::size());
        r.svm.warp(CLOCK);
        refused(r.time_out(&dispute, &sequencer), E::ClockRuns);
        r.svm.warp(1);
        refused(r.finalize(), E::Disputed);
        let sent = accepted(r.time_out(&dispute, &sequencer));
        let event: DisputeDecided = sent.event();
        assert_eq!(
            (event.winner, event.reason, event.payout),
            (Party::Asserter, Reason::Time, BOND)
        );
        assert!(sent.events::<BatchReverted>().is_empty());
        assert_eq!(r.sequencer_account(&sequencer).bond, 4 * SLICE);
        assert_eq!(r.chain_account().tip().disputes, 0);
        accepted(r.finalize());
        // That the batch is final changes nothing for the dispute.
        assert_eq!(r.svm.lamports(&dispute), rent + BOND);
        accepted(r.claim_payout(&dispute, &challenger.pubkey()));
        refused(
            r.close_dispute(&dispute, &challenger.pubkey()),
            E::DisputeNotSettled,
        );
        let sent = accepted(r.claim_payout(&dispute, &sequencer));
        assert_eq!(sent.event::<PayoutClaimed>().lamports, BOND);
        assert_eq!(r.svm.lamports(&sequencer), own + BOND);
        let before = r.svm.lamports(&challenger.pubkey());
        let sent = accepted(r.close_dispute(&dispute, &challenger.pubkey()));
        assert_eq!(sent.event::<DisputeClosed>().dispute, dispute);
        assert_eq!(r.svm.lamports(&challenger.pubkey()), before + rent);
        assert!(r.svm.account(&dispute).is_none());
    }

    #[test]
    fn takes_the_account_of_the_batch_s_sequencer_only() {
        let (mut r, asserter, challenger) = posted();
        let other = r.svm.rich_key();
        accepted(r.register(&other, SLICE));
        let dispute = r.disputed(&challenger, 0, &asserter.header());
        accepted(r.play(&challenger, &dispute, &transactions()));
        r.svm.warp(CLOCK + 1);
        refused(r.time_out(&dispute, &other.pubkey()), E::WrongSequencer);
    }

    #[test]
    fn takes_the_dispute_s_own_rollup_only() {
        let (mut r, asserter, challenger) = posted();
        let dispute = r.disputed(&challenger, 0, &asserter.header());
        r.svm.warp(CLOCK + 1);
        accepted(r.initialize(8, config()));
        let (own, other) = (r.address, seeds::rollup(8));
        r.address = other;
        let sequencer = r.sequencer.insecure_clone();
        accepted(r.register(&sequencer, SLICE));
        refused(r.time_out(&dispute, &sequencer.pubkey()), E::ForeignDispute);
        refused(r.resolve(&dispute), E::ForeignDispute);
        refused(
            r.play(&challenger, &dispute, &transactions()),
            E::ForeignDispute,
        );
        r.address = own;
        // One rollup's sequencer with another's chain.
        let mut instruction =
            assay_client::instructions::disputes::time_out(&own, &dispute, &sequencer.pubkey());
        instruction.accounts[2].pubkey = seeds::sequencer(&other, &sequencer.pubkey());
        refused(
            r.svm.send(&[instruction.clone()], &[]),
            ErrorCode::ConstraintSeeds,
        );
        instruction.accounts[2].pubkey = seeds::sequencer(&own, &sequencer.pubkey());
        instruction.accounts[4].pubkey = challenger.pubkey();
        refused(
            r.svm.send(&[instruction], &[]),
            ErrorCode::ConstraintAddress,
        );
    }

    /// One lamport a slice: the half that is burned is not the smaller one.
    #[test]
    fn burns_at_least_half() {
        let mut config = config();
        config.params.bond_slice = 3;
        let mut r = TestRollup::with(&["settlement"], config, 1);
        let challenger = r.svm.rich_key();
        let asserter = Asserter::new(&r, 1, 1);
        r.settle(&asserter.draft);
        let dispute = r.disputed(&challenger, 0, &asserter.header());
        accepted(r.play(&challenger, &dispute, &transactions()));
        r.svm.warp(CLOCK + 1);
        let sent = accepted(r.time_out(&dispute, &r.sequencer.pubkey()));
        assert_eq!(sent.event::<BatchReverted>().burned, 2);
        assert_eq!(sent.event::<DisputeDecided>().payout, BOND + 1);
    }
}

mod resolve {
    use super::*;

    #[test]
    fn gives_the_bond_back_once_the_batch_is_dead() {
        let (mut r, asserter, challenger) = posted();
        let sequencer = r.sequencer.pubkey();
        let child = Asserter::new(&r, 5, 1);
        r.settle(&child.draft);
        let second = r.svm.rich_key();
        let third = r.svm.rich_key();
        let first = r.disputed(&challenger, 0, &asserter.header());
        let same = r.disputed(&second, 0, &asserter.header());
        let after = r.disputed(&third, 0, &child.header());
        accepted(r.play(&challenger, &first, &transactions()));
        refused(r.resolve(&same), E::NotMoot);
        r.svm.warp(CLOCK + 1);
        // The others' time has run out too, but one success is enough.
        accepted(r.time_out(&first, &sequencer));
        for (dispute, key) in [(same, &second), (after, &third)] {
            refused(r.time_out(&dispute, &sequencer), E::DisputeMoot);
            refused(r.play(key, &dispute, &transactions()), E::DisputeMoot);
            refused(
                r.close_dispute(&dispute, &key.pubkey()),
                E::DisputeNotSettled,
            );
            let sent = accepted(r.resolve(&dispute));
            assert_eq!(sent.event::<DisputeResolved>().payout, BOND);
            // Once more changes nothing.
            accepted(r.resolve(&dispute));
            assert_eq!(r.dispute(&dispute).0.challenger_due, BOND);
            accepted(r.claim_payout(&dispute, &key.pubkey()));
            accepted(r.resolve(&dispute));
            assert_eq!(r.dispute(&dispute).0.challenger_due, 0);
            accepted(r.close_dispute(&dispute, &key.pubkey()));
            assert_eq!(r.svm.lamports(&key.pubkey()), 100_000_000_000);
        }
        // Only one slice was lost.
        assert_eq!(r.sequencer_account(&sequencer).bond, 3 * SLICE);
    }

    /// The very same batch, posted again after a revert, is another one: what was open over its
    /// first life neither holds the second back nor releases it.
    #[test]
    fn the_same_batch_posted_again_is_another() {
        let (mut r, asserter, challenger) = posted();
        let sequencer = r.sequencer.pubkey();
        let first = r.disputed(&challenger, 0, &asserter.header());
        let left = r.disputed(&challenger, 1, &asserter.header());
        accepted(r.play(&challenger, &first, &transactions()));
        r.svm.warp(CLOCK + 1);
        accepted(r.time_out(&first, &sequencer));
        r.settle(&asserter.draft);
        assert_eq!(r.chain_account().tip().hash, asserter.header().hash());
        assert_eq!(r.chain_account().tip().disputes, 0);
        let again = r.disputed(&challenger, 2, &asserter.header());
        // The challenger of the dispute that was left has let its time run out. If that
        // counted, it would release the batch that another dispute holds.
        refused(r.time_out(&left, &sequencer), E::DisputeMoot);
        accepted(r.resolve(&left));
        assert_eq!(r.chain_account().tip().disputes, 1);
        r.svm.warp(WINDOW);
        refused(r.finalize(), E::Disputed);
        r.svm.warp(CLOCK + 1 - WINDOW);
        accepted(r.time_out(&again, &sequencer));
        accepted(r.finalize());
    }
}

mod claim_payout {
    use super::*;

    /// A dispute that the challenger lost, with this bond.
    fn lost(bond: u64) -> (TestRollup, Keypair, Pubkey) {
        let mut config = config();
        config.params.dispute_bond = bond;
        let mut r = TestRollup::with(&["settlement"], config, 4);
        let challenger = r.svm.rich_key();
        let asserter = Asserter::new(&r, 20, 20);
        r.settle(&asserter.draft);
        let dispute = r.disputed(&challenger, 0, &asserter.header());
        r.svm.warp(CLOCK + 1);
        accepted(r.time_out(&dispute, &r.sequencer.pubkey()));
        (r, challenger, dispute)
    }

    #[test]
    fn pays_once_and_nobody_else() {
        let (mut r, challenger, dispute) = lost(BOND);
        let sequencer = r.sequencer.pubkey();
        let stranger = r.svm.rich_key().pubkey();
        refused(r.claim_payout(&dispute, &stranger), E::NotAParty);
        let before = r.svm.lamports(&sequencer);
        for (to, lamports) in [
            (challenger.pubkey(), 0),
            (sequencer, BOND),
            (sequencer, 0),
            (challenger.pubkey(), 0),
        ] {
            let sent = accepted(r.claim_payout(&dispute, &to));
            assert_eq!(sent.event::<PayoutClaimed>().lamports, lamports);
        }
        assert_eq!(r.svm.lamports(&sequencer), before + BOND);
        assert_eq!(r.svm.lamports(&dispute), r.svm.rent(Dispute::size()));
    }

    /// A wallet that would stay below its rent can take no lamports. That holds nobody else up.
    #[test]
    fn a_wallet_that_cannot_be_paid_waits_alone() {
        let (mut r, challenger, dispute) = lost(1_000);
        let sequencer = r.sequencer.pubkey();
        r.svm
            .inner()
            .set_account(sequencer, Default::default())
            .unwrap();
        assert!(r.claim_payout(&dispute, &sequencer).is_err());
        accepted(r.finalize());
        accepted(r.claim_payout(&dispute, &challenger.pubkey()));
        r.svm.airdrop(&sequencer, 1_000_000);
        accepted(r.claim_payout(&dispute, &sequencer));
        assert_eq!(r.svm.lamports(&sequencer), 1_001_000);
        accepted(r.close_dispute(&dispute, &challenger.pubkey()));
    }

    #[test]
    fn the_rent_is_the_challenger_s() {
        let (mut r, _, dispute) = lost(BOND);
        let sequencer = r.sequencer.pubkey();
        accepted(r.claim_payout(&dispute, &sequencer));
        refused(r.close_dispute(&dispute, &sequencer), E::NotAParty);
    }
}

/// A slice stays locked while its batch is disputed, however long that takes.
#[test]
fn a_bond_cannot_be_withdrawn_from_a_dispute() {
    let (mut r, asserter, challenger) = posted();
    let key = r.sequencer.insecure_clone();
    accepted(r.request_unbond(&key, 4 * SLICE));
    let dispute = r.disputed(&challenger, 0, &asserter.header());
    accepted(r.play(&challenger, &dispute, &transactions()));
    r.svm.warp(1_000);
    refused(r.withdraw_bond(&key), E::BondLocked);
    accepted(r.request_unbond(&key, 3 * SLICE));
    r.svm.warp(200);
    accepted(r.withdraw_bond(&key));
    // A part that was asked for is no less part of the bond.
    accepted(r.request_unbond(&key, SLICE));
    r.svm.warp(200);
    refused(r.withdraw_bond(&key), E::BondLocked);
    accepted(r.time_out(&dispute, &key.pubkey()));
    let account = r.sequencer_account(&key.pubkey());
    assert_eq!((account.bond, account.unbonding), (0, 0));
    refused(r.withdraw_bond(&key), E::NotUnbonding);
    accepted(r.close_sequencer(&key));
}
