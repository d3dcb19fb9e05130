//! A prepared program: micro-batches on threads.

use super::kernel::Kernel;
use super::plan::{Place, Plan};
use super::step::Batch;
use crate::error::check_requests;
use crate::{ExecutorError, PreparedModel};
use assay_tensor::{program::CheckedProgram, types::Tensor};
use std::sync::Arc;

/// Bytes of values that a micro-batch keeps: half of a usual second-level cache.
const MICRO_BATCH_BYTES: usize = 512 * 1024;
/// The most requests of a micro-batch.
const MICRO_BATCH: usize = 64;
/// Bytes of values that one request may need.
const MOST_BYTES: usize = 1 << 30;
/// Work units that are worth a thread.
const UNITS_PER_THREAD: u64 = 1_000_000;

/// A program, prepared for one kernel.
pub(crate) struct Model {
    program: Arc<CheckedProgram>,
    parameters: Arc<Vec<Tensor>>,
    plan: Plan,
    /// Requests of a micro-batch.
    micro_batch: usize,
    threads: usize,
    /// One for each thread.
    arenas: Vec<Arena>,
}

/// The memory of one thread.
#[derive(Default)]
struct Arena {
    slots: Vec<Vec<u8>>,
    scratch: Vec<u8>,
}

impl Model {
    /// Prepares `program` with parameters of its types; the error says why it cannot be run.
    pub(crate) fn new(
        kernel: Kernel,
        threads: usize,
        program: Arc<CheckedProgram>,
        parameters: Arc<Vec<Tensor>>,
    ) -> Result<Self, String> {
        let plan = Plan::new(kernel, &program, &parameters);
        let each = plan.slots.iter().fold(0usize, |a, b| a.saturating_add(*b));
        if each > MOST_BYTES {
            return Err(format!("its values need {each} bytes at a time"));
        }
        Ok(Self {
            micro_batch: (MICRO_BATCH_BYTES / each.max(1)).clamp(1, MICRO_BATCH),
            program,
            parameters,
            plan,
            threads,
            arenas: Vec::new(),
        })
    }

    /// Threads that a batch of so many requests is worth.
    fn threads_for(&self, requests: usize) -> usize {
        let units = self.program.units().saturating_mul(requests as u64);
        let worth = usize::try_from(units / UNITS_PER_THREAD).unwrap_or(usize::MAX);
        worth.min(self.threads).min(requests).max(1)
    }
}

impl PreparedModel for Model {
    fn run(&mut self, requests: &[&[u8]]) -> Result<Vec<Vec<u8>>, ExecutorError> {
        check_requests(&self.program, requests)?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let threads = self.threads_for(requests.len());
        self.arenas
            .resize_with(threads.max(self.arenas.len()), Arena::default);
        let mut answers = vec![Vec::new(); requests.len()];
        let share = requests.len().div_ceil(threads);
        let (plan, parameters, micro_batch) = (&self.plan, &self.parameters[..], self.micro_batch);
        let work = |arena: &mut Arena, requests: &[&[u8]], answers: &mut [Vec<u8>]| {
            let answers = answers.chunks_mut(micro_batch);
            for (requests, answers) in requests.chunks(micro_batch).zip(answers) {
                arena.run(plan, parameters, requests, answers);
            }
        };
        if threads == 1 {
            work(&mut self.arenas[0], requests, &mut answers);
            return Ok(answers);
        }
        std::thread::scope(|scope| {
            let shares = requests.chunks(share).zip(answers.chunks_mut(share));
            let mut shares = shares.zip(&mut self.arenas);
            let own = shares.next();
            for ((requests, answers), arena) in shares {
                let work = &work;
                scope.spawn(move || work(arena, requests, answers));
            }
            if let Some(((requests, answers), arena)) = own {
                work(arena, requests, answers);
            }
        });
        Ok(answers)
    }
}

impl Arena {
    /// Runs one micro-batch.
    fn run(
        &mut self,
        plan: &Plan,
        parameters: &[Tensor],
        requests: &[&[u8]],
        answers: &mut [Vec<u8>],
    ) {
        let batch = requests.len();
        self.slots.resize_with(plan.slots.len(), Vec::new);
        for (slot, bytes) in self.slots.iter_mut().zip(&plan.slots) {
            if slot.len() < bytes * batch {
                slot.resize(bytes * batch, 0);
            }
        }
        let mut start = 0;
        for (slot, bytes) in &plan.inputs {
            let slot = self.slots[*slot].chunks_exact_mut(*bytes);
            for (to, request) in slot.zip(requests) {
                to.copy_from_slice(&request[start..start + bytes]);
            }
            start += bytes;
        }
        for planned in &plan.steps {
            let (slot, bytes) = planned.result;
            // Taken out while the step reads the others; it never reads its own result's.
            let mut out = std::mem::take(&mut self.slots[slot]);
            let mut scratch = std::mem::take(&mut self.scratch);
            let operands = planned.operands.iter();
            let operands = operands.map(|(place, bytes)| self.at(parameters, *place, *bytes));
            let operands = operands.collect::<Vec<_>>();
            let step = &planned.step;
            step.run(batch, &operands, &mut out[..bytes * batch], &mut scratch);
            self.scratch = scratch;
            self.slots[slot] = out;
        }
        let outputs = plan.outputs.iter();
        let outputs = outputs.map(|(place, bytes)| self.at(parameters, *place, *bytes));
        let outputs = outputs.collect::<Vec<_>>();
        let bytes = outputs.iter().map(|output| output.bytes).sum();
        for (request, answer) in answers.iter_mut().enumerate() {
            answer.reserve_exact(bytes);
            for output in &outputs {
                answer.extend_from_slice(output.of(request));
            }
        }
    }

    /// What is at `place`, of `bytes` a request.
    fn at<'a>(&'a self, parameters: &'a [Tensor], place: Place, bytes: usize) -> Batch<'a> {
        match place {
            Place::Slot(slot) => Batch {
                data: &self.slots[slot],
                bytes,
                shared: false,
            },
            Place::Parameter(parameter) => Batch {
                data: parameters[parameter].data(),
                bytes,
                shared: true,
            },
        }
    }
}
