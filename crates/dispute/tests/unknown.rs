//! An honest challenger who lacks a model: what is wrong elsewhere in the batch is found all the same.

mod arena;

use arena::duel::*;
use arena::lies::*;
use arena::world::*;
use assay_dispute::player::asserter::LEGACY_ROOM;
use assay_dispute::player::{Asserter, Challenger, Claims, Knowledge, Wrong};
use assay_dispute::{Hash, Side};
use assay_ledger::SOL;
use assay_ledger::request::Action;
use assay_ledger::state::INVALID;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// How the withheld model runs in a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hidden {
    /// One inference.
    Inference,
    /// One job from L1.
    Job,
    /// Every fourth transaction is an inference.
    Many,
}

/// A batch in which request 1 runs a model that is withheld, and the model's program.
fn batch(hidden: Hidden, seed: u64) -> (Batch, Hash) {
    let models = random_models([100 * seed, 100 * seed + 7]);
    let program = models[0].0.program().root();
    let (_, mut maker) = rollup(models);
    maker.deposit(user(0).public(), SOL, 5);
    match hidden {
        Hidden::Job => maker.job(0, false),
        _ => maker.infer(0, 0, 0, false),
    };
    while maker.records.len() < 24 {
        let at = maker.records.len();
        match (at % 4, hidden) {
            (1, Hidden::Many) => maker.infer(2, 0, at, false),
            (0, _) => maker.infer(1, 1, at, false),
            (2, _) => maker.deposit(user(3).public(), SOL, at as u64),
            // A job that runs: its leaf opens from every path, as no half has both it and the withheld run.
            (3, Hidden::Inference) => maker.job(1, at < 16),
            (3, _) => maker.job(1, true),
            _ => {
                let amount = 1 + at as u64;
                let to = user(1).public();
                maker.act(&user(0), SOL, Action::Transfer { to, amount })
            }
        };
    }
    (maker.finish().0, program)
}

fn unknown(batch: &Batch, program: &Hash) -> Vec<u32> {
    let records = (0u32..).zip(&batch.records);
    let hidden = records.filter(|(_, (_, result))| result.program_root == *program);
    hidden.map(|(index, _)| index).collect()
}

/// A challenger who lacks the model.
fn challenger(batch: &Batch, program: &Hash, lie: &Lie) -> Challenger<Without> {
    let models = without(batch, program);
    let own = batch.knowledge_with(&models, lie.header, lie.data.clone());
    Challenger::new(own, models)
}

fn without(batch: &Batch, program: &Hash) -> Without {
    Without {
        models: batch.library.clone(),
        hidden: *program,
    }
}

/// The challenger wins against all ways to stand by the lie; the kinds of proof by which it did.
fn convicts(batch: &Batch, program: &Hash, lie: &Lie) -> BTreeSet<String> {
    let mut challenger = challenger(batch, program, lie);
    let wrong = challenger.wrong();
    assert!(wrong.is_some(), "{}", lie.name);
    let mut kinds = BTreeSet::new();
    for (way, claims) in lie.claims.iter().enumerate() {
        let mut asserter = Asserter::new(claims.clone(), batch.library.clone(), LEGACY_ROOM);
        let outcome = duel(batch, &lie.header, &mut challenger, &mut asserter);
        let (winner, steps) = (outcome.verdict.winner, outcome.steps);
        assert_eq!(
            winner,
            Side::Challenger,
            "{} {way} {wrong:?}: {steps:?}",
            lie.name
        );
        let proofs = steps.iter().filter(|step| step.proof);
        kinds.extend(proofs.map(|step| step.what.clone()));
    }
    kinds
}

/// The same with the states between the transactions wrong from anywhere or at any one place: the asserter
/// chooses where when it knows where the challenger has gone.
fn anywhere(lie: &Lie) -> Lie {
    let mut claims = Vec::new();
    for way in &lie.claims[..1] {
        let last = way.states.len() - 1;
        // Other places for other lies.
        for at in (1 + lie.name.len() % 5..last).step_by(5) {
            for fill in [[6; 32], INVALID] {
                let with = |range: std::ops::Range<usize>| {
                    let mut other: Claims = way.clone();
                    other.states[range].fill(fill);
                    other.states[last] = way.header.state.root();
                    other
                };
                claims.push(with(at..last));
                claims.push(with(at..at + 1));
            }
        }
    }
    Lie {
        claims,
        reason: None,
        ..lie.clone()
    }
}

/// Lies about everything but the outputs that are not known.
fn lies(batch: &Batch, unknown: &[u32], seed: u64) -> Vec<(&'static str, Lie)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut lies = Vec::new();
    for index in 0..batch.records.len() as u32 {
        let hidden = unknown.contains(&index);
        let mut add = |what, found: Vec<Lie>| {
            let found = found.into_iter();
            let found = found.filter(|lie| !hidden || !lie.name.starts_with("output"));
            lies.extend(found.map(|lie| (what, lie)));
        };
        add("result", wrong_results(batch, index, &mut rng));
        if index % 3 == 0 {
            add("state", wrong_states(batch, index, &mut rng));
        }
        if !hidden && batch.records[index as usize].1.program_root != [0; 32] {
            add("run", wrong_runs(batch, index, &mut rng));
        }
    }
    lies.extend(
        wrong_data(batch, &mut rng)
            .into_iter()
            .map(|lie| ("data", lie)),
    );
    lies
}

#[test]
fn one_withheld_model_hides_no_lie_about_anything_else() {
    let mut proofs = BTreeSet::new();
    let (batch, program) = batch(Hidden::Inference, 2);
    let unknown = unknown(&batch, &program);
    assert_eq!(unknown, [1]);
    for (what, lie) in lies(&batch, &unknown, 2) {
        proofs.extend(convicts(&batch, &program, &lie));
        if what == "state" || what == "result" {
            proofs.extend(convicts(&batch, &program, &anywhere(&lie)));
        }
    }
    for kind in ["State", "Record", "Output", "Element"] {
        assert!(proofs.contains(kind), "{proofs:?}");
    }
    assert!(proofs.iter().any(|kind| kind.starts_with("Data")));
}

#[test]
fn any_number_of_withheld_runs_hides_no_lie_about_a_state() {
    let (batch, program) = batch(Hidden::Many, 5);
    let unknown = unknown(&batch, &program);
    assert!(unknown.len() >= 3, "{unknown:?}");
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for index in (0..batch.records.len() as u32).step_by(2) {
        for lie in wrong_states(&batch, index, &mut rng) {
            convicts(&batch, &program, &lie);
            convicts(&batch, &program, &anywhere(&lie));
        }
    }
}

#[test]
fn a_withheld_job_hides_no_lie_about_a_state_or_an_output() {
    let (batch, program) = batch(Hidden::Job, 6);
    let unknown = unknown(&batch, &program);
    assert_eq!(unknown, [1]);
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for index in (0..batch.records.len() as u32).step_by(2) {
        for lie in wrong_states(&batch, index, &mut rng) {
            convicts(&batch, &program, &lie);
            convicts(&batch, &program, &anywhere(&lie));
        }
        let ran = batch.records[index as usize].1.program_root != [0; 32];
        if ran && !unknown.contains(&index) {
            for lie in wrong_runs(&batch, index, &mut rng) {
                convicts(&batch, &program, &lie);
            }
        }
    }
}

fn known(batch: &Batch, program: &Hash) -> Knowledge {
    let models = without(batch, program);
    batch.knowledge_with(&models, batch.header, batch.data.clone())
}

#[test]
fn of_a_batch_that_is_right_only_the_unknown_is_left() {
    for hidden in [Hidden::Inference, Hidden::Job, Hidden::Many] {
        let (batch, program) = batch(hidden, 7);
        let unknown = unknown(&batch, &program);
        let models = without(&batch, &program);
        let mut own = known(&batch, &program);
        assert_eq!(own.unknown(), unknown);
        assert!(Claims::honest(&mut own).is_none());
        let wrong = Challenger::new(own.clone(), models.clone()).wrong();
        assert_eq!(wrong, Some(Wrong::Unseen(1)));

        // Somebody's word settles it, if it is what the batch says.
        let runs = own.runs().iter();
        let said: Vec<Hash> = runs
            .map(|run| batch.records[run.index as usize].1.output_root)
            .collect();
        let mut other = said.clone();
        other[0][0] ^= 1;
        assert!(!own.take_word(&other) && !own.take_word(&said[1..]));
        assert_eq!(own.unknown(), unknown);
        assert!(own.take_word(&said) && own.unknown().is_empty());
        let end = batch.header.state.root();
        assert_eq!(own.states(None).and_then(|s| s.last().copied()), Some(end));
        assert_eq!(Challenger::new(own, models).wrong(), None);
    }
}

#[test]
fn with_somebody_s_word_every_other_lie_is_found_as_if_all_were_known() {
    let (batch, program) = batch(Hidden::Many, 8);
    let unknown = unknown(&batch, &program);
    let mut taken = 0;
    for (_, lie) in lies(&batch, &unknown, 8) {
        let models = without(&batch, &program);
        let mut own = batch.knowledge_with(&models, lie.header, lie.data.clone());
        let claimed = &lie.claims[0].results;
        let word: Vec<Hash> = own
            .runs()
            .iter()
            .filter_map(|run| Some(claimed.get(run.index as usize)?.output_root))
            .collect();
        if !own.take_word(&word) {
            continue;
        }
        taken += 1;
        let mut challenger = Challenger::new(own, models);
        for claims in &lie.claims {
            let mut asserter = Asserter::new(claims.clone(), batch.library.clone(), LEGACY_ROOM);
            let outcome = duel(&batch, &lie.header, &mut challenger, &mut asserter);
            assert_eq!(outcome.verdict.winner, Side::Challenger, "{}", lie.name);
        }
    }
    assert!(taken > 10, "{taken}");
}
