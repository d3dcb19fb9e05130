//! What the tensor crate and the importer decode.

/// A tensor program: decoded, checked, committed to, and run if that is cheap.
pub mod program {
    use assay_tensor::leaves::{List, OperatorLeaf};
    use assay_tensor::program::Program;
    use assay_tensor::random;
    use assay_tensor::reference;
    use assay_tensor::types::{Tensor, TensorType};

    /// What is run has no more units, and no more bytes of inputs and parameters.
    const CHEAP: u64 = 100_000;

    fn tensors(types: &[TensorType]) -> Vec<Tensor> {
        let value = |ty: &TensorType| (0..ty.bytes()).map(|i| (i * 37) as u8).collect();
        let tensor = |ty: &TensorType| Tensor::new(*ty, value(ty)).unwrap();
        types.iter().map(tensor).collect()
    }

    pub fn run(bytes: &[u8]) -> bool {
        let Ok(program) = Program::decode(bytes) else {
            return false;
        };
        assert_eq!(program.encode(), bytes);
        let Ok(checked) = program.check() else {
            return false;
        };
        let header = checked.header();
        assert!(!header.is_flawed());
        for index in 0..header.operators {
            let leaf = checked.operator_leaf(index).unwrap();
            assert_eq!(OperatorLeaf::decode(&leaf.encode()), Ok(leaf));
        }
        for list in List::ALL {
            assert_eq!(checked.leaf_hashes(list).len(), header.count(list) as usize);
        }
        // Sums of bytes and units are below 2^64 in a program that passes its check.
        let bytes = checked
            .input_bytes()
            .saturating_add(checked.parameter_bytes());
        if checked.units() <= CHEAP && bytes <= CHEAP {
            let inputs = tensors(&checked.program().inputs);
            let parameters = tensors(&checked.program().parameters);
            reference::run(&checked, &parameters, &inputs).unwrap();
        }
        true
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let encoded = |seed| random::program(seed).program.program().encode();
        let all = (0..60).map(encoded);
        all.filter(|bytes| bytes.len() < 2_000).collect()
    }
}

/// A leaf of a program: checked by itself, and an element of it read.
pub mod leaves {
    use crate::input::{byte, canonical, with};
    use assay_tensor::check::check;
    use assay_tensor::eval::eval;
    use assay_tensor::header::ProgramHeader;
    use assay_tensor::leaves::{OperatorLeaf, OutputLeaf, TypeLeaf};
    use assay_tensor::random;
    use assay_tensor::reads::reads;
    use assay_tensor::types::TensorType;

    pub fn run(mut bytes: &[u8]) -> bool {
        match byte(&mut bytes) % 5 {
            0 => TypeLeaf::decode(bytes).is_ok_and(|leaf| leaf.encode() == bytes),
            1 => OutputLeaf::decode(bytes).is_ok_and(|leaf| leaf.encode() == bytes),
            2 => TensorType::decode(bytes).is_ok_and(|ty| ty.encode() == bytes),
            3 => canonical::<ProgramHeader>(bytes).is_some_and(|header| {
                header.root();
                !header.is_flawed()
            }),
            _ => OperatorLeaf::decode(bytes).is_ok_and(|leaf| operator(&leaf, bytes)),
        }
    }

    fn operator(leaf: &OperatorLeaf, bytes: &[u8]) -> bool {
        assert_eq!(leaf.encode(), bytes);
        let types: Vec<TensorType> = leaf.operands.iter().map(|(_, ty)| *ty).collect();
        let Ok(checked) = check(&leaf.op, &types) else {
            assert!(reads(&leaf.op, &types, 0).is_none());
            return false;
        };
        let elements = checked.result.shape.elements();
        assert!(reads(&leaf.op, &types, elements).is_none());
        for element in [0, elements / 2, elements - 1] {
            let reads = reads(&leaf.op, &types, element).unwrap();
            let mut ranges = Vec::new();
            for read in reads.as_slice() {
                let operand = types[usize::from(read.operand)].bytes();
                assert!(read.start + u64::from(read.len) <= operand);
                ranges.push(vec![0x80 ^ element as u8; read.len as usize]);
            }
            let ranges: Vec<&[u8]> = ranges.iter().map(Vec::as_slice).collect();
            assert!(eval(&leaf.op, &types, element, &ranges).is_some());
            // Any other ranges have no value, and do no harm.
            for wrong in 0..ranges.len() {
                let mut shorter = ranges.clone();
                shorter[wrong] = &shorter[wrong][1..];
                eval(&leaf.op, &types, element, &shorter);
            }
            eval(&leaf.op, &types, element, ranges.get(1..).unwrap_or(&[]));
        }
        true
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for seed in 0..40 {
            let program = random::program(seed).program;
            let header = program.header();
            let operators = (0..header.operators).filter_map(|i| program.operator_leaf(i));
            all.extend(operators.map(|leaf| with(4, &leaf.encode())));
            if seed < 10 {
                let types = program.input_leaves().into_iter();
                let types = types.chain(program.parameter_leaves());
                all.extend(types.map(|leaf| with(0, &leaf.encode())));
                let outputs = program.output_leaves().into_iter();
                all.extend(outputs.map(|leaf| with(1, &leaf.encode())));
                let types = program.value_types().iter();
                all.extend(types.map(|ty| with(2, &ty.encode())));
                all.push(with(3, &borsh::to_vec(&header).unwrap()));
            }
        }
        all
    }
}

/// Leaves of a tree that open together.
pub mod opening {
    use crate::input::{byte, front};
    use assay_tensor::hash::Hash;
    use assay_tensor::merkle::{EMPTY_LEAF, Levels, depth, fold, fold_in_place, leaf, verify};
    use std::sync::LazyLock;

    const COUNT: u64 = 37;
    static TREE: LazyLock<Levels> =
        LazyLock::new(|| Levels::new((0..COUNT).map(|i| leaf(b"l", &[&[i as u8]])).collect()));

    pub fn run(mut bytes: &[u8]) -> bool {
        // Mostly the tree's.
        let depth = match byte(&mut bytes) {
            0..200 => depth(COUNT),
            other => u32::from(other) - 200,
        };
        let Some(leaves) = front::<Vec<(u64, Hash)>>(&mut bytes) else {
            return false;
        };
        let (siblings, _) = bytes.as_chunks();
        let root = fold(depth, &leaves, siblings);
        let mut nodes = leaves.clone();
        let mut rest = siblings;
        let in_place = fold_in_place(depth, &mut nodes, &mut rest);
        assert_eq!(root, in_place.filter(|_| rest.is_empty()));
        if let [(index, leaf)] = &leaves[..] {
            let opens = verify(&TREE.root(), COUNT, leaf, *index, siblings);
            let folds = depth != TREE.depth() || root == Some(TREE.root());
            assert!(!opens || folds);
        }
        if root != Some(TREE.root()) || depth != TREE.depth() {
            return false;
        }
        // What opens is what is there.
        for (index, leaf) in leaves {
            let there = match index < COUNT {
                true => TREE.node(0, index),
                false => EMPTY_LEAF,
            };
            assert_eq!(leaf, there);
        }
        true
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let sets: [&[u64]; 7] = [
            &[0],
            &[36],
            &[0, 1, 2, 3],
            &[5, 6],
            &[1, 17, 33, 36],
            &[0, 36],
            &[8, 9, 10, 11, 12, 13, 14, 15, 16],
        ];
        let one = |set: &[u64]| {
            let leaves: Vec<(u64, Hash)> = set.iter().map(|i| (*i, TREE.node(0, *i))).collect();
            let mut bytes = vec![0];
            bytes.extend(borsh::to_vec(&leaves).unwrap());
            bytes.extend(TREE.siblings(set).unwrap().iter().flatten());
            bytes
        };
        sets.iter().map(|set| one(set)).collect()
    }
}

/// An ONNX file.
pub mod onnx {
    use assay_onnx::{Limits, import};
    use assay_tensor::program::Program;
    use std::path::Path;

    const LIMITS: Limits = Limits {
        file_bytes: 1 << 17,
        nodes: 256,
        node_fields: 1 << 12,
        constants: 512,
        ports: 16,
        memory_bytes: 1 << 22,
    };

    pub fn run(bytes: &[u8]) -> bool {
        let Ok(model) = import(bytes, &LIMITS) else {
            return false;
        };
        let program = model.program.program();
        assert_eq!(Program::decode(&program.encode()).as_ref(), Ok(program));
        assert_eq!(program.parameters.len(), model.parameters.len());
        for (ty, parameter) in program.parameters.iter().zip(&model.parameters) {
            assert_eq!(ty, parameter.ty());
        }
        true
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/onnx/tests/cases");
        let files = std::fs::read_dir(cases).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
        paths.sort();
        let read = |path: &std::path::PathBuf| std::fs::read(path).unwrap();
        let small = |bytes: &Vec<u8>| bytes.len() < 6_000 && run(bytes);
        paths.iter().map(read).filter(small).collect()
    }
}
