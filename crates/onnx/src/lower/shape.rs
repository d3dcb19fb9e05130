//! Operators that only move elements, and `ArgMax`.

use assay_tensor::op::Op;
use assay_tensor::types::{DType, MAX_RANK, Shape};

use super::Lowering;
use crate::builder::{Layout, ValueId};
use crate::error::ImportError;
use crate::node::NodeView;
use crate::proto::data_type;
use crate::value::{Integer, Real, Value};

impl Lowering<'_> {
    /// Applies `move_elements` to the integers behind `operand`, whatever is known about their scale.
    pub(super) fn rearranged(
        &mut self,
        node: &NodeView<'_>,
        operand: &Value,
        move_elements: impl FnOnce(&mut Self, ValueId) -> Result<ValueId, ImportError>,
    ) -> Result<Value, ImportError> {
        match operand {
            Value::Integer(x) => Ok(Value::Integer(Integer {
                id: move_elements(self, x.id)?,
                ..*x
            })),
            Value::Real(Real::Function(function)) => {
                let of = move_elements(self, function.of)?;
                Ok(Value::Real(Real::Function(function.of(of))))
            }
            Value::Real(_) => Err(node.unsupported("its operand is not quantised")),
            Value::Input(_) => {
                Err(node.unsupported("an input of the graph is read before it is quantised"))
            }
            _ => Err(node.unsupported("its operand does not depend on an input")),
        }
    }

    /// The same elements under other dimensions.
    fn reshaped(
        &mut self,
        node: &NodeView<'_>,
        new_dims: impl FnOnce(&[u32]) -> Result<Vec<u32>, ImportError>,
    ) -> Result<Value, ImportError> {
        let operand = self.operand(node, 0)?;
        self.rearranged(node, &operand, |this, x| {
            let old = this.builder.shape(x);
            let shape = Shape::new(&new_dims(old.dims())?)
                .filter(|new| new.elements() == old.elements())
                .ok_or_else(|| {
                    node.shape_error(format!("{old:?} has not as many elements as its result"))
                })?;
            if shape == old {
                return Ok(x);
            }
            let dtype = this.builder.dtype(x);
            let operand = this.builder.operand(x, Layout::Onnx);
            Ok(this.builder.define(
                Op::Reshape(shape),
                vec![operand],
                dtype,
                shape,
                Layout::Onnx,
            ))
        })
    }

    /// `Flatten`: to a matrix.
    pub(super) fn flatten(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&["axis"])?;
        let axis = node.int_or("axis", 1)?;
        self.reshaped(node, |dims| {
            // `axis` may be the rank.
            let axis = match usize::try_from(axis) {
                Ok(axis) if axis <= dims.len() => axis,
                _ => node.axis(axis, dims.len())?,
            };
            Ok(vec![
                dims[..axis].iter().product(),
                dims[axis..].iter().product(),
            ])
        })
    }

    /// `Reshape` to a constant shape.
    pub(super) fn reshape(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&["allowzero"])?;
        let target = self.constant_operand(node, 1)?;
        let target = target
            .list_i64()
            .filter(|t| t.len() <= MAX_RANK)
            .ok_or_else(|| node.value_error("its shape is not a short list of int64"))?;
        let zero_is_copy = !node.flag("allowzero")?;
        self.reshaped(node, |old| {
            let wrong = || node.shape_error(format!("{old:?} to {target:?}"));
            let mut dims = Vec::new();
            let mut open = None;
            for (i, d) in target.iter().enumerate() {
                dims.push(match d {
                    -1 if open.is_none() => {
                        open = Some(i);
                        1
                    }
                    0 if zero_is_copy => *old.get(i).ok_or_else(wrong)?,
                    d => u32::try_from(*d).map_err(|_| wrong())?,
                });
            }
            if let Some(i) = open {
                let known = Shape::new(&dims).ok_or_else(wrong)?.elements();
                let all: u64 = old.iter().map(|d| u64::from(*d)).product();
                dims[i] = u32::try_from(all / known).map_err(|_| wrong())?;
            }
            Ok(dims)
        })
    }

    /// `Squeeze` and `Unsqueeze`.
    pub(super) fn squeeze(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&["axes"])?;
        let axes = match self.optional_constant(node, 1)? {
            Some(axes) => axes.list_i64().map(<[i64]>::to_vec),
            None => node.ints("axes")?.map(<[i64]>::to_vec),
        };
        let remove = node.proto.op_type == "Squeeze";
        if axes.as_ref().is_some_and(|a| a.len() > MAX_RANK) {
            return Err(node.value_error("too many axes"));
        }
        self.reshaped(node, |old| match (remove, axes) {
            (true, None) => Ok(old.iter().copied().filter(|d| *d != 1).collect()),
            (true, Some(axes)) => {
                let mut keep = vec![true; old.len()];
                for axis in axes {
                    keep[node.axis(axis, old.len())?] = false;
                }
                let kept = old
                    .iter()
                    .zip(keep)
                    .filter_map(|(d, keep)| keep.then_some(*d));
                Ok(kept.collect())
            }
            (false, Some(axes)) => {
                let rank = old.len() + axes.len();
                let mut new = vec![None; rank];
                for axis in axes {
                    new[node.axis(axis, rank)?] = Some(1);
                }
                let mut old = old.iter().copied();
                Ok(new
                    .into_iter()
                    .filter_map(|d| d.or_else(|| old.next()))
                    .collect())
            }
            (false, None) => Err(node.value_error("its axes are missing")),
        })
    }

    /// `Transpose`.
    pub(super) fn transpose(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&["perm"])?;
        let perm = node.ints("perm")?;
        let operand = self.operand(node, 0)?;
        self.rearranged(node, &operand, |this, x| {
            let rank = this.builder.shape(x).rank();
            let reversed: Vec<i64> = (0..rank as i64).rev().collect();
            let perm = perm.unwrap_or(&reversed);
            let mut seen = [false; MAX_RANK];
            let mut permutation = [0; MAX_RANK];
            for (i, from) in perm.iter().enumerate() {
                let from = node.axis(*from, rank)?;
                if perm.len() != rank || std::mem::replace(&mut seen[from], true) {
                    return Err(node
                        .shape_error(format!("{perm:?} is no permutation of {rank} dimensions")));
                }
                permutation[i] = from as u8;
            }
            if perm.len() != rank {
                return Err(
                    node.shape_error(format!("{perm:?} is no permutation of {rank} dimensions"))
                );
            }
            this.permuted(node, x, permutation)
        })
    }

    fn permuted(
        &mut self,
        node: &NodeView<'_>,
        x: ValueId,
        permutation: [u8; MAX_RANK],
    ) -> Result<ValueId, ImportError> {
        let dims = crate::builder::permuted(self.builder.shape(x).dims(), &permutation);
        let shape = Shape::new(&dims).ok_or_else(|| node.shape_error("its result is too large"))?;
        let dtype = self.builder.dtype(x);
        let operand = self.builder.operand(x, Layout::Onnx);
        let op = Op::Transpose(permutation);
        Ok(self
            .builder
            .define(op, vec![operand], dtype, shape, Layout::Onnx))
    }

    /// `ArgMax`: of integers, or of a function that rises everywhere. The result is `i32`.
    pub(super) fn arg_max(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&["axis", "keepdims", "select_last_index"])?;
        if node.flag("select_last_index")? {
            return Err(node.unsupported("attribute select_last_index"));
        }
        let operand = self.operand(node, 0)?;
        let x = match &operand {
            Value::Integer(x) => x.id,
            Value::Real(Real::Function(f)) if f.is_strictly_monotone() => f.of,
            _ => {
                return Err(node.unsupported(
                    "its operand is not a quantised value, or a function that rises everywhere",
                ));
            }
        };
        let dims = self.builder.shape(x).dims().to_vec();
        let axis = node.axis(node.int_or("axis", 0)?, dims.len())?;
        let x = if axis + 1 == dims.len() {
            self.builder.operand(x, Layout::Onnx)
        } else if axis == 1 && self.builder.layout(x) == Layout::ChannelsLast {
            // The channels are last in memory already.
            self.builder.operand(x, Layout::ChannelsLast)
        } else {
            let mut order: Vec<u8> = (0..dims.len() as u8)
                .filter(|d| usize::from(*d) != axis)
                .collect();
            order.push(axis as u8);
            let mut permutation = [0; MAX_RANK];
            permutation[..order.len()].copy_from_slice(&order);
            let last = self.permuted(node, x, permutation)?;
            self.builder.operand(last, Layout::Onnx)
        };
        let mut reduced = dims;
        reduced.remove(axis);
        let whole = |dims: &[u32]| Shape::new(dims).ok_or_else(|| node.shape_error("its result"));
        let shape = whole(&reduced)?;
        let id = self
            .builder
            .define(Op::ArgMax, vec![x], DType::I32, shape, Layout::Onnx);
        let id = if node.int_or("keepdims", 1)? != 0 {
            reduced.insert(axis, 1);
            let shape = whole(&reduced)?;
            let operand = self.builder.operand(id, Layout::Onnx);
            self.builder.define(
                Op::Reshape(shape),
                vec![operand],
                DType::I32,
                shape,
                Layout::Onnx,
            )
        } else {
            id
        };
        Ok(Value::Integer(Integer {
            id,
            unsigned: false,
            quantisation: None,
        }))
    }

    /// `Cast`, of an index from one integer type to another.
    pub(super) fn cast(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        node.allow(&["to", "saturate"])?;
        match self.operand(node, 0)? {
            Value::Integer(x)
                if self.builder.dtype(x.id) == DType::I32
                    && matches!(node.int("to")?, Some(to) if [data_type::INT32, data_type::INT64].contains(&(to as i32))) =>
            {
                Ok(Value::Integer(x))
            }
            _ => Err(node.unsupported("only an ArgMax's result is cast, to int32 or int64")),
        }
    }
}
