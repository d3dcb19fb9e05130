//! From a checked program to steps on a device: which kernels, in which buffers. Pure: no
//! device is needed, only its limits.
//!
//! A run takes some requests at once. Each value of the program has, for all requests of a run
//! one after the other, its place at the front of a slot; slots are used again as soon as no
//! later step reads the value. Parameters are constants, shared by all requests.

mod lower;
mod memory;

use assay_tensor::{
    op::{OutputRange, Requant, Window},
    program::CheckedProgram,
    types::TensorType,
};

use super::{layout::Layout, limits::Limits};

/// A program, planned for a device.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// Words for one request in each slot.
    pub slots: Vec<u32>,
    /// What becomes of the parameters.
    pub constants: Vec<Constant>,
    /// Where each input goes, or `None` if nothing reads it; and how it lies there.
    pub inputs: Vec<(Option<usize>, Layout)>,
    /// The slot of each output, and how it lies there.
    pub outputs: Vec<(usize, Layout)>,
    /// The most requests of one run.
    pub requests: u32,
}

/// Parameter data as a kernel reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Constant {
    /// Which parameter.
    pub parameter: u32,
    /// How it lies.
    pub form: Form,
}

/// How a constant lies in its buffers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As values do, one buffer.
    Rows(Layout),
    /// As matmul and conv2d read weights, in shards of at most `shard` column blocks, a buffer each.
    Weights {
        /// Rows of the tensor as it is.
        layout: Layout,
        /// Columns, or output channels.
        columns: u32,
        /// Words of one of them.
        inner: u32,
        /// Column blocks of each shard but the last.
        shard: u32,
    },
    /// `[outputs, inner]` transposed, as conv2d_grouped reads it, one buffer.
    Grouped {
        /// Output channels.
        outputs: u32,
        /// Bytes of weights of one of them.
        inner: u32,
    },
}

impl Constant {
    /// How many buffers it has.
    pub fn buffers(&self) -> usize {
        match &self.form {
            Form::Weights { columns, shard, .. } => shards(*columns, *shard).count(),
            Form::Rows(_) | Form::Grouped { .. } => 1,
        }
    }
}

/// Column blocks of each shard of weights: their indices in the whole.
pub fn shards(columns: u32, shard: u32) -> impl Iterator<Item = core::ops::Range<u32>> {
    let blocks = columns.div_ceil(4);
    (0..blocks)
        .step_by(shard as usize)
        .map(move |first| first..(first + shard).min(blocks))
}

/// A buffer's name in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Buffer {
    /// A slot.
    Slot(usize),
    /// A shard of a constant.
    Constant(usize, usize),
}

/// An operand of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Where it is; of a sharded constant the first shard.
    pub buffer: Buffer,
    /// Words from one request to the next: 0 for a constant.
    pub stride: u32,
}

impl View {
    /// Whether all requests share it.
    pub fn shared(&self) -> bool {
        self.stride == 0
    }
}

/// What is done with accumulators.
#[derive(Clone, Copy, Debug)]
pub struct Finish {
    /// Added first.
    pub bias: View,
    /// Multipliers and shifts, and the range, if requantised.
    pub requant: Option<(View, OutputRange)>,
}

/// An image, or a stack of them: `[n, height, width, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct Images {
    /// Images of one request.
    pub n: u32,
    /// Pixels in a column.
    pub height: u32,
    /// Pixels in a line.
    pub width: u32,
    /// Channels.
    pub channels: u32,
    /// Words of a pixel.
    pub pixel_words: u32,
}

/// One step: a kernel over all requests. `y` is what it defines.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the operators and shaders")]
pub enum Step {
    MatMul {
        a: View,
        b: View,
        finish: Finish,
        y: View,
        rows: u32,
        columns: u32,
        inner: u32,
        y_row: u32,
        /// Column blocks of each shard of `b`.
        shard: u32,
    },
    Conv2d {
        x: View,
        w: View,
        finish: Finish,
        y: View,
        input: Images,
        output: Images,
        window: Window,
        /// Words of the channels of a group.
        group_words: u32,
        /// Blocks of output channels of a group.
        group_blocks: u32,
        pad_value: i8,
        shard: u32,
    },
    Conv2dGrouped {
        x: View,
        w: View,
        finish: Finish,
        y: View,
        input: Images,
        output: Images,
        window: Window,
        groups: u32,
        pad_value: i8,
    },
    Add {
        a: View,
        b: View,
        y: View,
        words: u32,
        b_words: u32,
        b_scalar: bool,
        multiplier_a: i32,
        multiplier_b: i32,
        offset: i64,
        shift: u8,
        range: OutputRange,
    },
    Lookup {
        x: View,
        table: View,
        y: View,
        words: u32,
    },
    MaxPool {
        x: View,
        y: View,
        input: Images,
        output: Images,
        window: Window,
    },
    AvgPool {
        x: View,
        y: View,
        input: Images,
        output: Images,
        window: Window,
        pad_value: i8,
        offset: i32,
        requant: Requant,
    },
    Transpose {
        x: View,
        y: View,
        x_type: TensorType,
        y_type: TensorType,
        permutation: [u8; 6],
    },
    Reshape {
        x: View,
        y: View,
        from: Layout,
        to: Layout,
    },
    ArgMax {
        x: View,
        y: View,
        layout: Layout,
    },
    PackWeights {
        x: View,
        y: View,
        columns: u32,
        inner: u32,
        /// A row of the tensor as it is; `inner` is some of them.
        row: Layout,
    },
}

impl Step {
    /// The operands, in the order of the kernel's bindings, and the result.
    pub fn views(&self) -> (Vec<View>, View) {
        let with = |first: View, second: View, finish: &Finish| {
            // Every binding must have a buffer; a kernel that does not requantise reads none.
            let scales = finish.requant.map_or(finish.bias, |(scales, _)| scales);
            vec![first, second, finish.bias, scales]
        };
        match self {
            Step::MatMul {
                a, b, finish, y, ..
            } => (with(*a, *b, finish), *y),
            Step::Conv2d {
                x, w, finish, y, ..
            }
            | Step::Conv2dGrouped {
                x, w, finish, y, ..
            } => (with(*x, *w, finish), *y),
            Step::Add { a, b, y, .. } => (vec![*a, *b], *y),
            Step::Lookup { x, table, y, .. } => (vec![*x, *table], *y),
            Step::MaxPool { x, y, .. }
            | Step::AvgPool { x, y, .. }
            | Step::Transpose { x, y, .. }
            | Step::Reshape { x, y, .. }
            | Step::ArgMax { x, y, .. }
            | Step::PackWeights { x, y, .. } => (vec![*x], *y),
        }
    }

    fn views_mut(&mut self) -> Vec<&mut View> {
        fn with<'a>(
            first: &'a mut View,
            second: &'a mut View,
            finish: &'a mut Finish,
            y: &'a mut View,
        ) -> Vec<&'a mut View> {
            let mut views = vec![first, second, &mut finish.bias, y];
            views.extend(finish.requant.as_mut().map(|(scales, _)| scales));
            views
        }
        match self {
            Step::MatMul {
                a, b, finish, y, ..
            } => with(a, b, finish, y),
            Step::Conv2d {
                x, w, finish, y, ..
            }
            | Step::Conv2dGrouped {
                x, w, finish, y, ..
            } => with(x, w, finish, y),
            Step::Add { a, b, y, .. } => vec![a, b, y],
            Step::Lookup { x, table, y, .. } => vec![x, table, y],
            Step::MaxPool { x, y, .. }
            | Step::AvgPool { x, y, .. }
            | Step::Transpose { x, y, .. }
            | Step::Reshape { x, y, .. }
            | Step::ArgMax { x, y, .. }
            | Step::PackWeights { x, y, .. } => vec![x, y],
        }
    }
}

impl Plan {
    /// Plans `program` for a device with `limits`.
    ///
    /// # Errors
    /// Why the device cannot run it, if a tensor is larger than it admits.
    pub fn new(program: &CheckedProgram, limits: &Limits) -> Result<Self, String> {
        let lowered = lower::lower(program, limits)?;
        memory::place(lowered, limits)
    }
}
