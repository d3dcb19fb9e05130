//! The kernels: their WGSL and the parameters that they take. One file each in `src/shaders`,
//! of the kernel's name.
//!
//! A kernel's CPU twin is what it is tested equal to: `assay_tensor`'s evaluation of the
//! operator for all but `pack_weights`, whose twin is [`super::layout::pack_weights`]. The
//! helpers have twins too: [`super::divide::Divisor`] for `include/divide.wgsl`, and
//! `assay_tensor`'s requantisation in `i64` for `include/wide.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::divide::Divisor;

/// Invocations of a workgroup: `WORKGROUP` of `include/grid.wgsl`.
pub const WORKGROUP: u32 = 64;
/// Room for the parameters of any kernel, in bytes.
pub const MAX_PARAMETER_BYTES: usize = 256;

/// A kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
#[expect(missing_docs, reason = "named as the operators are")]
pub enum Kernel {
    MatMul,
    Conv2d,
    Conv2dDepthwise,
    Conv2dGrouped,
    Add,
    Lookup,
    MaxPool,
    AvgPool,
    Transpose,
    Reshape,
    ArgMax,
    PackWeights,
}

macro_rules! shader {
    ($file:literal $(, $include:literal)*) => {
        ($file, concat!(
            $(include_str!(concat!("../shaders/include/", $include, ".wgsl")), "\n",)*
            include_str!(concat!("../shaders/", $file, ".wgsl")),
        ))
    };
}

impl Kernel {
    /// All of them, each at its own index.
    pub const ALL: [Kernel; 12] = [
        Kernel::MatMul,
        Kernel::Conv2d,
        Kernel::Conv2dDepthwise,
        Kernel::Conv2dGrouped,
        Kernel::Add,
        Kernel::Lookup,
        Kernel::MaxPool,
        Kernel::AvgPool,
        Kernel::Transpose,
        Kernel::Reshape,
        Kernel::ArgMax,
        Kernel::PackWeights,
    ];

    const fn shader(self) -> (&'static str, &'static str) {
        match self {
            Kernel::MatMul => shader!("matmul", "grid", "divide", "wide", "dots", "epilogue"),
            Kernel::Conv2d => shader!("conv2d", "grid", "divide", "wide", "dots", "epilogue"),
            Kernel::Conv2dDepthwise => {
                shader!("conv2d_depthwise", "grid", "divide", "wide", "epilogue")
            }
            Kernel::Conv2dGrouped => {
                shader!(
                    "conv2d_grouped",
                    "grid",
                    "divide",
                    "wide",
                    "bytes",
                    "epilogue"
                )
            }
            Kernel::Add => shader!("add", "grid", "divide", "wide"),
            Kernel::Lookup => shader!("lookup", "grid", "divide", "bytes"),
            Kernel::MaxPool => shader!("max_pool", "grid", "divide"),
            Kernel::AvgPool => shader!("avg_pool", "grid", "divide", "wide"),
            Kernel::Transpose => shader!("transpose", "grid", "divide", "bytes"),
            Kernel::Reshape => shader!("reshape", "grid", "divide", "bytes"),
            Kernel::ArgMax => shader!("argmax", "grid", "divide", "bytes"),
            Kernel::PackWeights => shader!("pack_weights", "grid", "divide"),
        }
    }

    /// Its name, and that of its file.
    pub const fn name(self) -> &'static str {
        self.shader().0
    }

    /// Its WGSL, includes first.
    pub const fn source(self) -> &'static str {
        self.shader().1
    }

    /// How many storage buffers it reads: bindings `1..=n`. Binding 0 is its parameters, and
    /// the one after the last that it reads is the result.
    pub const fn reads(self) -> usize {
        match self {
            Kernel::MatMul | Kernel::Conv2d | Kernel::Conv2dDepthwise | Kernel::Conv2dGrouped => 4,
            Kernel::Add | Kernel::Lookup => 2,
            Kernel::MaxPool
            | Kernel::AvgPool
            | Kernel::Transpose
            | Kernel::Reshape
            | Kernel::ArgMax
            | Kernel::PackWeights => 1,
        }
    }

    /// Bytes of its parameters, [`Grid`] first.
    pub const fn parameter_bytes(self) -> usize {
        size_of::<Grid>()
            + match self {
                Kernel::MatMul => size_of::<MatMul>(),
                Kernel::Conv2d => size_of::<Conv2d>(),
                Kernel::Conv2dDepthwise => size_of::<Conv2dDepthwise>(),
                Kernel::Conv2dGrouped => size_of::<Conv2dGrouped>(),
                Kernel::Add => size_of::<Add>(),
                Kernel::Lookup => size_of::<Lookup>(),
                Kernel::MaxPool => size_of::<MaxPool>(),
                Kernel::AvgPool => size_of::<AvgPool>(),
                Kernel::Transpose => size_of::<Transpose>(),
                Kernel::Reshape => size_of::<Reshape>(),
                Kernel::ArgMax => size_of::<ArgMax>(),
                Kernel::PackWeights => size_of::<PackWeights>(),
            }
    }
}

/// A kernel's own parameters, which follow [`Grid`] in its `Params`. The fields are the
/// shader's, in its order, and explained there.
pub trait Parameters: Pod {
    /// The kernel that takes them.
    const KERNEL: Kernel;
}

/// What the parameters of every kernel begin with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "explained in the shaders")]
pub struct Grid {
    pub per_request: Divisor,
    pub begin: u32,
    pub end: u32,
    pub width: u32,
    pub items: u32,
}

macro_rules! parameters {
    ($($name:ident { $($field:ident: $ty:ty,)* })*) => {$(
        #[doc = concat!("Of [`Kernel::", stringify!($name), "`].")]
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Pod, Zeroable)]
        #[expect(missing_docs, reason = "explained in the shader")]
        pub struct $name { $(pub $field: $ty,)* }

        impl Parameters for $name {
            const KERNEL: Kernel = Kernel::$name;
        }
    )*};
}

parameters! {
    MatMul {
        per_row: Divisor,
        blocks: u32,
        first_block: u32,
        rows: u32,
        columns: u32,
        inner: u32,
        a_stride: u32,
        b_stride: u32,
        bias_stride: u32,
        scales_stride: u32,
        y_stride: u32,
        y_row: u32,
        requantised: u32,
        zero_point: i32,
        lo: i32,
        hi: i32,
    }
    Conv2d {
        per_pixel: Divisor,
        per_image: Divisor,
        per_line: Divisor,
        per_group: Divisor,
        blocks: u32,
        first_block: u32,
        pixels: u32,
        image_pixels: u32,
        line_pixels: u32,
        columns: u32,
        height: u32,
        breadth: u32,
        x_pixel: u32,
        group_words: u32,
        window: Window,
        pad_word: u32,
        x_stride: u32,
        w_stride: u32,
        bias_stride: u32,
        scales_stride: u32,
        y_stride: u32,
        y_pixel: u32,
        requantised: u32,
        zero_point: i32,
        lo: i32,
        hi: i32,
    }
    Conv2dDepthwise {
        per_pixel: Divisor,
        per_image: Divisor,
        per_line: Divisor,
        blocks: u32,
        image_pixels: u32,
        line_pixels: u32,
        columns: u32,
        height: u32,
        breadth: u32,
        x_pixel: u32,
        window: Window,
        pad_word: u32,
        x_stride: u32,
        w_stride: u32,
        bias_stride: u32,
        scales_stride: u32,
        y_stride: u32,
        y_pixel: u32,
        requantised: u32,
        zero_point: i32,
        lo: i32,
        hi: i32,
    }
    Conv2dGrouped {
        per_pixel: Divisor,
        per_image: Divisor,
        per_line: Divisor,
        per_group: Divisor,
        blocks: u32,
        image_pixels: u32,
        line_pixels: u32,
        columns: u32,
        height: u32,
        breadth: u32,
        x_pixel: u32,
        group_channels: u32,
        window: Window,
        pad_word: u32,
        x_stride: u32,
        w_stride: u32,
        bias_stride: u32,
        scales_stride: u32,
        y_stride: u32,
        y_pixel: u32,
        requantised: u32,
        zero_point: i32,
        lo: i32,
        hi: i32,
    }
    Add {
        per_b: Divisor,
        b_words: u32,
        b_scalar: u32,
        a_stride: u32,
        b_stride: u32,
        multiplier_a: i32,
        multiplier_b: i32,
        offset_low: u32,
        offset_high: u32,
        shift: u32,
        zero_point: i32,
        lo: i32,
        hi: i32,
    }
    Lookup {
        x_stride: u32,
        table_stride: u32,
    }
    MaxPool {
        pool: Pool,
    }
    AvgPool {
        pool: Pool,
        pad_value: i32,
        offset: i32,
        multiplier: i32,
        shift: i32,
        zero_point: i32,
        lo: i32,
        hi: i32,
    }
    Transpose {
        per_row: Divisor,
        per_dimension: [Divisor; 4],
        row_words: u32,
        row_elements: u32,
        sizes: [u32; 4],
        steps: [u32; 6],
        bytes: u32,
        x_stride: u32,
    }
    Reshape {
        per_row: Divisor,
        per_x_row: Divisor,
        row_words: u32,
        row_elements: u32,
        x_row_words: u32,
        x_row_elements: u32,
        bytes: u32,
        x_stride: u32,
    }
    ArgMax {
        row_words: u32,
        row_elements: u32,
        bytes: u32,
        x_stride: u32,
    }
    PackWeights {
        per_inner: Divisor,
        per_row: Divisor,
        inner_words: u32,
        rows: u32,
        inner: u32,
        row_words: u32,
        last_mask: u32,
        x_stride: u32,
    }
}

/// The window of a convolution or pooling, in the shaders' order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "explained in the shaders")]
pub struct Window {
    pub kernel: [u32; 2],
    pub strides: [u32; 2],
    pub dilations: [u32; 2],
    pub top: u32,
    pub left: u32,
}

impl From<&assay_tensor::op::Window> for Window {
    fn from(window: &assay_tensor::op::Window) -> Self {
        let [top, left, ..] = window.pads;
        Self {
            kernel: window.kernel,
            strides: window.strides,
            dilations: window.dilations,
            top,
            left,
        }
    }
}

/// What both poolings take.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "explained in the shaders")]
pub struct Pool {
    pub per_pixel: Divisor,
    pub per_image: Divisor,
    pub per_line: Divisor,
    pub pixel_words: u32,
    pub image_pixels: u32,
    pub line_pixels: u32,
    pub height: u32,
    pub breadth: u32,
    pub window: Window,
    pub x_stride: u32,
}
