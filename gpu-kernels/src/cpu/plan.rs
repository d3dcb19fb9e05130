//! From a program to steps over places in memory.

use super::elementwise::Sum;
use super::kernel::Kernel;
use super::step::{Batch, Site, Step};
use super::{conv2d, elementwise, layout, mat_mul, pool};
use assay_tensor::op::Op;
use assay_tensor::program::{CheckedProgram, Operand};
use assay_tensor::reference;
use assay_tensor::types::{Tensor, TensorType};

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a slot: a buffer that holds a value of each request of a batch, and another value
    /// when nothing reads the first one any more.
    Slot(usize),
    /// A parameter.
    Parameter(usize),
}

/// A step and where its operands and its result are.
pub(crate) struct Planned {
    pub step: Box<dyn Step>,
    /// Places of the operands, and bytes of one request.
    pub operands: Vec<(Place, usize)>,
    /// Slot of the result, and bytes of one request.
    pub result: (usize, usize),
}

/// A program, prepared.
pub(crate) struct Plan {
    pub steps: Vec<Planned>,
    /// Slots of the inputs, and bytes of one request.
    pub inputs: Vec<(usize, usize)>,
    /// Places of the outputs, and bytes of one request.
    pub outputs: Vec<(Place, usize)>,
    /// Bytes of one request in each slot.
    pub slots: Vec<usize>,
}

impl Plan {
    /// Prepares `program` with parameters of its types.
    pub(crate) fn new(kernel: Kernel, program: &CheckedProgram, parameters: &[Tensor]) -> Self {
        let mut slots = Slots::new(program);
        let inputs = program.program().inputs.iter().enumerate();
        let inputs = inputs
            .map(|(i, ty)| (slots.input(i, ty), ty.bytes() as usize))
            .collect();
        let mut steps = Vec::new();
        for (index, node) in program.program().nodes.iter().enumerate() {
            let ty = program.value_types()[index];
            if let Op::Reshape(_) = node.op {
                slots.alias(index, node.operands[0]);
                continue;
            }
            let types = node.operands.iter().map(|o| program.type_of(*o));
            let types = types.collect::<Vec<_>>();
            let places = node.operands.iter().map(|o| slots.place(*o));
            let places = places.collect::<Vec<_>>();
            let known = places.iter().map(|place| match place {
                Place::Parameter(i) => Some(parameters[*i].data()),
                Place::Slot(_) => None,
            });
            let site = Site {
                kernel,
                types: &types,
                known: &known.collect::<Vec<_>>(),
                result: ty,
            };
            steps.push(Planned {
                step: prepare(&node.op, &site),
                operands: places
                    .into_iter()
                    .zip(types.iter().map(|ty| ty.bytes() as usize))
                    .collect(),
                result: (slots.result(index, &ty), ty.bytes() as usize),
            });
        }
        let outputs = program.program().outputs.iter().map(|output| {
            let operand = Operand::Value(output.value);
            let bytes = program.type_of(operand).bytes() as usize;
            (slots.place(operand), bytes)
        });
        Self {
            steps,
            inputs,
            outputs: outputs.collect(),
            slots: slots.bytes,
        }
    }
}

/// The step of an operator.
fn prepare(op: &Op, site: &Site) -> Box<dyn Step> {
    match op {
        Op::MatMul(epilogue) => mat_mul::prepare(epilogue, site),
        Op::Conv2d {
            window,
            groups,
            pad_value,
            epilogue,
        } => conv2d::prepare(window, *groups, *pad_value, epilogue, site)
            .unwrap_or_else(|| Box::new(ByElement::new(op, site))),
        Op::Add {
            multiplier_a,
            multiplier_b,
            offset,
            shift,
            range,
        } => {
            let sum = Sum {
                multiplier_a: *multiplier_a,
                multiplier_b: *multiplier_b,
                offset: *offset,
                shift: *shift,
                range: *range,
            };
            elementwise::prepare_add(sum, site)
        }
        Op::Lookup => elementwise::prepare_lookup(),
        Op::MaxPool2d(window) => pool::prepare_max(window, site),
        Op::AvgPool2d {
            window,
            pad_value,
            offset,
            requant,
        } => pool::prepare_average(window, *pad_value, *offset, requant, site),
        // Not reached by a plan, which moves nothing for it; but right.
        Op::Reshape(_) => Box::new(ByElement::new(op, site)),
        Op::Transpose(permutation) => layout::prepare_transpose(permutation, site),
        Op::ArgMax => layout::prepare_arg_max(site),
    }
}

/// An operator as the reference computes it: for what no model has and memory would not hold.
struct ByElement {
    op: Op,
    types: Vec<TensorType>,
}

impl ByElement {
    fn new(op: &Op, site: &Site) -> Self {
        Self {
            op: op.clone(),
            types: site.types.to_vec(),
        }
    }
}

impl Step for ByElement {
    fn run(&self, batch: usize, operands: &[Batch], out: &mut [u8], _: &mut Vec<u8>) {
        let each = out.len() / batch;
        for (request, out) in out.chunks_exact_mut(each).enumerate() {
            let data = operands.iter().map(|operand| operand.of(request));
            let value = reference::value(&self.op, &self.types, &data.collect::<Vec<_>>());
            out.copy_from_slice(&value.expect("the operator passed its check"));
        }
    }
}

/// Gives values their slots: one is free again after the last step that reads it.
struct Slots {
    bytes: Vec<usize>,
    free: Vec<usize>,
    /// Index of the last operator that reads each input's and each value's slot.
    last_input: Vec<usize>,
    last_value: Vec<usize>,
    inputs: Vec<usize>,
    values: Vec<Place>,
    /// Slots to be freed after each operator.
    freed: Vec<Vec<usize>>,
}

impl Slots {
    fn new(program: &CheckedProgram) -> Self {
        let nodes = &program.program().nodes;
        let mut last_input = vec![0; program.program().inputs.len()];
        // What nothing reads is there until its own operator is done.
        let mut last_value = (0..nodes.len()).collect::<Vec<_>>();
        for output in &program.program().outputs {
            last_value[output.value as usize] = nodes.len();
        }
        // Backwards, so that a reshape's readers count for what it reshapes.
        for (index, node) in nodes.iter().enumerate().rev() {
            let last = match node.op {
                Op::Reshape(_) => last_value[index],
                _ => index,
            };
            for operand in &node.operands {
                let at = match *operand {
                    Operand::Input(i) => &mut last_input[usize::from(i)],
                    Operand::Value(i) => &mut last_value[i as usize],
                    Operand::Parameter(_) => continue,
                };
                *at = (*at).max(last);
            }
        }
        Self {
            bytes: Vec::new(),
            free: Vec::new(),
            last_input,
            last_value,
            inputs: Vec::new(),
            values: Vec::new(),
            freed: vec![Vec::new(); nodes.len() + 1],
        }
    }

    /// A slot that is free until the operator of index `last` is done.
    fn take(&mut self, ty: &TensorType, last: usize) -> usize {
        let bytes = ty.bytes() as usize;
        // The one whose size is the nearest.
        let free = self.free.iter().enumerate();
        let nearest = free.min_by_key(|(_, slot)| self.bytes[**slot].abs_diff(bytes));
        let slot = match nearest.map(|(at, _)| at) {
            Some(at) => self.free.swap_remove(at),
            None => {
                self.bytes.push(0);
                self.bytes.len() - 1
            }
        };
        self.bytes[slot] = self.bytes[slot].max(bytes);
        self.freed[last].push(slot);
        slot
    }

    fn input(&mut self, index: usize, ty: &TensorType) -> usize {
        let slot = self.take(ty, self.last_input[index]);
        self.inputs.push(slot);
        slot
    }

    /// The slot of operator `index`'s result; its operands' are free after it where it is the
    /// last to read them.
    fn result(&mut self, index: usize, ty: &TensorType) -> usize {
        let slot = self.take(ty, self.last_value[index]);
        self.values.push(Place::Slot(slot));
        self.release(index);
        slot
    }

    /// Gives operator `index`'s result the place of its operand.
    fn alias(&mut self, index: usize, operand: Operand) {
        self.values.push(self.place(operand));
        self.release(index);
    }

    fn release(&mut self, index: usize) {
        let freed = std::mem::take(&mut self.freed[index]);
        self.free.extend(freed);
    }

    fn place(&self, operand: Operand) -> Place {
        match operand {
            Operand::Input(i) => Place::Slot(self.inputs[usize::from(i)]),
            Operand::Parameter(i) => Place::Parameter(i as usize),
            Operand::Value(i) => self.values[i as usize],
        }
    }
}
