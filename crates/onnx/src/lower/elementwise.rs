//! Functions of one value: tables on quantised values, bounds on what is quantised next.

use super::Lowering;
use crate::error::ImportError;
use crate::node::NodeView;
use crate::value::{Clamp, Function, Real, Value};

/// A function of a real number.
type Unary = Box<dyn Fn(f64) -> f64>;

impl Lowering<'_> {
    /// A unary operator: bounds on a real that has not been quantised yet, else a table.
    pub(super) fn unary(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        let op = node.proto.op_type.as_str();
        let bounds = match op {
            "Relu" => {
                node.allow(&[])?;
                Some((0.0, f32::INFINITY))
            }
            "Clip" => Some(self.clip_bounds(node)?),
            _ => None,
        };
        let function: Unary = match bounds {
            Some((lo, hi)) => Box::new(move |x| x.max(f64::from(lo)).min(f64::from(hi))),
            None => function(node, op)?,
        };
        let bounded = |clamp: Clamp| match bounds {
            Some((lo, hi)) => Ok(clamp.then(lo, hi)),
            None => Err(node.unsupported("its operand is not quantised")),
        };
        Ok(Value::Real(match self.operand(node, 0)? {
            Value::Real(Real::Function(f)) => Real::Function(f.then(function)),
            Value::Real(Real::Linear(linear, clamp)) => Real::Linear(linear, bounded(clamp)?),
            Value::Real(Real::Sum(sum, clamp)) => Real::Sum(sum, bounded(clamp)?),
            Value::Real(Real::Average(average, clamp)) => Real::Average(average, bounded(clamp)?),
            Value::Input(_) => {
                return Err(
                    node.unsupported("an input of the graph is read before it is quantised")
                );
            }
            _ => return Err(node.unsupported("its operand is not a real that depends on an input")),
        }))
    }

    /// The bounds of a `Clip`: attributes in old files, operands in newer ones.
    fn clip_bounds(&self, node: &NodeView<'_>) -> Result<(f32, f32), ImportError> {
        node.allow(&["min", "max"])?;
        let bound = |i: usize, name: &str, default: f32| -> Result<f32, ImportError> {
            let value = match self.optional(node, i) {
                None => node.float(name)?,
                Some(Value::Constant(c)) => c.scalar_f32(),
                Some(Value::Dequantised(d)) if d.constant.elements.len() == 1 => Some(d.real(0)),
                Some(_) => {
                    return Err(node.unsupported(format!("operand {i} is not a constant number")));
                }
            };
            match value {
                Some(value) if value.is_nan() => Err(node.value_error("a bound is not a number")),
                value => Ok(value.unwrap_or(default)),
            }
        };
        Ok((
            bound(1, "min", f32::NEG_INFINITY)?,
            bound(2, "max", f32::INFINITY)?,
        ))
    }

    /// `QLinearSigmoid` and `QLinearLeakyRelu` of com.microsoft.
    pub(super) fn qlinear_function(&mut self, node: &NodeView<'_>) -> Result<Value, ImportError> {
        let (x, scale, zero) = self.quantised_activation(node, 0)?;
        let function = function(node, node.proto.op_type.trim_start_matches("QLinear"))?;
        let real = Real::Function(Function::dequantise(x, scale, zero).then(function));
        self.requantised_real(node, &real, 3, 4)
    }
}

/// The functions of one real that ONNX has, as it defines them.
fn function(node: &NodeView<'_>, op: &str) -> Result<Unary, ImportError> {
    let parameter = |name: &'static str, default: f32| -> Result<f64, ImportError> {
        Ok(f64::from(node.float_or(name, default)?))
    };
    let known: &[&str] = match op {
        "LeakyRelu" | "Elu" | "Celu" | "ThresholdedRelu" | "QuickGelu" => &["alpha"],
        "HardSigmoid" => &["alpha", "beta"],
        "Selu" => &["alpha", "gamma"],
        "Gelu" => &["approximate"],
        _ => &[],
    };
    node.allow(known)?;
    Ok(match op {
        "LeakyRelu" => {
            let alpha = parameter("alpha", 0.01)?;
            Box::new(move |x| if x < 0.0 { alpha * x } else { x })
        }
        "Elu" => {
            let alpha = parameter("alpha", 1.0)?;
            Box::new(move |x| if x < 0.0 { alpha * libm::expm1(x) } else { x })
        }
        "Celu" => {
            let alpha = parameter("alpha", 1.0)?;
            Box::new(move |x| x.max(0.0) + (alpha * libm::expm1(x / alpha)).min(0.0))
        }
        "Selu" => {
            let (alpha, gamma) = (
                parameter("alpha", 1.673_263_2)?,
                parameter("gamma", 1.050_701)?,
            );
            Box::new(move |x| gamma * if x <= 0.0 { alpha * libm::expm1(x) } else { x })
        }
        "ThresholdedRelu" => {
            let alpha = parameter("alpha", 1.0)?;
            Box::new(move |x| if x > alpha { x } else { 0.0 })
        }
        "HardSigmoid" => {
            let (alpha, beta) = (parameter("alpha", 0.2)?, parameter("beta", 0.5)?);
            Box::new(move |x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        "HardSwish" => Box::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "Sigmoid" => Box::new(sigmoid),
        "QuickGelu" => {
            let alpha = parameter("alpha", 1.702)?;
            Box::new(move |x| x * sigmoid(alpha * x))
        }
        "Gelu" => match node.string("approximate")?.unwrap_or(b"none") {
            b"none" => {
                Box::new(|x| 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)))
            }
            b"tanh" => {
                let k = (2.0 / std::f64::consts::PI).sqrt();
                Box::new(move |x| 0.5 * x * (1.0 + libm::tanh(k * (x + 0.044715 * x * x * x))))
            }
            _ => return Err(node.unsupported("attribute approximate")),
        },
        "Mish" => Box::new(|x| x * libm::tanh(softplus(x))),
        "Softplus" => Box::new(softplus),
        "Softsign" => Box::new(|x| x / (1.0 + x.abs())),
        "Tanh" => Box::new(libm::tanh),
        "Erf" => Box::new(libm::erf),
        "Exp" => Box::new(libm::exp),
        "Log" => Box::new(libm::log),
        "Sqrt" => Box::new(f64::sqrt),
        "Reciprocal" => Box::new(|x| 1.0 / x),
        "Abs" => Box::new(f64::abs),
        "Neg" => Box::new(|x| -x),
        "Floor" => Box::new(f64::floor),
        "Ceil" => Box::new(f64::ceil),
        "Round" => Box::new(f64::round_ties_even),
        "Sign" => Box::new(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        "Sin" => Box::new(libm::sin),
        "Cos" => Box::new(libm::cos),
        _ => return Err(node.unsupported("the importer has no rule for this operator")),
    })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}
