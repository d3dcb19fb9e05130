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
use crossbeam_channel::RecvTimeoutError;
use gpu_kernels::Executor;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// Runs that are in memory with their outputs at a time.
const TOGETHER: usize = 1_024;
/// How often it is seen whether to stop, while models run.
const LISTEN: Duration = Duration::from_millis(50);

/// Why models were not run.
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
    /// The executor fails.
    #[error("the models do not run: {0}; try another --executor")]
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
    /// The output root of each.
    pub roots: Vec<Hash>,
    /// How many there are.
    pub runs: u64,
    /// How many were done.
    pub again: u64,
}

/// What runs the models.
#[derive(Debug)]
pub struct Models {
    executor: ExecutorThread,
    blobs: Blobs,
    mirrors: Mirrors,
    sample: Option<Sample>,
    runtime: Handle,
    halted: AtomicBool,
}

impl Models {
    /// Runs the models of `blobs` on this executor; `mirrors` say what a sample leaves out. All
    /// runs, or a sample. To be called in a runtime.
    pub fn start(
        choice: ExecutorChoice,
        blobs: Blobs,
        mirrors: Mirrors,
        sample: Option<Sample>,
    ) -> anyhow::Result<Self> {
        let executor = gpu_kernels::open(choice.into())?;
        Self::with(executor, blobs, mirrors, sample)
    }

    fn with(
        executor: Box<dyn Executor>,
        blobs: Blobs,
        mirrors: Mirrors,
        sample: Option<Sample>,
    ) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::default());
        // What a batch has run must be run again, whatever it takes.
        let all = ModelLimits {
            units: u64::MAX,
            memory: u64::MAX,
            output_bytes: u64::MAX,
            ..ModelLimits::default()
        };
        Ok(Self {
            executor: ExecutorThread::start(executor, blobs.clone(), all, metrics)?,
            blobs,
            mirrors,
            sample: sample.filter(|sample| sample.share < 1.0),
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

    /// The output roots of a batch's runs, of which a sample is done. Blocks.
    pub fn run(&self, header: &Header, runs: &[Run]) -> Result<Ran, RunsError> {
        let Some(sample) = &self.sample else {
            return self.run_all(runs);
        };
        let told = self.mirrors.output_roots(header.number, runs.len());
        let Some(mut roots) = self.runtime.block_on(told) else {
            return self.run_all(runs);
        };
        let hash = header.hash();
        let chosen: Vec<usize> = (0..runs.len())
            .filter(|i| sample.takes(&hash, runs[*i].index))
            .collect();
        self.run_these(runs, &chosen, &mut roots)?;
        Ok(Ran {
            roots,
            runs: runs.len() as u64,
            again: chosen.len() as u64,
        })
    }

    /// The output roots of all runs. Blocks.
    pub fn run_all(&self, runs: &[Run]) -> Result<Ran, RunsError> {
        let all: Vec<usize> = (0..runs.len()).collect();
        let mut roots = vec![[0; 32]; runs.len()];
        self.run_these(runs, &all, &mut roots)?;
        Ok(Ran {
            roots,
            runs: runs.len() as u64,
            again: runs.len() as u64,
        })
    }

    /// Does the chosen runs and puts their output roots in their places.
    fn run_these(
        &self,
        runs: &[Run],
        chosen: &[usize],
        roots: &mut [Hash],
    ) -> Result<(), RunsError> {
        for part in chosen.chunks(TOGETHER) {
            let mut by_model: BTreeMap<ModelKey, Vec<usize>> = BTreeMap::new();
            for i in part {
                let run = &runs[*i];
                let model = (run.program_root, run.parameters_root);
                by_model.entry(model).or_default().push(*i);
            }
            for model in by_model.keys() {
                self.has(model)?;
            }
            let groups = by_model.iter().map(|(model, places)| Group {
                model: *model,
                inputs: places.iter().map(|i| runs[*i].input.clone()).collect(),
            });
            let results = self.results(groups.collect())?;
            for (places, result) in by_model.values().zip(results) {
                let ran = result.map_err(|e| RunsError::Execution(e.to_string()))?;
                if ran.len() != places.len() {
                    return Err(RunsError::Execution("it gave too few answers".into()));
                }
                for (i, ran) in places.iter().zip(ran) {
                    roots[*i] = ran.output_root;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::digits::Digits;
    use assay_tensor::commit::parameters_root;
    use assay_tensor::program::{CheckedProgram, to_blob};
    use assay_tensor::types::Tensor;
    use gpu_kernels::{ExecutorError, PreparedModel};
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    /// An executor that says when it has begun, and does not end before it is told to.
    struct Stuck(Mutex<Option<(Sender<()>, Receiver<()>)>>);

    impl Executor for Stuck {
        fn name(&self) -> &str {
            "stuck"
        }

        fn prepare(
            &self,
            _: Arc<CheckedProgram>,
            _: Arc<Vec<Tensor>>,
        ) -> Result<Box<dyn PreparedModel>, ExecutorError> {
            let (begun, told) = self.0.lock().unwrap().take().unwrap();
            Ok(Box::new(StuckModel(begun, told)))
        }
    }

    struct StuckModel(Sender<()>, Receiver<()>);

    impl PreparedModel for StuckModel {
        fn run(&mut self, requests: &[&[u8]]) -> Result<Vec<Vec<u8>>, ExecutorError> {
            self.0.send(()).unwrap();
            let _ = self.1.recv();
            Ok(vec![Vec::new(); requests.len()])
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stop_is_heard_while_a_model_runs_and_nobody_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let digits = Digits::load(Some(1)).unwrap();
        let (program, parameters) = digits.bundle.open().unwrap();
        let program_root = blobs.put_program(&program.program().encode()).unwrap();
        let parameters_root = parameters_root(&parameters);
        let put = blobs.put_parameters(&program_root, &to_blob(&parameters));
        assert_eq!(put.unwrap(), parameters_root);
        let run = Run {
            index: 0,
            program_root,
            parameters_root,
            input: digits.inputs[0].clone(),
        };
        let ((begun, running), (end, told)) = (channel(), channel());
        let stuck = Box::new(Stuck(Mutex::new(Some((begun, told)))));
        let models = Models::with(stuck, blobs, Mirrors::new(&[]), None).unwrap();
        let models = Arc::new(models);
        let ran = std::thread::spawn({
            let models = models.clone();
            move || models.run_all(&[run])
        });
        running.recv().unwrap();
        let asked = Instant::now();
        models.halt();
        let ran = ran.join().unwrap();
        assert!(matches!(ran, Err(RunsError::Stopped)), "{ran:?}");
        drop(models);
        assert!(asked.elapsed() < Duration::from_secs(1));
        drop(end);
    }

    #[test]
    fn a_sample_takes_its_share_and_always_the_same_runs() {
        let sample = |share, seed| Sample {
            share,
            seed: [seed; 32],
        };
        let count = |sample: Sample| (0..10_000).filter(|i| sample.takes(&[5; 32], *i)).count();
        assert_eq!(count(sample(0.0, 1)), 0);
        assert_eq!(count(sample(1.0, 1)), 10_000);
        let quarter = count(sample(0.25, 1));
        assert!((2_300..2_700).contains(&quarter), "{quarter}");
        assert_eq!(quarter, count(sample(0.25, 1)));
        let both = (0..10_000)
            .filter(|i| sample(0.25, 1).takes(&[5; 32], *i) && sample(0.25, 2).takes(&[5; 32], *i));
        assert!(both.count() < 1_000, "another seed takes other runs");
        assert!(
            sample(0.5, 3).takes(&[5; 32], 0) != sample(0.5, 3).takes(&[6; 32], 0)
                || sample(0.5, 3).takes(&[5; 32], 1) != sample(0.5, 3).takes(&[6; 32], 1)
                || sample(0.5, 3).takes(&[5; 32], 2) != sample(0.5, 3).takes(&[6; 32], 2)
        );
    }
}
