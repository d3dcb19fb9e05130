//! No result depends on a device's limits: with tiny ones, runs are split into many, weights
//! into shards, dispatches into rows and pieces.

use assay_tensor::types::Tensor;

use super::{Case, devices};
use crate::gpu::{engine::Engine, faults::Faults, limits::Limits, plan::Plan};

#[test]
fn tiny_limits_change_nothing() {
    for info in devices("tiny_limits_change_nothing") {
        let mut engine = Engine::open(&info, Faults::default()).unwrap();
        let usual = engine.limits.clone();
        let (mut sharded, mut refused, mut ran) = (0, 0, 0);
        for seed in 0..24 {
            let case = Case::new(seed);
            let parameters: &[Tensor] = &case.parameters;
            for binding_bytes in [1 << 10, 1 << 13] {
                engine.limits = Limits {
                    binding_bytes,
                    buffer_bytes: 1 << 14,
                    workgroups: 3,
                    memory_bytes: 1 << 12,
                    dispatch_work: 100_000,
                    submission_work: 300_000,
                    ..usual.clone()
                };
                let Ok(plan) = Plan::new(&case.program, &engine.limits) else {
                    refused += 1;
                    continue;
                };
                ran += 1;
                sharded += usize::from(plan.constants.iter().any(|c| c.buffers() > 1));
                let mut resident = engine.upload(&plan, parameters).unwrap();
                for (requests, answers) in case
                    .requests
                    .chunks(plan.requests as usize)
                    .zip(case.answers.chunks(plan.requests as usize))
                {
                    let got = engine
                        .run(
                            &case.program,
                            &plan,
                            &mut resident,
                            &requests.concat(),
                            requests.len() as u32,
                        )
                        .unwrap();
                    assert_eq!(got, answers, "{info}, seed {seed}");
                }
            }
        }
        assert!(
            sharded > 0 && refused > 0 && ran > 15,
            "{sharded} {refused} {ran}"
        );
    }
}
