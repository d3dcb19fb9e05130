//! The models of disputes and demands, from the blobs, hashed once; and their runs with every value hashed.

use super::cache::Cache;
use crate::config::ExecutorChoice;
use crate::store::blobs::{BlobError, Blobs};
use assay_dispute::player::{Model, Models};
use assay_dispute::step::program::Leaves;
use assay_ledger::Hash;
use assay_tensor::hash::hashv;
use assay_tensor::leaves::List;
use assay_tensor::merkle::Levels;
use assay_tensor::program::CheckedProgram;
use assay_tensor::trace::Trace;
use assay_tensor::types::Tensor;
use gpu_kernels::Executor;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes of models and runs that are kept for the next move, beside those in use.
pub const ROOM: u64 = 1 << 30;

/// Models by their roots.
pub struct Shelf {
    blobs: Blobs,
    choice: ExecutorChoice,
    /// Opened at the first trace: most processes never dispute anything.
    executor: Mutex<Option<Arc<dyn Executor>>>,
    kept: Mutex<Cache<Key, Kept>>,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A program, by its root.
    Program(Hash),
    /// A model, by the roots of program and parameters.
    Model(Hash, Hash),
    /// A run of it, by the hash of its input.
    Trace(Hash, Hash, Hash),
}

#[derive(Clone)]
enum Kept {
    Program(Arc<Listed>),
    Model(Arc<Model>),
    Trace(Arc<Trace>),
}

/// A program with the trees of its lists, each made when it is asked for.
#[derive(Debug)]
pub struct Listed {
    program: CheckedProgram,
    trees: [OnceLock<Levels>; 4],
}

impl Listed {
    /// The program.
    pub fn program(&self) -> &CheckedProgram {
        &self.program
    }

    /// The tree over one of its lists.
    pub fn tree(&self, list: List) -> &Levels {
        let [inputs, parameters, operators, outputs] = &self.trees;
        let tree = match list {
            List::Inputs => inputs,
            List::Parameters => parameters,
            List::Operators => operators,
            List::Outputs => outputs,
        };
        tree.get_or_init(|| Levels::new(self.program.leaf_hashes(list)))
    }
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
        Self::with_room(blobs, choice, ROOM)
    }

    /// The same, with room for so many bytes that are not in use.
    pub fn with_room(blobs: Blobs, choice: ExecutorChoice, room: u64) -> Self {
        Self {
            blobs,
            choice,
            executor: Mutex::default(),
            kept: Mutex::new(Cache::new(room)),
        }
    }

    /// The model with these roots.
    pub fn load(&self, program: &Hash, parameters: &Hash) -> Result<Arc<Model>, BlobError> {
        let key = Key::Model(*program, *parameters);
        if let Some(Kept::Model(model)) = locked(&self.kept).get(&key) {
            return Ok(model);
        }
        // Not under the lock: whoever needs another one does not wait for this.
        let loaded = self.blobs.model(program, parameters)?;
        let program = Arc::unwrap_or_clone(loaded.program);
        let tensors = Arc::unwrap_or_clone(loaded.parameters);
        let bytes = hashed_bytes(&tensors);
        let model = Model::new(program, tensors).ok_or(BlobError::Damaged(*parameters))?;
        let model = Arc::new(model);
        locked(&self.kept).insert(key, Kept::Model(model.clone()), bytes);
        Ok(model)
    }

    /// The program with this root.
    pub fn program(&self, root: &Hash) -> Result<Arc<Listed>, BlobError> {
        let key = Key::Program(*root);
        if let Some(Kept::Program(program)) = locked(&self.kept).get(&key) {
            return Ok(program);
        }
        let program = self.blobs.program(root)?;
        let header = program.header();
        let leaves = [
            header.inputs,
            header.parameters,
            header.operators,
            header.outputs,
        ];
        let leaves: u64 = leaves.into_iter().map(u64::from).sum();
        let listed = Arc::new(Listed {
            program,
            trees: Default::default(),
        });
        // A leaf's node, its type and its two hashes, about.
        let bytes = leaves.saturating_mul(512);
        locked(&self.kept).insert(key, Kept::Program(listed.clone()), bytes);
        Ok(listed)
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

    fn run(&self, model: &Model, input: &[u8]) -> Option<Arc<Trace>> {
        let run = |executor: Arc<dyn Executor>| {
            gpu_kernels::trace::trace(&*executor, model.program(), model.parameters(), input)
        };
        match self.executor().and_then(run) {
            Ok(trace) => Some(Arc::new(trace)),
            Err(error) => {
                // The reference executor takes any program, if it takes its time.
                tracing::warn!(%error, "a trace by the reference executor");
                model.run(input)
            }
        }
    }
}

impl Models for Shelf {
    fn model(&self, program_root: &Hash, parameters_root: &Hash) -> Option<Arc<Model>> {
        let loaded = self.load(program_root, parameters_root);
        let loaded =
            loaded.inspect_err(|error| tracing::error!(%error, "a disputed model is not here"));
        loaded.ok()
    }

    fn trace(&self, model: &Model, input: &[u8]) -> Option<Arc<Trace>> {
        let (program, parameters) = (model.program().root(), model.trees().list_root());
        let key = Key::Trace(program, parameters, hashv(&[input]));
        if let Some(Kept::Trace(trace)) = locked(&self.kept).get(&key) {
            return Some(trace);
        }
        let trace = self.run(model, input)?;
        let bytes = hashed_bytes(trace.values());
        locked(&self.kept).insert(key, Kept::Trace(trace.clone()), bytes);
        Some(trace)
    }

    fn malformed(&self, program_root: &Hash) -> Option<Leaves> {
        self.blobs.malformed(program_root)
    }
}

/// Bytes of tensors with their trees: two nodes of 32 bytes for a chunk of 512.
fn hashed_bytes(tensors: &[Tensor]) -> u64 {
    let bytes = tensors.iter().map(|tensor| tensor.data().len() as u64);
    bytes.map(|bytes| bytes + bytes / 8 + 256).sum()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_onnx::dataset::DIGITS;
    use assay_onnx::{Limits, import};

    #[test]
    fn models_and_runs_are_kept_while_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let digits = import(DIGITS, &Limits::default()).unwrap();
        let program = blobs.put_program(&digits.program.program().encode());
        let program = program.unwrap();
        let mut bytes: Vec<u8> = Vec::new();
        for tensor in &digits.parameters {
            bytes.extend(tensor.data());
        }
        let one = blobs.put_parameters(&program, &bytes).unwrap();
        bytes[0] ^= 1;
        let other = blobs.put_parameters(&program, &bytes).unwrap();
        let inputs = [0, 1].map(|n| vec![n; digits.program.input_bytes() as usize]);
        let shelf = Shelf::new(blobs.clone(), ExecutorChoice::Cpu);
        let model = shelf.load(&program, &one).unwrap();
        assert!(Arc::ptr_eq(&model, &shelf.load(&program, &one).unwrap()));
        let first = shelf.trace(&model, &inputs[0]).unwrap();
        let second = shelf.trace(&model, &inputs[1]).unwrap();
        assert!(Arc::ptr_eq(
            &first,
            &shelf.trace(&model, &inputs[0]).unwrap()
        ));
        assert!(!Arc::ptr_eq(&first, &second));
        let listed = shelf.program(&program).unwrap();
        let tree = listed.tree(List::Operators);
        assert_eq!(tree.root(), listed.program().header().operators_root);
        assert!(std::ptr::eq(
            tree,
            shelf.program(&program).unwrap().tree(List::Operators)
        ));

        // Without room only what was made last is kept, and the rest is gone when nobody uses it.
        let small = Shelf::with_room(blobs, ExecutorChoice::Cpu, 0);
        let model = small.load(&program, &one).unwrap();
        let first = Arc::downgrade(&small.trace(&model, &inputs[0]).unwrap());
        assert!(first.upgrade().is_some());
        let unused = Arc::downgrade(&model);
        drop(model);
        assert!(unused.upgrade().is_none(), "the run has taken its place");
        small.load(&program, &other).unwrap();
        assert!(first.upgrade().is_none());
        let missing = small.load(&[7; 32], &one);
        assert!(matches!(missing, Err(BlobError::Missing(_))));
    }
}
