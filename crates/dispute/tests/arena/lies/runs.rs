//! Lies about the run of a model.

use super::*;
use assay_dispute::Hash;
use assay_dispute::game::Reason;
use assay_dispute::player::{Model, Models, RunClaims};
use assay_tensor::commit::CHUNK;
use assay_tensor::program::Operand;
use assay_tensor::reference;
use assay_tensor::types::{DType, Tensor, TensorType};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::sync::Arc;

/// The run of transaction `index`.
pub fn run(batch: &Batch, index: u32) -> RunClaims {
    let result = batch.records[index as usize].1;
    let library = &batch.library;
    let model = library
        .model(&result.program_root, &result.parameters_root)
        .unwrap();
    let trace = library.trace(&model, &batch.inputs[&index]).unwrap();
    RunClaims::honest(model, trace)
}

/// A batch that says `claimed` of the run of transaction `index`.
pub fn with_run(batch: &Batch, index: u32, claimed: RunClaims) -> Remade {
    let transactions: Vec<_> = batch.records.iter().map(|(tx, _)| tx.clone()).collect();
    let change = Change {
        outputs: HashMap::from([(index, claimed.output_root())]),
        ..Change::default()
    };
    let mut remade = remake(batch, &transactions, &change).unwrap();
    remade.claims.runs.insert(index, claimed);
    remade
}

/// Adds one to an element.
pub fn bump(ty: &TensorType, data: &mut [u8], element: usize) {
    match ty.dtype {
        DType::I8 => data[element] = data[element].wrapping_add(1),
        DType::I32 => {
            let bytes: &mut [u8; 4] = (&mut data[4 * element..][..4]).try_into().unwrap();
            *bytes = i32::from_le_bytes(*bytes).wrapping_add(1).to_le_bytes();
        }
    }
}

/// The bytes of all values if that of `operator` is `data`; those after it follow from it.
fn values_after(
    model: &Model,
    input: &[u8],
    own: &RunClaims,
    operator: u32,
    data: &[u8],
) -> Vec<Vec<u8>> {
    let program = model.program().program();
    let inputs = model.program().inputs_from_bytes(input).unwrap();
    let mut values: Vec<Vec<u8>> = Vec::new();
    for (index, node) in (0u32..).zip(&program.nodes) {
        let value = if index < operator {
            own.data(index).unwrap().to_vec()
        } else if index == operator {
            data.to_vec()
        } else {
            let operands = node.operands.iter();
            let types: Vec<_> = operands
                .clone()
                .map(|o| model.program().type_of(*o))
                .collect();
            let bytes: Vec<&[u8]> = operands
                .map(|o| match *o {
                    Operand::Input(i) => inputs[usize::from(i)].data(),
                    Operand::Parameter(i) => model.parameters()[i as usize].data(),
                    Operand::Value(i) => &values[i as usize][..],
                })
                .collect();
            reference::value(&node.op, &types, &bytes).unwrap()
        };
        values.push(value);
    }
    values
}

/// Says that one element of `operator`'s value is larger by one, and that all that follows follows from
/// it. `None` if the outputs are none the worse for it.
pub fn wrong_element(batch: &Batch, index: u32, operator: u32, element: usize) -> Option<Lie> {
    let mut claimed = run(batch, index);
    let before = claimed.output_root();
    let model = claimed.model().clone();
    let types = model.program().value_types().to_vec();
    let mut data = claimed.data(operator)?.to_vec();
    bump(&types[operator as usize], &mut data, element);
    let values = values_after(&model, &batch.inputs[&index], &claimed, operator, &data);
    let after = (0u32..).zip(values).skip(operator as usize);
    let others = after.filter(|(at, value)| claimed.data(*at) != Some(value));
    let others: Vec<_> = others
        .map(|(at, value)| (at, types[at as usize], value))
        .collect();
    claimed.set_values(others);
    if claimed.output_root() == before {
        return None;
    }
    let name = format!("element {element} of operator {operator} of run {index}");
    Some(with_run(batch, index, claimed).lie(name, Some(Reason::Element)))
}

/// Says that the value of `operator` has another shape, another element type, or a tail of another length,
/// and something else of all values that follow.
pub fn wrong_values(batch: &Batch, index: u32, operator: u32) -> Vec<Lie> {
    let own = run(batch, index);
    let types = own.model().program().value_types().to_vec();
    let ty = types[operator as usize];
    let data = own.data(operator).unwrap().to_vec();
    let dims = ty.shape.dims();
    let other_dims = match dims {
        // Six at most.
        [1, rest @ ..] if !rest.is_empty() => rest.to_vec(),
        [first, rest @ ..] => [&[first + 1], rest].concat(),
        [] => vec![2],
    };
    let reshaped = TensorType::new(ty.dtype, &other_dims).unwrap();
    let other_dtype = match ty.dtype {
        DType::I8 => DType::I32,
        DType::I32 => DType::I8,
    };
    let retyped = TensorType::new(other_dtype, dims).unwrap();
    let resized = |len| {
        let mut data = data.clone();
        data.resize(len, 0);
        data
    };
    let ways = [
        (
            "another shape",
            reshaped,
            resized(reshaped.bytes() as usize),
        ),
        (
            "another element type",
            retyped,
            vec![0; retyped.bytes() as usize],
        ),
        ("a longer tail", ty, resized(data.len() + 1)),
        ("a shorter tail", ty, resized(data.len() - 1)),
        ("a chunk more", ty, resized(data.len() + CHUNK)),
        ("nothing", ty, Vec::new()),
    ];
    let lie = |(way, ty, data)| {
        let mut claimed = own.clone();
        let later = (operator + 1..).zip(&types[operator as usize + 1..]);
        let garbled = later.map(|(at, ty)| {
            let data = own.data(at).unwrap().iter().map(|byte| !byte);
            (at, *ty, data.collect())
        });
        let values: Vec<_> = std::iter::once((operator, ty, data))
            .chain(garbled)
            .collect();
        claimed.set_values(values);
        // Values that no output depends on are nobody's concern.
        let lies = claimed.output_root() != own.output_root();
        let name = format!("{way} of operator {operator} of run {index}");
        lies.then(|| with_run(batch, index, claimed).lie(name, Some(Reason::Time)))
    };
    ways.into_iter().filter_map(lie).collect()
}

/// Lies about the outputs of run `index`: the last element, an output that is not the value, the run of
/// another model.
pub fn wrong_runs(batch: &Batch, index: u32, rng: &mut ChaCha8Rng) -> Vec<Lie> {
    let own = run(batch, index);
    let program = own.model().program().program().clone();
    let output = program.outputs[rng.random_range(0..program.outputs.len())].value;
    let ty = own.model().program().value_types()[output as usize];
    let data = own.data(output).unwrap().to_vec();
    let mut lies = Vec::new();
    let mut add = |name: &str, reason: Reason, claimed: RunClaims| {
        let name = format!("{name} of run {index}");
        lies.push(with_run(batch, index, claimed).lie(name, Some(reason)));
    };
    let mut other = own.clone();
    let mut changed = data.clone();
    let last = ty.shape.elements() as usize - 1;
    bump(&ty, &mut changed, last);
    other.set_value(output, &ty, changed);
    add("the last element", Reason::Element, other);
    let mut other = own.clone();
    let which = rng.random_range(0..program.outputs.len()) as u32;
    other.set_output(which, [8; 32]);
    add("an output that is no value", Reason::Output, other);
    if program.outputs.len() > 1 {
        let roots: Vec<Hash> = (0..own.outputs().count())
            .map(|i| own.outputs().node(0, i))
            .collect();
        if roots[0] != roots[1] {
            let mut other = own.clone();
            other.set_output(0, roots[1]);
            other.set_output(1, roots[0]);
            add("outputs changed for one another", Reason::Output, other);
        }
    }
    // Everything is wrong.
    let mut other = own.clone();
    for operator in 0..program.nodes.len() as u32 {
        let ty = own.model().program().value_types()[operator as usize];
        let mut data = vec![0; ty.bytes() as usize];
        rng.fill(&mut data[..]);
        other.set_value(operator, &ty, data);
    }
    add("random values", Reason::Element, other);
    // The same program with other parameters.
    if !program.parameters.is_empty() {
        let parameters = program.parameters.iter().map(|ty| {
            let mut data = vec![0; ty.bytes() as usize];
            rng.fill(&mut data[..]);
            Tensor::new(*ty, data).unwrap()
        });
        let model = Model::new(own.model().program().clone(), parameters.collect()).unwrap();
        let trace = batch.library.trace(&model, &batch.inputs[&index]).unwrap();
        let other = RunClaims::honest(Arc::new(model), trace);
        if other.output_root() != own.output_root() {
            add("another model's parameters", Reason::Element, other);
        }
    }
    lies
}
