//! One node of the graph: its attributes, and errors that name it.

use crate::error::{ImportError, NodeName};
use crate::proto::{AttributeProto, NodeProto, TensorProto, attribute_type};

/// A node with its name for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeView<'a> {
    pub index: usize,
    pub proto: &'a NodeProto,
}

impl<'a> NodeView<'a> {
    pub fn name(&self) -> NodeName {
        NodeName {
            index: self.index,
            op_type: self.proto.op_type.clone(),
            name: self.proto.name.clone(),
        }
    }

    pub fn unsupported(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Unsupported {
            node: self.name(),
            reason: reason.into(),
        }
    }

    pub fn shape_error(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Shape {
            node: self.name(),
            reason: reason.into(),
        }
    }

    pub fn value_error(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Value {
            node: self.name(),
            reason: reason.into(),
        }
    }

    /// Refuses attributes that the importer does not know, so that none is silently ignored.
    pub fn allow(&self, known: &[&str]) -> Result<(), ImportError> {
        match self
            .proto
            .attribute
            .iter()
            .find(|a| !known.contains(&a.name.as_str()))
        {
            None => Ok(()),
            Some(a) => {
                Err(self.unsupported(format!("attribute {:?}", crate::error::clipped(&a.name))))
            }
        }
    }

    fn attribute(&self, name: &str, kind: i32) -> Result<Option<&'a AttributeProto>, ImportError> {
        match self.proto.attribute.iter().find(|a| a.name == name) {
            // Very old files leave the type out.
            Some(a) if a.r#type == kind || a.r#type == 0 => Ok(Some(a)),
            Some(_) => Err(self.value_error(format!("attribute {name:?} is of the wrong type"))),
            None => Ok(None),
        }
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>, ImportError> {
        Ok(self.attribute(name, attribute_type::INT)?.map(|a| a.i))
    }

    pub fn int_or(&self, name: &str, default: i64) -> Result<i64, ImportError> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    pub fn flag(&self, name: &str) -> Result<bool, ImportError> {
        Ok(self.int_or(name, 0)? != 0)
    }

    pub fn float(&self, name: &str) -> Result<Option<f32>, ImportError> {
        Ok(self.attribute(name, attribute_type::FLOAT)?.map(|a| a.f))
    }

    pub fn float_or(&self, name: &str, default: f32) -> Result<f32, ImportError> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    pub fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, ImportError> {
        let found = self.attribute(name, attribute_type::INTS)?;
        Ok(found.map(|a| a.ints.as_slice()))
    }

    pub fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, ImportError> {
        let found = self.attribute(name, attribute_type::FLOATS)?;
        Ok(found.map(|a| a.floats.as_slice()))
    }

    pub fn string(&self, name: &str) -> Result<Option<&'a [u8]>, ImportError> {
        let found = self.attribute(name, attribute_type::STRING)?;
        Ok(found.map(|a| a.s.as_slice()))
    }

    pub fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, ImportError> {
        let found = self.attribute(name, attribute_type::TENSOR)?;
        Ok(found.and_then(|a| a.t.as_ref()))
    }

    /// An axis of a tensor of `rank` dimensions; a negative one counts from the last.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, ImportError> {
        let rank_i = rank as i64;
        let counted = if axis < 0 {
            axis.saturating_add(rank_i)
        } else {
            axis
        };
        if (0..rank_i).contains(&counted) {
            Ok(counted as usize)
        } else {
            Err(self.shape_error(format!("axis {axis} of a tensor of {rank} dimensions")))
        }
    }
}
