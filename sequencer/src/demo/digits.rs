//! The digits model and its held-out images, and what onnxruntime and the float original say.

use crate::cli::bundle_of;
use anyhow::{Context, Result};
use assay_client::bundle::Bundle;
use assay_onnx::dataset::{self, HeldOut, Oracle};

/// The model with its images.
pub struct Digits {
    /// The model.
    pub bundle: Bundle,
    /// Each image's input bytes, quantised.
    pub inputs: Vec<Vec<u8>>,
    labels: Vec<u8>,
    float: Vec<u8>,
    onnxruntime: Vec<u8>,
    /// Which output is the class.
    pub class_output: usize,
}

/// How well classes fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Share that is the label.
    pub accuracy: f64,
    /// The same of the float original.
    pub float_accuracy: f64,
    /// Share that is onnxruntime's class.
    pub agreement: f64,
}

impl Digits {
    /// The model imported from its ONNX file, with the first `images` images.
    pub fn load(images: Option<usize>) -> Result<Self> {
        let bundle = bundle_of("digits", dataset::DIGITS).context("importing the digits model")?;
        let mut set = HeldOut::digits()?;
        let count = images
            .unwrap_or(set.images.len())
            .clamp(1, set.images.len());
        set.images.truncate(count);
        let port = bundle.inputs.first().context("the model has no input")?;
        let inputs = set.images.iter().map(|pixels| {
            let values: Vec<f32> = pixels.iter().map(|p| f32::from(*p)).collect();
            port.quantise(&values)
        });
        let class_output = bundle
            .outputs
            .iter()
            .position(|o| o.name == "class")
            .context("the model has no output `class`")?;
        Ok(Self {
            inputs: inputs.collect::<Result<_, _>>()?,
            labels: set.labels,
            float: Oracle::digits_float()?.classes,
            onnxruntime: Oracle::digits()?.classes,
            class_output,
            bundle,
        })
    }

    /// The class in one run's outputs.
    pub fn class(&self, outputs: &[u8]) -> Result<u8> {
        let mut rest = outputs;
        for (i, port) in self.bundle.outputs.iter().enumerate() {
            let len = port.ty().map_or(0, |ty| ty.bytes()) as usize;
            let (mine, after) = rest
                .split_at_checked(len)
                .context("an answer is shorter than the model's outputs")?;
            if i == self.class_output {
                return self.class_of(mine);
            }
            rest = after;
        }
        anyhow::bail!("the model has no output {}", self.class_output)
    }

    /// The class in the class output alone.
    pub fn class_of(&self, output: &[u8]) -> Result<u8> {
        let values = self.bundle.outputs[self.class_output].values(output);
        let class = values.and_then(|v| v.first().copied());
        let class = class.context("the class output does not fit its type")?;
        Ok(u8::try_from(class)?)
    }

    /// Bytes of all outputs of one run.
    pub fn output_bytes(&self) -> u32 {
        let bytes = self
            .bundle
            .outputs
            .iter()
            .map(|o| o.ty().map_or(0, |t| t.bytes()));
        bytes.sum::<u64>() as u32
    }

    /// How well `classes`, of image 0, 1, ... and round again, fit.
    pub fn quality(&self, classes: &[u8]) -> Quality {
        let images = self.inputs.len();
        let share = |hits: usize, of: usize| hits as f64 / of.max(1) as f64;
        let matching = |theirs: &[u8]| {
            let hits = classes.iter().enumerate();
            hits.filter(|(i, class)| theirs[i % images] == **class)
                .count()
        };
        let float = (0..images).filter(|i| self.float[*i] == self.labels[*i]);
        Quality {
            accuracy: share(matching(&self.labels), classes.len()),
            float_accuracy: share(float.count(), images),
            agreement: share(matching(&self.onnxruntime), classes.len()),
        }
    }
}
