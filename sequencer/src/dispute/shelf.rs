//! The players' models, from the blobs, run with every value hashed.

use crate::config::ExecutorChoice;
use crate::store::blobs::Blobs;
use assay_dispute::player::{Model, Models};
use assay_dispute::step::program::Leaves;
use assay_ledger::Hash;
use assay_tensor::trace::Trace;
use gpu_kernels::Executor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Models that a dispute needs at a time, at most: it is about one run.
const KEPT: usize = 4;

/// Models by their roots.
pub struct Shelf {
    blobs: Blobs,
    choice: ExecutorChoice,
    /// Opened at the first trace: most processes never dispute anything.
    executor: Mutex<Option<Arc<dyn Executor>>>,
    kept: Mutex<HashMap<(Hash, Hash), Arc<Model>>>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf")
            .field("blobs", &self.blobs)
            .field("choice", &self.choice)
            .finish_non_exhaustive()
    }
}

impl Shelf {
    /// The models of `blobs`, run on this executor.
    pub fn new(blobs: Blobs, choice: ExecutorChoice) -> Self {
        Self {
            blobs,
            choice,
            executor: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    fn executor(&self) -> Result<Arc<dyn Executor>, gpu_kernels::ExecutorError> {
        let mut executor = locked(&self.executor);
        if let Some(executor) = &*executor {
            return Ok(executor.clone());
        }
        let opened: Arc<dyn Executor> = Arc::from(gpu_kernels::open(self.choice.into())?);
        *executor = Some(opened.clone());
        Ok(opened)
    }

    fn run(&self, model: &Model, input: &[u8]) -> Result<Trace, gpu_kernels::ExecutorError> {
        let parameters = Arc::new(model.parameters().to_vec());
        gpu_kernels::trace::trace(&*self.executor()?, model.program(), &parameters, input)
    }
}

impl Models for Shelf {
    fn model(&self, program_root: &Hash, parameters_root: &Hash) -> Option<Arc<Model>> {
        let roots = (*program_root, *parameters_root);
        let mut kept = locked(&self.kept);
        if let Some(model) = kept.get(&roots) {
            return Some(model.clone());
        }
        let loaded = self.blobs.model(program_root, parameters_root);
        let loaded = loaded
            .inspect_err(|error| tracing::error!(%error, "a disputed model is not here"))
            .ok()?;
        let program = Arc::unwrap_or_clone(loaded.program);
        let parameters = Arc::unwrap_or_clone(loaded.parameters);
        let model = Arc::new(Model::new(program, parameters)?);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(roots, model.clone());
        Some(model)
    }

    fn trace(&self, model: &Model, input: &[u8]) -> Option<Arc<Trace>> {
        match self.run(model, input) {
            Ok(trace) => Some(Arc::new(trace)),
            Err(error) => {
                // The reference executor takes any program, if it takes its time.
                tracing::warn!(%error, "a trace by the reference executor");
                let inputs = model.program().inputs_from_bytes(input)?;
                let trace = Trace::reference(model.program(), model.parameters(), &inputs);
                trace.ok().map(Arc::new)
            }
        }
    }

    fn malformed(&self, program_root: &Hash) -> Option<Leaves> {
        self.blobs.malformed(program_root)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
