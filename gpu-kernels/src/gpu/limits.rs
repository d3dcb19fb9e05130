//! What a device admits, as far as planning needs to know.

/// Limits of a device, and how much work to give it at once. No result depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one storage binding, which is all of a buffer here.
    pub binding_bytes: u64,
    /// Bytes of one buffer that is only copied from or to.
    pub buffer_bytes: u64,
    /// Workgroups in one dimension of a dispatch.
    pub workgroups: u32,
    /// Where the parameters of a dispatch may begin in their buffer.
    pub parameter_alignment: u32,
    /// Bytes of all values of one run together.
    pub memory_bytes: u64,
    /// Work of one dispatch, in multiply-accumulates or what takes about as long: tens of
    /// milliseconds, so that no driver takes the device for hung and others get their turn.
    pub dispatch_work: u64,
    /// Work of one submission.
    pub submission_work: u64,
    /// Requests of one run.
    pub requests: u32,
}

impl Limits {
    /// Of a device of this type with these limits.
    pub fn new(device: &wgpu::Limits, kind: wgpu::DeviceType) -> Self {
        // A discrete GPU does 10^12 and more multiply-accumulates in a second, one beside a
        // processor a tenth of that, and a processor that plays a GPU some 10^9 on two cores.
        let dispatch_work = match kind {
            wgpu::DeviceType::DiscreteGpu => 1 << 34,
            wgpu::DeviceType::Cpu => 1 << 27,
            _ => 1 << 32,
        };
        Self {
            // Word indices are 32 bits wide; a GiB is more than any one tensor needs.
            binding_bytes: device
                .max_storage_buffer_binding_size
                .min(device.max_buffer_size)
                .min(1 << 30),
            buffer_bytes: device.max_buffer_size.min(1 << 30),
            workgroups: device.max_compute_workgroups_per_dimension,
            parameter_alignment: device.min_uniform_buffer_offset_alignment.max(256),
            memory_bytes: 1 << 28,
            dispatch_work,
            submission_work: dispatch_work * 4,
            requests: 1 << 14,
        }
    }
}
