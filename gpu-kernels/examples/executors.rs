//! How fast each executor is here: inferences and multiply-accumulates per second on a few
//! models, best of several runs, wall time, the whole path from request bytes to answer bytes.
//!
//! `cargo run -p gpu-kernels --example executors [seconds per measurement]`

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use assay_tensor::{
    op::{Epilogue, Op, OutputRange, Requant, Window},
    program::{CheckedProgram, Node, Operand, Output, Program},
    types::{DType, Shape, Tensor, TensorType},
};
use gpu_kernels::{Executor, cpu, gpu, reference::Reference};

fn main() -> anyhow::Result<()> {
    let seconds: f64 = match std::env::args().nth(1) {
        Some(text) => text
            .parse()
            .context("the argument is a number of seconds")?,
        None => 1.0,
    };
    let budget = Duration::from_secs_f64(seconds);
    let mut executors: Vec<Box<dyn Executor>> = vec![Box::new(Reference)];
    let cpu = cpu();
    if cpu.name() != Reference.name() {
        executors.push(cpu);
    }
    for info in gpu::adapters() {
        match gpu::open_adapter(&info) {
            Ok(executor) => executors.push(Box::new(executor)),
            Err(error) => println!("{info}: {error}"),
        }
    }
    println!(
        "{:<28} {:>6}  {:<48} {:>14} {:>9} {:>7}",
        "model", "batch", "executor", "inferences/s", "GMAC/s", "equal"
    );
    for (name, batch, model) in [
        ("digits-like CNN, 8x8", 360, Model::digits()),
        ("matmul 256x1024x1024", 1, Model::matmul(256, 1024, 1024)),
        ("matmul 1x1024x1024", 64, Model::matmul(1, 1024, 1024)),
        ("conv 3x3, 28x28, 64 to 64", 4, Model::conv(28, 64, 1)),
        ("depthwise 3x3, 28x28x64", 16, Model::conv(28, 64, 64)),
    ] {
        let model = model.with_context(|| format!("{name} is not well-formed"))?;
        measure(name, batch, &model, &executors, budget)?;
    }
    Ok(())
}

fn measure(
    name: &str,
    batch: usize,
    model: &Model,
    executors: &[Box<dyn Executor>],
    budget: Duration,
) -> anyhow::Result<()> {
    let size = model.program.input_bytes() as usize;
    let requests: Vec<Vec<u8>> = (0..batch).map(|i| noise(i as u32, size)).collect();
    let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
    let mut first: Option<Vec<u8>> = None;
    for executor in executors {
        let mut prepared = executor.prepare(model.program.clone(), model.parameters.clone())?;
        // The reference is slow and its speed does not depend on the batch.
        let some = match executor.name() {
            "reference" => &requests[..1],
            _ => &requests[..],
        };
        let mut best = Duration::MAX;
        let mut answers = Vec::new();
        let begin = Instant::now();
        while answers.is_empty() || begin.elapsed() < budget {
            let start = Instant::now();
            answers = prepared.run(some)?;
            best = best.min(start.elapsed());
        }
        let answer = answers.swap_remove(0);
        let equal = *first.get_or_insert_with(|| answer.clone()) == answer;
        let rate = some.len() as f64 / best.as_secs_f64();
        println!(
            "{name:<28} {:>6}  {:<48} {rate:>14.0} {:>9.2} {:>7}",
            some.len(),
            executor.name(),
            rate * model.products() as f64 / 1e9,
            if equal { "yes" } else { "NO" },
        );
        anyhow::ensure!(equal, "{} differs from the reference", executor.name());
    }
    Ok(())
}

/// Bytes without structure.
fn noise(seed: u32, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

struct Model {
    program: Arc<CheckedProgram>,
    parameters: Arc<Vec<Tensor>>,
}

const RANGE: OutputRange = OutputRange {
    zero_point: 0,
    lo: -128,
    hi: 127,
};

/// A program under construction, each operator on the value of the one before.
#[derive(Default)]
struct Chain {
    program: Program,
    parameters: Vec<Tensor>,
    last: Option<Operand>,
}

impl Chain {
    fn new(input: &[u32]) -> Option<Self> {
        let mut chain = Self::default();
        chain
            .program
            .inputs
            .push(TensorType::new(DType::I8, input)?);
        chain.last = Some(Operand::Input(0));
        Some(chain)
    }

    fn parameter(&mut self, tensor: Tensor) -> Operand {
        self.program.parameters.push(*tensor.ty());
        self.parameters.push(tensor);
        Operand::Parameter(self.parameters.len() as u32 - 1)
    }

    fn then(mut self, op: Op, more: Vec<Operand>) -> Option<Self> {
        let operands = self.last.into_iter().chain(more).collect();
        self.program.nodes.push(Node { op, operands });
        self.last = Some(Operand::Value(self.program.nodes.len() as u32 - 1));
        Some(self)
    }

    /// Weights, bias and scales for a product with `weights`, of which each output has `inner`.
    fn with_weights(mut self, op: Op, weights: &[u32]) -> Option<Self> {
        let ty = TensorType::new(DType::I8, weights)?;
        let outputs = weights[0];
        let data = noise(7, ty.bytes() as usize);
        let more = vec![
            self.parameter(Tensor::new(ty, data)?),
            self.parameter(Tensor::from_i32(&[outputs], &vec![5; outputs as usize])?),
            self.parameter(Tensor::from_i32(
                &[outputs, 2],
                &[1 << 30, 40].repeat(outputs as usize),
            )?),
        ];
        self.then(op, more)
    }

    fn finish(mut self) -> Option<Model> {
        self.program.outputs.push(Output {
            name: "y".into(),
            value: self.program.nodes.len() as u32 - 1,
        });
        Some(Model {
            program: Arc::new(self.program.check().ok()?),
            parameters: Arc::new(self.parameters),
        })
    }
}

fn three(strides: [u32; 2]) -> Window {
    Window {
        kernel: [3, 3],
        strides,
        dilations: [1, 1],
        pads: [1, 1, 1, 1],
    }
}

fn conv(groups: u32) -> Op {
    Op::Conv2d {
        window: three([1, 1]),
        groups,
        pad_value: 0,
        epilogue: Epilogue::Requant(RANGE),
    }
}

impl Model {
    fn digits() -> Option<Self> {
        let two = Window {
            kernel: [2, 2],
            strides: [2, 2],
            dilations: [1, 1],
            pads: [0; 4],
        };
        let average = Op::AvgPool2d {
            window: two,
            pad_value: 0,
            offset: 0,
            requant: Requant {
                multiplier: 1 << 30,
                shift: 32,
                range: RANGE,
            },
        };
        Chain::new(&[1, 8, 8, 1])?
            .with_weights(conv(1), &[16, 3, 3, 1])?
            .with_weights(conv(1), &[32, 3, 3, 16])?
            .then(Op::MaxPool2d(two), vec![])?
            .with_weights(conv(1), &[32, 3, 3, 32])?
            .then(average, vec![])?
            .then(Op::Reshape(Shape::new(&[1, 128])?), vec![])?
            .with_weights(Op::MatMul(Epilogue::Requant(RANGE)), &[10, 128])?
            .finish()
    }

    fn matmul(rows: u32, inner: u32, columns: u32) -> Option<Self> {
        Chain::new(&[rows, inner])?
            .with_weights(Op::MatMul(Epilogue::Requant(RANGE)), &[columns, inner])?
            .finish()
    }

    fn conv(side: u32, channels: u32, groups: u32) -> Option<Self> {
        Chain::new(&[1, side, side, channels])?
            .with_weights(conv(groups), &[channels, 3, 3, channels / groups])?
            .finish()
    }

    /// Multiply-accumulates of matrix products and convolutions, padding included.
    fn products(&self) -> u64 {
        let nodes = &self.program.program().nodes;
        let types = self.program.value_types();
        nodes
            .iter()
            .zip(types)
            .filter(|(node, _)| matches!(node.op, Op::MatMul(_) | Op::Conv2d { .. }))
            .map(|(node, ty)| {
                let weights = self.program.type_of(node.operands[1]).shape;
                ty.shape.elements() * weights.elements() / u64::from(weights.dims()[0])
            })
            .sum()
    }
}
