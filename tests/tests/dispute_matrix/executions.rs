//! Each operator: an element wrong by one, another shape, another tail chunk.

use super::support::{Scene, Summary};
use crate::arena::lies::runs::{bump, with_run};
use crate::arena::lies::*;
use crate::arena::world::*;
use assay_dispute::game::Reason;
use assay_dispute::player::Model;
use assay_tensor::random;
use assay_tensor::types::TensorType;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// All operators there are.
const OPERATORS: usize = 9;

/// Models that have them all, by the smallest of the first seeds that has one.
fn models() -> Vec<(Model, Vec<Vec<u8>>)> {
    let mut seeds = BTreeMap::new();
    for seed in 0..2_000 {
        let case = random::program(seed);
        let program = &case.program;
        if program.units() > 20_000 || !(1..=8_192).contains(&program.input_bytes()) {
            continue;
        }
        for node in &program.program().nodes {
            let best = seeds.entry(node.op.kind()).or_insert((usize::MAX, 0));
            *best = (*best).min((program.program().nodes.len(), seed));
        }
    }
    assert_eq!(seeds.len(), OPERATORS, "{seeds:?}");
    let mut seeds: Vec<u64> = seeds.into_values().map(|(_, seed)| seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let model = |seed| {
        let case = random::program(seed);
        let model = Model::new(case.program, case.parameters).expect("a model");
        (model, case.inputs)
    };
    seeds.into_iter().map(model).collect()
}

/// As many elements in another shape.
fn reshaped(ty: &TensorType) -> TensorType {
    let dims = ty.shape.dims();
    let longer = TensorType::new(ty.dtype, &[&[1], dims].concat());
    longer.unwrap_or_else(|| {
        // As many dimensions as there may be: two of them are one.
        let merged = [&[dims[0] * dims[1]], &dims[2..]].concat();
        TensorType::new(ty.dtype, &merged).expect("as many elements")
    })
}

#[test]
fn a_wrong_value_of_any_operator_loses() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let models = models();
    let count = models.len();
    let (_, mut maker) = rollup(models);
    for at in 0..count {
        maker.infer(0, at, 0, false);
        maker.random(&mut rng);
    }
    let batch = maker.finish().0;
    let mut scene = Scene::new(&batch);
    let mut summary = Summary::default();
    let mut seen: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let runs: Vec<u32> = batch.inputs.keys().copied().collect();
    for index in runs {
        if batch.records[index as usize].1.program_root == [0; 32] {
            continue;
        }
        let own = run(&batch, index);
        let nodes = own.model().program().program().nodes.clone();
        let types = own.model().program().value_types().to_vec();
        for (operator, (node, ty)) in (0u32..).zip(nodes.iter().zip(&types)) {
            let data = own.data(operator).expect("a value").to_vec();
            let elements = ty.shape.elements() as usize;
            let changed = |element: usize| {
                let mut data = data.clone();
                bump(ty, &mut data, element);
                data
            };
            let other = reshaped(ty);
            let mut longer = data.clone();
            longer.push(0);
            let shorter = data[..data.len() - 1].to_vec();
            let any = rng.random_range(0..elements);
            for (name, reason, ty, data) in [
                ("an element", Reason::Element, ty, changed(any)),
                (
                    "the last element",
                    Reason::Element,
                    ty,
                    changed(elements - 1),
                ),
                ("the shape", Reason::Time, &other, data.clone()),
                ("a longer tail", Reason::Time, ty, longer),
                ("a shorter tail", Reason::Time, ty, shorter),
            ] {
                let mut claimed = own.clone();
                claimed.set_value(operator, ty, data);
                if claimed.output_root() == own.output_root() {
                    // It is no output: say that one is another too.
                    claimed.set_output(0, [8; 32]);
                }
                let name_of = format!("{name} of operator {operator} of run {index}");
                let lie = with_run(&batch, index, claimed).lie(name_of, Some(reason));
                for played in scene.convicts(&lie, 1) {
                    summary.add(&played);
                    let most = seen.entry((node.op.kind(), name)).or_default();
                    *most = played.last_units().max(*most);
                }
            }
        }
        for lie in wrong_runs(&batch, index, &mut rng) {
            for played in scene.convicts(&lie, 1) {
                summary.add(&played);
            }
        }
    }
    assert_eq!(seen.len(), OPERATORS * 5, "{seen:?}");
    for ((kind, name), units) in &seen {
        println!("{kind}, {name}: the last transaction takes {units} units");
        assert!(*units < 700_000);
    }
    summary.print("executions");
}
