//! Models by their roots, and their runs with every value hashed.

use crate::Hash;
use crate::step::program::Leaves;
use assay_tensor::merkle::Levels;
use assay_tensor::program::CheckedProgram;
use assay_tensor::trace::{TensorTrees, Trace};
use assay_tensor::types::Tensor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A program with parameters that it runs with.
#[derive(Clone, Debug)]
pub struct Model {
    program: CheckedProgram,
    parameters: Arc<Vec<Tensor>>,
    trees: TensorTrees,
}

impl Model {
    /// A model of these; `None` if the parameters are not of the program's number and types.
    pub fn new(program: CheckedProgram, parameters: Vec<Tensor>) -> Option<Self> {
        let types = program.program().parameters.iter();
        parameters.iter().map(Tensor::ty).eq(types).then(|| Self {
            trees: TensorTrees::new(&parameters),
            program,
            parameters: Arc::new(parameters),
        })
    }

    /// The program.
    pub fn program(&self) -> &CheckedProgram {
        &self.program
    }

    /// The parameters.
    pub fn parameters(&self) -> &Arc<Vec<Tensor>> {
        &self.parameters
    }

    /// Their trees.
    pub fn trees(&self) -> &TensorTrees {
        &self.trees
    }

    /// The values of all operators of a run by the reference executor; `None` if the input has another
    /// size, or the run fails.
    pub fn run(&self, input: &[u8]) -> Option<Arc<Trace>> {
        let inputs = self.program.inputs_from_bytes(input)?;
        let trace = Trace::reference(&self.program, &self.parameters, &inputs);
        trace.ok().map(Arc::new)
    }

    /// The tree over the roots of a run's outputs.
    pub fn outputs(&self, trace: &Trace) -> Levels {
        let roots = trace.trees().roots();
        let outputs = self.program.program().outputs.iter();
        Levels::new(outputs.map(|o| roots.node(0, o.value.into())).collect())
    }
}

/// Where a player finds the models that a batch runs, and what runs them.
pub trait Models {
    /// The model with these roots; `None` if it is not known.
    fn model(&self, program_root: &Hash, parameters_root: &Hash) -> Option<Arc<Model>>;

    /// The values of all operators of a run on the bytes of all inputs. `None` if they cannot be
    /// had: the input has another size, or the executor fails. By the reference executor, unless
    /// an implementation has a faster one. A player asks for the same one in every move of a dispute, so an
    /// implementation keeps what it has room for.
    fn trace(&self, model: &Model, input: &[u8]) -> Option<Arc<Trace>> {
        model.run(input)
    }

    /// The leaves of a program that was deployed under this root and is malformed; `None` if it is
    /// well-formed, or not known.
    fn malformed(&self, program_root: &Hash) -> Option<Leaves>;
}

/// Models in memory, run by the reference executor.
#[derive(Clone, Debug, Default)]
pub struct Library {
    models: HashMap<(Hash, Hash), Arc<Model>>,
    malformed: HashMap<Hash, Leaves>,
    /// The run that was asked for last.
    last: Arc<Mutex<Option<Last>>>,
}

/// A run: the roots of its program and parameters, its input, and what it gave.
#[derive(Clone, Debug)]
struct Last {
    of: (Hash, Hash, Vec<u8>),
    trace: Arc<Trace>,
}

impl Library {
    /// Adds a model.
    pub fn insert(&mut self, model: Model) -> Arc<Model> {
        let roots = (model.program().root(), model.trees().list_root());
        let model = Arc::new(model);
        self.models.insert(roots, model.clone());
        model
    }

    /// Adds a malformed program.
    pub fn insert_malformed(&mut self, program_root: Hash, leaves: Leaves) {
        self.malformed.insert(program_root, leaves);
    }
}

impl Models for Library {
    fn model(&self, program_root: &Hash, parameters_root: &Hash) -> Option<Arc<Model>> {
        let roots = (*program_root, *parameters_root);
        self.models.get(&roots).cloned()
    }

    fn trace(&self, model: &Model, input: &[u8]) -> Option<Arc<Trace>> {
        let of = (model.program.root(), model.trees.list_root(), input.into());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && last.of == of
        {
            return Some(last.trace.clone());
        }
        let trace = model.run(input)?;
        let kept = trace.clone();
        *last = Some(Last { of, trace: kept });
        Some(trace)
    }

    fn malformed(&self, program_root: &Hash) -> Option<Leaves> {
        self.malformed.get(program_root).cloned()
    }
}

impl<M: Models + ?Sized> Models for Arc<M> {
    fn model(&self, program_root: &Hash, parameters_root: &Hash) -> Option<Arc<Model>> {
        (**self).model(program_root, parameters_root)
    }

    fn trace(&self, model: &Model, input: &[u8]) -> Option<Arc<Trace>> {
        (**self).trace(model, input)
    }

    fn malformed(&self, program_root: &Hash) -> Option<Leaves> {
        (**self).malformed(program_root)
    }
}
