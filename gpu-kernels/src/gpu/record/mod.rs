//! From a plan to the dispatches of one run, for a number of requests. Pure, like the plan:
//! the engine has only to follow a recording.

use bytemuck::bytes_of;

mod convolution;

use super::{
    divide::Divisor,
    kernels::{self, Grid, Kernel, Parameters, WORKGROUP},
    layout::Layout,
    limits::Limits,
    plan::{Buffer, Finish, Images, Plan, Step, View, shards},
};
use assay_tensor::types::{DType, MAX_RANK, TensorType};

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: Kernel,
    /// What it reads, and last what it writes.
    pub buffers: Vec<Buffer>,
    /// Its parameters.
    pub parameters: Vec<u8>,
    /// Workgroups in x and y.
    pub groups: [u32; 2],
    /// Multiply-accumulates, or what takes about as long.
    pub work: u64,
}

/// The dispatches of a run of some requests, in order.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// In order.
    pub dispatches: Vec<Dispatch>,
}

impl Recording {
    /// Records `plan` for `requests` requests, at least one and at most the plan's.
    pub fn new(plan: &Plan, limits: &Limits, requests: u32) -> Self {
        let mut recorder = Recorder {
            limits,
            requests,
            recording: Recording::default(),
        };
        for step in &plan.steps {
            recorder.step(step);
        }
        recorder.recording
    }
}

struct Recorder<'a> {
    limits: &'a Limits,
    requests: u32,
    recording: Recording,
}

impl Recorder<'_> {
    /// Dispatches `items` items of each request, in as many dispatches as the limits ask for.
    fn dispatch<P: Parameters>(
        &mut self,
        buffers: Vec<Buffer>,
        requests: u32,
        items: u32,
        work_per_item: u64,
        own: &P,
    ) {
        let Limits {
            workgroups,
            dispatch_work,
            ..
        } = *self.limits;
        let work_per_group = work_per_item.max(1) * u64::from(WORKGROUP);
        let most = (dispatch_work / work_per_group)
            .clamp(1, u64::from(workgroups) * u64::from(workgroups))
            * u64::from(WORKGROUP);
        let all = u64::from(requests) * u64::from(items);
        let mut begin = 0;
        while begin < all {
            let end = (begin + most).min(all);
            let groups = (end - begin).div_ceil(u64::from(WORKGROUP));
            let width = groups.min(u64::from(workgroups)) as u32;
            let grid = Grid {
                per_request: Divisor::new(items),
                begin: begin as u32,
                end: end as u32,
                width,
                items,
            };
            self.recording.dispatches.push(Dispatch {
                kernel: P::KERNEL,
                buffers: buffers.clone(),
                parameters: [bytes_of(&grid), bytes_of(own)].concat(),
                groups: [width, groups.div_ceil(u64::from(width)) as u32],
                work: (end - begin) * work_per_item,
            });
            begin = end;
        }
    }

    fn step(&mut self, step: &Step) {
        let (reads, y) = step.views();
        let buffers: Vec<Buffer> = reads.iter().chain([&y]).map(|view| view.buffer).collect();
        match step {
            Step::MatMul { .. } => self.matmul(step, &buffers),
            Step::Conv2d { .. } => self.conv2d(step, &buffers),
            Step::Conv2dGrouped { .. } => self.conv2d_grouped(step, buffers),
            Step::Add {
                a,
                b,
                words,
                b_words,
                b_scalar,
                multiplier_a,
                multiplier_b,
                offset,
                shift,
                range,
                ..
            } => {
                let own = kernels::Add {
                    per_b: Divisor::new(*b_words),
                    b_words: *b_words,
                    b_scalar: u32::from(*b_scalar),
                    a_stride: a.stride,
                    b_stride: b.stride,
                    multiplier_a: *multiplier_a,
                    multiplier_b: *multiplier_b,
                    offset_low: *offset as u32,
                    offset_high: (*offset >> 32) as u32,
                    shift: u32::from(*shift),
                    zero_point: i32::from(range.zero_point),
                    lo: i32::from(range.lo),
                    hi: i32::from(range.hi),
                };
                self.dispatch(buffers, self.requests, *words, 32, &own);
            }
            Step::Lookup {
                x, table, words, ..
            } => {
                let own = kernels::Lookup {
                    x_stride: x.stride,
                    table_stride: table.stride,
                };
                self.dispatch(buffers, self.requests, *words, 8, &own);
            }
            Step::MaxPool {
                x,
                input,
                output,
                window,
                ..
            } => {
                let own = kernels::MaxPool {
                    pool: pool(x, input, output, window),
                };
                let (items, taps) = pool_items(output, window);
                self.dispatch(buffers, self.requests, items, 8 + taps * 4, &own);
            }
            Step::AvgPool {
                x,
                input,
                output,
                window,
                pad_value,
                offset,
                requant,
                ..
            } => {
                let own = kernels::AvgPool {
                    pool: pool(x, input, output, window),
                    pad_value: i32::from(*pad_value),
                    offset: *offset,
                    multiplier: requant.multiplier,
                    shift: i32::from(requant.shift),
                    zero_point: i32::from(requant.range.zero_point),
                    lo: i32::from(requant.range.lo),
                    hi: i32::from(requant.range.hi),
                };
                let (items, taps) = pool_items(output, window);
                self.dispatch(buffers, self.requests, items, 32 + taps * 4, &own);
            }
            Step::Transpose {
                x,
                x_type,
                y_type,
                permutation,
                ..
            } => {
                let own = transpose(x, x_type, y_type, permutation);
                let items = Layout::of(y_type).words() as u32;
                self.dispatch(buffers, self.requests, items, 32, &own);
            }
            Step::Reshape { x, from, to, .. } => {
                let own = kernels::Reshape {
                    per_row: Divisor::new(to.row_words),
                    per_x_row: Divisor::new(from.row_elements),
                    row_words: to.row_words,
                    row_elements: to.row_elements,
                    x_row_words: from.row_words,
                    x_row_elements: from.row_elements,
                    bytes: is_bytes(to),
                    x_stride: x.stride,
                };
                self.dispatch(buffers, self.requests, to.words() as u32, 32, &own);
            }
            Step::ArgMax { x, layout, .. } => {
                let own = kernels::ArgMax {
                    row_words: layout.row_words,
                    row_elements: layout.row_elements,
                    bytes: is_bytes(layout),
                    x_stride: x.stride,
                };
                let work = 4 + u64::from(layout.row_elements);
                self.dispatch(buffers, self.requests, layout.rows as u32, work, &own);
            }
            Step::PackWeights {
                x,
                y,
                columns,
                inner,
                row,
                ..
            } => {
                let inner_words = columns.div_ceil(4) * 4;
                let rest = row.row_elements % 4;
                let own = kernels::PackWeights {
                    per_inner: Divisor::new(inner_words),
                    per_row: Divisor::new(row.row_words),
                    inner_words,
                    rows: *columns,
                    inner: *inner,
                    row_words: row.row_words,
                    last_mask: if rest == 0 { !0 } else { (1 << (8 * rest)) - 1 },
                    x_stride: x.stride,
                };
                self.dispatch(buffers, self.requests, y.stride, 8, &own);
            }
        }
    }

    /// Requests and rows of each, where the requests' rows can follow each other as one
    /// request's because everything else is shared.
    fn merged(&self, rows: u32, x: &View, w: &View, finish: &Finish) -> (u32, u32) {
        let scales = finish.requant.map_or(finish.bias, |(scales, _)| scales);
        if !x.shared() && w.shared() && finish.bias.shared() && scales.shared() {
            (1, rows * self.requests)
        } else {
            (self.requests, rows)
        }
    }

    fn matmul(&mut self, step: &Step, buffers: &[Buffer]) {
        let Step::MatMul {
            a,
            b,
            finish,
            y,
            rows,
            columns,
            inner,
            y_row,
            shard,
        } = step
        else {
            return;
        };
        let (requests, rows) = self.merged(*rows, a, b, finish);
        for (index, blocks) in shards(*columns, *shard).enumerate() {
            let count = blocks.len() as u32;
            let end = epilogue(finish);
            let own = kernels::MatMul {
                per_row: Divisor::new(count),
                blocks: count,
                first_block: blocks.start,
                rows,
                columns: *columns,
                inner: *inner,
                a_stride: a.stride,
                b_stride: b.stride / 4,
                bias_stride: finish.bias.stride,
                scales_stride: end.scales_stride,
                y_stride: y.stride,
                y_row: *y_row,
                requantised: end.requantised,
                zero_point: end.zero_point,
                lo: end.lo,
                hi: end.hi,
            };
            let items = rows.div_ceil(4) * count;
            let work = u64::from(*inner) * 64 + 64;
            self.dispatch(shard_of(buffers, index), requests, items, work, &own);
        }
    }
}

/// The shader's parameters of a [`Finish`].
struct Epilogue {
    scales_stride: u32,
    requantised: u32,
    zero_point: i32,
    lo: i32,
    hi: i32,
}

fn epilogue(finish: &Finish) -> Epilogue {
    match &finish.requant {
        None => Epilogue {
            scales_stride: 0,
            requantised: 0,
            zero_point: 0,
            lo: 0,
            hi: 0,
        },
        Some((scales, range)) => Epilogue {
            scales_stride: scales.stride,
            requantised: 1,
            zero_point: i32::from(range.zero_point),
            lo: i32::from(range.lo),
            hi: i32::from(range.hi),
        },
    }
}

/// The buffers with shard `index` of the weights, which are the second.
fn shard_of(buffers: &[Buffer], index: usize) -> Vec<Buffer> {
    let mut buffers = buffers.to_vec();
    if let Some(Buffer::Constant(_, shard)) = buffers.get_mut(1) {
        *shard = index;
    }
    buffers
}

fn pad_word(value: i8) -> u32 {
    u32::from_ne_bytes([value as u8; 4])
}

fn is_bytes(layout: &Layout) -> u32 {
    u32::from(layout.dtype == DType::I8)
}

fn pool(
    x: &View,
    input: &Images,
    output: &Images,
    window: &assay_tensor::op::Window,
) -> kernels::Pool {
    let image_pixels = output.height * output.width;
    kernels::Pool {
        per_pixel: Divisor::new(output.pixel_words),
        per_image: Divisor::new(image_pixels),
        per_line: Divisor::new(output.width),
        pixel_words: output.pixel_words,
        image_pixels,
        line_pixels: output.width,
        height: input.height,
        breadth: input.width,
        window: window.into(),
        x_stride: x.stride,
    }
}

fn pool_items(output: &Images, window: &assay_tensor::op::Window) -> (u32, u64) {
    (
        output.n * output.height * output.width * output.pixel_words,
        u64::from(window.kernel[0]) * u64::from(window.kernel[1]),
    )
}

/// The result's dimensions, and the step in `x`'s padded rows for a step in each, as six
/// dimensions of which the outer are 1.
fn transpose(
    x: &View,
    x_type: &TensorType,
    y_type: &TensorType,
    permutation: &[u8; MAX_RANK],
) -> kernels::Transpose {
    let from = Layout::of(x_type);
    let to = Layout::of(y_type);
    let rank = x_type.shape.rank();
    // Elements of a padded row: bytes count where elements are bytes.
    let row = match from.dtype {
        DType::I8 => from.row_words * 4,
        DType::I32 => from.row_words,
    };
    let mut x_steps = [0u32; MAX_RANK];
    let mut step = 1;
    for d in (0..rank).rev() {
        x_steps[d] = step;
        step = if d + 1 == rank {
            row
        } else {
            step.wrapping_mul(x_type.shape.dims()[d])
        };
    }
    let mut sizes = [1u32; MAX_RANK];
    let mut steps = [0u32; MAX_RANK];
    for d in 0..rank {
        let at = MAX_RANK - rank + d;
        sizes[at] = y_type.shape.dims()[d];
        steps[at] = x_steps[usize::from(permutation[d])];
    }
    kernels::Transpose {
        per_row: Divisor::new(to.row_words),
        per_dimension: core::array::from_fn(|d| Divisor::new(sizes[d + 1])),
        row_words: to.row_words,
        row_elements: to.row_elements,
        sizes: core::array::from_fn(|d| sizes[d + 1]),
        steps,
        bytes: is_bytes(&to),
        x_stride: x.stride,
    }
}
