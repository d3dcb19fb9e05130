//! Seeded random programs, with parameters and inputs, for the tests of whatever runs
//! programs: every operator, chains and graphs, odd shapes and ranks, groups, dilations,
//! padding, broadcasts, requantisation at its limits, accumulators that wrap.

use crate::check::check;
use crate::op::{Epilogue, Op, OutputRange, Requant, Window};
use crate::program::{CheckedProgram, Node, Operand, Output, Program};
use crate::types::{DType, MAX_RANK, Shape, Tensor, TensorType};
use alloc::format;
use alloc::vec::Vec;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A program with all that it takes to run it.
#[derive(Clone, Debug)]
pub struct RandomCase {
    /// The program.
    pub program: CheckedProgram,
    /// Its parameters.
    pub parameters: Vec<Tensor>,
    /// One or more requests: each the bytes of all inputs, one after the other.
    pub inputs: Vec<Vec<u8>>,
}

/// The case of this seed: always the same one. The reference runs most in under two
/// milliseconds; one in sixteen is some thirty times larger.
pub fn program(seed: u64) -> RandomCase {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let large = rng.random_ratio(1, 16);
    let mut builder = Builder {
        units: if large { 3_000_000 } else { 100_000 },
        large,
        program: Program::default(),
        parameters: Vec::new(),
        values: Vec::new(),
        rng,
    };
    builder.build()
}

struct Builder {
    rng: ChaCha8Rng,
    large: bool,
    /// What further operators may cost.
    units: u64,
    program: Program,
    parameters: Vec<Tensor>,
    /// Types of the operators' values.
    values: Vec<TensorType>,
}

impl Builder {
    fn build(&mut self) -> RandomCase {
        for _ in 0..self.rng.random_range(1..=3) {
            let ty = self.input_type();
            self.program.inputs.push(ty);
        }
        let operators = self.rng.random_range(1..=10);
        let mut attempts = 0;
        // A few attempts do not fit the operands at hand, or cost too much.
        while self.values.len() < operators && (attempts < 60 || self.values.is_empty()) {
            attempts += 1;
            self.operator();
        }
        let last = self.values.len() as u32 - 1;
        for i in 0..self.rng.random_range(1..=3usize) {
            let value = match i {
                0 => last,
                _ => self.rng.random_range(0..=last),
            };
            let name = format!("output {i}");
            self.program.outputs.push(Output { name, value });
        }
        let program = core::mem::take(&mut self.program)
            .check()
            .expect("made of operators that passed their check");
        let requests = self.rng.random_range(1..=5);
        let inputs = (0..requests)
            .map(|_| {
                let types = &program.program().inputs;
                let tensors = types.iter().map(|ty| random_tensor(&mut self.rng, *ty));
                tensors.flat_map(Tensor::into_data).collect()
            })
            .collect();
        RandomCase {
            program,
            parameters: core::mem::take(&mut self.parameters),
            inputs,
        }
    }

    /// A size of up to `most`, small ones more often, powers of two and their neighbours too.
    fn size(&mut self, most: u32) -> u32 {
        let most = most.max(1);
        match self.rng.random_range(0..4) {
            0 => self.rng.random_range(1..=most.min(4)),
            1 => {
                let power = 1u32 << self.rng.random_range(0..=most.ilog2());
                (power + self.rng.random_range(0..=2)).saturating_sub(1)
            }
            _ => self.rng.random_range(1..=most),
        }
        .clamp(1, most)
    }

    fn input_type(&mut self) -> TensorType {
        let dtype = if self.rng.random_ratio(1, 8) {
            DType::I32
        } else {
            DType::I8
        };
        let mut budget: u32 = if self.large { 20_000 } else { 1_200 };
        let rank = match self.rng.random_range(0..8) {
            0 => self.rng.random_range(0..=MAX_RANK),
            1 | 2 => 2,
            _ => 4,
        };
        let mut dims = Vec::new();
        for at in 0..rank {
            let most = match (rank, at) {
                (4, 0) => 2,
                (4, 1 | 2) => 14,
                (4, _) => 40,
                (2, 1) => 600,
                _ => 12,
            };
            let dim = self.size(budget.min(most));
            budget /= dim;
            dims.push(dim);
        }
        TensorType::new(dtype, &dims).expect("within the budget")
    }

    /// Everything there is to read but the parameters, with its type.
    fn operands(&self) -> Vec<(Operand, TensorType)> {
        let inputs = (0u16..).map(Operand::Input).zip(self.program.inputs.iter());
        let values = (0u32..).map(Operand::Value).zip(self.values.iter());
        inputs.chain(values).map(|(o, ty)| (o, *ty)).collect()
    }

    /// One of those for which `fits` holds, the newest more often.
    fn pick(&mut self, fits: impl Fn(&TensorType) -> bool) -> Option<(Operand, TensorType)> {
        let mut found = self.operands();
        found.retain(|(_, ty)| fits(ty));
        if self.rng.random_bool(0.6) {
            found.last().copied()
        } else {
            found.choose(&mut self.rng).copied()
        }
    }

    /// A new parameter.
    fn parameter(&mut self, tensor: Tensor) -> (Operand, TensorType) {
        let (index, ty) = (self.parameters.len() as u32, *tensor.ty());
        self.program.parameters.push(ty);
        self.parameters.push(tensor);
        (Operand::Parameter(index), ty)
    }

    /// A parameter of this type, or now and then a value that has it.
    fn of_type(&mut self, dtype: DType, dims: &[u32]) -> Option<(Operand, TensorType)> {
        let ty = TensorType::new(dtype, dims)?;
        if self.rng.random_ratio(1, 4)
            && let Some(found) = self.pick(|other| *other == ty)
        {
            return Some(found);
        }
        let tensor = random_tensor(&mut self.rng, ty);
        Some(self.parameter(tensor))
    }

    /// Adds an operator if it passes its check and is not too costly; otherwise nothing, not
    /// even its parameters.
    fn operator(&mut self) {
        let parameters = self.parameters.len();
        if self.random_operator().is_none() {
            self.parameters.truncate(parameters);
            self.program.parameters.truncate(parameters);
        }
    }

    fn random_operator(&mut self) -> Option<()> {
        let (op, operands) = match self.rng.random_range(0..16) {
            0..3 => self.mat_mul()?,
            3..7 => self.conv2d()?,
            7 | 8 => self.add()?,
            9 => self.lookup()?,
            10 => self.max_pool()?,
            11 => self.avg_pool()?,
            12 | 13 => self.reshape()?,
            14 => self.transpose()?,
            _ => self.arg_max()?,
        };
        let types = operands.iter().map(|(_, ty)| *ty).collect::<Vec<_>>();
        let checked = check(&op, &types).ok()?;
        self.units = self.units.checked_sub(checked.units)?;
        self.values.push(checked.result);
        self.program.nodes.push(Node {
            op,
            operands: operands.into_iter().map(|(operand, _)| operand).collect(),
        });
        Some(())
    }

    fn mat_mul(&mut self) -> Made {
        let a = self.pick(|ty| ty.dtype == DType::I8 && ty.shape.rank() > 0)?;
        let inner = *a.1.shape.dims().last()?;
        let columns = self.size(if self.large { 140 } else { 40 });
        // Now and then the product of two values.
        let of_values = self.rng.random_ratio(1, 6);
        let b = match self
            .pick(|ty| ty.dtype == DType::I8 && ty.shape.rank() == 2)
            .filter(|(_, ty)| of_values && ty.shape.dims()[1] == inner)
        {
            Some(b) => b,
            None => self.of_type(DType::I8, &[columns, inner])?,
        };
        let columns = *b.1.shape.dims().first()?;
        let (epilogue, mut rest) = self.epilogue(columns, inner)?;
        let mut operands = Vec::from([a, b]);
        operands.append(&mut rest);
        Some((Op::MatMul(epilogue), operands))
    }

    fn conv2d(&mut self) -> Made {
        let x = self.pick(|ty| ty.dtype == DType::I8 && ty.shape.rank() == 4)?;
        let [_, height, width, channels] = x.1.shape.dims().try_into().ok()?;
        let window = self.window([height, width], 5);
        let groups = match self.rng.random_range(0..4) {
            0 => channels,
            1 => {
                let divisors = (1..=channels).filter(|g| channels.is_multiple_of(*g));
                *divisors.collect::<Vec<_>>().choose(&mut self.rng)?
            }
            _ => 1,
        };
        let filters = groups * self.size(if groups == 1 { 40 } else { 3 });
        let per_group = channels / groups;
        let [rows, columns] = window.kernel;
        let w = self.of_type(DType::I8, &[filters, rows, columns, per_group])?;
        let taps = rows * columns * per_group;
        let (epilogue, mut rest) = self.epilogue(filters, taps)?;
        let mut operands = Vec::from([x, w]);
        operands.append(&mut rest);
        let op = Op::Conv2d {
            window,
            groups,
            pad_value: self.small_or_any(),
            epilogue,
        };
        Some((op, operands))
    }

    fn add(&mut self) -> Made {
        let a = self.pick(|ty| ty.dtype == DType::I8)?;
        let skip = if self.rng.random_bool(0.5) {
            0
        } else {
            self.rng.random_range(0..=a.1.shape.rank())
        };
        let b = self.of_type(DType::I8, &a.1.shape.dims()[skip..])?;
        let extreme = self.rng.random_ratio(1, 4);
        let (multipliers, offset, shift) = if extreme {
            let offset = self.rng.random_range(-(1i64 << 48) + 1..1 << 48);
            (self.rng.random(), offset, self.rng.random_range(1..=62))
        } else {
            let multipliers = [
                self.rng.random_range(1 << 18..1 << 20),
                self.rng.random_range(1 << 18..1 << 20),
            ];
            (multipliers, self.rng.random_range(-1 << 24..1 << 24), 20)
        };
        let op = Op::Add {
            multiplier_a: multipliers[0],
            multiplier_b: multipliers[1],
            offset,
            shift,
            range: self.range(),
        };
        Some((op, Vec::from([a, b])))
    }

    fn lookup(&mut self) -> Made {
        let x = self.pick(|ty| ty.dtype == DType::I8)?;
        let table = self.of_type(DType::I8, &[256])?;
        Some((Op::Lookup, Vec::from([x, table])))
    }

    fn max_pool(&mut self) -> Made {
        let (x, window) = self.pooled()?;
        Some((Op::MaxPool2d(window), Vec::from([x])))
    }

    fn avg_pool(&mut self) -> Made {
        let (x, window) = self.pooled()?;
        let area = i64::from(window.kernel[0] * window.kernel[1]);
        let requant = if self.rng.random_ratio(1, 4) {
            Requant {
                multiplier: self.rng.random_range(0..=i32::MAX),
                shift: self.rng.random_range(1..=62),
                range: self.range(),
            }
        } else {
            Requant {
                multiplier: ((1i64 << 24) / area) as i32,
                shift: 24,
                range: self.range(),
            }
        };
        let offset = match self.rng.random_range(0..4) {
            0 => self.rng.random(),
            _ => self.rng.random_range(-500..500),
        };
        let op = Op::AvgPool2d {
            window,
            pad_value: self.small_or_any(),
            offset,
            requant,
        };
        Some((op, Vec::from([x])))
    }

    fn pooled(&mut self) -> Option<((Operand, TensorType), Window)> {
        let x = self.pick(|ty| ty.dtype == DType::I8 && ty.shape.rank() == 4)?;
        let dims = x.1.shape.dims();
        let window = self.window([dims[1], dims[2]], 7);
        Some((x, window))
    }

    fn reshape(&mut self) -> Made {
        let x = self.pick(|_| true)?;
        let mut left = x.1.shape.elements() as u32;
        let rank = if self.rng.random_bool(0.5) {
            4
        } else {
            self.rng.random_range(0..=MAX_RANK)
        };
        let mut dims = Vec::new();
        for at in 0..rank {
            let divisors = (1..=left)
                .filter(|d| left.is_multiple_of(*d))
                .collect::<Vec<_>>();
            let dim = match at + 1 == rank {
                true => left,
                false => *divisors.choose(&mut self.rng)?,
            };
            dims.push(dim);
            left /= dim;
        }
        Some((Op::Reshape(Shape::new(&dims)?), Vec::from([x])))
    }

    fn transpose(&mut self) -> Made {
        let x = self.pick(|_| true)?;
        let mut permutation = [0; MAX_RANK];
        for at in 1..x.1.shape.rank() {
            let other = self.rng.random_range(0..=at);
            permutation[at] = permutation[other];
            permutation[other] = at as u8;
        }
        Some((Op::Transpose(permutation), Vec::from([x])))
    }

    fn arg_max(&mut self) -> Made {
        let x = self.pick(|ty| ty.shape.rank() > 0)?;
        Some((Op::ArgMax, Vec::from([x])))
    }

    /// A window that fits an image of this height and width, with some padding.
    fn window(&mut self, image: [u32; 2], most: u32) -> Window {
        let mut window = Window {
            kernel: [1; 2],
            strides: [1; 2],
            dilations: [1; 2],
            pads: [0; 4],
        };
        let square = self.rng.random_bool(0.5).then(|| self.size(most.min(3)));
        for (axis, image) in image.into_iter().enumerate() {
            let kernel = square.unwrap_or_else(|| self.size(most));
            if self.rng.random_ratio(1, 3) {
                window.strides[axis] = self.rng.random_range(1..=3);
            }
            if self.rng.random_ratio(1, 4) {
                window.dilations[axis] = self.rng.random_range(1..=3);
            }
            if self.rng.random_bool(0.5) {
                // More than a window's extent now and then: windows in the padding alone.
                window.pads[axis] = self.rng.random_range(0..=kernel + 1);
                window.pads[axis + 2] = self.rng.random_range(0..=kernel + 1);
            }
            let padded = image + window.pads[axis] + window.pads[axis + 2];
            window.kernel[axis] = kernel.min((padded - 1) / window.dilations[axis] + 1);
        }
        window
    }

    /// An epilogue with its bias and scales for sums of `inner` products.
    fn epilogue(&mut self, channels: u32, inner: u32) -> Option<(Epilogue, Operands)> {
        let ty = TensorType::new(DType::I32, &[channels])?;
        let bias = match self.rng.random_range(0..4) {
            // Over the whole of `i32`: sums wrap.
            0 => self.of_type(DType::I32, &[channels])?,
            _ => {
                let values = (0..channels).flat_map(|_| {
                    let value: i32 = self.rng.random_range(-20_000..20_000);
                    value.to_le_bytes()
                });
                let tensor = Tensor::new(ty, values.collect())?;
                self.parameter(tensor)
            }
        };
        if self.rng.random_ratio(1, 4) {
            return Some((Epilogue::Accumulate, Vec::from([bias])));
        }
        let extreme = self.rng.random_ratio(1, 4);
        // A sum of random products has a deviation of about 2^12 times the root of
        // their number: most results are inside of `i8`.
        let usual_shift = 31 + 6 + inner.ilog2() as i32 / 2;
        let mut scales = Vec::new();
        for _ in 0..channels {
            let (multiplier, shift): (i32, i32) = if !extreme {
                let multiplier = self.rng.random_range(1 << 30..=i32::MAX);
                (multiplier, usual_shift)
            } else if self.rng.random_bool(0.5) {
                // What a well-made model never has: outside of the ranges of the attributes.
                (self.rng.random(), self.rng.random())
            } else {
                let multiplier = *[0, 1, i32::MAX, i32::MAX - 1, 1 << 30].choose(&mut self.rng)?;
                (multiplier, self.rng.random_range(0..=64))
            };
            scales.extend([multiplier, shift]);
        }
        let scales = Tensor::from_i32(&[channels, 2], &scales)?;
        let scales = self.parameter(scales);
        Some((Epilogue::Requant(self.range()), Vec::from([bias, scales])))
    }

    fn range(&mut self) -> OutputRange {
        let zero_point = self.small_or_any();
        let (lo, hi) = match self.rng.random_range(0..4) {
            // A fused ReLU.
            0 => (zero_point, i8::MAX),
            1 => {
                let (a, b): (i8, i8) = self.rng.random();
                (a.min(b), a.max(b))
            }
            _ => (i8::MIN, i8::MAX),
        };
        OutputRange { zero_point, lo, hi }
    }

    fn small_or_any(&mut self) -> i8 {
        if self.rng.random_bool(0.5) {
            self.rng.random_range(-3..=3)
        } else {
            self.rng.random()
        }
    }
}

/// Operands with their types.
type Operands = Vec<(Operand, TensorType)>;
/// An operator that may not pass its check; nothing where no operand fits.
type Made = Option<(Op, Operands)>;

/// Random elements, now and then all at an end of their range or all equal.
pub fn random_tensor(rng: &mut impl Rng, ty: TensorType) -> Tensor {
    let mut data = alloc::vec![0; ty.bytes() as usize];
    match rng.random_range(0..12) {
        0 => data.fill(0x80),
        1 => data.fill(0x7f),
        2 => {
            // Few different values: ties.
            for byte in &mut data {
                *byte = rng.random_range(0..3);
            }
        }
        _ => rng.fill(&mut data[..]),
    }
    Tensor::new(ty, data).expect("as many bytes as the type has")
}
