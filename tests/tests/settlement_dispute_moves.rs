//! The moves of a dispute: by whom, when, on what; and buffers.

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

mod ways {
    use super::*;

    /// Every move fits a legacy transaction, and its event tells what is needed to follow the
    /// game and to make the next one.
    fn check(game: &Disputed, sent: &[Sent]) {
        let opened: DisputeOpened = game.opened.event();
        let mut turn = Party::Challenger;
        let mut names = vec![opened.state];
        for (i, sent) in sent.iter().enumerate() {
            let event: DisputeMoved = sent.event();
            assert_eq!((event.dispute, event.number), (game.dispute, 2));
            assert_eq!((event.moves, event.side), (i as u32 + 1, turn));
            assert_eq!(event.deadline, game.r.svm.slot() + CLOCK);
            assert_eq!(event.buffer, None);
            turn = event.turn;
            assert!(!names.contains(&event.state));
            names.push(event.state);
        }
        let (_, state, name) = game.r.dispute(&game.dispute);
        assert_eq!(names.last(), Some(&name));
        assert_eq!(state.moves as usize, sent.len());
        assert_eq!(
            turn == Party::Challenger,
            state.stage.turn() == Some(Side::Challenger)
        );
        let last: DisputeMoved = sent.last().expect("moves").event();
        assert_eq!(last.stage, StageKind::from(&state.stage));
    }

    #[test]
    fn to_an_element() {
        let mut game = disputed();
        let sent = game.along(&[Claim::Transactions, Claim::Execution]);
        // A claim; two reveals and choices down 6 levels; the leaf with 4 of its run's 6 levels;
        // a claim; a choice, a reveal, a choice; the value with its 2 levels; a choice; the chunk.
        assert_eq!(sent.len(), 1 + 4 + 1 + 1 + 3 + 1 + 1 + 1);
        check(&game, &sent);
        let Stage::Element(value, bytes) = game.stage() else {
            panic!("{:?}", game.stage());
        };
        assert_eq!(value.run.leaf.descent.index, 39);
        assert_eq!((value.run.descent.index, value.descent.index), (39, 3));
        assert_eq!(bytes.len(), 1_600 - 3 * 512);
    }

    #[test]
    fn to_an_output() {
        let mut game = disputed();
        let sent = game.along(&[Claim::Transactions, Claim::Outputs]);
        check(&game, &sent);
        assert!(matches!(game.stage(), Stage::Output(..)));
    }

    #[test]
    fn to_a_state() {
        let mut game = disputed();
        let claim = game.state_claim();
        let sent = game.along(&[claim]);
        check(&game, &sent);
        let Stage::StateStep(states, descent) = game.stage() else {
            panic!("{:?}", game.stage());
        };
        assert_eq!((states.leaf, descent.index), (None, 40));
        let before = game.parent.state.next_batch().root();
        assert_eq!(states.before, before);
    }

    #[test]
    fn to_the_state_after_a_leaf() {
        let mut game = disputed();
        let claim = game.state_claim();
        let sent = game.along(&[Claim::Transactions, claim]);
        check(&game, &sent);
        let Stage::StateStep(states, _) = game.stage() else {
            panic!("{:?}", game.stage());
        };
        assert_eq!(states.leaf.expect("a leaf").descent.index, 39);
    }
}

mod refusals {
    use super::*;

    #[test]
    fn of_whoever_does_not_make_such_moves() {
        let mut game = disputed();
        let stranger = game.r.svm.rich_key();
        let dispute = game.dispute;
        for made in [transactions(), Move::Choose { child: 0 }] {
            refused(game.by_asserter(&made), E::WrongPlayer);
            refused(game.r.play(&stranger, &dispute, &made), E::WrongPlayer);
        }
        accepted(game.by_challenger(&transactions()));
        let reveal = game.answer();
        let leaf = Move::RevealLeaf {
            result: TxResult::default(),
            run: None,
        };
        let states = Move::PostStates {
            root: [1; 32],
            nodes: vec![],
        };
        let tensor = Move::RevealTensor {
            operator: vec![],
            path: vec![],
            data_root: [1; 32],
            nodes: vec![],
        };
        let chunk = Move::RevealChunk { bytes: vec![1] };
        for made in [reveal, leaf, states, tensor, chunk] {
            refused(game.by_challenger(&made), E::WrongPlayer);
            refused(game.r.play(&stranger, &dispute, &made), E::WrongPlayer);
        }
        // Another's dispute over the same batch is not this challenger's to play.
        let theirs = game.r.disputed(&stranger, 0, &game.asserter.header());
        refused(
            game.r.play(&game.challenger, &theirs, &transactions()),
            E::WrongPlayer,
        );
    }

    #[test]
    fn out_of_turn_and_out_of_order() {
        let mut game = disputed();
        let child = Move::Choose { child: 0 };
        refused(
            game.by_asserter(&Move::RevealChunk { bytes: vec![1] }),
            E::WrongTurn,
        );
        refused(game.by_challenger(&child), E::WrongStage);
        refused(
            game.by_challenger(&Move::Claim(Claim::Execution)),
            E::WrongStage,
        );
        accepted(game.by_challenger(&transactions()));
        refused(game.by_challenger(&child), E::WrongTurn);
        refused(game.by_challenger(&transactions()), E::WrongTurn);
        refused(
            game.by_asserter(&Move::RevealChunk { bytes: vec![1] }),
            E::WrongStage,
        );
        let reveal = game.answer();
        accepted(game.by_asserter(&reveal));
        refused(game.by_asserter(&reveal), E::WrongTurn);
        refused(game.by_challenger(&transactions()), E::WrongStage);
    }

    /// A move that arrives a second time, or after another, is for a state that has passed.
    #[test]
    fn of_a_move_on_another_state() {
        let mut game = disputed();
        let dispute = game.dispute;
        let old = game.r.dispute(&dispute).2;
        let key = game.challenger.insecure_clone();
        accepted(
            game.r
                .play_on(Wire::Legacy, &key, &dispute, old, &transactions()),
        );
        refused(
            game.r
                .play_on(Wire::Legacy, &key, &dispute, old, &transactions()),
            E::OtherState,
        );
        accepted(game.by_asserter(&game.answer()));
        let state = game.r.dispute(&dispute).2;
        let choose = Move::Choose { child: 1 };
        accepted(game.r.play_on(Wire::Legacy, &key, &dispute, state, &choose));
        accepted(game.by_asserter(&game.answer()));
        // It would be taken for the choice one level further down.
        refused(
            game.r.play_on(Wire::Legacy, &key, &dispute, state, &choose),
            E::OtherState,
        );
        accepted(game.by_challenger(&choose));
    }

    #[test]
    fn of_what_does_not_open() {
        let mut game = disputed();
        let wrong = Move::Claim(Claim::State { parent: None });
        refused(game.by_challenger(&wrong), E::NotTheParent);
        let wrong = Move::Claim(Claim::State {
            parent: Some(game.asserter.header()),
        });
        refused(game.by_challenger(&wrong), E::NotTheParent);
        accepted(game.by_challenger(&transactions()));
        let Move::Reveal { nodes } = game.answer() else {
            panic!("not a reveal");
        };
        let reveal = |nodes: &[[u8; 32]]| Move::Reveal {
            nodes: nodes.to_vec(),
        };
        refused(game.by_asserter(&reveal(&nodes[1..])), E::TreeLevels);
        refused(game.by_asserter(&reveal(&[])), E::TreeLevels);
        let mut other = nodes.clone();
        other.swap(0, 1);
        refused(game.by_asserter(&reveal(&other)), E::TreeNodes);
        accepted(game.by_asserter(&reveal(&nodes)));
        let past = nodes.len() as u8;
        refused(
            game.by_challenger(&Move::Choose { child: past }),
            E::TreeChild,
        );
        accepted(game.by_challenger(&Move::Choose { child: 0 }));
        accepted(game.by_asserter(&game.answer()));
        accepted(game.by_challenger(&Move::Choose { child: 0 }));

        let leaf = game.answer();
        let with = |change: &dyn Fn(&mut TxResult, &mut Option<RunClaim>)| {
            let mut made = leaf.clone();
            if let Move::RevealLeaf { result, run } = &mut made {
                change(result, run);
            }
            made
        };
        let made = with(&|_, run| *run = None);
        refused(game.by_asserter(&made), E::NoRun);
        let made = with(&|result, _| result.program_root = [0; 32]);
        refused(game.by_asserter(&made), E::NoRun);
        let made = with(&|result, _| result.program_root = [1; 32]);
        refused(game.by_asserter(&made), E::OtherProgram);
        let made = with(&|_, run| run.as_mut().expect("a run").outputs = [1; 32]);
        refused(game.by_asserter(&made), E::OtherOutputs);
        let made = with(&|_, run| run.as_mut().expect("a run").trace = [1; 32]);
        refused(game.by_asserter(&made), E::TreeNodes);
        accepted(game.by_asserter(&leaf));
        game.along(&[Claim::Execution]);
    }

    #[test]
    fn of_another_value_or_chunk() {
        let mut game = disputed();
        accepted(game.by_challenger(&transactions()));
        loop {
            let state = game.r.dispute(&game.dispute).1;
            let made = match &state.stage {
                Stage::Ran(_) => Move::Claim(Claim::Execution),
                Stage::TensorRoot(_) => break,
                stage if stage.turn() == Some(Side::Challenger) => Move::Choose { child: 0 },
                _ => game.answer(),
            };
            accepted(match made.side() {
                Side::Challenger => game.by_challenger(&made),
                Side::Asserter => game.by_asserter(&made),
            });
        }
        let right = game.answer();
        let mut made = right.clone();
        if let Move::RevealTensor { operator, .. } = &mut made {
            operator.push(0);
        }
        refused(game.by_asserter(&made), E::OtherOperator);
        let mut made = right.clone();
        if let Move::RevealTensor { path, .. } = &mut made {
            path[0] = [1; 32];
        }
        refused(game.by_asserter(&made), E::OtherOperator);
        let mut made = right.clone();
        if let Move::RevealTensor { data_root, .. } = &mut made {
            *data_root = [1; 32];
        }
        refused(game.by_asserter(&made), E::OtherTensor);
        accepted(game.by_asserter(&right));
        accepted(game.by_challenger(&Move::Choose { child: 3 }));
        let Move::RevealChunk { bytes } = game.answer() else {
            panic!("not a chunk");
        };
        let chunk = |bytes: &[u8]| Move::RevealChunk {
            bytes: bytes.to_vec(),
        };
        refused(game.by_asserter(&chunk(&bytes[1..])), E::OtherChunk);
        let mut other = bytes.clone();
        other[0] ^= 1;
        refused(game.by_asserter(&chunk(&other)), E::OtherChunk);
        accepted(game.by_asserter(&chunk(&bytes)));
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

mod buffers {
    use super::*;

    #[test]
    fn a_move_from_a_buffer_is_the_same_move() {
        let mut game = disputed();
        let (key, other) = (
            game.sequencer.insecure_clone(),
            game.challenger.insecure_clone(),
        );
        accepted(game.by_challenger(&transactions()));
        // More nodes than a legacy transaction holds.
        let made = game.asserter.answer(&game.r.dispute(&game.dispute).1, 6);
        let buffer = game.r.buffered_move(&key, 0, &made);
        let dispute = game.dispute;
        refused(
            game.r.play_from_buffer(&other, &dispute, &buffer),
            E::ForeignBuffer,
        );
        let theirs = game.r.buffered_move(&other, 0, &made);
        refused(
            game.r.play_from_buffer(&other, &dispute, &theirs),
            E::WrongPlayer,
        );
        let sent = accepted(game.r.play_from_buffer(&key, &dispute, &buffer));
        let event: DisputeMoved = sent.event();
        assert_eq!((event.kind, event.buffer), (MoveKind::Reveal, Some(buffer)));
        let Stage::Transactions(descent) = game.stage() else {
            panic!("{:?}", game.stage());
        };
        assert_eq!(
            Move::Reveal {
                nodes: descent.revealed
            },
            made
        );
        // The same once more is no move for the challenger's turn.
        refused(
            game.r.play_from_buffer(&key, &dispute, &buffer),
            E::WrongTurn,
        );
        accepted(game.r.close_buffer(&key, &buffer));
        refused(
            game.r.play_from_buffer(&key, &dispute, &buffer),
            ErrorCode::AccountOwnedByWrongProgram,
        );
    }

    #[test]
    fn what_is_not_a_move_is_refused() {
        let mut game = disputed();
        let key = game.challenger.insecure_clone();
        let mut bytes = encode(&transactions());
        bytes.push(0);
        for (id, bytes) in [bytes, vec![99], vec![1, 255, 255, 255, 255]]
            .iter()
            .enumerate()
        {
            let buffer = game.r.buffered(&key, id as u64, bytes);
            let dispute = game.dispute;
            refused(
                game.r.play_from_buffer(&key, &dispute, &buffer),
                E::NotAMove,
            );
        }
    }

    #[test]
    fn belong_to_who_opened_them() {
        let mut r = TestRollup::new(1);
        let (owner, stranger) = (r.svm.rich_key(), r.svm.rich_key());
        let before = r.svm.lamports(&owner.pubkey());
        let buffer = r.buffered(&owner, 7, &[5; 2_000]);
        assert_eq!(buffer, pda::buffer(&owner.pubkey(), 7));
        let account = r.svm.account(&buffer).expect("a buffer");
        let head: Buffer = bytemuck::pod_read_unaligned(&account.data[8..Buffer::head_size()]);
        assert_eq!((head.owner, head.len), (owner.pubkey(), 2_000));
        assert_eq!(Buffer::bytes(&account.data).expect("bytes"), [5; 2_000]);
        refused(
            r.write_buffer(&stranger, &buffer, 0, &[1]),
            E::ForeignBuffer,
        );
        refused(r.close_buffer(&stranger, &buffer), E::ForeignBuffer);
        refused(r.write_buffer(&owner, &buffer, 2_000, &[1]), E::BufferRange);
        refused(
            r.write_buffer(&owner, &buffer, 1_999, &[1, 2]),
            E::BufferRange,
        );
        refused(
            r.write_buffer(&owner, &buffer, u32::MAX, &[1]),
            E::BufferRange,
        );
        accepted(r.write_buffer(&owner, &buffer, 1_999, &[1]));
        accepted(r.close_buffer(&owner, &buffer));
        assert_eq!(r.svm.lamports(&owner.pubkey()), before);
        assert!(r.svm.account(&buffer).is_none());
    }

    #[test]
    fn hold_up_to_256_kib() {
        let mut r = TestRollup::new(1);
        let owner = r.svm.rich_key();
        accepted(r.open_buffer(&owner, 0, MAX_BUFFER));
        refused(r.open_buffer(&owner, 1, MAX_BUFFER + 1), E::BufferSize);
        refused(r.open_buffer(&owner, 1, 0), E::BufferSize);
        let buffer = pda::buffer(&owner.pubkey(), 0);
        accepted(r.write_buffer(&owner, &buffer, MAX_BUFFER - 3, &[1, 2, 3]));
        // Opened once.
        let open =
            assay_client::instructions::disputes::open_buffer(&owner.pubkey(), 0, MAX_BUFFER, 0);
        refused(r.svm.send(&open[2..], &[&owner]), ErrorCode::ConstraintZero);
        // Of another size than its account.
        let mut open = assay_client::instructions::disputes::open_buffer(
            &owner.pubkey(),
            1,
            5,
            r.svm.rent(100),
        );
        open[2] =
            assay_client::instructions::disputes::open_buffer(&owner.pubkey(), 1, 6, 0)[2].clone();
        refused(r.svm.send(&open, &[&owner]), E::BufferSize);
    }

    /// Where the next buffer will be, anybody can know, and send lamports to: its owner opens it all the
    /// same.
    #[test]
    fn cannot_be_kept_from_being_opened() {
        let mut r = TestRollup::new(1);
        let (owner, stranger) = (r.svm.rich_key(), r.svm.rich_key());
        let buffer = pda::buffer(&owner.pubkey(), 3);
        let rent = r.svm.rent(0);
        let gift = system::transfer(&stranger.pubkey(), &buffer, rent);
        r.svm.send(&[gift], &[&stranger]).expect("a gift");
        accepted(r.open_buffer(&owner, 3, 100));
        accepted(r.write_buffer(&owner, &buffer, 97, &[1, 2, 3]));
        accepted(r.close_buffer(&owner, &buffer));
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
