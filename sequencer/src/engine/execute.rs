//! Running models, on a thread of its own: while it runs one micro-batch, the engine's thread
//! moves the ledger for the one before.

use super::caps;
use crate::config::ModelLimits;
use crate::metrics::{Metrics, Stage};
use crate::store::blobs::{Blobs, LoadedModel};
use assay_ledger::Hash;
use assay_ledger::state::Model;
use assay_tensor::commit::{list_root, tensor_root};
use assay_tensor::program::CheckedProgram;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use gpu_kernels::{Executor, PreparedModel};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Models kept prepared, at most, and no more than together take the memory that one may; the one used longest ago
/// makes room.
const PREPARED: usize = 64;

/// A model's program root and parameters root.
pub type ModelKey = (Hash, Hash);

/// The key of `model`.
pub fn key(model: &Model) -> ModelKey {
    (model.program_root, model.parameters_root)
}

/// Why a model did not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRun {
    /// One run takes more than this sequencer gives.
    #[error("a run takes {need} {what}, this sequencer gives one {cap}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// What it takes.
        need: u64,
        /// What it may take.
        cap: u64,
    },
    /// The executor failed, or has no such model.
    #[error("{0}")]
    Failed(String),
}

impl NoRun {
    fn failed(why: impl std::fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

/// The outputs of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// All outputs' bytes, one after the other.
    pub outputs: Vec<u8>,
    /// The root over the outputs' roots.
    pub output_root: Hash,
}

/// Requests for one model.
#[derive(Debug)]
pub struct Group {
    /// Which model.
    pub model: ModelKey,
    /// The inputs, each all of one run's.
    pub inputs: Vec<Vec<u8>>,
}

/// What became of a group: one answer for each of its inputs, or why there is none.
pub type GroupResult = Result<Vec<Ran>, NoRun>;

struct Work {
    groups: Vec<Group>,
    reply: Sender<Vec<GroupResult>>,
}

/// The executor's thread.
#[derive(Debug)]
pub struct ExecutorThread {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    /// Nobody waits for what it does any more.
    abandoned: Arc<AtomicBool>,
    name: String,
}

impl ExecutorThread {
    /// Starts a thread that runs models of `blobs` on `executor`, none that takes more memory than
    /// `limits` permit.
    pub fn start(
        executor: Box<dyn Executor>,
        blobs: Blobs,
        limits: ModelLimits,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (work, queue) = unbounded::<Work>();
        let name = executor.name().to_owned();
        let abandoned = Arc::new(AtomicBool::new(false));
        let skips = abandoned.clone();
        let thread = std::thread::Builder::new()
            .name("executor".into())
            .spawn(move || {
                let mut models = Models {
                    executor,
                    blobs,
                    limits,
                    prepared: HashMap::new(),
                    clock: 0,
                };
                for work in queue {
                    let results = work
                        .groups
                        .into_iter()
                        .map(|group| match skips.load(Ordering::SeqCst) {
                            true => Err(NoRun::failed("stopped")),
                            false => models.run(group, &metrics),
                        })
                        .collect();
                    // Nobody waits any more only when the engine has stopped.
                    let _ = work.reply.send(results);
                }
            })?;
        Ok(Self {
            work: Some(work),
            thread: Some(thread),
            abandoned,
            name,
        })
    }

    /// If `abandoned`, what is being run may end when it likes: nothing that was submitted is begun any more, and
    /// nobody waits for the thread.
    pub fn abandon(&self, abandoned: bool) {
        self.abandoned.store(abandoned, Ordering::SeqCst);
    }

    /// What runs the models.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Queues `groups`; their results come in the same order.
    pub fn submit(&self, groups: Vec<Group>) -> Receiver<Vec<GroupResult>> {
        let (reply, results) = bounded(1);
        if let Some(work) = &self.work {
            // The thread ends only with this struct, or by a panic; then the receiver says so.
            let _ = work.send(Work { groups, reply });
        }
        results
    }
}

impl Drop for ExecutorThread {
    fn drop(&mut self) {
        self.work.take();
        if let Some(thread) = self.thread.take()
            && !self.abandoned.load(Ordering::SeqCst)
        {
            let _ = thread.join();
        }
    }
}

struct Prepared {
    program: Arc<CheckedProgram>,
    model: Box<dyn PreparedModel>,
    /// Bytes that it takes.
    memory: u64,
    used: u64,
}

struct Models {
    executor: Box<dyn Executor>,
    blobs: Blobs,
    limits: ModelLimits,
    prepared: HashMap<ModelKey, Prepared>,
    clock: u64,
}

impl Models {
    fn run(&mut self, group: Group, metrics: &Metrics) -> GroupResult {
        let prepared = self.prepare(&group.model)?;
        let inputs: Vec<&[u8]> = group.inputs.iter().map(Vec::as_slice).collect();
        let outputs = metrics
            .time(Stage::Execution, || prepared.model.run(&inputs))
            .map_err(NoRun::failed)?;
        metrics.runs.inc_by(outputs.len() as u64);
        metrics.time(Stage::Commitment, || {
            outputs
                .into_iter()
                .map(|outputs| {
                    let output_root =
                        output_root(&prepared.program, &outputs).ok_or_else(|| {
                            NoRun::failed("the executor gave outputs of a wrong size")
                        })?;
                    Ok(Ran {
                        outputs,
                        output_root,
                    })
                })
                .collect()
        })
    }

    fn prepare(&mut self, key: &ModelKey) -> Result<&mut Prepared, NoRun> {
        self.clock += 1;
        if !self.prepared.contains_key(key) {
            // Before the parameters are read.
            let program = self.blobs.program(&key.0).map_err(NoRun::failed)?;
            caps::admits_program(&self.limits, &program)?;
            self.make_room(program.bytes());
            let LoadedModel {
                program,
                parameters,
            } = self.blobs.model(&key.0, &key.1).map_err(NoRun::failed)?;
            let model = self
                .executor
                .prepare(program.clone(), parameters)
                .map_err(NoRun::failed)?;
            self.prepared.insert(
                *key,
                Prepared {
                    memory: program.bytes(),
                    program,
                    model,
                    used: 0,
                },
            );
        }
        let prepared =
            (self.prepared.get_mut(key)).ok_or_else(|| NoRun::failed("the model was not kept"))?;
        prepared.used = self.clock;
        Ok(prepared)
    }
}

impl Models {
    /// Makes room for one more, of so many bytes.
    fn make_room(&mut self, memory: u64) {
        loop {
            let used = self.prepared.values().map(|p| p.memory);
            let used = used.fold(memory, u64::saturating_add);
            if used <= self.limits.memory && self.prepared.len() < PREPARED {
                return;
            }
            let oldest = self.prepared.iter().min_by_key(|(_, p)| p.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                return;
            };
            self.prepared.remove(&oldest);
        }
    }
}

/// The root over the roots of a run's outputs; `None` unless `outputs` has the program's size.
pub fn output_root(program: &CheckedProgram, outputs: &[u8]) -> Option<Hash> {
    let parts = program.split_outputs(outputs)?;
    let roots: Vec<Hash> = program
        .output_types()
        .iter()
        .zip(parts)
        .map(|(ty, data)| tensor_root(ty, data))
        .collect();
    Some(list_root(&roots))
}
