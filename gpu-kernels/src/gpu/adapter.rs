//! Which devices there are.

use std::fmt;

/// A device that wgpu finds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AdapterInfo {
    /// Its name, as its driver says it.
    pub name: String,
    /// The API that it is reached by.
    pub backend: wgpu::Backend,
    /// The driver and its version.
    pub driver: String,
    /// Whether it is a CPU in disguise (lavapipe, llvmpipe, SwiftShader).
    pub software: bool,
    /// What it is, from the best to the worst: discrete, integrated, virtual, other, CPU.
    class: u8,
    /// Vendor, device and bus, to find it again.
    identity: (u32, u32, String),
    /// Which of several that are otherwise alike.
    nth: usize,
}

impl fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {:?}", self.name, self.backend)
    }
}

impl AdapterInfo {
    fn new(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        Self {
            name: info.name,
            backend: info.backend,
            driver: format!("{} {}", info.driver, info.driver_info)
                .trim()
                .to_owned(),
            software: info.device_type == wgpu::DeviceType::Cpu,
            class: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => 0,
                wgpu::DeviceType::IntegratedGpu => 1,
                wgpu::DeviceType::VirtualGpu => 2,
                wgpu::DeviceType::Other => 3,
                wgpu::DeviceType::Cpu => 4,
            },
            identity: (info.vendor, info.device, info.device_pci_bus_id),
            nth: 0,
        }
    }
}

/// The APIs made for this first; OpenGL where there is nothing else.
pub(super) const NATIVE: wgpu::Backends = wgpu::Backends::PRIMARY;
pub(super) const OPENGL: wgpu::Backends = wgpu::Backends::GL;

/// All devices of some APIs, with the adapters to open them by.
fn enumerate(backends: wgpu::Backends) -> Vec<(AdapterInfo, wgpu::Adapter)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    // Neither debug names nor the driver's own validation: this is a service.
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(backends));
    let mut found: Vec<(AdapterInfo, wgpu::Adapter)> = Vec::new();
    for adapter in adapters {
        let mut info = AdapterInfo::new(&adapter);
        while found.iter().any(|(other, _)| *other == info) {
            info.nth += 1;
        }
        found.push((info, adapter));
    }
    found
}

/// All devices that wgpu finds, software ones and OpenGL too.
pub fn adapters() -> Vec<AdapterInfo> {
    of(NATIVE | OPENGL)
}

/// All devices of some APIs, the best first.
pub(super) fn of(backends: wgpu::Backends) -> Vec<AdapterInfo> {
    let mut found: Vec<AdapterInfo> = enumerate(backends)
        .into_iter()
        .map(|(info, _)| info)
        .collect();
    found.sort_by_key(|info| (info.class, info.backend == wgpu::Backend::Gl));
    found
}

/// The adapter of `info`, found again.
pub(super) fn find(info: &AdapterInfo) -> Option<wgpu::Adapter> {
    enumerate(info.backend.into())
        .into_iter()
        .find_map(|(found, adapter)| (found == *info).then_some(adapter))
}
