//! A micro-batch's runs, gathered by model on their way out and found again on their way back.

use super::EngineFailure;
use super::apply::Run;
use super::execute::{ExecutorThread, Group, GroupResult, ModelKey, NoRun, Ran, key};
use crate::config::BatchLimits;
use assay_ledger::state::Model;
use assay_ledger::transition::JobRun;
use crossbeam_channel::Receiver;
use std::collections::HashMap;

/// Where a run's result is found: its group and its place there.
pub(super) type RunAt = (usize, usize);

/// Runs to be ordered, gathered by model.
#[derive(Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    of: HashMap<ModelKey, usize>,
    units: u64,
    outputs: u64,
}

impl Groups {
    pub(super) fn add(&mut self, model: &Model, input: Vec<u8>) -> RunAt {
        self.units = self.units.saturating_add(model.units);
        self.outputs = self.outputs.saturating_add(model.output_bytes.into());
        let model = key(model);
        let group = *self.of.entry(model).or_insert_with(|| {
            self.groups.push(Group {
                model,
                inputs: Vec::new(),
            });
            self.groups.len() - 1
        });
        let inputs = &mut self.groups[group].inputs;
        inputs.push(input);
        (group, inputs.len() - 1)
    }

    /// Whether they take all the work or memory that a micro-batch may.
    pub(super) fn is_full(&self, limits: &BatchLimits) -> bool {
        self.units >= limits.micro_batch_units || self.outputs >= limits.micro_batch_outputs
    }

    pub(super) fn run(
        self,
        executor: &ExecutorThread,
    ) -> (Vec<ModelKey>, Receiver<Vec<GroupResult>>) {
        let models = self.groups.iter().map(|g| g.model).collect();
        (models, executor.submit(self.groups))
    }
}

/// What the runs gave.
pub(super) struct Runs {
    models: Vec<ModelKey>,
    results: Vec<Result<Vec<Option<Ran>>, NoRun>>,
}

impl Runs {
    pub(super) fn wait(
        models: Vec<ModelKey>,
        results: &Receiver<Vec<GroupResult>>,
    ) -> Result<Self, EngineFailure> {
        let results = results.recv().map_err(|_| EngineFailure::Executor)?;
        Ok(Self {
            models,
            results: results
                .into_iter()
                .map(|group| group.map(|runs| runs.into_iter().map(Some).collect()))
                .collect(),
        })
    }

    pub(super) fn take(&mut self, (group, place): RunAt) -> Run {
        let ran = match self.results.get_mut(group) {
            Some(Ok(runs)) => runs
                .get_mut(place)
                .and_then(Option::take)
                .ok_or_else(too_few),
            Some(Err(why)) => Err(why.clone()),
            None => Err(too_few()),
        };
        Run {
            model: self.models.get(group).copied().unwrap_or_default(),
            ran,
        }
    }
}

fn too_few() -> NoRun {
    NoRun::Failed("the executor gave too few answers".into())
}

/// Runs one model now, waiting for it.
pub(super) fn run_now(executor: &ExecutorThread, job: JobRun) -> Result<Run, EngineFailure> {
    let mut groups = Groups::default();
    let at = groups.add(&job.model, job.input);
    let (models, results) = groups.run(executor);
    Ok(Runs::wait(models, &results)?.take(at))
}
