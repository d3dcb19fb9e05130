//! The moves of a dispute: by whom, when, on what; and buffers.

mod buffers;
mod refusals;
mod ways;

use anchor_lang::error::ErrorCode;
use assay_client::disputes::name;
use assay_client::instructions::disputes as build;
use assay_client::pda;
use assay_dispute::Side;
use assay_dispute::game::{Claim, Dispute as Game, Move, RunClaim, Stage};
use assay_ledger::ProgramHeader;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_tests::batch::Draft;
use assay_tests::disputes::Asserter;
use assay_tests::rollup::{TestRollup, encode};
use assay_tests::svm::{Sent, Wire, accepted, refused};
use settlement::constants::MAX_BUFFER;
use settlement::errors::SettlementError as E;
use settlement::events::{DisputeMoved, DisputeOpened};
use settlement::game::{ClaimKind, LeafResult, MoveKind, Party, ProgramHead, StageKind};
use settlement::state::Buffer;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction as system;

const CLOCK: u64 = 150;

/// A rollup with two pending batches of which the second is disputed: 40 transactions, each a run
/// of 40 operators.
struct Disputed {
    r: TestRollup,
    asserter: Asserter,
    parent: Header,
    sequencer: Keypair,
    challenger: Keypair,
    dispute: Pubkey,
    opened: Sent,
}

fn disputed() -> Disputed {
    let mut r = TestRollup::new(4);
    let challenger = r.svm.rich_key();
    let first = Draft::new(&r, 2);
    r.settle(&first);
    let asserter = Asserter::new(&r, 40, 40);
    r.settle(&asserter.draft);
    let opened = accepted(r.open_dispute(&challenger, 0, &asserter.header()));
    let dispute = r.dispute_address(&challenger.pubkey(), 0);
    Disputed {
        sequencer: r.sequencer.insecure_clone(),
        parent: first.header.to_ledger().expect("lane 0"),
        r,
        asserter,
        challenger,
        dispute,
        opened,
    }
}

fn transactions() -> Move {
    Move::Claim(Claim::Transactions)
}

/// What a challenger can say before it knows in which slot it says it.
#[test]
fn moves_of_one_side_fit_one_transaction_whatever_its_slot() {
    let mut game = disputed();
    let key = game.challenger.pubkey();
    let header = game.asserter.header();
    // Another dispute, opened and claimed at once.
    let second = game.r.dispute_address(&key, 1);
    let opened = Game::open(header, key.to_bytes(), 0);
    let claim = build::play(
        &game.r.address,
        &second,
        &key,
        name(&opened),
        &transactions(),
    );
    let open = build::open_dispute(&key, 1, &header);
    accepted(game.r.svm.send(&[open, claim], &[&game.challenger]));
    let mut along = |claims: &[Claim]| {
        game.r
            .play_along(&game.asserter, &game.challenger, &second, claims)
    };
    // To the run's values, of which the first nodes have come with the leaf.
    along(&[]);
    let (_, mut ran, state) = game.r.dispute(&second);
    assert!(matches!(ran.stage, Stage::Ran(_)));
    let made = [Move::Claim(Claim::Execution), Move::Choose { child: 3 }];
    let mut names = vec![state];
    for made in &made {
        ran.play(made.clone(), true, 0).expect("a legal move");
        names.push(name(&ran));
    }
    assert_eq!(names[0], state);
    let both: Vec<_> = made
        .iter()
        .zip(&names)
        .map(|(made, name)| build::play(&game.r.address, &second, &key, *name, made))
        .collect();
    accepted(game.r.svm.send(&both, &[&game.challenger]));
    let (_, now, state) = game.r.dispute(&second);
    assert_eq!((&now.stage, state), (&ran.stage, names[2]));
    assert_eq!(now.moves, ran.moves);
    // Not a second time.
    refused(game.r.svm.send(&both, &[&game.challenger]), E::OtherState);
}

impl Disputed {
    fn state_claim(&self) -> Claim {
        Claim::State {
            parent: Some(self.parent),
        }
    }

    fn along(&mut self, claims: &[Claim]) -> Vec<Sent> {
        self.r
            .play_along(&self.asserter, &self.challenger, &self.dispute, claims)
    }

    fn stage(&self) -> Stage {
        self.r.dispute(&self.dispute).1.stage
    }

    fn answer(&self) -> Move {
        self.asserter.answer(&self.r.dispute(&self.dispute).1, 4)
    }

    fn by_challenger(&mut self, made: &Move) -> assay_tests::svm::Outcome {
        self.r.play(&self.challenger, &self.dispute, made)
    }

    fn by_asserter(&mut self, made: &Move) -> assay_tests::svm::Outcome {
        self.r.play(&self.sequencer, &self.dispute, made)
    }
}

/// The deadline's slot belongs to the player, the next one to everybody.
#[test]
fn a_move_is_in_time_to_the_last_slot() {
    for late in [false, true] {
        let mut game = disputed();
        let sequencer = game.sequencer.pubkey();
        let mut turns = vec![];
        for _ in 0..6 {
            let state = game.r.dispute(&game.dispute).1;
            let side = state.stage.turn().expect("not over");
            let deadline = state.clocks.deadline(side);
            let made = match side {
                Side::Asserter => game.answer(),
                Side::Challenger if turns.is_empty() => transactions(),
                Side::Challenger => Move::Choose { child: 0 },
            };
            turns.push(deadline - game.r.svm.slot());
            let slots = deadline - game.r.svm.slot();
            game.r.svm.warp(slots);
            refused(game.r.time_out(&game.dispute, &sequencer), E::ClockRuns);
            let last = turns.len() == 6;
            game.r.svm.warp(u64::from(late && last));
            let outcome = match side {
                Side::Asserter => game.by_asserter(&made),
                Side::Challenger => game.by_challenger(&made),
            };
            if late && last {
                refused(outcome, E::ClockExpired);
                accepted(game.r.time_out(&game.dispute, &sequencer));
            } else {
                accepted(outcome);
            }
        }
        // Each has its clock once, and from then on the extension.
        assert_eq!(turns, [CLOCK, CLOCK, 20, 20, 20, 20]);
    }
}

/// The program's words for the game have the game's encoding.
#[test]
fn the_program_s_arguments_are_the_game_s() {
    let asserter = Asserter::new(&TestRollup::new(1), 3, 3);
    let header = asserter.header();
    for claim in [
        Claim::Transactions,
        Claim::State { parent: None },
        Claim::State {
            parent: Some(header),
        },
        Claim::Execution,
        Claim::Outputs,
    ] {
        let kind = ClaimKind::from(&claim);
        assert_eq!(encode(&kind), encode(&claim));
        assert_eq!(kind.to_game().expect("lane 0"), claim);
    }
    let result = TxResult {
        status: 1,
        fee: 2,
        program_root: [3; 32],
        parameters_root: [4; 32],
        input_root: [5; 32],
        output_root: [6; 32],
    };
    assert_eq!(encode(&LeafResult::from(result)), encode(&result));
    assert_eq!(TxResult::from(LeafResult::from(result)), result);
    let head = ProgramHeader {
        inputs: 1,
        parameters: 2,
        operators: 3,
        outputs: 4,
        units: 5,
        input_bytes: 6,
        parameter_bytes: 16,
        value_bytes: 17,
        output_bytes: 7,
        operators_root: [8; 32],
        parameters_root: [9; 32],
        inputs_root: [10; 32],
        outputs_root: [11; 32],
    };
    assert_eq!(encode(&ProgramHead::from(head)), encode(&head));
    assert_eq!(ProgramHeader::from(ProgramHead::from(head)), head);
    let run = RunClaim {
        program: head,
        trace: [12; 32],
        outputs: [13; 32],
        nodes: vec![[14; 32], [15; 32]],
    };
    let claim = settlement::game::RunClaim::from(&run);
    assert_eq!(encode(&claim), encode(&run));
    assert_eq!(RunClaim::from(claim), run);
}
