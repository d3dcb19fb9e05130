//! Which instructions the CPU executor computes with.

/// A set of instructions. All give the same bits; they differ in speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// x86-64 with AVX-512 VNNI: `vpdpbusd` on 512 bits.
    Avx512Vnni,
    /// x86-64 with AVX-VNNI: `vpdpbusd` on 256 bits.
    AvxVnni,
    /// x86-64 with AVX2: `vpmaddwd`.
    Avx2,
    /// AArch64 with NEON: `smlal`.
    Neon,
    /// Portable Rust, for any processor.
    Scalar,
}

impl Kernel {
    /// The kernels that this processor can run, the fastest first. [`Kernel::Scalar`] is always
    /// among them.
    pub fn available() -> Vec<Self> {
        let all = [
            Self::Avx512Vnni,
            Self::AvxVnni,
            Self::Avx2,
            Self::Neon,
            Self::Scalar,
        ];
        all.into_iter()
            .filter(|kernel| kernel.runs_here())
            .collect()
    }

    /// The kernel's name: `avx512-vnni`, `avx-vnni`, `avx2`, `neon`, `scalar`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512Vnni => "avx512-vnni",
            Self::AvxVnni => "avx-vnni",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Scalar => "scalar",
        }
    }

    /// Whether this processor has the kernel's instructions.
    fn runs_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Self::Scalar => true,
            #[allow(unreachable_patterns, reason = "the other architectures' kernels")]
            _ => false,
        }
    }
}

/// Defines a function that is compiled once for each kernel's instructions and dispatches on
/// its first argument, a [`Kernel`] of [`Kernel::available`]. What is vectorised is the body,
/// by the compiler: loops over slices.
macro_rules! for_each_kernel {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        $vis fn $name(kernel: $crate::cpu::kernel::Kernel, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                body($($arg),*)
            }
            match kernel {
                // SAFETY: the executor runs a kernel only where its instructions are.
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::kernel::Kernel::Avx512Vnni => unsafe { avx512($($arg),*) },
                // SAFETY: likewise.
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::kernel::Kernel::AvxVnni | $crate::cpu::kernel::Kernel::Avx2 => unsafe {
                    avx2($($arg),*)
                },
                _ => body($($arg),*),
            }
        }
    };
}
pub(crate) use for_each_kernel;
