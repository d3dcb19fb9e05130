//! The mirror: an honest batch against challengers who lie, whatever they open. They lose, and their
//! bonds pay.

use super::support::Scene;
use crate::arena::world::*;
use assay_dispute::game::{Claim, Dispute as Game, Move, Stage};
use assay_dispute::player::asserter::LEGACY_ROOM;
use assay_dispute::player::{Asserter, Claims, Next};
use assay_dispute::prove::ProofKind;
use assay_dispute::step::data::prove_data;
use assay_tests::rollup::TestRollup;
use assay_tests::staged::draft;
use assay_tests::svm::{accepted, refused};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use settlement::errors::SettlementError as E;
use settlement::events::{DisputeDecided, PayoutClaimed};
use settlement::game::Party;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::collections::BTreeSet;

/// All proofs that there are.
const PROOFS: [ProofKind; 7] = [
    ProofKind::Data { index: 0 },
    ProofKind::Program,
    ProofKind::End,
    ProofKind::State,
    ProofKind::Output,
    ProofKind::Element,
    ProofKind::Record,
];

/// The asserter's answers until it is the challenger's turn. Returns the lamports that they cost it.
fn answers<M: assay_dispute::player::Models>(
    r: &mut TestRollup,
    dispute: &Pubkey,
    asserter: &mut Asserter<M>,
) -> u64 {
    let key = r.sequencer.insecure_clone();
    let payer = std::mem::replace(&mut r.svm.payer, key.insecure_clone());
    let mut fees = 0;
    loop {
        let game = r.dispute(dispute).1;
        let now = r.svm.slot();
        match asserter.next(&game, true, now) {
            Next::Play(made) => fees += accepted(r.play(&key, dispute, &made)).meta.fee,
            Next::Wait(_) => break,
            next => panic!("{next:?} in {:?}", game.stage),
        }
    }
    r.svm.payer = payer;
    fees
}

/// Brings every kind of proof, of rubbish and of what is true: none convicts.
fn proofs(
    r: &mut TestRollup,
    batch: &Batch,
    challenger: &Keypair,
    dispute: &Pubkey,
    rng: &mut ChaCha8Rng,
) {
    for kind in PROOFS {
        for len in [0, 40, 700] {
            let mut bytes = vec![0; len];
            rng.fill(&mut bytes[..]);
            let refusal = r
                .prove(challenger, dispute, None, kind, bytes)
                .expect_err("nothing is wrong");
            let codes = [
                E::WrongStage,
                E::ProofMalformed,
                E::ProofOpening,
                E::NothingWrong,
                E::WrongTurn,
            ];
            let code = refusal.code().expect("the program's refusal");
            assert!(
                codes.map(u32::from).contains(&code),
                "{kind:?}: {refusal:?}"
            );
        }
    }
    let game = r.dispute(dispute).1;
    if matches!(
        game.stage,
        Stage::Opened | Stage::Revealed(_) | Stage::Ran(_)
    ) {
        for index in [0, batch.header.tx_count - 1] {
            let bytes = prove_data(&batch.header, &batch.data, index).expect("a record");
            let buffer = r.buffered(
                challenger,
                u64::from(index) + 100 * u64::from(game.moves),
                &bytes,
            );
            let kind = ProofKind::Data { index };
            refused(
                r.prove_from_buffer(challenger, dispute, None, kind, &buffer),
                E::NothingWrong,
            );
            accepted(r.close_buffer(challenger, &buffer));
        }
    }
}

/// What a challenger who has no reason may do in this game, chosen at random.
fn any_move(game: &Game, batch: &Batch, rng: &mut ChaCha8Rng) -> Option<Move> {
    if let Some(descent) = game.stage.tree().filter(|tree| tree.choosing()) {
        let child = rng.random_range(0..descent.revealed.len()) as u8;
        return Some(Move::Choose { child });
    }
    let state = Claim::State {
        parent: batch.parent,
    };
    let claims = match &game.stage {
        Stage::Opened => vec![Claim::Transactions, Claim::Transactions, state],
        Stage::Revealed(_) => vec![state],
        Stage::Ran(_) => vec![Claim::Execution, Claim::Execution, Claim::Outputs, state],
        _ => return None,
    };
    Some(Move::Claim(
        claims[rng.random_range(0..claims.len())].clone(),
    ))
}

#[test]
fn an_honest_batch_survives_every_accusation() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let batch = mixed(70, 3, 60);
    let mut scene = Scene::new(&batch);
    let honest = Claims::honest(&mut batch.own()).expect("an honest batch");
    let r = &mut scene.r;
    r.settle(&draft(&batch.header, &batch.data));
    let posted = r.svm.slot();
    let sequencer = r.sequencer.insecure_clone();
    let bond = r.sequencer_account(&sequencer.pubkey()).bond;
    let stake = batch.header.params.dispute_bond;
    let mut open = Vec::new();
    let mut stages = BTreeSet::new();
    for id in 0..60 {
        let challenger = r.svm.rich_key();
        let dispute = r.disputed(&challenger, id, &batch.header);
        let mut asserter = Asserter::new(honest.clone(), batch.library.clone(), LEGACY_ROOM);
        let mut fees = 0;
        loop {
            let game = r.dispute(&dispute).1;
            stages.insert(format!(
                "{:?}",
                settlement::game::StageKind::from(&game.stage)
            ));
            if id < 12 {
                proofs(r, &batch, &challenger, &dispute, &mut rng);
            }
            let Some(made) = any_move(&game, &batch, &mut rng) else {
                break;
            };
            accepted(r.play(&challenger, &dispute, &made));
            fees += answers(r, &dispute, &mut asserter);
        }
        assert!(
            fees < stake,
            "the bond pays for the answers: {fees} of {stake}"
        );
        open.push((challenger, dispute, fees));
    }
    for stage in ["StateStep", "Output", "Element", "Revealed", "Ran"] {
        assert!(stages.contains(stage), "{stages:?}");
    }
    // No slot has passed: all of them are in the window. Now nobody has anything left to say.
    assert_eq!(r.svm.slot(), posted);
    r.svm.warp(batch.header.params.clock + 1);
    let most = open.iter().map(|(_, _, fees)| *fees).max();
    for (challenger, dispute, _) in &open {
        refused(r.finalize(), E::Disputed);
        let sent = accepted(r.time_out(dispute, &sequencer.pubkey()));
        let event: DisputeDecided = sent.event();
        assert_eq!((event.winner, event.payout), (Party::Asserter, stake));
        accepted(r.claim_payout(dispute, &challenger.pubkey()));
        let sent = accepted(r.claim_payout(dispute, &sequencer.pubkey()));
        assert_eq!(sent.event::<PayoutClaimed>().lamports, stake);
        accepted(r.close_dispute(dispute, &challenger.pubkey()));
    }
    assert_eq!(r.sequencer_account(&sequencer.pubkey()).bond, bond);
    accepted(r.finalize());
    println!(
        "accusations: {} of {stages:?}; answers cost {most:?} lamports at most, and earn {stake}",
        open.len()
    );
}
