//! Model bundles: what `assay model import` writes and `assay model deploy` reads.
//!
//! A bundle is a file of
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `assaymdl` |
//! | 2 | version, 1, little-endian |
//! | n | the borsh encoding of [`Bundle`] |
//! | 32 | SHA-256 of all bytes before |
//!
//! The program and the parameters are the blobs that are uploaded; the ports say what a client
//! makes of an input and of an output, and are not part of what is deployed.

use crate::files::{self, FileError};
use assay_tensor::hash::hashv;
use assay_tensor::program::{CheckedProgram, Program};
use assay_tensor::types::{DType, Tensor, TensorType};
use borsh::{BorshDeserialize, BorshSerialize};
use std::path::Path;

/// First bytes of a bundle.
pub const MAGIC: &[u8; 8] = b"assaymdl";
/// The version of the format that this code writes and reads.
pub const VERSION: u16 = 1;
/// Bytes of a bundle at most.
pub const MAX_BYTES: u64 = 1 << 30;

/// Why a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not a bundle, or a broken one.
    #[error("this is not a model bundle: {0}")]
    Format(String),
    /// A bundle of a version that this code does not know.
    #[error("the bundle has version {0}, this program reads version {VERSION}")]
    Version(u16),
    /// Its program is not well-formed.
    #[error("the bundle's program: {0}")]
    Program(String),
    /// Its parameters do not fit the program.
    #[error("the bundle's parameters do not have the sizes that its program asks for")]
    Parameters,
    /// An input is not what the model takes.
    #[error("the model takes {expected} values for input {name:?}, not {got}")]
    Input {
        /// The input.
        name: String,
        /// Elements that it has.
        expected: u64,
        /// Elements that were given.
        got: usize,
    },
}

/// An affine quantisation: `value = scale * (stored - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Quantisation {
    /// The size of one step.
    pub scale: f32,
    /// What stands for zero.
    pub zero_point: i32,
}

/// A named input or output.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Port {
    /// Its name in the ONNX file.
    pub name: String,
    /// 0: `i8`; 1: `i32`.
    pub dtype: u8,
    /// The shape.
    pub dims: Vec<u32>,
    /// What the integers mean, where the file says so.
    pub quantisation: Option<Quantisation>,
}

impl Port {
    /// The port of a tensor.
    pub fn new(
        name: impl Into<String>,
        ty: &TensorType,
        quantisation: Option<Quantisation>,
    ) -> Self {
        Self {
            name: name.into(),
            dtype: ty.dtype as u8,
            dims: ty.shape.dims().to_vec(),
            quantisation,
        }
    }

    /// The tensor's type; `None` if there is no such.
    pub fn ty(&self) -> Option<TensorType> {
        let dtype = match self.dtype {
            0 => DType::I8,
            1 => DType::I32,
            _ => return None,
        };
        TensorType::new(dtype, &self.dims)
    }

    /// The bytes of `values` as this input, quantised if the port says how: divided by the scale,
    /// rounded half to even, shifted by the zero point, clamped.
    pub fn quantise(&self, values: &[f32]) -> Result<Vec<u8>, BundleError> {
        let ty = self.ty().ok_or(BundleError::Parameters)?;
        if values.len() as u64 != ty.shape.elements() {
            return Err(BundleError::Input {
                name: self.name.clone(),
                expected: ty.shape.elements(),
                got: values.len(),
            });
        }
        let q = self.quantisation.unwrap_or(Quantisation {
            scale: 1.0,
            zero_point: 0,
        });
        let steps = values
            .iter()
            .map(|v| f64::from((v / q.scale).round_ties_even()) + f64::from(q.zero_point));
        // Casts from floats saturate.
        Ok(match ty.dtype {
            DType::I8 => steps.map(|v| v as i8 as u8).collect(),
            DType::I32 => steps.flat_map(|v| (v as i32).to_le_bytes()).collect(),
        })
    }

    /// The values of this output's bytes; `None` unless they are as many as its type has.
    pub fn values(&self, bytes: &[u8]) -> Option<Vec<i32>> {
        let tensor = Tensor::new(self.ty()?, bytes.to_vec())?;
        (0..tensor.ty().shape.elements())
            .map(|i| tensor.get(i))
            .collect()
    }

    /// The real numbers that stored values stand for.
    pub fn dequantise(&self, values: &[i32]) -> Vec<f32> {
        let q = self.quantisation.unwrap_or(Quantisation {
            scale: 1.0,
            zero_point: 0,
        });
        // Both are anything in a stranger's file.
        let steps = |value: &i32| i64::from(*value) - i64::from(q.zero_point);
        values
            .iter()
            .map(|value| q.scale * steps(value) as f32)
            .collect()
    }
}

/// A model ready to be deployed.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Bundle {
    /// A name for people.
    pub name: String,
    /// The encoded tensor program.
    pub program: Vec<u8>,
    /// The parameters' bytes, one tensor after the other.
    pub parameters: Vec<u8>,
    /// The inputs.
    pub inputs: Vec<Port>,
    /// The outputs.
    pub outputs: Vec<Port>,
}

impl Bundle {
    /// The bundle of a checked program.
    pub fn new(
        name: impl Into<String>,
        program: &CheckedProgram,
        parameters: &[Tensor],
        inputs: Vec<Port>,
        outputs: Vec<Port>,
    ) -> Self {
        Self {
            name: name.into(),
            program: program.program().encode(),
            parameters: parameters.iter().flat_map(Tensor::data).copied().collect(),
            inputs,
            outputs,
        }
    }

    /// The program and its parameters, checked.
    pub fn open(&self) -> Result<(CheckedProgram, Vec<Tensor>), BundleError> {
        let program =
            Program::decode(&self.program).map_err(|e| BundleError::Program(e.to_string()))?;
        let program = program
            .check()
            .map_err(|e| BundleError::Program(e.to_string()))?;
        let parameters = program
            .parameters_from_blob(&self.parameters)
            .ok_or(BundleError::Parameters)?;
        Ok((program, parameters))
    }

    /// The file's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, BundleError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        // Writing to a vector cannot fail but for what does not encode.
        self.serialize(&mut bytes)
            .map_err(|e| BundleError::Format(e.to_string()))?;
        let hash = hashv(&[&bytes]);
        bytes.extend(hash);
        Ok(bytes)
    }

    /// The bundle in a file's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let wrong = |what: &str| BundleError::Format(what.into());
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| wrong("it does not begin like one"))?;
        let (version, rest) = rest
            .split_first_chunk::<2>()
            .ok_or_else(|| wrong("it is cut off"))?;
        let version = u16::from_le_bytes(*version);
        if version != VERSION {
            return Err(BundleError::Version(version));
        }
        let (body, hash) = rest
            .split_last_chunk::<32>()
            .ok_or_else(|| wrong("it is cut off"))?;
        if hashv(&[&bytes[..bytes.len() - 32]]) != *hash {
            return Err(wrong("its hash is wrong"));
        }
        borsh::from_slice(body).map_err(|e| wrong(&e.to_string()))
    }

    /// Reads a file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, BundleError> {
        Self::decode(&files::read(path, MAX_BYTES)?)
    }

    /// Writes a file.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), BundleError> {
        Ok(files::write(path, &self.encode()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        let case = assay_tensor::random::program(7);
        let ty = TensorType::new(DType::I8, &[2, 3]).unwrap();
        let quantisation = Some(Quantisation {
            scale: 0.5,
            zero_point: -3,
        });
        Bundle::new(
            "a model",
            &case.program,
            &case.parameters,
            vec![Port::new("in", &ty, quantisation)],
            vec![Port::new("out", &ty, None)],
        )
    }

    #[test]
    fn a_bundle_round_trips_and_opens() {
        let bundle = bundle();
        let bytes = bundle.encode().unwrap();
        let again = Bundle::decode(&bytes).unwrap();
        assert_eq!(again, bundle);
        let case = assay_tensor::random::program(7);
        let (program, parameters) = again.open().unwrap();
        assert_eq!(program.root(), case.program.root());
        assert_eq!(parameters, case.parameters);
    }

    #[test]
    fn every_change_and_every_cut_is_noticed() {
        let bytes = bundle().encode().unwrap();
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Bundle::decode(&changed).is_err(), "byte {at}");
            assert!(Bundle::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
        let mut later = bytes.clone();
        later[8] = 2;
        assert!(matches!(
            Bundle::decode(&later),
            Err(BundleError::Version(2))
        ));
    }

    #[test]
    fn the_format_is_pinned() {
        let bundle = Bundle {
            name: "n".into(),
            program: vec![1, 2],
            parameters: vec![3],
            inputs: vec![Port {
                name: "i".into(),
                dtype: 0,
                dims: vec![4],
                quantisation: Some(Quantisation {
                    scale: 1.0,
                    zero_point: -1,
                }),
            }],
            outputs: vec![],
        };
        let bytes = bundle.encode().unwrap();
        assert_eq!(
            hex::encode(&bytes[..bytes.len() - 32]),
            "61737361796d646c0100010000006e0200000001020100000003\
             0100000001000000690001000000040000000100 00803fffffffff00000000"
                .replace(' ', "")
        );
    }

    #[test]
    fn any_zero_point_of_a_file_is_taken_off() {
        let (scale, ty) = (0.5, TensorType::new(DType::I32, &[2]).unwrap());
        for (zero_point, values) in [
            (i32::MIN, [2_147_483_647.5, 1_073_741_824.0]),
            (i32::MAX, [0.0, -1_073_741_823.5]),
        ] {
            let port = Port::new("y", &ty, Some(Quantisation { scale, zero_point }));
            let real = port.dequantise(&[i32::MAX, 0]);
            assert_eq!(real, values.map(|value: f64| value as f32));
        }
    }

    #[test]
    fn quantising_rounds_half_to_even_and_clamps() {
        let ty = TensorType::new(DType::I8, &[6]).unwrap();
        let q = Quantisation {
            scale: 0.5,
            zero_point: -3,
        };
        let port = Port::new("in", &ty, Some(q));
        let bytes = port.quantise(&[0.0, 0.25, 0.75, 1.0, 1e9, -1e9]).unwrap();
        let stored: Vec<i8> = bytes.iter().map(|b| *b as i8).collect();
        assert_eq!(stored, [-3, -3, -1, -1, 127, -128]);
        assert_eq!(port.dequantise(&[-3, -1]), [0.0, 1.0]);
        assert!(matches!(
            port.quantise(&[0.0]),
            Err(BundleError::Input { .. })
        ));
    }
}
