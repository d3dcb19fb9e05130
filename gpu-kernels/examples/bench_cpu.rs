//! Speed of the CPU executor, each kernel of this processor in the same run: matrix products in
//! 10^9 multiply-accumulates a second on one thread, and inferences of a small convolutional
//! network of the digits model's size a second, on one thread and on all. One thread's figures
//! are of its processor time where Linux tells it, so that other processes do not count; all
//! threads' are of wall-clock time.
//!
//! `cargo run --example bench_cpu -p gpu-kernels [seconds each]`

use assay_tensor::op::{Epilogue, Op, OutputRange, Window};
use assay_tensor::program::{CheckedProgram, Node, Operand, Output, Program};
use assay_tensor::random::random_tensor;
use assay_tensor::types::{DType, Tensor, TensorType};
use gpu_kernels::Executor;
use gpu_kernels::cpu::{CpuExecutor, Kernel};
use gpu_kernels::reference::Reference;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

const RANGE: OutputRange = OutputRange {
    zero_point: 0,
    lo: -128,
    hi: 127,
};

/// A program under construction, with random parameters.
struct Net {
    rng: ChaCha8Rng,
    program: Program,
    parameters: Vec<Tensor>,
}

impl Net {
    fn new(input: &[u32]) -> Self {
        let program = Program {
            inputs: vec![ty(DType::I8, input)],
            ..Program::default()
        };
        Self {
            rng: ChaCha8Rng::seed_from_u64(1),
            program,
            parameters: Vec::new(),
        }
    }

    fn parameter(&mut self, tensor: Tensor) -> Operand {
        self.program.parameters.push(*tensor.ty());
        self.parameters.push(tensor);
        Operand::Parameter(self.parameters.len() as u32 - 1)
    }

    /// Adds an operator on the last value, with weights of these dimensions if any.
    fn then(mut self, op: Op, weights: &[u32]) -> Self {
        let mut operands = vec![match self.program.nodes.len() {
            0 => Operand::Input(0),
            count => Operand::Value(count as u32 - 1),
        }];
        if let Some(channels) = weights.first() {
            let weights = random_tensor(&mut self.rng, ty(DType::I8, weights));
            let bias = random_tensor(&mut self.rng, ty(DType::I32, &[*channels]));
            let scales = [1 << 30, 42].repeat(*channels as usize);
            let scales = Tensor::from_i32(&[*channels, 2], &scales).expect("fits");
            for tensor in [weights, bias, scales] {
                operands.push(self.parameter(tensor));
            }
        }
        self.program.nodes.push(Node { op, operands });
        self
    }

    fn done(mut self) -> (Arc<CheckedProgram>, Arc<Vec<Tensor>>) {
        self.program.outputs.push(Output {
            name: "y".into(),
            value: self.program.nodes.len() as u32 - 1,
        });
        let program = self.program.check().expect("well-formed");
        (Arc::new(program), Arc::new(self.parameters))
    }
}

fn ty(dtype: DType, dims: &[u32]) -> TensorType {
    TensorType::new(dtype, dims).expect("a type")
}

fn window(kernel: u32, stride: u32, pad: u32) -> Window {
    Window {
        kernel: [kernel; 2],
        strides: [stride; 2],
        dilations: [1; 2],
        pads: [pad; 4],
    }
}

fn conv() -> Op {
    Op::Conv2d {
        window: window(3, 1, 1),
        groups: 1,
        pad_value: 0,
        epilogue: Epilogue::Requant(RANGE),
    }
}

/// A clock's reading, in seconds.
type Clock = fn() -> f64;

/// Wall-clock time.
fn wall() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Processor time of this thread; wall-clock time where it is not known.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    nanoseconds.map_or_else(wall, |n| n / 1e9)
}

/// Runs a second by a batch of `requests`, for `time`.
fn rate(
    executor: &dyn Executor,
    net: &(Arc<CheckedProgram>, Arc<Vec<Tensor>>),
    requests: usize,
    time: f64,
    clock: Clock,
) -> f64 {
    let mut model = executor
        .prepare(net.0.clone(), net.1.clone())
        .expect("prepared");
    let request = (0..net.0.input_bytes()).map(|i| (i * 37 % 251) as u8);
    let request = request.collect::<Vec<_>>();
    let batch = vec![&request[..]; requests];
    let run = |model: &mut Box<dyn gpu_kernels::PreparedModel>| {
        std::hint::black_box(model.run(std::hint::black_box(&batch)).expect("runs"));
    };
    run(&mut model);
    let (start, mut runs) = (clock(), 0usize);
    loop {
        run(&mut model);
        runs += requests;
        let elapsed = clock() - start;
        if elapsed >= time {
            return runs as f64 / elapsed;
        }
    }
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok());
    let time = seconds.unwrap_or(1.0);
    let product = |m: u32, k: u32, n: u32| {
        let op = Op::MatMul(Epilogue::Requant(RANGE));
        let net = Net::new(&[m, k]).then(op, &[n, k]).done();
        (f64::from(m) * f64::from(k) * f64::from(n) / 1e9, net)
    };
    let products = [
        ("256^3", product(256, 256, 256)),
        ("1024^3", product(1024, 1024, 1024)),
        ("1x4096x4096", product(1, 4096, 4096)),
    ];
    // 0.44 million multiply-accumulates.
    let cnn = Net::new(&[1, 8, 8, 1])
        .then(conv(), &[16, 3, 3, 1])
        .then(conv(), &[32, 3, 3, 16])
        .then(Op::MaxPool2d(window(2, 2, 0)), &[])
        .then(conv(), &[32, 3, 3, 32])
        .then(Op::Reshape(ty(DType::I8, &[1, 512]).shape), &[])
        .then(Op::MatMul(Epilogue::Requant(RANGE)), &[10, 512])
        .then(Op::ArgMax, &[])
        .done();
    println!(
        "kernel        256^3  1024^3  1x4096x4096 (GMAC/s, 1 thread)  CNN/s, 1 thread  all threads"
    );
    for kernel in Kernel::available() {
        let executor = CpuExecutor::with_kernel(kernel).expect("available");
        let single = executor.clone().threads(1);
        print!("{:<12}", kernel.name());
        for (_, (gmacs, net)) in &products {
            print!(" {:>7.1}", gmacs * rate(&single, net, 1, time, processor));
        }
        let (one, all) = (
            rate(&single, &cnn, 256, time, processor),
            rate(&executor, &cnn, 256, time, wall),
        );
        println!("  {one:>44.0}  {all:>11.0}");
    }
    let reference = rate(&Reference, &cnn, 1, time, processor);
    println!("reference: {reference:.0} CNN/s");
}
