//! How far a program's outputs are from another runtime's.

use std::collections::BTreeMap;
use std::fmt;

use assay_tensor::reference::{self, RunError};
use assay_tensor::types::Tensor;

use crate::Imported;
use crate::dataset::{HeldOut, Oracle};

/// Differences between two runs of one output, element by element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Elements that were compared.
    pub elements: u64,
    /// How many elements differ, by how much they differ.
    pub by_magnitude: BTreeMap<u64, u64>,
}

impl Differences {
    /// Compares two lists of elements.
    ///
    /// # Errors
    /// If the lists are not of one length.
    pub fn add(&mut self, ours: &[i32], theirs: &[i32]) -> Result<(), LengthMismatch> {
        if ours.len() != theirs.len() {
            return Err(LengthMismatch(ours.len(), theirs.len()));
        }
        self.elements += ours.len() as u64;
        for (a, b) in ours.iter().zip(theirs).filter(|(a, b)| a != b) {
            let magnitude = u64::from(a.abs_diff(*b));
            *self.by_magnitude.entry(magnitude).or_default() += 1;
        }
        Ok(())
    }

    /// How many elements differ.
    pub fn differing(&self) -> u64 {
        self.by_magnitude.values().sum()
    }

    /// The largest difference.
    pub fn largest(&self) -> u64 {
        self.by_magnitude.keys().next_back().copied().unwrap_or(0)
    }

    /// The share of elements that are equal; 1 of none.
    pub fn agreement(&self) -> f64 {
        if self.elements == 0 {
            return 1.0;
        }
        1.0 - self.differing() as f64 / self.elements as f64
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differing = self.differing();
        let share = 100.0 * (1.0 - self.agreement());
        write!(
            f,
            "{differing} of {} elements differ ({share:.2} %)",
            self.elements
        )?;
        for (i, (magnitude, count)) in self.by_magnitude.iter().enumerate() {
            let lead = if i == 0 { ": " } else { ", " };
            write!(f, "{lead}{count} by {magnitude}")?;
        }
        Ok(())
    }
}

/// An imported classifier beside another runtime's run of the same file: one input, an image; two outputs,
/// the logits and their arg-max.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifierReport {
    /// The share of images that the program classifies as they are labelled.
    pub accuracy: f64,
    /// The same of the other runtime.
    pub oracle_accuracy: f64,
    /// The share of images that both classify alike.
    pub agreement: f64,
    /// Quantised logits, element by element.
    pub logits: Differences,
}

/// Why a report could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The model has not the ports of such a classifier, or the files are not about the same images.
    #[error("{0}")]
    NotSuchAClassifier(&'static str),
    /// The logits are not as many as the oracle's.
    #[error(transparent)]
    Length(#[from] LengthMismatch),
    /// The program did not run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl ClassifierReport {
    /// Runs `model` on all of `images` with the reference executor and compares with `oracle`.
    ///
    /// # Errors
    /// If the model is not such a classifier of such images, or the oracle is about others.
    pub fn make(model: &Imported, images: &HeldOut, oracle: &Oracle) -> Result<Self, ReportError> {
        let wrong = ReportError::NotSuchAClassifier;
        if oracle.classes.len() != images.labels.len() || oracle.logits.len() != images.labels.len()
        {
            return Err(wrong("the oracle is about other images"));
        }
        let [input] = model.inputs.as_slice() else {
            return Err(wrong("not one input"));
        };
        let input = input.quantisation.ok_or(wrong("the input has no scale"))?;
        let mut logits = Differences::default();
        let mut classes = Vec::with_capacity(images.labels.len());
        for (i, theirs) in oracle.logits.iter().enumerate() {
            let inputs = images
                .input(i, &input)
                .and_then(|bytes| model.program.inputs_from_bytes(&bytes))
                .ok_or(wrong("the images do not fit the input"))?;
            let outputs = reference::run(&model.program, &model.parameters, &inputs)?;
            let [ours, class] = outputs.as_slice() else {
                return Err(wrong("not two outputs"));
            };
            let theirs: Vec<i32> = theirs.iter().map(|v| i32::from(*v)).collect();
            logits.add(&elements(ours), &theirs)?;
            let class = class.get(0).and_then(|class| u8::try_from(class).ok());
            classes.push(class.ok_or(wrong("the second output is not a class"))?);
        }
        let alike = classes.iter().zip(&oracle.classes).filter(|(a, b)| a == b);
        Ok(Self {
            accuracy: images.accuracy(&classes),
            oracle_accuracy: images.accuracy(&oracle.classes),
            agreement: alike.count() as f64 / classes.len().max(1) as f64,
            logits,
        })
    }
}

impl fmt::Display for ClassifierReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "accuracy {:.2} % (onnxruntime {:.2} %), top-1 agreement {:.2} %; logits: {}",
            100.0 * self.accuracy,
            100.0 * self.oracle_accuracy,
            100.0 * self.agreement,
            self.logits
        )
    }
}

/// A tensor's elements.
fn elements(tensor: &Tensor) -> Vec<i32> {
    (0..tensor.ty().shape.elements())
        .filter_map(|i| tensor.get(i))
        .collect()
}

/// Two lists that were to be compared are not of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} elements cannot be compared with {1}")]
pub struct LengthMismatch(pub usize, pub usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_magnitude() {
        let mut d = Differences::default();
        d.add(&[1, 2, 3, -4], &[1, 3, 1, -4]).unwrap();
        d.add(&[5], &[4]).unwrap();
        assert_eq!(
            d.to_string(),
            "3 of 5 elements differ (60.00 %): 2 by 1, 1 by 2"
        );
        assert_eq!((d.differing(), d.largest()), (3, 2));
        assert_eq!(d.add(&[1], &[]), Err(LengthMismatch(1, 0)));
        assert_eq!(Differences::default().agreement(), 1.0);
    }
}
