//! Commitments: what they bind, and that they stay what they are.

mod common;

use assay_tensor::commit::{
    CHUNK, chunk_hash, chunk_hashes, input_root, list_root, output_path, outputs_root, tensor_root,
    tensor_root_of, verify_output,
};
use assay_tensor::hash::Hash;
use assay_tensor::leaves::List;
use assay_tensor::merkle;
use assay_tensor::program::{Operand, Program};
use assay_tensor::random;
use assay_tensor::types::{DType, Tensor, TensorType};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn ty(dtype: DType, dims: &[u32]) -> TensorType {
    TensorType::new(dtype, dims).unwrap()
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 % 251) as u8).collect()
}

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/commitments.txt");

/// The vectors' lines, as the code has them.
fn vectors() -> String {
    let mut text = String::from(
        "# Roots of tensors and of inputs whose byte i is i * 31 % 251, and of lists whose item i is 32 bytes of i.\n",
    );
    let mut add = |name: String, root: Hash| text += &format!("{name} {}\n", hex::encode(root));
    for (dtype, dims) in [
        (DType::I8, &[][..]),
        (DType::I8, &[1]),
        (DType::I32, &[1]),
        (DType::I8, &[511]),
        (DType::I8, &[32, 16]),
        (DType::I8, &[513]),
        (DType::I32, &[3, 5, 7, 11]),
        (DType::I8, &[9, 512]),
    ] {
        let ty = ty(dtype, dims);
        let root = tensor_root(&ty, &bytes(ty.bytes() as usize));
        add(format!("tensor {ty:?}"), root);
    }
    for n in [0, 1, 511, 512, 513, 1_500] {
        add(format!("input {n}"), input_root(&bytes(n)));
    }
    for n in [0u8, 1, 2, 3, 5] {
        let roots = (0..n).map(|i| [i; 32]).collect::<Vec<Hash>>();
        add(format!("list {n}"), list_root(&roots));
    }
    text
}

/// `ASSAY_BLESS=1` writes the vectors anew: only ever together with new domain tags.
#[test]
fn pinned() {
    if std::env::var("ASSAY_BLESS").is_ok() {
        std::fs::write(VECTORS, vectors()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(VECTORS).unwrap(), vectors());
}

/// Two programs that differ in anything have different roots.
#[test]
fn a_program_root_binds_everything() {
    let case = random::program(5);
    let program = case.program.program().clone();
    let mut roots = BTreeSet::new();
    let mut variants = 0;
    let mut add = |program: Program| {
        variants += 1;
        roots.insert(program.check().unwrap().root());
    };
    add(program.clone());
    let mut renamed = program.clone();
    renamed.outputs[0].name.push('x');
    add(renamed);
    let mut fewer = program.clone();
    fewer.outputs.push(fewer.outputs[0].clone());
    fewer.outputs.last_mut().unwrap().name = "again".into();
    add(fewer);
    for (dtype, dims) in [
        (DType::I8, &[3][..]),
        (DType::I32, &[3]),
        (DType::I8, &[1, 3]),
    ] {
        let mut input = program.clone();
        input.inputs.push(ty(dtype, dims));
        add(input);
        let mut parameter = program.clone();
        parameter.parameters.push(ty(dtype, dims));
        add(parameter);
    }
    let mut node = program.clone();
    node.nodes.push(assay_tensor::program::Node {
        op: assay_tensor::op::Op::Reshape(*case_shape(&program)),
        operands: vec![Operand::Input(0)],
    });
    add(node);
    assert_eq!(roots.len(), variants);
}

fn case_shape(program: &Program) -> &assay_tensor::types::Shape {
    &program.inputs[0].shape
}

/// An operator's leaf says what the program's header sums up.
#[test]
fn leaves_add_up_to_the_header() {
    for seed in 0..common::cases(300) {
        let program = random::program(seed).program;
        let header = program.header();
        assert_eq!(program.root(), header.root());
        let leaves = program.leaf_hashes(List::Operators);
        assert_eq!(leaves.len(), header.operators as usize);
        assert_eq!(merkle::root(&leaves), header.operators_root);
        let mut before = 0;
        for index in 0..header.operators {
            let leaf = program.operator_leaf(index).unwrap();
            let types = leaf.operands.iter().map(|(_, ty)| *ty).collect::<Vec<_>>();
            let checked = assay_tensor::check::check(&leaf.op, &types).unwrap();
            assert_eq!(checked.result, leaf.result);
            assert_eq!(before + checked.units, leaf.running_units);
            before = leaf.running_units;
            for (operand, ty) in leaf.operands {
                if let Operand::Value(value) = operand {
                    assert_eq!(program.operator_leaf(value).unwrap().result, ty);
                }
            }
        }
        assert_eq!(before, header.units);
        assert!(program.operator_leaf(header.operators).is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(common::cases(256) as u32))]

    #[test]
    fn a_tensor_root_binds_type_and_every_byte(
        len in 1usize..5_000,
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let plain = ty(DType::I8, &[len as u32]);
        let data = bytes(len);
        let root = tensor_root(&plain, &data);
        let mut other = data.clone();
        other[at.index(len)] ^= flip;
        prop_assert_ne!(tensor_root(&plain, &other), root);
        prop_assert_ne!(tensor_root(&ty(DType::I8, &[len as u32, 1]), &data), root);
        if len % 4 == 0 {
            prop_assert_ne!(tensor_root(&ty(DType::I32, &[len as u32 / 4]), &data), root);
        }
        // Any chunk opens: from the type and one chunk's path anybody gets the tensor's root.
        let chunks = chunk_hashes(&data);
        let index = at.index(chunks.len());
        let path = merkle::path(&chunks, index as u64).unwrap();
        let end = len.min((index + 1) * CHUNK);
        let chunk = chunk_hash(&data[index * CHUNK..end]);
        let data_root = merkle::root_from_path(&chunk, index as u64, &path);
        prop_assert_eq!(tensor_root_of(&plain, &data_root), root);
    }

    #[test]
    fn outputs_open_at_their_index_and_nowhere_else(
        count in 1u32..9,
        index in any::<u32>(),
        at in any::<prop::sample::Index>(),
    ) {
        let index = index % count;
        let outputs = (0..count)
            .map(|i| Tensor::from_i8(&[3, i + 1], &vec![i as i8; 3 * (i as usize + 1)]).unwrap())
            .collect::<Vec<_>>();
        let root = outputs_root(&outputs);
        let path = output_path(&outputs, index).unwrap();
        let output = &outputs[index as usize];
        let verify = |count, index, ty: &TensorType, data: &[u8], path: &[Hash]| {
            verify_output(&root, count, index, ty, data, path)
        };
        let data = output.data();
        prop_assert!(verify(count, index, output.ty(), data, &path));
        prop_assert!(!verify(count + 1, index, output.ty(), data, &path));
        prop_assert!(!verify(count, index + 1, output.ty(), data, &path));
        // An index that a path of this length cannot tell from the right one.
        let alias = index + count.next_power_of_two();
        prop_assert!(!verify(count, alias, output.ty(), data, &path));
        prop_assert!(!verify(count, index, output.ty(), &data[1..], &path));
        prop_assert!(!verify(count, index, &ty(DType::I8, &[data.len() as u32]), data, &path));
        let mut other = data.to_vec();
        other[at.index(data.len())] ^= 1;
        prop_assert!(!verify(count, index, output.ty(), &other, &path));
        let longer = [&path[..], &[[0; 32]]].concat();
        prop_assert!(!verify(count, index, output.ty(), data, &longer));
        prop_assert!(output_path(&outputs, count).is_none());
    }

    #[test]
    fn a_list_root_binds_its_length(n in 0usize..20) {
        // The places past the end are EMPTY_LEAF: a longer list of those is another list.
        let roots = (0..n).map(|i| [i as u8 + 1; 32]).collect::<Vec<Hash>>();
        let longer = [&roots[..], &[merkle::EMPTY_LEAF]].concat();
        prop_assert_ne!(list_root(&roots), list_root(&longer));
    }
}
