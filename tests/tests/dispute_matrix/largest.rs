//! The largest transaction there is in the program's memory.

use super::support::Scene;
use crate::arena::lies::*;
use crate::arena::world::*;
use assay_dispute::game::Reason;
use assay_dispute::player::Model;
use assay_dispute::prove::ProofKind;
use assay_ledger::request::MAX_INPUT;
use assay_tensor::op::Op;
use assay_tensor::program::{Node, Operand, Output, Program};
use assay_tensor::types::{DType, Shape, TensorType};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A program that copies an input of the largest size, and such an input.
fn model() -> (Model, Vec<Vec<u8>>) {
    let dims = [MAX_INPUT as u32];
    let program = Program {
        inputs: vec![TensorType::new(DType::I8, &dims).expect("a type")],
        parameters: vec![],
        nodes: vec![Node {
            op: Op::Reshape(Shape::new(&dims).expect("a shape")),
            operands: vec![Operand::Input(0)],
        }],
        outputs: vec![Output {
            name: "copy".into(),
            value: 0,
        }],
    };
    let input = (0..MAX_INPUT).map(|i| (i * i / 5) as u8).collect();
    let program = program.check().expect("a program");
    (Model::new(program, vec![]).expect("a model"), vec![input])
}

/// The state step on the largest inference: in 64 KiB of heap, which is twice the default, and far within
/// the compute limit. So is its data.
#[test]
fn an_inference_of_the_largest_input_fits() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (_, mut maker) = rollup(vec![model()]);
    for which in 0..3 {
        maker.infer(which, 0, 0, false);
    }
    let batch = maker.finish().0;
    let mut scene = Scene::new(&batch);
    scene.heap = 64 * 1024;
    let mut seen = Vec::new();
    let mut lies = wrong_results(&batch, 1, &mut rng);
    lies.extend(wrong_states(&batch, 1, &mut rng));
    lies.extend(wrong_data(&batch, &mut rng));
    for lie in lies {
        for played in scene.convicts(&lie, 1) {
            let Some((kind, bytes)) = played.proof else {
                continue;
            };
            let units = played.last_units();
            println!(
                "{}: a {kind:?} proof of {bytes} bytes, {units} units",
                lie.name
            );
            assert!(units < 700_000);
            if bytes > MAX_INPUT {
                seen.push(played.verdict.reason);
            }
        }
    }
    assert!(
        seen.contains(&Reason::State) && seen.contains(&Reason::Data),
        "{seen:?}"
    );
}

/// The same step for a challenger who lacks the model: the transaction is shown from the data.
#[test]
fn so_does_its_record_without_its_model() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (_, mut maker) = rollup(vec![model()]);
    for which in 0..3 {
        maker.infer(which, 0, 0, false);
    }
    let batch = maker.finish().0;
    let models = Without {
        models: batch.library.clone(),
        hidden: batch.records[0].1.program_root,
    };
    let mut scene = Scene::new(&batch);
    scene.heap = 64 * 1024;
    let mut most = 0;
    for index in 0..3 {
        for lie in wrong_states(&batch, index, &mut rng) {
            for played in scene.convicts_with(&lie, 1, models.clone()) {
                let (kind, bytes) = played.proof.expect("a proof");
                assert_eq!(kind, ProofKind::Record, "{}", lie.name);
                assert!(bytes > MAX_INPUT);
                most = played.last_units().max(most);
            }
        }
    }
    println!("a Record proof of the largest inference: {most} units at most");
    assert!((1..700_000).contains(&most));
}
