//! Running the models of a batch: all of its runs, or a share of them.
//!
//! A share needs somebody's word for the outputs of the other runs, as results are not in a batch's
//! data. That word is good for nothing but to be checked: together with what was run it must give
//! the batch's roots. So a sample finds a wrong output with the probability of its share, and
//! everything else as surely as running all of them.

use super::mirrors::Mirrors;
use crate::config::{ExecutorChoice, ModelLimits};
use crate::engine::execute::{ExecutorThread, Group, GroupResult, ModelKey};
use crate::metrics::Metrics;
use crate::store::blobs::Blobs;
use assay_ledger::Hash;
use assay_ledger::batch::Run;
use assay_ledger::header::Header;
use assay_tensor::hash::hashv;
use assay_tensor::program::MAX_BYTES;
use crossbeam_channel::RecvTimeoutError;
use gpu_kernels::Executor;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// What running models may take, whatever they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of parameters, inputs, all values and outputs of one run. One that takes more cannot be done.
    pub memory: u64,
    /// Bytes of outputs that are in memory at a time, if more than one run has them.
    pub outputs: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            memory: MAX_BYTES,
            outputs: 64 << 20,
        }
    }
}

/// Runs of one model that are given to the executor at a time, at most.
const TOGETHER: u64 = 1_024;
/// How often it is seen whether to stop, while models run.
const LISTEN: Duration = Duration::from_millis(50);

/// Why a model was not run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RunsError {
    /// A blob is nowhere to be had (now).
    #[error("blob {} cannot be fetched: {why}", hex::encode(root))]
    Blob {
        /// Its root.
        root: Hash,
        /// What the last mirror said.
        why: String,
    },
    /// The verifier is stopped.
    #[error("stopped")]
    Stopped,
    /// The model does not run here.
    #[error("a model does not run: {0}; try another --executor")]
    Execution(String),
}

/// Which runs are done again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The share of them, from 0 to 1.
    pub share: f64,
    /// What chooses them. Who knows it beforehand knows where nobody looks.
    pub seed: [u8; 32],
}

impl Sample {
    /// Whether run `index` of the batch with this hash is done again.
    fn takes(&self, batch: &Hash, index: u32) -> bool {
        let hash = hashv(&[b"assay:sample:1", &self.seed, batch, &index.to_le_bytes()]);
        let (head, _) = hash.split_at(8);
        let at = head.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        (at as f64) < self.share * 2f64.powi(64)
    }
}

/// What a batch's runs gave.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// The output root of each; none where the run cannot be done.
    pub roots: Vec<Option<Hash>>,
    /// How many there are.
    pub runs: u64,
    /// How many were done.
    pub again: u64,
    /// Why the first of those that cannot be done cannot.
    pub failed: Option<RunsError>,
}

/// What runs the models.
#[derive(Debug)]
pub struct Models {
    executor: ExecutorThread,
    blobs: Blobs,
    mirrors: Mirrors,
    sample: Option<Sample>,
    caps: Caps,
    runtime: Handle,
    halted: AtomicBool,
}

impl Models {
    /// Runs the models of `blobs` on this executor, all runs or a sample, within these caps; `mirrors` say what
    /// a sample leaves out, or cannot be done. To be called in a runtime.
    pub fn start(
        choice: ExecutorChoice,
        blobs: Blobs,
        mirrors: Mirrors,
        sample: Option<Sample>,
        caps: Caps,
    ) -> anyhow::Result<Self> {
        let executor = gpu_kernels::open(choice.into())?;
        Ok(Self::on(executor, blobs, mirrors, sample, caps)?)
    }

    fn on(
        executor: Box<dyn Executor>,
        blobs: Blobs,
        mirrors: Mirrors,
        sample: Option<Sample>,
        caps: Caps,
    ) -> std::io::Result<Self> {
        let metrics = Arc::new(Metrics::default());
        // What a batch has run must be run again, whatever it takes but memory that is not there.
        let all = ModelLimits {
            units: u64::MAX,
            memory: caps.memory,
            output_bytes: u64::MAX,
            ..ModelLimits::default()
        };
        Ok(Self {
            executor: ExecutorThread::start(executor, blobs.clone(), all, metrics)?,
            blobs,
            mirrors,
            sample: sample.filter(|sample| sample.share < 1.0),
            caps,
            runtime: Handle::current(),
            halted: AtomicBool::new(false),
        })
    }

    /// Name of the executor.
    pub fn executor(&self) -> &str {
        self.executor.name()
    }

    /// The models' bytes.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Whether a model is here.
    fn has(&self, model: &ModelKey) -> Result<(), RunsError> {
        for root in [model.0, model.1] {
            if !self.blobs.has(&root) {
                let why = "nobody has given it yet".into();
                return Err(RunsError::Blob { root, why });
            }
        }
        Ok(())
    }

    /// Has what runs models return at once.
    pub fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
    }

    /// Lets models be run again.
    pub fn resume(&self) {
        self.halted.store(false, Ordering::SeqCst);
        self.executor.abandon(false);
    }

    /// The results of groups, unless this is [halted](Self::halt).
    fn results(&self, groups: Vec<Group>) -> Result<Vec<GroupResult>, RunsError> {
        let results = self.executor.submit(groups);
        loop {
            match results.recv_timeout(LISTEN) {
                Ok(results) => return Ok(results),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(RunsError::Execution("the executor's thread ended".into()));
                }
                Err(RecvTimeoutError::Timeout) if self.halted.load(Ordering::SeqCst) => {
                    // Nobody waits for what it does any more.
                    self.executor.abandon(true);
                    return Err(RunsError::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// What somebody says the output roots of a batch's runs are. Blocks.
    pub fn word(&self, header: &Header, runs: &[Run]) -> Option<Vec<Hash>> {
        let told = self.mirrors.output_roots(header.number, runs.len());
        self.runtime.block_on(told)
    }

    /// The output roots of a batch's runs, of which a sample is done. Blocks.
    ///
    /// # Errors
    /// [`RunsError::Stopped`], and no other.
    pub fn run(&self, header: &Header, runs: &[Run]) -> Result<Ran, RunsError> {
        let Some(sample) = &self.sample else {
            return self.run_all(runs);
        };
        let Some(told) = self.word(header, runs) else {
            return self.run_all(runs);
        };
        let hash = header.hash();
        let chosen: Vec<usize> = (0..runs.len())
            .filter(|i| sample.takes(&hash, runs[*i].index))
            .collect();
        self.run_these(runs, &chosen, told.into_iter().map(Some).collect())
    }

    /// The output roots of all runs. Blocks.
    ///
    /// # Errors
    /// [`RunsError::Stopped`], and no other.
    pub fn run_all(&self, runs: &[Run]) -> Result<Ran, RunsError> {
        let all: Vec<usize> = (0..runs.len()).collect();
        self.run_these(runs, &all, vec![None; runs.len()])
    }

    /// Does the chosen runs and puts their output roots in their places, and none where one cannot be done.
    fn run_these(
        &self,
        runs: &[Run],
        chosen: &[usize],
        mut roots: Vec<Option<Hash>>,
    ) -> Result<Ran, RunsError> {
        let mut by_model: BTreeMap<ModelKey, Vec<usize>> = BTreeMap::new();
        for i in chosen {
            let run = &runs[*i];
            roots[*i] = None;
            let model = (run.program_root, run.parameters_root);
            by_model.entry(model).or_default().push(*i);
        }
        let mut again = 0;
        let mut failed = None;
        for (model, places) in by_model {
            match self.run_model(runs, model, &places, &mut roots) {
                Ok(()) => again += places.len() as u64,
                Err(RunsError::Stopped) => return Err(RunsError::Stopped),
                Err(error) => {
                    tracing::warn!(%error, runs = places.len(), "runs of a model cannot be done");
                    failed.get_or_insert(error);
                }
            }
        }
        Ok(Ran {
            roots,
            runs: runs.len() as u64,
            again,
            failed,
        })
    }

    /// Does the runs of one model at these places.
    fn run_model(
        &self,
        runs: &[Run],
        model: ModelKey,
        places: &[usize],
        roots: &mut [Option<Hash>],
    ) -> Result<(), RunsError> {
        self.has(&model)?;
        let failed = |e: &dyn std::fmt::Display| RunsError::Execution(e.to_string());
        let program = self.blobs.program(&model.0).map_err(|e| failed(&e))?;
        for part in places.chunks(together(program.output_bytes(), self.caps.outputs)) {
            let group = Group {
                model,
                inputs: part.iter().map(|i| runs[*i].input.clone()).collect(),
            };
            let result = self.results(vec![group])?.pop();
            let none = || failed(&"it gave no answer");
            let ran = result.ok_or_else(none)?.map_err(|e| failed(&e))?;
            if ran.len() != part.len() {
                return Err(failed(&"it gave too few answers"));
            }
            // The outputs themselves are needed by nobody: a player does a disputed run again.
            for (i, ran) in part.iter().zip(ran) {
                roots[*i] = Some(ran.output_root);
            }
        }
        Ok(())
    }
}

/// How many runs with outputs of so many bytes are done together.
fn together(output_bytes: u64, most: u64) -> usize {
    // At most a thousand.
    (most / output_bytes.max(1)).clamp(1, TOGETHER) as usize
}

#[cfg(test)]
mod tests;
