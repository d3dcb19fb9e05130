//! ONNX importer: int8 models to tensor programs.
//!
//! It reads what `onnxruntime.quantization.quantize_static` writes, in either of its forms: `QDQ`,
//! float operators between `DequantizeLinear` and `QuantizeLinear`, and `QOperator`, operators of
//! integers. The weights of a model must be constants. Supported are:
//!
//! | operators | become |
//! | --- | --- |
//! | `Conv`, `QLinearConv` (grouped, depthwise, strided, dilated) | `Conv2d` |
//! | `Gemm`, `MatMul` (and an `Add` of a bias), `QLinearMatMul`, `QGemm` | `MatMul` |
//! | `Add`, `Sub`, `QLinearAdd` | `Add` |
//! | `Relu`, `Clip` between an operator and its `QuantizeLinear` | that operator's clamp |
//! | `Sigmoid`, `Tanh`, `HardSwish`, `LeakyRelu` and others of a quantised value, arithmetic with constant numbers or among functions of one value (`x * sigmoid(x)`), and the `QLinear` forms | one `Lookup` |
//! | `MaxPool`, `GlobalMaxPool` | `MaxPool2d` |
//! | `AveragePool`, `GlobalAveragePool`, `ReduceMean` and their `QLinear` forms | `AvgPool2d` |
//! | `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`, `Transpose` | `Reshape`, `Transpose` |
//! | `ArgMax` | `ArgMax`, `i32` |
//!
//! Whatever else a graph holds is refused by an error that names the node. An import needs bounded time and
//! memory, whatever the bytes ([`Limits`]).
//!
//! Real scales become dyadic ones with 31-bit multipliers. onnxruntime rounds halves to even and
//! computes in `f32`; a tensor program rounds halves up, so that results differ by one where a sum lies
//! on or next to a half. [`report`] counts these differences.
//!
//! Inside of the program images are channels-last. Inputs and outputs have the graph's shapes; `uint8` becomes
//! `i8` less 128, and the zero points of a [`Port`] with it.

mod builder;
mod constant;
pub mod dataset;
mod error;
mod lower;
mod node;
mod order;
mod parse;
pub mod proto;
pub mod report;
mod scale;
mod value;

use assay_tensor::program::CheckedProgram;
use assay_tensor::types::{Tensor, TensorType};

pub use error::{ImportError, NodeName};

/// Bounds on what a file may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Operators of the graph.
    pub nodes: usize,
    /// Operands, results and attributes of all operators together.
    pub node_fields: u64,
    /// Named constants.
    pub constants: usize,
    /// Inputs, and outputs.
    pub ports: usize,
    /// Bytes of the constants and of all parameters that are made of them.
    pub memory_bytes: u64,
}

impl Default for Limits {
    /// For a stranger's file: 64 MiB, 16,384 operators, and 256 MiB for constants and parameters.
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            nodes: 1 << 14,
            node_fields: 1 << 18,
            constants: 1 << 15,
            ports: 256,
            memory_bytes: 256 << 20,
        }
    }
}

/// A model as a tensor program.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The program. Its inputs and outputs are those of the graph, in its order.
    pub program: CheckedProgram,
    /// Its parameters.
    pub parameters: Vec<Tensor>,
    /// What its inputs mean.
    pub inputs: Vec<Port>,
    /// What its outputs mean.
    pub outputs: Vec<Port>,
}

/// An input or output: its name in the graph, its type in the program, and what its integers mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// Its type in the program; the shape is the graph's.
    pub ty: TensorType,
    /// `None` where the integers mean themselves, as an `ArgMax`'s do.
    pub quantisation: Option<Quantisation>,
}

/// Integers as real numbers: `(integer - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantisation {
    /// The real value of one step; positive.
    pub scale: f32,
    /// The integer that means zero, in the program's `i8`.
    pub zero_point: i32,
}

impl Quantisation {
    /// The integer nearest to `real`, halves to even, as `QuantizeLinear` has it; a NaN is the zero point.
    pub fn quantise(&self, real: f32) -> i8 {
        scale::quantise(real, self.scale, self.zero_point)
            .unwrap_or(self.zero_point.clamp(-128, 127) as i8)
    }

    /// The real number that `integer` stands for.
    pub fn dequantise(&self, integer: i8) -> f32 {
        (i32::from(integer) - self.zero_point) as f32 * self.scale
    }
}

/// Reads an ONNX file and lowers it to a tensor program, within `limits`.
///
/// # Errors
/// If the bytes are not a model, or the model is not one that the importer can lower exactly; the error
/// names the node.
pub fn import(bytes: &[u8], limits: &Limits) -> Result<Imported, ImportError> {
    lower::lower(parse::parse(bytes, limits)?, limits)
}
