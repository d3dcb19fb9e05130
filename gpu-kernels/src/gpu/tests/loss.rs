//! A device that is lost is built anew and its work done again.

use super::{Case, devices, open_with};
use crate::{
    Executor, ExecutorError,
    gpu::faults::{Fault, Faults},
};

#[test]
fn work_is_done_again_on_a_new_device() {
    for info in devices("work_is_done_again_on_a_new_device") {
        for fault in [Fault::LostBeforeSubmit, Fault::LostAfterSubmit] {
            let faults = Faults::default();
            let executor = open_with(&info, &faults).unwrap();
            let cases = [Case::new(1), Case::new(2)];
            let mut models: Vec<_> = cases
                .iter()
                .map(|case| {
                    executor
                        .prepare(case.program.clone(), case.parameters.clone())
                        .unwrap()
                })
                .collect();
            assert_eq!(
                models[0].run(&cases[0].requests()).unwrap(),
                cases[0].answers
            );
            faults.inject(fault);
            for (case, model) in cases.iter().zip(&mut models) {
                assert_eq!(
                    model.run(&case.requests()).unwrap(),
                    case.answers,
                    "{info}, {fault:?}"
                );
            }
            assert!(faults.exhausted(), "{info}: the device was not destroyed");
        }
    }
}

#[test]
fn a_device_that_is_always_lost_is_an_error_and_not_the_end() {
    for info in devices("a_device_that_is_always_lost_is_an_error_and_not_the_end") {
        let faults = Faults::default();
        let executor = open_with(&info, &faults).unwrap();
        let case = Case::new(3);
        let mut model = executor
            .prepare(case.program.clone(), case.parameters.clone())
            .unwrap();
        // The work, and then the self-test of each device built anew.
        for _ in 0..3 {
            faults.inject(Fault::LostAfterSubmit);
        }
        let error = model.run(&case.requests()).unwrap_err();
        assert!(
            matches!(error, ExecutorError::DeviceLost { attempts: 3, .. }),
            "{info}: {error}"
        );
        assert!(faults.exhausted());
        assert_eq!(model.run(&case.requests()).unwrap(), case.answers);
    }
}
