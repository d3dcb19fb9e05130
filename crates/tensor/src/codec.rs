//! The encoding of programs: compact, versioned, canonical.
//!
//! A program is [`MAGIC`], [`VERSION`], then its inputs' types, its parameters' types, its
//! operators and its outputs, each list behind its length.
//!
//! * An unsigned number is a varint: seven bits a byte, low bits first, the high bit set on all
//!   but the last byte, no trailing zero byte. Attributes of full range are fixed-width,
//!   little-endian.
//! * A type is one byte, `dtype << 4 | rank`, and a varint a dimension.
//! * An operator is one byte for its kind and its attributes in the order of their declaration.
//! * An operand is a varint: `index << 2 | kind`, kind 0 an input, 1 a parameter, 2 a value.
//! * An operator in a program is the operator, the number of operands in one byte, the operands.
//! * An output is the varint of its name's length, the name, and the varint of its value.
//!
//! What decodes encodes to the same bytes, nothing may follow, and lengths are bounded by
//! [`crate::program`]'s limits and by the bytes that are there before memory is taken.

use crate::check::MAX_OPERANDS;
use crate::op::{Epilogue, Op, OutputRange, Requant, Window};
use crate::program::{
    MAX_INPUTS, MAX_NAME, MAX_NODES, MAX_OUTPUTS, MAX_PARAMETERS, Node, Operand, Output, Program,
};
use crate::types::{DType, MAX_RANK, Shape, TensorType};
use alloc::string::String;
use alloc::vec::Vec;

/// What an encoded program begins with.
pub const MAGIC: [u8; 4] = *b"ATPr";
/// The version of the encoding.
pub const VERSION: u8 = 1;

/// Why bytes are not a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Does not begin with [`MAGIC`].
    #[error("not a tensor program")]
    Magic,
    /// Another [`VERSION`].
    #[error("encoding version {0} is not known")]
    Version(u8),
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// There are bytes behind the end.
    #[error("there are {0} bytes behind the end")]
    Trailing(usize),
    /// A number that is not in its shortest form or too large.
    #[error("a number is not in its shortest form or too large")]
    Number,
    /// A list is longer than its limit.
    #[error("there are {found} {what}, more than {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// The limit.
        limit: usize,
    },
    /// A byte that names nothing.
    #[error("byte {byte} names no {what}")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// The byte.
        byte: u8,
    },
    /// A shape with an empty dimension, too many elements or too many dimensions.
    #[error("a shape is empty or too large")]
    Shape,
    /// A name that is not UTF-8.
    #[error("a name is not UTF-8")]
    Name,
}

type Result<T> = core::result::Result<T, DecodeError>;

/// Takes values off the front of bytes.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn i8(&mut self) -> Result<i8> {
        self.u8().map(|byte| byte as i8)
    }

    fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // A zero byte at the end adds nothing: a shorter form exists.
                return if byte == 0 && shift > 0 {
                    Err(DecodeError::Number)
                } else {
                    Ok(value)
                };
            }
        }
        Err(DecodeError::Number)
    }

    fn varint32(&mut self) -> Result<u32> {
        u32::try_from(self.varint()?).map_err(|_| DecodeError::Number)
    }

    /// A list's length, at most `limit`.
    fn count(&mut self, what: &'static str, limit: usize) -> Result<usize> {
        let found = self.varint()?;
        match usize::try_from(found) {
            Ok(count) if count <= limit => Ok(count),
            _ => Err(DecodeError::TooMany { what, found, limit }),
        }
    }

    /// A list of at most `limit` items, none of which is shorter than one byte.
    fn list<T>(
        &mut self,
        what: &'static str,
        limit: usize,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = self.count(what, limit)?;
        if count > self.0.len() {
            return Err(DecodeError::Truncated);
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// That nothing is left.
    pub(crate) fn end(self) -> Result<()> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }

    fn dims(&mut self, rank: usize) -> Result<Shape> {
        let mut dims = [0; MAX_RANK];
        let dims = dims.get_mut(..rank).ok_or(DecodeError::Shape)?;
        for dim in dims.iter_mut() {
            *dim = self.varint32()?;
        }
        Shape::new(dims).ok_or(DecodeError::Shape)
    }

    pub(crate) fn ty(&mut self) -> Result<TensorType> {
        let byte = self.u8()?;
        let dtype = match byte >> 4 {
            0 => DType::I8,
            1 => DType::I32,
            _ => {
                let what = "element type";
                return Err(DecodeError::Unknown { what, byte });
            }
        };
        let shape = self.dims(usize::from(byte & 15))?;
        Ok(TensorType { dtype, shape })
    }

    fn pair(&mut self) -> Result<[u32; 2]> {
        Ok([self.varint32()?, self.varint32()?])
    }

    fn window(&mut self) -> Result<Window> {
        Ok(Window {
            kernel: self.pair()?,
            strides: self.pair()?,
            dilations: self.pair()?,
            pads: [
                self.varint32()?,
                self.varint32()?,
                self.varint32()?,
                self.varint32()?,
            ],
        })
    }

    fn range(&mut self) -> Result<OutputRange> {
        Ok(OutputRange {
            zero_point: self.i8()?,
            lo: self.i8()?,
            hi: self.i8()?,
        })
    }

    fn epilogue(&mut self) -> Result<Epilogue> {
        match self.u8()? {
            0 => Ok(Epilogue::Accumulate),
            1 => Ok(Epilogue::Requant(self.range()?)),
            byte => {
                let what = "epilogue";
                Err(DecodeError::Unknown { what, byte })
            }
        }
    }

    pub(crate) fn op(&mut self) -> Result<Op> {
        Ok(match self.u8()? {
            0 => Op::MatMul(self.epilogue()?),
            1 => Op::Conv2d {
                window: self.window()?,
                groups: self.varint32()?,
                pad_value: self.i8()?,
                epilogue: self.epilogue()?,
            },
            2 => Op::Add {
                multiplier_a: self.i32()?,
                multiplier_b: self.i32()?,
                offset: self.array().map(i64::from_le_bytes)?,
                shift: self.u8()?,
                range: self.range()?,
            },
            3 => Op::Lookup,
            4 => Op::MaxPool2d(self.window()?),
            5 => Op::AvgPool2d {
                window: self.window()?,
                pad_value: self.i8()?,
                offset: self.i32()?,
                requant: Requant {
                    multiplier: self.i32()?,
                    shift: self.u8()?,
                    range: self.range()?,
                },
            },
            6 => {
                let rank = self.u8()?;
                Op::Reshape(self.dims(usize::from(rank))?)
            }
            7 => Op::Transpose(self.array()?),
            8 => Op::ArgMax,
            byte => {
                let what = "operator";
                return Err(DecodeError::Unknown { what, byte });
            }
        })
    }

    pub(crate) fn operand(&mut self) -> Result<Operand> {
        let number = self.varint()?;
        let index = u32::try_from(number >> 2).map_err(|_| DecodeError::Number)?;
        match number & 3 {
            0 => u16::try_from(index)
                .map(Operand::Input)
                .map_err(|_| DecodeError::Number),
            1 => Ok(Operand::Parameter(index)),
            2 => Ok(Operand::Value(index)),
            kind => Err(DecodeError::Unknown {
                what: "kind of operand",
                byte: kind as u8,
            }),
        }
    }

    /// The number of an operator's operands.
    pub(crate) fn operand_count(&mut self) -> Result<usize> {
        self.count("operands", MAX_OPERANDS)
    }

    fn str(&mut self, len: usize) -> Result<&'a str> {
        core::str::from_utf8(self.bytes(len)?).map_err(|_| DecodeError::Name)
    }

    /// A string behind its length in one byte.
    pub(crate) fn short_str(&mut self) -> Result<&'a str> {
        let len = self.u8()?;
        self.str(usize::from(len))
    }

    pub(crate) fn output(&mut self) -> Result<Output> {
        let len = self.count("bytes of a name", MAX_NAME)?;
        Ok(Output {
            name: String::from(self.str(len)?),
            value: self.varint32()?,
        })
    }
}

/// Appends values to bytes.
#[derive(Default)]
pub(crate) struct Writer(pub Vec<u8>);

impl Writer {
    fn varint(&mut self, value: u64) {
        let mut rest = value;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i8(&mut self, value: i8) {
        self.0.push(value as u8);
    }

    fn dims(&mut self, shape: &Shape) {
        for dim in shape.dims() {
            self.varint(u64::from(*dim));
        }
    }

    pub(crate) fn ty(&mut self, ty: &TensorType) {
        self.0.push((ty.dtype as u8) << 4 | ty.shape.rank() as u8);
        self.dims(&ty.shape);
    }

    fn window(&mut self, window: &Window) {
        let Window {
            kernel,
            strides,
            dilations,
            pads,
        } = window;
        for value in [kernel, strides, dilations]
            .into_iter()
            .flatten()
            .chain(pads)
        {
            self.varint(u64::from(*value));
        }
    }

    fn range(&mut self, range: &OutputRange) {
        let OutputRange { zero_point, lo, hi } = *range;
        for value in [zero_point, lo, hi] {
            self.i8(value);
        }
    }

    fn epilogue(&mut self, epilogue: &Epilogue) {
        match epilogue {
            Epilogue::Accumulate => self.0.push(0),
            Epilogue::Requant(range) => {
                self.0.push(1);
                self.range(range);
            }
        }
    }

    pub(crate) fn op(&mut self, op: &Op) {
        match op {
            Op::MatMul(epilogue) => {
                self.0.push(0);
                self.epilogue(epilogue);
            }
            Op::Conv2d {
                window,
                groups,
                pad_value,
                epilogue,
            } => {
                self.0.push(1);
                self.window(window);
                self.varint(u64::from(*groups));
                self.i8(*pad_value);
                self.epilogue(epilogue);
            }
            Op::Add {
                multiplier_a,
                multiplier_b,
                offset,
                shift,
                range,
            } => {
                self.0.push(2);
                self.i32(*multiplier_a);
                self.i32(*multiplier_b);
                self.0.extend_from_slice(&offset.to_le_bytes());
                self.0.push(*shift);
                self.range(range);
            }
            Op::Lookup => self.0.push(3),
            Op::MaxPool2d(window) => {
                self.0.push(4);
                self.window(window);
            }
            Op::AvgPool2d {
                window,
                pad_value,
                offset,
                requant,
            } => {
                self.0.push(5);
                self.window(window);
                self.i8(*pad_value);
                self.i32(*offset);
                self.i32(requant.multiplier);
                self.0.push(requant.shift);
                self.range(&requant.range);
            }
            Op::Reshape(shape) => {
                self.0.push(6);
                self.0.push(shape.rank() as u8);
                self.dims(shape);
            }
            Op::Transpose(permutation) => {
                self.0.push(7);
                self.0.extend_from_slice(permutation);
            }
            Op::ArgMax => self.0.push(8),
        }
    }

    pub(crate) fn operand(&mut self, operand: Operand) {
        let (index, kind) = match operand {
            Operand::Input(index) => (u32::from(index), 0),
            Operand::Parameter(index) => (index, 1),
            Operand::Value(index) => (index, 2),
        };
        self.varint(u64::from(index) << 2 | kind);
    }

    pub(crate) fn operand_count(&mut self, count: usize) {
        self.varint(count as u64);
    }

    pub(crate) fn output(&mut self, output: &Output) {
        self.varint(output.name.len() as u64);
        self.0.extend_from_slice(output.name.as_bytes());
        self.varint(u64::from(output.value));
    }
}

impl Program {
    /// The program's bytes, as this module's documentation says: the program blob.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.0.extend_from_slice(&MAGIC);
        w.0.push(VERSION);
        for types in [&self.inputs, &self.parameters] {
            w.varint(types.len() as u64);
            for ty in types {
                w.ty(ty);
            }
        }
        w.varint(self.nodes.len() as u64);
        for node in &self.nodes {
            w.op(&node.op);
            w.operand_count(node.operands.len());
            for operand in &node.operands {
                w.operand(*operand);
            }
        }
        w.varint(self.outputs.len() as u64);
        for output in &self.outputs {
            w.output(output);
        }
        w.0
    }

    /// The program that encodes to exactly `bytes`, not checked yet. Takes time and memory
    /// in proportion to `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Program> {
        let mut r = Reader::new(bytes);
        if r.array()? != MAGIC {
            return Err(DecodeError::Magic);
        }
        match r.u8()? {
            VERSION => {}
            other => return Err(DecodeError::Version(other)),
        }
        let program = Program {
            inputs: r.list("inputs", MAX_INPUTS, Reader::ty)?,
            parameters: r.list("parameters", MAX_PARAMETERS, Reader::ty)?,
            nodes: r.list("operators", MAX_NODES, |r| {
                let op = r.op()?;
                Ok(Node {
                    op,
                    operands: r.list("operands", MAX_OPERANDS, Reader::operand)?,
                })
            })?,
            outputs: r.list("outputs", MAX_OUTPUTS, Reader::output)?,
        };
        r.end()?;
        Ok(program)
    }
}

impl TensorType {
    /// The type's bytes, as this module's documentation says.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.ty(self);
        w.0
    }

    /// The type that encodes to exactly `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<TensorType> {
        let mut r = Reader::new(bytes);
        let ty = r.ty()?;
        r.end()?;
        Ok(ty)
    }
}
