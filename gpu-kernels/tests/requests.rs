//! What every executor says to parameters and requests that do not fit, and that it goes on
//! afterwards.

use std::{io::Write as _, sync::Arc};

use assay_tensor::random;
use gpu_kernels::{Executor, ExecutorError, cpu, gpu, reference::Reference};

#[test]
fn what_does_not_fit_is_an_error_and_harms_nothing() {
    let mut executors: Vec<Box<dyn Executor>> = vec![Box::new(Reference), cpu()];
    match gpu::open_best() {
        Ok(gpu) => executors.push(Box::new(gpu)),
        Err(error) => {
            let mut terminal = std::io::stderr();
            writeln!(terminal, "wgpu: skipped: {error}").unwrap();
        }
    }
    // A program with parameters and more than one request.
    let case = (0..)
        .map(random::program)
        .find(|case| case.parameters.len() > 1 && case.inputs.len() > 1)
        .unwrap();
    let program = Arc::new(case.program);
    let right = Arc::new(case.parameters);
    let requests: Vec<&[u8]> = case.inputs.iter().map(Vec::as_slice).collect();
    for executor in executors {
        let name = executor.name().to_owned();
        let mut fewer = right.to_vec();
        fewer.pop();
        let refused = executor.prepare(program.clone(), Arc::new(fewer)).err();
        assert!(
            matches!(refused, Some(ExecutorError::Parameters(_))),
            "{name}: {refused:?}"
        );

        let mut model = executor.prepare(program.clone(), right.clone()).unwrap();
        let short = &requests[1][1..];
        let error = model.run(&[requests[0], short]).unwrap_err();
        assert_eq!(
            error,
            ExecutorError::InputSize {
                request: 1,
                got: short.len() as u64,
                want: requests[1].len() as u64,
            },
            "{name}"
        );
        assert_eq!(model.run(&[]).unwrap(), Vec::<Vec<u8>>::new(), "{name}");

        let all = model.run(&requests).unwrap();
        let each: Vec<Vec<u8>> = requests
            .iter()
            .flat_map(|request| model.run(&[request]).unwrap())
            .collect();
        assert_eq!(all, each, "{name}: a batch is its requests one by one");
    }
}
