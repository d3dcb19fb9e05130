//! Executors of tensor programs: wgpu compute shaders and a SIMD CPU.
