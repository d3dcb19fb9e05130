//! An executor for services: a fast one, and another that does what the fast one cannot.

use std::sync::Arc;

use assay_tensor::{program::CheckedProgram, types::Tensor};

use crate::{Executor, ExecutorError, PreparedModel};

/// Runs programs on `first`; on `second` those that `first` does not admit, and any run that
/// `first` fails for a reason of its own. Answers are the same on both, so nobody can tell but
/// by the time that it takes.
pub struct Fallback {
    first: Box<dyn Executor>,
    second: Arc<dyn Executor>,
}

impl Fallback {
    /// `first`, with `second` behind it.
    pub fn new(first: Box<dyn Executor>, second: Box<dyn Executor>) -> Self {
        Self {
            first,
            second: second.into(),
        }
    }
}

impl Executor for Fallback {
    fn name(&self) -> &str {
        self.first.name()
    }

    fn prepare(
        &self,
        program: Arc<CheckedProgram>,
        parameters: Arc<Vec<Tensor>>,
    ) -> Result<Box<dyn PreparedModel>, ExecutorError> {
        match self.first.prepare(program.clone(), parameters.clone()) {
            Ok(first) => Ok(Box::new(Prepared {
                first,
                second: None,
                executor: self.second.clone(),
                program,
                parameters,
            })),
            Err(error) if error.is_callers() => Err(error),
            Err(error) => {
                tracing::warn!(%error, "preparing the model on {} instead", self.second.name());
                self.second.prepare(program, parameters)
            }
        }
    }
}

struct Prepared {
    first: Box<dyn PreparedModel>,
    /// Prepared when it is needed first.
    second: Option<Box<dyn PreparedModel>>,
    executor: Arc<dyn Executor>,
    program: Arc<CheckedProgram>,
    parameters: Arc<Vec<Tensor>>,
}

impl PreparedModel for Prepared {
    fn run(&mut self, requests: &[&[u8]]) -> Result<Vec<Vec<u8>>, ExecutorError> {
        let error = match self.first.run(requests) {
            Err(error) if !error.is_callers() => error,
            done => return done,
        };
        tracing::warn!(%error, "running the batch on {} instead", self.executor.name());
        let second = match self.second.take() {
            Some(second) => second,
            None => self
                .executor
                .prepare(self.program.clone(), self.parameters.clone())?,
        };
        self.second.insert(second).run(requests)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use assay_tensor::random;

    use super::*;
    use crate::reference::Reference;

    /// Fails to prepare or to run, with these errors in turn; then does as the reference.
    #[derive(Clone)]
    struct Failing {
        prepare: Arc<Mutex<Vec<ExecutorError>>>,
        run: Arc<Mutex<Vec<ExecutorError>>>,
    }

    impl Failing {
        fn new(prepare: Vec<ExecutorError>, run: Vec<ExecutorError>) -> Self {
            Self {
                prepare: Arc::new(Mutex::new(prepare)),
                run: Arc::new(Mutex::new(run)),
            }
        }
    }

    struct FailingModel(Failing, Box<dyn PreparedModel>);

    impl Executor for Failing {
        fn name(&self) -> &str {
            "failing"
        }

        fn prepare(
            &self,
            program: Arc<CheckedProgram>,
            parameters: Arc<Vec<Tensor>>,
        ) -> Result<Box<dyn PreparedModel>, ExecutorError> {
            match self.prepare.lock().unwrap().pop() {
                Some(error) => Err(error),
                None => Ok(Box::new(FailingModel(
                    self.clone(),
                    Reference.prepare(program, parameters)?,
                ))),
            }
        }
    }

    impl PreparedModel for FailingModel {
        fn run(&mut self, requests: &[&[u8]]) -> Result<Vec<Vec<u8>>, ExecutorError> {
            match self.0.run.lock().unwrap().pop() {
                Some(error) => Err(error),
                None => self.1.run(requests),
            }
        }
    }

    fn lost() -> ExecutorError {
        ExecutorError::DeviceLost {
            adapter: "failing".into(),
            attempts: 3,
            detail: "gone".into(),
        }
    }

    fn unsupported() -> ExecutorError {
        ExecutorError::Unsupported {
            adapter: "failing".into(),
            reason: "too large".into(),
        }
    }

    #[test]
    fn what_the_first_cannot_do_the_second_does() {
        let case = random::program(11);
        let program = Arc::new(case.program);
        let parameters = Arc::new(case.parameters);
        let requests: Vec<&[u8]> = case.inputs.iter().map(Vec::as_slice).collect();
        let want = Reference
            .prepare(program.clone(), parameters.clone())
            .and_then(|mut model| model.run(&requests))
            .unwrap();
        for (prepare, run) in [
            (vec![], vec![]),
            (vec![unsupported()], vec![]),
            (vec![], vec![lost(), lost()]),
        ] {
            let failing = Failing::new(prepare, run);
            let executor = Fallback::new(Box::new(failing.clone()), Box::new(Reference));
            let mut model = executor
                .prepare(program.clone(), parameters.clone())
                .unwrap();
            for _ in 0..3 {
                assert_eq!(model.run(&requests).unwrap(), want);
            }
            assert!(failing.prepare.lock().unwrap().is_empty());
            assert!(failing.run.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn what_the_caller_got_wrong_is_an_error() {
        let case = random::program(11);
        let executor = Fallback::new(Box::new(Failing::new(vec![], vec![])), Box::new(Reference));
        let mut model = executor
            .prepare(Arc::new(case.program), Arc::new(case.parameters))
            .unwrap();
        let short = &case.inputs[0][1..];
        assert!(matches!(
            model.run(&[short]),
            Err(ExecutorError::InputSize { .. })
        ));
    }
}
