//! A walk over naga's representation of a shader, which refuses all that is not listed here.
//!
//! The subset: `i32`, `u32`, their vectors and `bool`; wrapping `+ - *`; shifts by constants
//! under 32 or masked with 31; division of unsigned numbers by constants that are not zero;
//! `clamp` between constants in order; `min`, `max`, `select`, comparisons, bit operations,
//! bit casts, and three functions on packed bytes. Whatever is not in it may differ from
//! device to device, or has not been shown to be the same.

use naga::{
    AddressSpace, BinaryOperator as Operator, Binding, Block, BuiltIn, Expression, Function,
    GlobalVariable, Handle, Literal, MathFunction, Module, ScalarKind, Statement, Type, TypeInner,
    valid::{Capabilities, FunctionInfo, ModuleInfo, ValidationFlags, Validator},
};

type Verdict = Result<(), String>;

/// A valid module and what naga knows of it.
pub fn parse(source: &str) -> Result<(Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|error| format!("does not parse: {}", error.emit_to_string(source)))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| format!("is not valid: {error:?}"))?;
    Ok((module, info))
}

/// Whether a shader is in the subset; why not, if it is not.
pub fn check(source: &str) -> Verdict {
    let (module, info) = parse(source)?;
    if !module.overrides.is_empty() {
        return Err("has an override".into());
    }
    for (_, ty) in module.types.iter() {
        check_type(ty)?;
    }
    for (_, variable) in module.global_variables.iter() {
        check_global(variable)?;
    }
    for (_, expression) in module.global_expressions.iter() {
        match expression {
            Expression::Literal(literal) => check_literal(literal)?,
            Expression::Constant(_)
            | Expression::ZeroValue(_)
            | Expression::Compose { .. }
            | Expression::Splat { .. } => {}
            other => return Err(format!("has a constant made by {other:?}")),
        }
    }
    for (handle, function) in module.functions.iter() {
        Walk::new(&module, function, &info[handle]).check()?;
    }
    for (i, entry) in module.entry_points.iter().enumerate() {
        for argument in &entry.function.arguments {
            match argument.binding {
                Some(Binding::BuiltIn(BuiltIn::WorkGroupId | BuiltIn::LocalInvocationIndex)) => {}
                ref other => return Err(format!("reads the builtin {other:?}")),
            }
        }
        Walk::new(&module, &entry.function, info.get_entry_point(i)).check()?;
    }
    Ok(())
}

fn check_type(ty: &Type) -> Verdict {
    match ty.inner {
        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } => match scalar.kind {
            ScalarKind::Sint | ScalarKind::Uint if scalar.width == 4 => Ok(()),
            ScalarKind::Bool => Ok(()),
            _ => Err(format!("has the type {:?}", ty.inner)),
        },
        // Of types that are checked themselves.
        TypeInner::Array { .. } | TypeInner::Struct { .. } => Ok(()),
        _ => Err(format!("has the type {:?}", ty.inner)),
    }
}

fn check_global(variable: &GlobalVariable) -> Verdict {
    match variable.space {
        AddressSpace::Uniform | AddressSpace::Storage { .. } => Ok(()),
        other => Err(format!("has a variable in the address space {other:?}")),
    }
}

fn check_literal(literal: &Literal) -> Verdict {
    match literal {
        Literal::I32(_) | Literal::U32(_) | Literal::Bool(_) => Ok(()),
        other => Err(format!("has the literal {other:?}")),
    }
}

/// The walk over one function.
struct Walk<'a> {
    module: &'a Module,
    function: &'a Function,
    info: &'a FunctionInfo,
}

impl<'a> Walk<'a> {
    fn new(module: &'a Module, function: &'a Function, info: &'a FunctionInfo) -> Self {
        Self {
            module,
            function,
            info,
        }
    }

    fn check(&self) -> Verdict {
        let named = |reason: String| {
            let name = self.function.name.as_deref().unwrap_or("main");
            format!("in {name}: {reason}")
        };
        let mut packed = Vec::new();
        for (handle, expression) in self.function.expressions.iter() {
            if let Expression::Math {
                fun: MathFunction::Dot4I8Packed,
                arg,
                arg1,
                ..
            } = *expression
            {
                packed.extend([Some(arg), arg1]);
            }
            // Types that have no name in the module, too.
            self.scalar(handle).map_err(named)?;
            self.expression(expression).map_err(named)?;
        }
        // Naga 30 declares a name for each operand of each of these in its Metal output, and so
        // one name twice if two share an operand.
        packed.sort();
        if packed.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(named("has an operand of two packed products".into()));
        }
        self.block(&self.function.body).map_err(named)
    }

    /// That an expression's numbers are 32-bit integers or truth values; their kind.
    fn scalar(&self, handle: Handle<Expression>) -> Result<Option<ScalarKind>, String> {
        let inner = self.info[handle].ty.inner_with(&self.module.types);
        match inner.scalar() {
            None => Ok(None),
            Some(scalar) => match scalar.kind {
                ScalarKind::Sint | ScalarKind::Uint if scalar.width == 4 => Ok(Some(scalar.kind)),
                ScalarKind::Bool => Ok(Some(scalar.kind)),
                _ => Err(format!("has a value of type {inner:?}")),
            },
        }
    }

    fn expression(&self, expression: &Expression) -> Verdict {
        match *expression {
            Expression::Literal(ref literal) => check_literal(literal),
            Expression::Constant(_)
            | Expression::ZeroValue(_)
            | Expression::Compose { .. }
            | Expression::Access { .. }
            | Expression::AccessIndex { .. }
            | Expression::Splat { .. }
            | Expression::Swizzle { .. }
            | Expression::FunctionArgument(_)
            | Expression::GlobalVariable(_)
            | Expression::LocalVariable(_)
            | Expression::Load { .. }
            | Expression::Unary { .. }
            | Expression::Select { .. }
            | Expression::CallResult(_) => Ok(()),
            Expression::Binary { op, left, right } => self.binary(op, left, right),
            Expression::Math {
                fun, arg1, arg2, ..
            } => match fun {
                MathFunction::Min
                | MathFunction::Max
                | MathFunction::Dot4I8Packed
                | MathFunction::Pack4xI8Clamp
                | MathFunction::Unpack4xI8 => Ok(()),
                MathFunction::Clamp => self.clamp(arg1, arg2),
                other => Err(format!("calls {other:?}")),
            },
            Expression::As { convert: None, .. } => Ok(()),
            Expression::As { .. } => Err("has a conversion that is not a bit cast".into()),
            ref other => Err(format!("has {other:?}")),
        }
    }

    fn binary(&self, op: Operator, left: Handle<Expression>, right: Handle<Expression>) -> Verdict {
        match op {
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Equal
            | Operator::NotEqual
            | Operator::Less
            | Operator::LessEqual
            | Operator::Greater
            | Operator::GreaterEqual
            | Operator::And
            | Operator::ExclusiveOr
            | Operator::InclusiveOr
            | Operator::LogicalAnd
            | Operator::LogicalOr => Ok(()),
            Operator::ShiftLeft | Operator::ShiftRight => {
                if self.is_shift_count(right) {
                    Ok(())
                } else {
                    Err("has a shift by what is neither a constant under 32 nor masked".into())
                }
            }
            Operator::Divide | Operator::Modulo => {
                let divisor = self.constant(right);
                let nonzero = divisor.is_some_and(|values| values.iter().all(|v| *v != 0));
                if self.scalar(left)? == Some(ScalarKind::Uint) && nonzero {
                    Ok(())
                } else {
                    Err("has a division that is signed, or by what is no constant".into())
                }
            }
        }
    }

    fn is_shift_count(&self, count: Handle<Expression>) -> bool {
        let below_32 = |values: Vec<i64>| values.iter().all(|v| (0..32).contains(v));
        match self.function.expressions[count] {
            Expression::Binary {
                op: Operator::And,
                left,
                right,
            } => [left, right]
                .into_iter()
                .any(|side| self.constant(side).is_some_and(below_32)),
            Expression::Splat { value, .. } => self.is_shift_count(value),
            _ => self.constant(count).is_some_and(below_32),
        }
    }

    fn clamp(&self, lo: Option<Handle<Expression>>, hi: Option<Handle<Expression>>) -> Verdict {
        let lo = lo.and_then(|lo| self.constant(lo));
        let hi = hi.and_then(|hi| self.constant(hi));
        match (lo, hi) {
            (Some(lo), Some(hi)) if lo.iter().zip(&hi).all(|(lo, hi)| lo <= hi) => Ok(()),
            _ => Err("has a clamp that is not between constants in order".into()),
        }
    }

    /// The components of a constant integer expression.
    fn constant(&self, handle: Handle<Expression>) -> Option<Vec<i64>> {
        constant(self.module, &self.function.expressions, handle)
    }

    fn block(&self, block: &Block) -> Verdict {
        block.iter().try_for_each(|statement| match statement {
            Statement::Emit(_)
            | Statement::Break
            | Statement::Continue
            | Statement::Return { .. }
            | Statement::Store { .. }
            | Statement::Call { .. } => Ok(()),
            Statement::Block(block) => self.block(block),
            Statement::If { accept, reject, .. } => {
                self.block(accept)?;
                self.block(reject)
            }
            Statement::Loop {
                body, continuing, ..
            } => {
                self.block(body)?;
                self.block(continuing)
            }
            other => Err(format!("has the statement {other:?}")),
        })
    }
}

fn constant(
    module: &Module,
    arena: &naga::Arena<Expression>,
    handle: Handle<Expression>,
) -> Option<Vec<i64>> {
    match arena[handle] {
        Expression::Literal(Literal::I32(value)) => Some(vec![value.into()]),
        Expression::Literal(Literal::U32(value)) => Some(vec![value.into()]),
        Expression::Constant(constant_handle) => {
            let init = module.constants[constant_handle].init;
            constant(module, &module.global_expressions, init)
        }
        Expression::Splat { value, .. } => constant(module, arena, value),
        Expression::Compose { ref components, .. } => {
            let components = components.iter().map(|c| constant(module, arena, *c));
            Some(components.collect::<Option<Vec<_>>>()?.concat())
        }
        _ => None,
    }
}
