//! Running the models of a batch: all of its runs, or a share of them.
//!
//! A share needs somebody's word for the outputs of the other runs, as results are not in a batch's
//! data. That word is good for nothing but to be checked: together with what was run it must give
//! the batch's roots. So a sample finds a wrong output with the probability of its share, and
//! everything else as surely as running all of them.

use super::mirrors::Mirrors;
use crate::config::{ExecutorChoice, ModelLimits};
use crate::engine::execute::{ExecutorThread, Group, ModelKey};
use crate::metrics::Metrics;
use crate::store::blobs::Blobs;
use assay_ledger::Hash;
use assay_ledger::batch::Run;
use assay_ledger::header::Header;
use assay_tensor::hash::hashv;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Runs that are in memory with their outputs at a time.
const TOGETHER: usize = 1_024;

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
}

impl Models {
    /// Runs the models of `blobs`, and of `mirrors` where these lack one, on this executor: all
    /// runs, or a sample. To be called in a runtime.
    pub fn start(
        choice: ExecutorChoice,
        blobs: Blobs,
        mirrors: Mirrors,
        sample: Option<Sample>,
    ) -> anyhow::Result<Self> {
        let executor = gpu_kernels::open(choice.into())?;
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

    /// Fetches what is not here of a model with these roots.
    pub async fn fetch(&self, program: &Hash, parameters: &Hash) -> Result<(), RunsError> {
        self.mirrors.fetch(&self.blobs, program, parameters).await
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
            for (program, parameters) in by_model.keys() {
                self.runtime.block_on(self.fetch(program, parameters))?;
            }
            let groups = by_model.iter().map(|(model, places)| Group {
                model: *model,
                inputs: places.iter().map(|i| runs[*i].input.clone()).collect(),
            });
            let results = self.executor.submit(groups.collect()).recv();
            let results =
                results.map_err(|_| RunsError::Execution("the executor's thread ended".into()))?;
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
