//! wgpu on every device found against the reference, bit for bit, over random programs.
//!
//! `ASSAY_CASES` says how many (300 if unset), `ASSAY_SEED` the first seed.

use std::sync::Arc;

use assay_tensor::random;
use gpu_kernels::{Executor, gpu, reference::Reference};

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

#[test]
fn every_device_equals_the_reference() {
    let adapters = gpu::adapters();
    if adapters.is_empty() {
        eprintln!("every_device_equals_the_reference: skipped: no adapter");
        return;
    }
    let first = setting("ASSAY_SEED", 0);
    let cases = setting("ASSAY_CASES", 300);
    for info in adapters {
        let executor = match gpu::open_adapter(&info) {
            Ok(executor) => executor,
            Err(error) => {
                // Refusing a device is right where it computes wrong; none is believed instead.
                eprintln!("every_device_equals_the_reference: skipped: {error}");
                continue;
            }
        };
        let (mut elements, mut unsupported) = (0, 0);
        for seed in first..first + cases {
            let case = random::program(seed);
            let program = Arc::new(case.program);
            let parameters = Arc::new(case.parameters);
            let requests: Vec<&[u8]> = case.inputs.iter().map(Vec::as_slice).collect();
            let mut model = match executor.prepare(program.clone(), parameters.clone()) {
                Ok(model) => model,
                Err(gpu_kernels::ExecutorError::Unsupported { .. }) => {
                    unsupported += 1;
                    continue;
                }
                Err(error) => panic!("{info}, seed {seed}: {error}"),
            };
            let got = model.run(&requests).unwrap();
            let mut reference = Reference.prepare(program.clone(), parameters).unwrap();
            for (i, (got, want)) in got
                .iter()
                .zip(reference.run(&requests).unwrap())
                .enumerate()
            {
                let differing = got.iter().zip(&want).filter(|(a, b)| a != b).count();
                assert!(
                    *got == want,
                    "{info}, seed {seed}, request {i}: {differing} of {} bytes differ in {:?}",
                    want.len(),
                    program.program().nodes
                );
            }
            elements += requests.len() as u64
                * program
                    .output_types()
                    .iter()
                    .map(|ty| ty.shape.elements())
                    .sum::<u64>();
        }
        println!(
            "{info}: {cases} programs, {elements} elements, none differing, {unsupported} programs beyond the device"
        );
        assert!(
            unsupported * 100 <= cases,
            "{info}: {unsupported} of {cases} programs refused"
        );
    }
}
