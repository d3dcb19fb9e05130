//! Demands for the blobs that a pending batch names: who pays, who answers, and what happens if nobody
//! does.

use anchor_lang::error::ErrorCode;
use assay_client::instructions::demands as build;
use assay_dispute::demand::{Answer, Blob, PIECE_FEE, Pieces, Times, fee};
use assay_dispute::game::{Claim, Move};
use assay_tests::demands::Naming;
use assay_tests::relay;
use assay_tests::rollup::{SLICE, TestRollup, config, encode};
use assay_tests::svm::{Wire, accepted, refused};
use settlement::constants::INCINERATOR;
use settlement::errors::SettlementError as E;
use settlement::events::*;
use settlement::seeds;
use settlement::state::demand::{DemandClass, answered};
use settlement::state::{Buffer, Demand};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

const WINDOW: u64 = 100;
const BOND: u64 = 50_000_000;
/// Slots after the posting in which chunks can be demanded, and answered.
const DEMANDS: u64 = 48;
const ANSWERS: u64 = 64;
/// Those in which leaves can.
const LEAF_DEMANDS: u64 = 16;
const LEAF_ANSWERS: u64 = 32;

/// A rollup with one pending batch that names blobs, and somebody who wants them.
fn posted() -> (TestRollup, Naming, Keypair) {
    let mut r = TestRollup::new(4);
    let demander = r.svm.rich_key();
    let naming = Naming::new(&r);
    r.settle(&naming.draft);
    (r, naming, demander)
}

/// The same with a demand for three chunks.
fn demanded() -> (TestRollup, Naming, Keypair, Pubkey) {
    let (mut r, naming, demander) = posted();
    let demand = r.demanded(&demander, 0, &naming, naming.chunks());
    (r, naming, demander, demand)
}

fn class(r: &TestRollup, demand: &Pubkey) -> DemandClass {
    r.demand(demand).class(&r.chain_account(), r.svm.slot())
}

mod open_demand {
    use super::*;

    #[test]
    fn takes_what_it_may_cost_and_holds_the_batch() {
        let (mut r, naming, demander) = posted();
        let before = r.svm.lamports(&demander.pubkey());
        let (header, named) = (naming.header(), naming.named(Naming::DEPLOY));
        let sent = accepted(r.open_demand(&demander, 7, &header, naming.chunks(), &named));
        let address = r.demand_address(&demander.pubkey(), 7);
        let demand = r.demand(&address);
        assert_eq!(
            (demand.rollup, demand.demander, demand.asserter),
            (r.address, demander.pubkey(), r.sequencer.pubkey())
        );
        assert_eq!((demand.hash, demand.number), (header.hash(), 1));
        assert_eq!((demand.id, demand.life, demand.left), (7, 0, 0b111));
        assert_eq!((demand.bond, demand.fee), (BOND, PIECE_FEE));
        assert_eq!(demand.answer_end, r.svm.slot() + ANSWERS);
        assert_eq!(class(&r, &address), DemandClass::Open(demand.answer_end));
        // With the rent of what will be answered.
        let rent = r.svm.rent(Demand::size_with(3));
        assert_eq!(r.svm.lamports(&address), rent + BOND);
        assert_eq!(before - r.svm.lamports(&demander.pubkey()), rent + BOND);
        let event: DemandOpened = sent.event();
        assert_eq!(
            (event.demand, event.number, event.hash),
            (address, 1, header.hash())
        );
        assert_eq!((event.bond, event.fee), (BOND, PIECE_FEE));
        assert_eq!(
            (event.program, event.pieces),
            (demand.program, demand.pieces)
        );
        assert_eq!(r.chain_account().tip().disputes, 1);
        r.svm.warp(WINDOW);
        refused(r.finalize(), E::Disputed);
    }

    /// An update's blobs are its model's, as the state after the batch has it. What does not fit a legacy
    /// transaction comes from a buffer.
    #[test]
    fn on_an_update_from_a_buffer() {
        let (mut r, naming, demander) = posted();
        let stranger = r.svm.rich_key();
        let named = naming.named(Naming::UPDATE);
        let buffer = r.buffered_value(&demander, 0, &named);
        let pieces = Pieces {
            of: Blob::Operators,
            first: 1,
            count: 1,
        };
        let header = naming.header();
        refused(
            r.open_demand_from_buffer(&stranger, 0, &header, pieces, &buffer),
            E::ForeignBuffer,
        );
        accepted(r.open_demand_from_buffer(&demander, 0, &header, pieces, &buffer));
        let demand = r.demand_address(&demander.pubkey(), 0);
        let sequencer = r.sequencer.insecure_clone();
        accepted(r.answer(&sequencer, &demand, 0, &naming.operator(1)));
        assert_eq!(class(&r, &demand), DemandClass::Over);
        // A longer or a cut one is none.
        for bytes in [
            [encode(&named), vec![0]].concat(),
            encode(&named)[1..].to_vec(),
        ] {
            let buffer = r.buffered(&demander, bytes.len() as u64, &bytes);
            refused(
                r.open_demand_from_buffer(&demander, 1, &header, pieces, &buffer),
                E::NotNamed,
            );
        }
    }

    #[test]
    fn leaves_first_and_then_chunks() {
        let (mut r, naming, demander) = posted();
        let posted = r.svm.slot();
        let leaves = Pieces {
            of: Blob::Parameters,
            first: 0,
            count: 2,
        };
        let chunks = naming.chunks();
        let named = naming.named(Naming::DEPLOY);
        for (id, pieces, demands, answers) in [
            (0, leaves, LEAF_DEMANDS, LEAF_ANSWERS),
            (2, chunks, DEMANDS, ANSWERS),
        ] {
            let (demand_end, answer_end) = (posted + demands, posted + answers);
            let reserved_end = answer_end - WINDOW / 6 / 2;
            assert_eq!(
                Times::new(pieces.of, posted + WINDOW, WINDOW),
                Times {
                    demand_end,
                    answer_end,
                    reserved_end,
                }
            );
            r.svm.warp(demand_end - 1 - r.svm.slot());
            let demand = r.demanded(&demander, id, &naming, pieces);
            assert_eq!(class(&r, &demand), DemandClass::Open(answer_end));
            r.svm.warp(1);
            refused(
                r.open_demand(&demander, id + 1, &naming.header(), pieces, &named),
                E::DemandTooLate,
            );
        }
        // The leaves are due before the chunks.
        let leaves = r.demand_address(&demander.pubkey(), 0);
        assert_eq!(class(&r, &leaves), DemandClass::Expired);
    }

    /// A program that is shown in the last slot in which it may be is not shown too late to ask for its parameters.
    #[test]
    fn of_what_an_answer_has_shown() {
        let (mut r, naming, demander) = posted();
        let sequencer = r.sequencer.insecure_clone();
        let leaf = Pieces {
            of: Blob::Parameters,
            first: 0,
            count: 1,
        };
        let demand = r.demanded(&demander, 0, &naming, leaf);
        r.svm.warp(LEAF_ANSWERS - 1);
        accepted(r.answer(&sequencer, &demand, 0, &naming.parameter_type(0)));
        r.svm.warp(DEMANDS - LEAF_ANSWERS);
        let chunks = r.demanded(&demander, 1, &naming, naming.chunks());
        r.svm.warp(ANSWERS - DEMANDS + 1);
        accepted(r.time_out_demand(&chunks));
        assert_eq!(r.chain_account().tip_number, 0);
    }

    #[test]
    fn only_what_a_pending_batch_names() {
        let (mut r, naming, demander) = posted();
        let (header, named) = (naming.header(), naming.named(Naming::DEPLOY));
        let chunks = naming.chunks();
        let mut other = header;
        other.tx_count += 1;
        refused(
            r.open_demand(&demander, 0, &other, chunks, &named),
            E::NotLive,
        );
        let mut wrong = naming.named(Naming::UPDATE);
        wrong.path = named.path.clone();
        refused(
            r.open_demand(&demander, 0, &header, chunks, &wrong),
            E::DemandTransaction,
        );
        let run = naming.named(Naming::INFER);
        refused(
            r.open_demand(&demander, 0, &header, chunks, &run),
            E::NamesNothing,
        );
        let mut wrong = naming.named(Naming::UPDATE);
        wrong.updated.as_mut().unwrap().model.version += 1;
        refused(
            r.open_demand(&demander, 0, &header, chunks, &wrong),
            E::DemandModel,
        );
        for (of, first, count) in [
            (Blob::Operators, 1, 2),
            (Blob::Chunks { parameter: 2 }, 0, 1),
            (Blob::Chunks { parameter: 0 }, 0, 65),
            (Blob::Chunks { parameter: 0 }, 0, 0),
            (Blob::Chunks { parameter: 0 }, u64::MAX, 1),
        ] {
            let pieces = Pieces { of, first, count };
            refused(
                r.open_demand(&demander, 0, &header, pieces, &named),
                E::NoSuchPieces,
            );
        }
        r.svm.warp(WINDOW);
        accepted(r.finalize());
        refused(
            r.open_demand(&demander, 0, &header, chunks, &named),
            E::NotLive,
        );
    }

    #[test]
    fn of_its_own_rollup() {
        let (mut r, naming, demander) = posted();
        accepted(r.initialize(8, config()));
        let other = seeds::rollup(8);
        let named = naming.named(Naming::DEPLOY);
        let key = demander.pubkey();
        let mut open = build::open_demand(&key, 0, &naming.header(), naming.chunks(), &named);
        for (at, key) in [
            (1, other),
            (2, seeds::chain(&other)),
            (3, seeds::demand(&other, &key, 0)),
        ] {
            open.accounts[at].pubkey = key;
        }
        refused(
            r.svm.send_as(Wire::V1, &[open], &[&demander], &[]),
            E::HeaderMismatch,
        );
    }

    /// Who drowns a sequencer in demands pays more for each.
    #[test]
    fn costs_more_the_more_is_open() {
        let (mut r, naming, demander) = posted();
        let all = Pieces {
            count: 64,
            ..naming.chunks()
        };
        for id in 0..20u32 {
            let demand = r.demanded(&demander, id.into(), &naming, all);
            let demand = r.demand(&demand);
            assert_eq!(demand.fee, fee(64 * id));
            assert_eq!(demand.bond, BOND.max(64 * fee(64 * id)));
        }
        // Disputes do not count: their bonds come back, and an accomplice's would make demands dear for
        // nothing.
        for id in 0..20 {
            r.disputed(&demander, id, &naming.header());
        }
        let dear = fee(64 * 20);
        let one = r.demanded(&demander, 20, &naming, naming.chunks());
        assert_eq!(r.demand(&one).fee, dear);
        // What is over the usual is nobody's: a sequencer that answers its own demands pays it too.
        let (key, chain) = (r.sequencer.insecure_clone(), r.chain());
        let lamports = |r: &TestRollup| {
            let of = |key: &Pubkey| r.svm.lamports(key);
            [of(&key.pubkey()), of(&chain), r.demand(&one).bond]
        };
        let before = lamports(&r);
        let sent = accepted(r.answer(&key, &one, 0, &naming.chunk(0, 0)));
        assert_eq!(sent.event::<PieceAnswered>().fee, PIECE_FEE);
        let after = lamports(&r);
        let lost = dear - PIECE_FEE;
        assert_eq!(after[0], before[0] + PIECE_FEE);
        assert_eq!(after[1], before[1] + lost);
        assert_eq!(after[2], before[2] - dear);
        // What is answered does not count any more.
        let pieces = r.chain_account().tip().pieces;
        assert_eq!(pieces, 64 * 20 + 3 - 1);
        let next = r.demanded(&demander, 21, &naming, naming.chunks());
        assert_eq!(r.demand(&next).fee, fee(pieces));
    }
}

mod answer {
    use super::*;

    /// The sequencer answers at the demander's cost, and late anybody; with the last answer the batch is free.
    #[test]
    fn pays_whoever_answers_and_keeps_the_bytes() {
        let (mut r, naming, demander, demand) = demanded();
        let mirror = r.svm.rich_key();
        let sequencer = r.sequencer.insecure_clone();
        // Whoever copies the sequencer's answer must not earn its fee.
        let copied = naming.chunk(0, 2);
        r.svm.warp(ANSWERS - WINDOW / 6 / 2 - 1);
        refused(r.answer(&mirror, &demand, 2, &copied), E::AnswerReserved);
        r.svm.warp(1);
        for (place, key, left) in [(2, &mirror, 0b011), (0, &sequencer, 0b010), (1, &mirror, 0)] {
            refused(r.finalize(), E::WindowOpen);
            let before = r.svm.lamports(&key.pubkey());
            let chunk = naming.chunk(0, u64::from(place));
            let sent = accepted(r.answer(key, &demand, place, &chunk));
            assert_eq!(r.svm.lamports(&key.pubkey()), before + PIECE_FEE);
            let event: PieceAnswered = sent.event();
            assert_eq!(
                (event.place, event.left, event.fee),
                (place, left, PIECE_FEE)
            );
            assert_eq!((event.answerer, event.buffer), (key.pubkey(), None));
        }
        assert_eq!(class(&r, &demand), DemandClass::Over);
        assert_eq!(r.chain_account().tip().disputes, 0);
        refused(
            r.answer(&mirror, &demand, 0, &naming.chunk(0, 0)),
            E::DemandOver,
        );
        refused(r.time_out_demand(&demand), E::DemandOver);
        refused(r.resolve_demand(&demand), E::DemandOver);
        // The bytes are in the account, in the order of the answers.
        let account = r.svm.account(&demand).unwrap().data;
        let kept: Vec<(u8, Vec<u8>)> = answered(&account).map(|(at, b)| (at, b.to_vec())).collect();
        let given = |place: u8| (place, naming.chunk(0, place.into()).bytes().to_vec());
        assert_eq!(kept, [given(2), given(0), given(1)]);
        // Nobody else throws them away.
        let mut close = build::close_demand(&demand, &demander.pubkey());
        close.accounts[1].is_signer = false;
        refused(r.svm.send(&[close], &[]), ErrorCode::AccountNotSigner);
        let sent = accepted(r.close_demand(&demand, &demander));
        assert_eq!(sent.event::<DemandClosed>().payout, BOND - 3 * PIECE_FEE);
        let all = 100_000_000_000;
        assert_eq!(r.svm.lamports(&demander.pubkey()), all - 3 * PIECE_FEE);
        assert!(r.svm.account(&demand).is_none());
        r.svm.warp(WINDOW);
        accepted(r.finalize());
    }

    #[test]
    fn from_a_buffer() {
        let (mut r, naming, _, demand) = demanded();
        let mirror = r.svm.rich_key();
        let thief = r.svm.rich_key();
        r.svm.warp(ANSWERS - 1);
        let buffer = r.buffered_value(&mirror, 3, &naming.chunk(0, 1));
        refused(
            r.answer_from_buffer(&thief, &demand, 1, &buffer),
            E::ForeignBuffer,
        );
        let sent = accepted(r.answer_from_buffer(&mirror, &demand, 1, &buffer));
        assert_eq!(sent.event::<PieceAnswered>().buffer, Some(buffer));
        assert_eq!(r.demand(&demand).left, 0b101);
        let rest = r.buffered(&mirror, 4, &[1, 2, 3]);
        refused(
            r.answer_from_buffer(&mirror, &demand, 0, &rest),
            E::NotAnAnswer,
        );
    }

    /// Nothing but the very bytes, at their place, once.
    #[test]
    fn refuses_what_is_not_the_piece() {
        let (mut r, naming, _, demand) = demanded();
        let key = r.sequencer.insecure_clone();
        let before = r.demand(&demand).bond;
        for (place, answer) in [(0, naming.chunk(0, 1)), (0, naming.chunk(1, 0))] {
            refused(r.answer(&key, &demand, place, &answer), E::PieceOpening);
        }
        for change in 0..5 {
            let mut answer = naming.chunk(0, 0);
            let Answer::Chunk {
                ty,
                ty_path,
                data_root,
                bytes,
                path,
                ..
            } = &mut answer
            else {
                unreachable!()
            };
            match change {
                0 => bytes[511] ^= 1,
                1 => drop(bytes.pop()),
                2 => ty[1] ^= 1,
                3 => data_root[0] ^= 1,
                _ => std::mem::swap(ty_path, path),
            }
            refused(r.answer(&key, &demand, 0, &answer), E::PieceOpening);
        }
        refused(
            r.answer(&key, &demand, 0, &naming.operator(0)),
            E::OtherPiece,
        );
        for place in [3, 63, 64, 255] {
            refused(
                r.answer(&key, &demand, place, &naming.chunk(0, 0)),
                E::PieceNotWanted,
            );
        }
        assert_eq!(r.demand(&demand).bond, before);
        accepted(r.answer(&key, &demand, 0, &naming.chunk(0, 0)));
        refused(
            r.answer(&key, &demand, 0, &naming.chunk(0, 0)),
            E::PieceNotWanted,
        );
        assert_eq!(r.demand(&demand).bond, before - PIECE_FEE);
    }

    #[test]
    fn in_time() {
        let (mut r, naming, _, demand) = demanded();
        let key = r.sequencer.insecure_clone();
        r.svm.warp(ANSWERS - 1);
        refused(r.time_out_demand(&demand), E::ClockRuns);
        accepted(r.answer(&key, &demand, 0, &naming.chunk(0, 0)));
        r.svm.warp(1);
        refused(
            r.answer(&key, &demand, 1, &naming.chunk(0, 1)),
            E::AnswerTooLate,
        );
        accepted(r.time_out_demand(&demand));
    }

    /// A program may answer: the bytes are in the demand's account. What is written to a buffer is in the
    /// transaction alone.
    #[test]
    fn may_come_from_a_program_and_a_buffer_s_bytes_may_not() {
        let (mut r, naming, _, demand) = demanded();
        relay::load(&mut r.svm);
        let key = r.sequencer.insecure_clone();
        let answer = build::answer(&r.address, &demand, &key.pubkey(), 0, &naming.chunk(0, 0));
        let buffer = r.buffered(&key, 0, &[0; 10]);
        let write = assay_client::instructions::disputes::write_buffer(
            &key.pubkey(),
            &buffer,
            0,
            vec![1; 10],
        );
        // Without its opening, what was written to a buffer cannot be put together.
        let rent = r.svm.rent(Buffer::size(10));
        let [pay, allocate, open] =
            assay_client::instructions::disputes::open_buffer(&key.pubkey(), 1, 10, rent);
        accepted(r.svm.send(&[pay, allocate], &[&key]));
        accepted(
            r.svm
                .send_as(Wire::V1, &[relay::through(answer)], &[&key], &[]),
        );
        for instruction in [write, open] {
            let inner = relay::through(instruction.clone());
            refused(
                r.svm.send_as(Wire::V1, &[inner], &[&key], &[]),
                E::InnerInstruction,
            );
            accepted(r.svm.send(&[instruction], &[&key]));
        }
    }

    #[test]
    fn takes_the_chain_of_the_demand_s_rollup_only() {
        let (mut r, naming, demander, demand) = demanded();
        accepted(r.initialize(8, config()));
        let (own, other) = (r.address, seeds::rollup(8));
        let key = r.sequencer.insecure_clone();
        r.address = other;
        accepted(r.register(&key, SLICE));
        refused(
            r.answer(&key, &demand, 0, &naming.chunk(0, 0)),
            E::ForeignDemand,
        );
        refused(r.resolve_demand(&demand), E::ForeignDemand);
        refused(r.time_out_demand(&demand), ErrorCode::ConstraintSeeds);
        r.address = own;
        r.svm.warp(ANSWERS);
        // One rollup's sequencer with another's chain; another's account; no incinerator.
        let stranger = r.svm.rich_key();
        accepted(r.register(&stranger, SLICE));
        for (at, address, error) in [
            (
                1,
                seeds::chain(&other),
                u32::from(ErrorCode::ConstraintSeeds),
            ),
            (
                2,
                seeds::sequencer(&other, &key.pubkey()),
                ErrorCode::ConstraintSeeds.into(),
            ),
            (
                2,
                seeds::sequencer(&own, &stranger.pubkey()),
                E::WrongSequencer.into(),
            ),
            (4, demander.pubkey(), ErrorCode::ConstraintAddress.into()),
        ] {
            let mut time_out = build::time_out_demand(&own, &demand, &key.pubkey());
            time_out.accounts[at].pubkey = address;
            refused(r.svm.send(&[time_out], &[]), error);
        }
        accepted(r.time_out_demand(&demand));
    }
}

mod time_out_demand {
    use super::*;

    #[test]
    fn reverts_and_slashes() {
        let (mut r, naming, demander) = posted();
        let sequencer = r.sequencer.pubkey();
        let challenger = r.svm.rich_key();
        let third = r.svm.rich_key();
        let everyone = [
            demander.pubkey(),
            sequencer,
            seeds::sequencer(&r.address, &sequencer),
            INCINERATOR,
            r.address,
        ];
        let total = |r: &TestRollup| everyone.map(|key| r.svm.lamports(&key)).iter().sum::<u64>();
        let before = total(&r);
        let demand = r.demanded(&demander, 0, &naming, naming.chunks());
        let other = r.demanded(&third, 0, &naming, naming.chunks());
        let dispute = r.disputed(&challenger, 0, &naming.header());
        // All but one is as good as none.
        let key = r.sequencer.insecure_clone();
        for place in [0, 2] {
            accepted(r.answer(&key, &demand, place, &naming.chunk(0, place.into())));
        }
        refused(r.close_demand(&demand, &demander), E::DemandOpen);
        r.svm.warp(ANSWERS);
        refused(r.resolve_demand(&demand), E::NotMoot);
        let sent = accepted(r.time_out_demand(&demand));

        let chain = r.chain_account();
        assert_eq!((chain.tip_number, chain.reverts), (0, 1));
        assert_eq!(r.sequencer_account(&sequencer).bond, 3 * SLICE);
        assert_eq!(r.svm.lamports(&INCINERATOR), SLICE / 2);
        let event: BatchReverted = sent.event();
        assert_eq!((event.number, event.by), (1, demand));
        assert_eq!((event.slashed, event.burned), (SLICE, SLICE / 2));
        let payout = BOND - 2 * PIECE_FEE + SLICE / 2;
        let event: DemandSettled = sent.event();
        assert_eq!((event.unanswered, event.payout), (true, payout));
        refused(r.time_out_demand(&demand), E::DemandOver);
        refused(r.resolve_demand(&demand), E::DemandOver);
        refused(r.close_demand(&demand, &key), E::NotTheDemander);
        accepted(r.close_demand(&demand, &demander));
        assert_eq!(total(&r), before);

        // What else was open is moot, and costs nobody anything.
        refused(r.time_out_demand(&other), E::DemandMoot);
        refused(
            r.answer(&key, &other, 0, &naming.chunk(0, 0)),
            E::DemandMoot,
        );
        let sent = accepted(r.resolve_demand(&other));
        assert_eq!(sent.event::<DemandSettled>().payout, BOND);
        assert!(!sent.event::<DemandSettled>().unanswered);
        accepted(r.close_demand(&other, &third));
        assert_eq!(r.svm.lamports(&third.pubkey()), 100_000_000_000);
        accepted(r.resolve(&dispute));
        assert_eq!(r.sequencer_account(&sequencer).bond, 3 * SLICE);
    }

    /// The very same batch, posted again after a revert, is another one.
    #[test]
    fn the_same_batch_posted_again_is_another() {
        let (mut r, naming, demander) = posted();
        let sequencer = r.sequencer.pubkey();
        let demand = r.demanded(&demander, 0, &naming, naming.chunks());
        let dispute = r.disputed(&demander, 0, &naming.header());
        accepted(r.play(&demander, &dispute, &Move::Claim(Claim::Transactions)));
        r.svm.warp(151);
        accepted(r.time_out(&dispute, &sequencer));
        r.settle(&naming.draft);
        assert_eq!(r.chain_account().tip().hash, naming.header().hash());
        let key = r.sequencer.insecure_clone();
        refused(
            r.answer(&key, &demand, 0, &naming.chunk(0, 0)),
            E::DemandMoot,
        );
        refused(r.time_out_demand(&demand), E::DemandMoot);
        accepted(r.resolve_demand(&demand));
        assert_eq!(r.chain_account().tip().disputes, 0);
        r.svm.warp(WINDOW);
        accepted(r.finalize());
    }
}

/// The arguments in the instructions' words are the rules' words.
#[test]
fn encodings_are_the_same() {
    for of in [
        Blob::Inputs,
        Blob::Parameters,
        Blob::Operators,
        Blob::Outputs,
        Blob::Chunks { parameter: 9 },
    ] {
        let pieces = Pieces {
            of,
            first: 3,
            count: 5,
        };
        let own = settlement::demand::Pieces::from(pieces);
        assert_eq!(encode(&own), encode(&pieces));
        assert_eq!(Pieces::from(own), pieces);
        assert!(encode(&own).len() <= settlement::demand::Pieces::SIZE);
    }
}
