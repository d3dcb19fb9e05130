//! The digits model that is committed under `models/digits`, its held-out images, and what onnxruntime
//! and the float original say of them. The formats are described in `models/digits/README.md`.

use crate::Quantisation;

/// The deployed model: QDQ, per channel, signed.
pub const DIGITS: &[u8] = include_bytes!("../../../models/digits/digits-int8.onnx");
/// The same model in integer operators (QOperator), per channel, signed.
pub const DIGITS_QOPERATOR: &[u8] = include_bytes!("../../../models/digits/digits-qoperator.onnx");
/// The same model as QDQ, per tensor, with unsigned activations.
pub const DIGITS_UINT8: &[u8] = include_bytes!("../../../models/digits/digits-uint8.onnx");
/// The float original.
pub const DIGITS_FLOAT: &[u8] = include_bytes!("../../../models/digits/digits.onnx");

const HELD_OUT: &[u8] = include_bytes!("../../../models/digits/heldout.bin");
const ORACLE: &[u8] = include_bytes!("../../../models/digits/oracle-int8.bin");
const ORACLE_QOPERATOR: &[u8] = include_bytes!("../../../models/digits/oracle-qoperator.bin");
const ORACLE_UINT8: &[u8] = include_bytes!("../../../models/digits/oracle-uint8.bin");
const ORACLE_FLOAT: &[u8] = include_bytes!("../../../models/digits/oracle-float.bin");

/// Why a file of images or of results cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// It does not start as such a file does.
    #[error("not a file of this kind and version")]
    Kind,
    /// Its length is not what its header says.
    #[error("longer or shorter than its header says")]
    Length,
}

/// Labelled images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOut {
    /// Height and width of an image.
    pub size: [usize; 2],
    /// The images, each height x width pixels with values 0..=16.
    pub images: Vec<Vec<u8>>,
    /// What each image shows, 0..=9.
    pub labels: Vec<u8>,
}

/// What another runtime computed for the images, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oracle {
    /// The quantised logits of each image in the `i8` domain; none where only classes were recorded.
    pub logits: Vec<Vec<i8>>,
    /// The class of each image.
    pub classes: Vec<u8>,
}

impl HeldOut {
    /// The 600 held-out images of the digits data set.
    ///
    /// # Errors
    /// Never of the committed file.
    pub fn digits() -> Result<Self, DatasetError> {
        Self::parse(HELD_OUT)
    }

    /// Reads a file of images.
    ///
    /// # Errors
    /// If `bytes` are not such a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, DatasetError> {
        let ([count, height, width], body) = header::<3>(bytes, b"ASSAYSET")?;
        let area = height.checked_mul(width).filter(|a| *a > 0);
        let area = area.ok_or(DatasetError::Length)?;
        let pixels = area.checked_mul(count).ok_or(DatasetError::Length)?;
        let (pixels, labels) = body.split_at_checked(pixels).ok_or(DatasetError::Length)?;
        if labels.len() != count {
            return Err(DatasetError::Length);
        }
        Ok(Self {
            size: [height, width],
            images: pixels.chunks(area).map(<[u8]>::to_vec).collect(),
            labels: labels.to_vec(),
        })
    }

    /// The bytes that an inference takes for image `i`; `None` past the last.
    pub fn input(&self, i: usize, quantisation: &Quantisation) -> Option<Vec<u8>> {
        let image = self.images.get(i)?.iter();
        let bytes = image.map(|pixel| quantisation.quantise(f32::from(*pixel)) as u8);
        Some(bytes.collect())
    }

    /// The share of `classes` that are the images' labels.
    pub fn accuracy(&self, classes: &[u8]) -> f64 {
        let right = self.labels.iter().zip(classes).filter(|(a, b)| a == b);
        right.count() as f64 / self.labels.len().max(1) as f64
    }
}

impl Oracle {
    /// onnxruntime's results of [`DIGITS`].
    ///
    /// # Errors
    /// Never of the committed file; nor do the other three.
    pub fn digits() -> Result<Self, DatasetError> {
        Self::parse(ORACLE)
    }

    /// onnxruntime's results of [`DIGITS_QOPERATOR`].
    ///
    /// # Errors
    /// Never.
    pub fn digits_qoperator() -> Result<Self, DatasetError> {
        Self::parse(ORACLE_QOPERATOR)
    }

    /// onnxruntime's results of [`DIGITS_UINT8`].
    ///
    /// # Errors
    /// Never.
    pub fn digits_uint8() -> Result<Self, DatasetError> {
        Self::parse(ORACLE_UINT8)
    }

    /// onnxruntime's classes of [`DIGITS_FLOAT`].
    ///
    /// # Errors
    /// Never.
    pub fn digits_float() -> Result<Self, DatasetError> {
        Self::parse(ORACLE_FLOAT)
    }

    /// Reads a file of results.
    ///
    /// # Errors
    /// If `bytes` are not such a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, DatasetError> {
        let ([count, width], body) = header::<2>(bytes, b"ASSAYORA")?;
        let logits = count.checked_mul(width).ok_or(DatasetError::Length)?;
        let (logits, classes) = body.split_at_checked(logits).ok_or(DatasetError::Length)?;
        if classes.len() != count {
            return Err(DatasetError::Length);
        }
        let row = |row: &[u8]| row.iter().map(|b| *b as i8).collect();
        Ok(Self {
            logits: logits.chunks(width.max(1)).map(row).collect(),
            classes: classes.to_vec(),
        })
    }
}

/// The version of both formats.
const VERSION: u32 = 1;

/// The numbers behind the kind and the version, and the rest.
fn header<'a, const N: usize>(
    bytes: &'a [u8],
    kind: &[u8; 8],
) -> Result<([usize; N], &'a [u8]), DatasetError> {
    let mut rest = bytes.strip_prefix(kind).ok_or(DatasetError::Kind)?;
    let mut number = || {
        let (word, after) = rest.split_first_chunk::<4>().ok_or(DatasetError::Length)?;
        rest = after;
        Ok(u32::from_le_bytes(*word))
    };
    if number()? != VERSION {
        return Err(DatasetError::Kind);
    }
    let mut numbers = [0; N];
    for n in &mut numbers {
        *n = number()? as usize;
    }
    Ok((numbers, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_files() {
        let held_out = HeldOut::digits().unwrap();
        assert_eq!((held_out.images.len(), held_out.size), (600, [8, 8]));
        assert!(held_out.labels.iter().all(|l| *l < 10));
        assert!(held_out.images.iter().flatten().all(|p| *p <= 16));
        for oracle in [
            Oracle::digits(),
            Oracle::digits_qoperator(),
            Oracle::digits_uint8(),
        ] {
            let oracle = oracle.unwrap();
            assert_eq!((oracle.logits.len(), oracle.classes.len()), (600, 600));
            assert!(oracle.logits.iter().all(|row| row.len() == 10));
        }
        assert_eq!(Oracle::digits_float().unwrap().classes.len(), 600);
    }

    #[test]
    fn broken_files() {
        assert_eq!(HeldOut::parse(b"ASSAY"), Err(DatasetError::Kind));
        assert_eq!(HeldOut::parse(ORACLE), Err(DatasetError::Kind));
        assert_eq!(
            HeldOut::parse(&HELD_OUT[..HELD_OUT.len() - 1]),
            Err(DatasetError::Length)
        );
        assert_eq!(HeldOut::parse(&HELD_OUT[..20]), Err(DatasetError::Length));
        assert_eq!(
            Oracle::parse(&[ORACLE, &[0]].concat()),
            Err(DatasetError::Length)
        );
        let mut huge = ORACLE.to_vec();
        huge[12..20].fill(0xff);
        assert_eq!(Oracle::parse(&huge), Err(DatasetError::Length));
        let mut version = ORACLE.to_vec();
        version[8] = 2;
        assert_eq!(Oracle::parse(&version), Err(DatasetError::Kind));
    }
}
