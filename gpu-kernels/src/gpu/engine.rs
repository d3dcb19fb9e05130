//! A device, and the runs of recordings on it.
//!
//! A lost device says little: creating buffers and submitting work on it raise nothing, and
//! polling says that all is done. Only its lost-callback and a failing map tell. So no result
//! is read without a successful map, and errors that wgpu reports are looked at before it.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use assay_tensor::{program::CheckedProgram, types::Tensor};

use super::{
    adapter::{self, AdapterInfo},
    faults::{Fault, Faults},
    kernels::{Kernel, MAX_PARAMETER_BYTES, WORKGROUP},
    limits::Limits,
    plan::Plan,
    resident::{Batch, Resident},
};
use crate::ExecutorError;

/// How long one submission may take. Submissions are kept to a fraction of a second; a device
/// that has not finished one after this is taken for lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a run gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device is gone: a new one may do better.
    Lost(String),
    /// wgpu or the driver refused something: a new device would, too.
    Refused(String),
}

/// A device with its pipelines.
pub struct Engine {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) limits: Limits,
    layouts: Vec<wgpu::BindGroupLayout>,
    pipelines: Vec<wgpu::ComputePipeline>,
    lost: Arc<Mutex<Option<String>>>,
    refused: Arc<Mutex<Option<String>>>,
    faults: Faults,
}

impl Engine {
    /// Opens the device `info` and builds the pipelines. It has not been tested yet.
    pub fn open(info: &AdapterInfo, faults: Faults) -> Result<Self, ExecutorError> {
        let failed = |detail: String| ExecutorError::Device {
            adapter: info.to_string(),
            detail,
        };
        let adapter = adapter::find(info).ok_or(ExecutorError::NoAdapter)?;
        let most = adapter.limits();
        admit(&adapter, &most).map_err(|reason| ExecutorError::Unsupported {
            adapter: info.to_string(),
            reason,
        })?;
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("assay"),
            required_limits: most.clone(),
            ..Default::default()
        }))
        .map_err(|error| failed(error.to_string()))?;

        let lost = Arc::new(Mutex::new(None));
        let refused = Arc::new(Mutex::new(None));
        device.set_device_lost_callback({
            let lost = lost.clone();
            move |reason, message| note(&lost, format!("{reason:?}: {message}"))
        });
        device.on_uncaptured_error(Arc::new({
            let refused = refused.clone();
            move |error: wgpu::Error| note(&refused, error.to_string())
        }));

        let layouts: Vec<_> = Kernel::ALL
            .iter()
            .map(|kernel| bind_group_layout(&device, *kernel))
            .collect();
        let pipelines = Kernel::ALL
            .iter()
            .zip(&layouts)
            .map(|(kernel, layout)| pipeline(&device, *kernel, layout))
            .collect();
        let engine = Self {
            limits: Limits::new(&most, adapter.get_info().device_type),
            device,
            queue,
            layouts,
            pipelines,
            lost,
            refused,
            faults,
        };
        match engine.failure() {
            None => Ok(engine),
            Some(Failure::Lost(detail) | Failure::Refused(detail)) => Err(failed(detail)),
        }
    }

    /// Uploads a planned program's parameters.
    pub fn upload(&self, plan: &Plan, parameters: &[Tensor]) -> Result<Resident, Failure> {
        let resident = Resident::new(self, plan, parameters);
        self.failure().map_or(Ok(resident), Err)
    }

    /// Runs `requests`, the inputs of `count` requests one after the other; at most the plan's
    /// number. Gives the outputs of each.
    pub fn run(
        &self,
        program: &CheckedProgram,
        plan: &Plan,
        resident: &mut Resident,
        requests: &[u8],
        count: u32,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        resident.reserve(self, plan, count);
        let batch = resident.batch(self, plan, count);
        self.write_inputs(program, plan, resident, requests);
        if self.faults.due(Fault::LostBeforeSubmit) {
            self.device.destroy();
        }
        let submissions = self.submit(plan, resident, &batch, count);
        if self.faults.due(Fault::LostAfterSubmit) {
            self.device.destroy();
        }
        self.read_outputs(plan, resident, submissions, count)
    }

    fn write_inputs(
        &self,
        program: &CheckedProgram,
        plan: &Plan,
        resident: &Resident,
        requests: &[u8],
    ) {
        let mut at = 0;
        let size = program.input_bytes() as usize;
        for ((slot, layout), ty) in plan.inputs.iter().zip(&program.program().inputs) {
            let bytes = ty.bytes() as usize;
            if let Some(slot) = slot {
                let mut words = Vec::new();
                for request in requests.chunks_exact(size) {
                    layout.pack(&request[at..at + bytes], &mut words);
                }
                let packed = bytemuck::cast_slice(&words);
                self.queue.write_buffer(resident.slot(*slot), 0, packed);
            }
            at += bytes;
        }
    }

    /// Submits a run, in submissions that are not too long, the last of which copies the
    /// outputs to where they can be mapped.
    fn submit(
        &self,
        plan: &Plan,
        resident: &Resident,
        batch: &Batch,
        count: u32,
    ) -> Vec<wgpu::SubmissionIndex> {
        let mut submissions = Vec::new();
        let mut dispatches = batch.dispatches.iter().peekable();
        loop {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let mut work = 0;
            while let Some(dispatch) = dispatches
                .next_if(|next| work == 0 || work + next.work <= self.limits.submission_work)
            {
                work += dispatch.work;
                pass.set_pipeline(&self.pipelines[dispatch.kernel as usize]);
                pass.set_bind_group(0, &dispatch.bindings, &[]);
                let [x, y] = dispatch.groups;
                pass.dispatch_workgroups(x, y, 1);
            }
            drop(pass);
            let last = dispatches.peek().is_none();
            if let (true, Some(results)) = (last, &resident.results) {
                let mut at = 0;
                for (slot, layout) in &plan.outputs {
                    let bytes = layout.words() * 4 * u64::from(count);
                    encoder.copy_buffer_to_buffer(resident.slot(*slot), 0, results, at, bytes);
                    at += bytes;
                }
            }
            submissions.push(self.queue.submit([encoder.finish()]));
            if last {
                return submissions;
            }
        }
    }

    /// Waits for a run and reads its outputs.
    fn read_outputs(
        &self,
        plan: &Plan,
        resident: &Resident,
        submissions: Vec<wgpu::SubmissionIndex>,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let lost = |detail: &str| Failure::Lost(detail.to_owned());
        let results = resident
            .results
            .as_ref()
            .ok_or(lost("no room for results"))?;
        let words: u64 = plan.outputs.iter().map(|(_, layout)| layout.words()).sum();
        let slice = results.slice(..words * 4 * u64::from(count));
        let (mapped, map) = mpsc::channel();
        slice.map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is there until the map is known to have failed.
            let _ = mapped.send(result);
        });
        for submission_index in submissions {
            self.device
                .poll(wgpu::PollType::Wait {
                    submission_index: Some(submission_index),
                    timeout: Some(PATIENCE),
                })
                .map_err(|error| self.failure().unwrap_or(lost(&error.to_string())))?;
        }
        let mapped = map.try_recv();
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        if !matches!(mapped, Ok(Ok(()))) {
            return Err(lost("the results cannot be mapped"));
        }
        let view = slice
            .get_mapped_range()
            .map_err(|error| lost(&error.to_string()))?;
        let mut answers = vec![Vec::new(); count as usize];
        let mut rest: &[u8] = &view;
        for (_, layout) in &plan.outputs {
            let bytes = layout.words() as usize * 4;
            let (all, others) = rest.split_at(bytes * count as usize);
            for (answer, packed) in answers.iter_mut().zip(all.chunks_exact(bytes)) {
                layout.unpack(packed, answer);
            }
            rest = others;
        }
        drop(view);
        results.unmap();
        Ok(answers)
    }

    /// What wgpu has reported so far, a loss first.
    fn failure(&self) -> Option<Failure> {
        let read = |place: &Mutex<Option<String>>| {
            place.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        let refused = || read(&self.refused).map(Failure::Refused);
        read(&self.lost).map(Failure::Lost).or_else(refused)
    }

    /// The bindings of one dispatch: its parameters, at an offset in a buffer, and what it
    /// reads and writes.
    pub(super) fn bind<'a>(
        &self,
        kernel: Kernel,
        (parameters, offset): (&'a wgpu::Buffer, u64),
        buffers: impl Iterator<Item = &'a wgpu::Buffer>,
    ) -> wgpu::BindGroup {
        let parameters = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: parameters,
            offset,
            size: core::num::NonZero::new(kernel.parameter_bytes().next_multiple_of(16) as u64),
        });
        let entries: Vec<_> = core::iter::once(parameters)
            .chain(buffers.map(wgpu::Buffer::as_entire_binding))
            .zip(0..)
            .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(kernel.name()),
            layout: &self.layouts[kernel as usize],
            entries: &entries,
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Buffers and pipelines that something still names do not keep the device's memory.
        self.device.destroy();
    }
}

fn note(place: &Mutex<Option<String>>, message: String) {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    place.get_or_insert(message);
}

/// Whether an adapter can run the kernels at all.
fn admit(adapter: &wgpu::Adapter, limits: &wgpu::Limits) -> Result<(), String> {
    let flags = adapter.get_downlevel_capabilities().flags;
    if !flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Err("it has no compute shaders".into());
    }
    let most = Kernel::ALL.map(|kernel| kernel.reads() + 1);
    let buffers = most.into_iter().max().unwrap_or(0) as u32;
    for (what, has, needs) in [
        (
            "storage buffers",
            limits.max_storage_buffers_per_shader_stage,
            buffers,
        ),
        (
            "invocations in a workgroup",
            limits.max_compute_invocations_per_workgroup,
            WORKGROUP,
        ),
        (
            "invocations in x",
            limits.max_compute_workgroup_size_x,
            WORKGROUP,
        ),
        (
            "workgroups",
            limits.max_compute_workgroups_per_dimension,
            1 << 10,
        ),
    ] {
        if has < needs {
            return Err(format!("it has {has} {what} where {needs} are needed"));
        }
    }
    if limits.max_uniform_buffer_binding_size < MAX_PARAMETER_BYTES as u64 {
        return Err("it has too little room for parameters".into());
    }
    Ok(())
}

fn bind_group_layout(device: &wgpu::Device, kernel: Kernel) -> wgpu::BindGroupLayout {
    let reads = kernel.reads() as u32;
    let entries: Vec<_> = (0..reads + 2)
        .map(|binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match binding {
                    0 => wgpu::BufferBindingType::Uniform,
                    _ => wgpu::BufferBindingType::Storage {
                        read_only: binding <= reads,
                    },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(kernel.name()),
        entries: &entries,
    })
}

fn pipeline(
    device: &wgpu::Device,
    kernel: Kernel,
    layout: &wgpu::BindGroupLayout,
) -> wgpu::ComputePipeline {
    // With wgpu's own bounds and loop checks.
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(kernel.name()),
        source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
    });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(kernel.name()),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel.name()),
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            // Every kernel uses workgroup memory only after writing it.
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    })
}
