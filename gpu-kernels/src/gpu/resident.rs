//! What one prepared program has on a device: its constants, its slots, and for the numbers
//! of requests seen last what a run of so many binds.

use std::sync::Arc;

use assay_tensor::types::Tensor;

use super::{
    engine::Engine,
    kernels::Kernel,
    layout::{Layout, output_channels_last, pack_weights},
    plan::{Buffer, Constant, Form, Plan, shards},
    record::Recording,
};

/// For how many numbers of requests the bindings are kept.
const KEPT_BATCHES: usize = 4;

/// One prepared program's buffers on a device.
pub struct Resident {
    constants: Vec<Vec<wgpu::Buffer>>,
    slots: Vec<wgpu::Buffer>,
    /// The outputs' words, each output for all requests, one after the other.
    pub(super) results: Option<wgpu::Buffer>,
    /// Requests that the slots have room for.
    capacity: u32,
    batches: Vec<Arc<Batch>>,
}

/// A run of so many requests, ready to be submitted again and again.
pub(super) struct Batch {
    requests: u32,
    pub dispatches: Vec<BoundDispatch>,
}

pub(super) struct BoundDispatch {
    pub kernel: Kernel,
    pub bindings: wgpu::BindGroup,
    pub groups: [u32; 2],
    pub work: u64,
}

impl Resident {
    /// Uploads the constants of `plan`.
    pub(super) fn new(engine: &Engine, plan: &Plan, parameters: &[Tensor]) -> Self {
        let upload = |constant: &Constant| {
            let words = words(constant, &parameters[constant.parameter as usize]);
            let buffers = words.iter().map(|words| {
                let bytes = bytemuck::cast_slice::<u32, u8>(words);
                let buffer = buffer(engine, bytes.len() as u64, storage());
                engine.queue.write_buffer(&buffer, 0, bytes);
                buffer
            });
            buffers.collect()
        };
        Self {
            constants: plan.constants.iter().map(upload).collect(),
            slots: Vec::new(),
            results: None,
            capacity: 0,
            batches: Vec::new(),
        }
    }

    /// Makes room for `requests` requests.
    pub(super) fn reserve(&mut self, engine: &Engine, plan: &Plan, requests: u32) {
        if requests <= self.capacity {
            return;
        }
        // Room for some more, so that slowly growing batches do not reallocate each time.
        let capacity = requests
            .checked_next_power_of_two()
            .map_or(requests, |more| more.min(plan.requests))
            .max(requests);
        let bytes = |words: u64| words * 4 * u64::from(capacity);
        // The old ones first, so that both are never there together.
        self.batches.clear();
        self.slots.clear();
        self.results = None;
        let slots = plan.slots.iter();
        self.slots = slots
            .map(|words| buffer(engine, bytes(u64::from(*words)), storage()))
            .collect();
        let words: u64 = plan.outputs.iter().map(|(_, layout)| layout.words()).sum();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        self.results = Some(buffer(engine, bytes(words), usage));
        self.capacity = capacity;
    }

    /// The slot's buffer.
    pub(super) fn slot(&self, slot: usize) -> &wgpu::Buffer {
        &self.slots[slot]
    }

    /// A run of `requests` requests, for which there is room.
    pub(super) fn batch(&mut self, engine: &Engine, plan: &Plan, requests: u32) -> Arc<Batch> {
        let known = self.batches.iter().position(|b| b.requests == requests);
        let batch = match known {
            Some(at) => self.batches.remove(at),
            None => Arc::new(Batch {
                requests,
                dispatches: self.bind(engine, &Recording::new(plan, &engine.limits, requests)),
            }),
        };
        self.batches.insert(0, batch.clone());
        self.batches.truncate(KEPT_BATCHES);
        batch
    }

    fn bind(&self, engine: &Engine, recording: &Recording) -> Vec<BoundDispatch> {
        let alignment = engine.limits.parameter_alignment as usize;
        let mut bytes = Vec::new();
        let begins: Vec<usize> = recording
            .dispatches
            .iter()
            .map(|dispatch| {
                let begin = bytes.len();
                bytes.extend_from_slice(&dispatch.parameters);
                bytes.resize(bytes.len().next_multiple_of(alignment), 0);
                begin
            })
            .collect();
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let parameters = buffer(engine, bytes.len() as u64, usage);
        engine.queue.write_buffer(&parameters, 0, &bytes);
        recording
            .dispatches
            .iter()
            .zip(begins)
            .map(|(dispatch, begin)| {
                let buffers = dispatch.buffers.iter().map(|buffer| match buffer {
                    Buffer::Slot(slot) => &self.slots[*slot],
                    Buffer::Constant(constant, shard) => &self.constants[*constant][*shard],
                });
                BoundDispatch {
                    kernel: dispatch.kernel,
                    bindings: engine.bind(dispatch.kernel, (&parameters, begin as u64), buffers),
                    groups: dispatch.groups,
                    work: dispatch.work,
                }
            })
            .collect()
    }
}

fn storage() -> wgpu::BufferUsages {
    wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC
}

/// A buffer of at least `bytes`, in whole vectors of four words.
fn buffer(engine: &Engine, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    engine.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes.max(16).next_multiple_of(16),
        usage,
        mapped_at_creation: false,
    })
}

/// A constant's words, shard by shard.
fn words(constant: &Constant, parameter: &Tensor) -> Vec<Vec<u32>> {
    let rows = |layout: &Layout, bytes: &[u8]| {
        let mut words = Vec::new();
        layout.pack(bytes, &mut words);
        words
    };
    match &constant.form {
        Form::Rows(layout) => vec![rows(layout, parameter.data())],
        Form::Weights {
            layout,
            columns,
            inner,
            shard,
        } => {
            let rows = rows(layout, parameter.data());
            shards(*columns, *shard)
                .map(|blocks| pack_weights(&rows, *inner, blocks))
                .collect()
        }
        Form::Grouped { outputs, inner } => {
            let layout = Layout {
                dtype: parameter.ty().dtype,
                rows: u64::from(*inner),
                row_elements: *outputs,
                row_words: outputs.div_ceil(4),
            };
            let last = output_channels_last(parameter.data(), *outputs as usize, *inner as usize);
            vec![rows(&layout, &last)]
        }
    }
}
