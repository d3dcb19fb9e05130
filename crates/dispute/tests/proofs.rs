//! Proofs in the game: each kind in its stages, none against an honest asserter.

mod arena;

use arena::duel::prove;
use arena::lies::{honest, random_lie, run};
use arena::random::table::Wrong;
use arena::world::{Batch, Cached, mixed};
use assay_dispute::Side;
use assay_dispute::game::{Claim, Class, Dispute, Move, Reason, Refused, Stage};
use assay_dispute::player::asserter::{LEGACY_ROOM, VERSION_1_ROOM};
use assay_dispute::player::{Asserter, Challenger, Claims, Next};
use assay_dispute::prove::{NotProven, ProofKind};
use assay_dispute::step::ProofError;
use assay_dispute::step::data::prove_data;
use assay_dispute::step::element::{Disputed, Execution};
use assay_dispute::step::end::prove_end;
use assay_dispute::step::output::prove_output;
use assay_tensor::commit::CHUNK;
use assay_tensor::merkle::Levels;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::sync::Arc;

const KINDS: [ProofKind; 7] = [
    ProofKind::Data { index: 0 },
    ProofKind::Program,
    ProofKind::End,
    ProofKind::State,
    ProofKind::Output,
    ProofKind::Element,
    ProofKind::Record,
];

fn is_of(kind: ProofKind, stage: &Stage) -> bool {
    match kind {
        ProofKind::Data { .. } | ProofKind::Program => {
            matches!(stage, Stage::Opened | Stage::Revealed(_) | Stage::Ran(_))
        }
        ProofKind::End => matches!(stage, Stage::States(..)),
        ProofKind::State | ProofKind::Record => matches!(stage, Stage::StateStep(..)),
        ProofKind::Output => matches!(stage, Stage::Output(..)),
        ProofKind::Element => matches!(stage, Stage::Element(..)),
    }
}

/// Brings a proof that is not to convince: nothing changes.
fn refused(batch: &Batch, dispute: &Dispute, kind: ProofKind, bytes: &[u8]) -> NotProven {
    let mut after = dispute.clone();
    let error = prove(batch, &mut after, kind, bytes, true, 0).unwrap_err();
    assert_eq!(after, *dispute);
    error
}

#[test]
fn every_kind_has_its_stages() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let batch = mixed(1, 2, 20);
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        let lie = random_lie(&batch, &mut rng);
        let own = batch.knowledge(lie.header, lie.data);
        let mut challenger = Challenger::new(own, batch.library.clone());
        let claims = lie.claims[0].clone();
        let mut asserter = Asserter::new(claims, batch.library.clone(), LEGACY_ROOM);
        let mut dispute = Dispute::open(lie.header, [9; 32], 0);
        loop {
            let turn = dispute.stage.turn();
            for kind in KINDS {
                let rubbish: Vec<u8> = (0..rng.random_range(0..90)).map(|_| rng.random()).collect();
                let error = refused(&batch, &dispute, kind, &rubbish);
                match (turn, is_of(kind, &dispute.stage)) {
                    (Some(Side::Asserter), _) => assert_eq!(error, Refused::Turn.into()),
                    (_, false) => assert_eq!(error, Refused::Stage.into()),
                    (_, true) => {
                        assert!(matches!(error, NotProven::Proof(_)), "{error}");
                        seen.insert(format!("{kind:?}"));
                    }
                }
            }
            let next = match turn {
                Some(Side::Challenger) => challenger.next(&dispute, true, 0),
                _ => asserter.next(&dispute, true, 0),
            };
            match next {
                Next::Play(made) => dispute.play(made, true, 0).unwrap(),
                Next::Prove(kind, bytes) => {
                    // Late, or when the batch is dead, it is of no use.
                    let mut late = dispute.clone();
                    let Class::Turn(_, deadline) = dispute.class(true, 0) else {
                        panic!()
                    };
                    let result = prove(&batch, &mut late, kind, &bytes, true, deadline + 1);
                    assert_eq!(result, Err(Refused::Late.into()));
                    let result = prove(&batch, &mut late, kind, &bytes, false, 0);
                    assert_eq!(result, Err(Refused::Moot.into()));
                    assert_eq!(late, dispute);
                    let verdict =
                        prove(&batch, &mut dispute, kind, &bytes, true, deadline).unwrap();
                    assert_eq!(verdict.winner, Side::Challenger);
                    assert_ne!(verdict.reason, Reason::Time);
                    let again = refused(&batch, &dispute, kind, &bytes);
                    assert_eq!(again, Refused::Over.into());
                    break;
                }
                _ => break,
            }
        }
    }
    assert_eq!(seen.len(), KINDS.len(), "{seen:?}");
}

/// An honest asserter, and a dispute over its batch.
struct Right<'a> {
    batch: &'a Batch,
    asserter: Asserter<Arc<Cached>>,
    dispute: Dispute,
}

impl<'a> Right<'a> {
    fn new(batch: &'a Batch, room: usize) -> Self {
        let claims = Claims::honest(&mut batch.own()).unwrap();
        Self {
            batch,
            asserter: Asserter::new(claims, batch.library.clone(), room),
            dispute: Dispute::open(batch.header, [9; 32], 0),
        }
    }

    /// Lets the asserter answer as long as it is its turn.
    fn answer(&mut self) {
        while self.dispute.stage.turn() == Some(Side::Asserter) {
            let next = self.asserter.next(&self.dispute, true, 0);
            let Next::Play(made) = next else {
                panic!("{next:?}")
            };
            self.dispute.play(made, true, 0).unwrap();
        }
    }

    fn claim(&mut self, claim: Claim) {
        self.dispute.play(Move::Claim(claim), true, 0).unwrap();
        self.answer();
    }

    /// Goes down to leaf `target` of the tree in which the dispute is.
    fn descend(&mut self, target: u64) {
        let tree = |stage: &Stage| stage.tree().map(|t| (t.root, t.count));
        let at = tree(&self.dispute.stage);
        while tree(&self.dispute.stage) == at
            && let Some(descent) = self.dispute.stage.tree()
        {
            assert!(descent.choosing());
            // As many levels as there are above the revealed nodes.
            let levels = (1..=6)
                .rev()
                .find(|levels| {
                    u32::from(descent.height) >= *levels
                        && descent.inside(*levels) == descent.revealed.len()
                        && *levels >= u32::from(descent.height).min(4)
                })
                .unwrap_or(0);
            let below = u32::from(descent.height) - levels;
            let child = (target >> below) - (descent.index << levels);
            let child = child as u8;
            self.dispute.play(Move::Choose { child }, true, 0).unwrap();
            self.answer();
        }
    }

    fn open_leaf(&mut self, index: u64) {
        self.claim(Claim::Transactions);
        self.descend(index);
    }

    fn is_right(&self, kind: ProofKind, bytes: &[u8]) {
        let error = refused(self.batch, &self.dispute, kind, bytes);
        assert_eq!(error, NotProven::Right, "{kind:?}");
    }
}

#[test]
fn nothing_is_proven_about_the_states_of_an_honest_batch() {
    for (seed, room) in [(2, LEGACY_ROOM), (3, VERSION_1_ROOM)] {
        let batch = mixed(seed, 2, 21);
        let mut challenger = Challenger::new(batch.own(), batch.library.clone());
        for index in 0..=21 {
            let mut right = Right::new(&batch, room);
            right.claim(Claim::State {
                parent: batch.parent,
            });
            let states = Levels::new(right.asserter.claims().states.clone());
            let end = prove_end(&states.node(0, 21), &states.path(21).unwrap());
            right.is_right(ProofKind::End, &end);
            // Another state than the last does not open as the last.
            let other = prove_end(&states.node(0, 20), &states.path(20).unwrap());
            let error = refused(&batch, &right.dispute, ProofKind::End, &other);
            let expected = ProofError::Opening("the last state");
            assert_eq!(error, expected.into());
            right.descend(index);
            let Next::Prove(kind, bytes) = challenger.next(&right.dispute, true, 0) else {
                panic!()
            };
            right.is_right(kind, &bytes);
        }
    }
}

#[test]
fn nothing_is_proven_about_the_leaves_of_an_honest_batch() {
    let batch = mixed(4, 2, 21);
    let mut challenger = Challenger::new(batch.own(), batch.library.clone());
    let mut right = Right::new(&batch, LEGACY_ROOM);
    let data = |index| prove_data(&batch.header, &batch.data, index).unwrap();
    for index in 0..21 {
        right.is_right(ProofKind::Data { index }, &data(index));
        let mut right = Right::new(&batch, LEGACY_ROOM);
        right.open_leaf(index.into());
        for other in [0, index, 20] {
            right.is_right(ProofKind::Data { index: other }, &data(other));
        }
        // From a leaf that it agrees with a challenger has nowhere to go, and from the states neither.
        assert_eq!(challenger.next(&right.dispute, true, 0), Next::Nothing);
        right.claim(Claim::State {
            parent: batch.parent,
        });
        right.descend(u64::from(index) + 1);
        let Next::Prove(kind, bytes) = challenger.next(&right.dispute, true, 0) else {
            panic!()
        };
        right.is_right(kind, &bytes);
    }
    assert_eq!(
        challenger.next(&right.dispute, true, 0),
        Next::Nothing,
        "nothing to say of it"
    );
    right.claim(Claim::Transactions);
    assert_eq!(challenger.next(&right.dispute, true, 0), Next::Nothing);
}

#[test]
fn nothing_is_proven_about_the_runs_of_an_honest_batch() {
    let batch = mixed(5, 3, 12);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let ran = |(_, (_, r)): &(u64, &(_, assay_ledger::result::TxResult))| r.program_root != [0; 32];
    let runs = (0u64..).zip(&batch.records).filter(ran);
    for (index, (_, result)) in runs.take(4) {
        let claims = run(&batch, index as u32);
        let library = &batch.library;
        let model = assay_dispute::player::Models::model(
            library,
            &result.program_root,
            &result.parameters_root,
        )
        .unwrap();
        let input = &batch.inputs[&(index as u32)];
        let trace = assay_dispute::player::Models::trace(library, &model, input).unwrap();
        for output in 0..claims.outputs().count() {
            let mut right = Right::new(&batch, LEGACY_ROOM);
            right.open_leaf(index);
            right.claim(Claim::Outputs);
            right.descend(output);
            let bytes = prove_output(model.program(), claims.roots(), output as u32).unwrap();
            right.is_right(ProofKind::Output, &bytes);
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 1;
                let error = refused(&batch, &right.dispute, ProofKind::Output, &other);
                assert!(matches!(error, NotProven::Proof(_)), "{at}");
            }
        }
        for operator in 0..claims.roots().count() {
            let chunks = claims.chunks(operator as u32).unwrap().count();
            let chunk = rng.random_range(0..chunks);
            let mut right = Right::new(&batch, VERSION_1_ROOM);
            right.open_leaf(index);
            right.claim(Claim::Execution);
            right.descend(operator);
            right.descend(chunk);
            let Stage::Element(value, bytes) = &right.dispute.stage else {
                panic!("{:?}", right.dispute.stage)
            };
            let mut own = claims.data(operator as u32).unwrap().chunks(CHUNK);
            assert_eq!(own.nth(chunk as usize), Some(&bytes[..]));
            let descent = &value.run.descent;
            let disputed = Disputed {
                operator: operator as u32,
                root: descent.node,
                path: &descent.path(),
            };
            let execution = Execution {
                program: model.program(),
                parameters: model.parameters(),
                parameter_trees: model.trees(),
                input,
                trace: &trace,
            };
            let proof = execution.prove_element(&disputed, chunk, 0).unwrap();
            right.is_right(ProofKind::Element, &proof);
        }
    }
}

#[test]
fn whoever_believes_in_other_outputs_loses_against_an_honest_batch() {
    for seed in 6..16 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = mixed(seed, 2, 15);
        let claims = honest(&batch).claims;
        for _ in 0..5 {
            let models = Wrong::new(&batch, rng.random());
            let own = models.knowledge(&batch, batch.header, batch.data.clone());
            let mut challenger = Challenger::new(own, models);
            let mut asserter = Asserter::new(claims.clone(), batch.library.clone(), LEGACY_ROOM);
            let outcome = arena::duel::duel(&batch, &batch.header, &mut challenger, &mut asserter);
            assert_eq!(outcome.verdict.winner, Side::Asserter);
        }
    }
}
