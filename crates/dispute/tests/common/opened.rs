//! Proofs of single elements of operators whose operands are too large to have: of their bytes only those exist
//! that the element reads, and of their trees only the siblings.
#![allow(dead_code)]

use assay_dispute::Hash;
use assay_dispute::step::ProofError;
use assay_dispute::step::element::{ElementClaims, check_element};
use assay_tensor::check::check;
use assay_tensor::commit::{CHUNK, OperatorLeaf, chunk_hash, list_root_of, tensor_root_of};
use assay_tensor::eval::eval;
use assay_tensor::header::ProgramHeader;
use assay_tensor::merkle::{depth, fold, siblings_with};
use assay_tensor::op::Op;
use assay_tensor::program::{MAX_INPUTS, MAX_NODES, MAX_OUTPUTS, MAX_PARAMETERS, Operand};
use assay_tensor::reads::reads;
use assay_tensor::types::{DType, TensorType};
use rand::Rng;

/// A claimed element and its proof, in the largest of all programs.
pub struct Opened {
    pub program: ProgramHeader,
    pub parameters_root: Hash,
    pub trace_root: Hash,
    /// The last operator of the program.
    pub leaf: OperatorLeaf,
    pub chunk: u64,
    /// The chunk, which is right in the element.
    pub bytes: Vec<u8>,
    pub proof: Vec<u8>,
}

/// The root of a tree in which these leaves are, and the siblings that are put behind `proof`.
fn open(rng: &mut impl Rng, count: u64, leaves: &[(u64, Hash)], proof: &mut Vec<u8>) -> Hash {
    let indices: Vec<u64> = leaves.iter().map(|(index, _)| *index).collect();
    let needed = siblings_with(depth(count), &indices, |_, _| [0; 32]).len();
    let siblings: Vec<Hash> = (0..needed).map(|_| rng.random()).collect();
    proof.extend(siblings.iter().flatten());
    fold(depth(count), leaves, &siblings).unwrap()
}

/// Opens element `element` of the operator on operands of these types: the first is an earlier value, the
/// others are parameters, all with the longest of paths.
pub fn opened(rng: &mut impl Rng, op: Op, types: &[TensorType], element: u64) -> Opened {
    let checked = check(&op, types).unwrap();
    let reads = reads(&op, types, element).unwrap();
    let last = MAX_NODES as u32 - 1;
    let operand = |at: u32| match at {
        0 => Operand::Value(last / 2),
        _ => Operand::Parameter(at << 14),
    };
    let size = checked.result.dtype.size();
    let place = (element % (CHUNK / size) as u64) as u16;
    let mut proof = Vec::from(place.to_le_bytes());
    let (mut values, mut parameters) = (Vec::new(), Vec::new());
    // Of each operand, its chunks with their bytes.
    let mut trees = Vec::new();
    for (at, ty) in (0u8..).zip(types) {
        let of_tree = reads.as_slice().iter().filter(|read| read.operand == at);
        let chunk = CHUNK as u64;
        let mut chunks: Vec<u64> = of_tree
            .flat_map(|r| r.start / chunk..(r.start + u64::from(r.len)).div_ceil(chunk))
            .collect();
        chunks.sort_unstable();
        chunks.dedup();
        let count = ty.bytes().div_ceil(chunk);
        let bytes = |index: &u64| (ty.bytes() - index * chunk).min(chunk) as usize;
        let mut bytes: Vec<Vec<u8>> = chunks.iter().map(|i| vec![0; bytes(i)]).collect();
        bytes.iter_mut().for_each(|bytes| rng.fill(&mut bytes[..]));
        if let Some(read) = reads.as_slice().last()
            && matches!(op, Op::MaxPool2d(_) | Op::ArgMax)
        {
            // What takes longest: the largest so far is in the next word, as often as can be, and the last is
            // the largest.
            let rising = bytes.iter_mut().flatten().enumerate();
            rising.for_each(|(place, byte)| *byte = (place / 8).min(254) as u8 ^ 0x80);
            let last = (read.start + u64::from(read.len) - 1) % chunk;
            bytes.last_mut().unwrap()[last as usize] = 0x7f;
        }
        proof.extend(bytes.iter().flatten());
        let hashes = bytes.iter().map(|bytes| chunk_hash(bytes));
        let leaves: Vec<(u64, Hash)> = chunks.iter().copied().zip(hashes).collect();
        if !leaves.is_empty() {
            let root = tensor_root_of(ty, &open(rng, count, &leaves, &mut proof));
            match operand(u32::from(at)) {
                Operand::Value(index) => values.push((u64::from(index), root)),
                Operand::Parameter(index) => parameters.push((u64::from(index), root)),
                Operand::Input(_) => unreachable!(),
            }
        }
        trees.push((chunks, bytes));
    }
    let mut list = |count: usize, leaves: &[(u64, Hash)], proof: &mut Vec<u8>| match leaves {
        [] => [0; 32],
        _ => open(rng, count as u64, leaves, proof),
    };
    let trace_root = list(MAX_NODES, &values, &mut proof);
    let parameters_root = list(MAX_PARAMETERS, &parameters, &mut proof);

    let range = |read: &assay_tensor::reads::Read| -> Vec<u8> {
        let (chunks, bytes) = &trees[usize::from(read.operand)];
        let byte = |at: u64| {
            let chunk = chunks.binary_search(&(at / CHUNK as u64)).unwrap();
            bytes[chunk][(at % CHUNK as u64) as usize]
        };
        (read.start..read.start + u64::from(read.len))
            .map(byte)
            .collect()
    };
    let ranges: Vec<Vec<u8>> = reads.as_slice().iter().map(range).collect();
    let ranges: Vec<&[u8]> = ranges.iter().map(|range| &range[..]).collect();
    let value = eval(&op, types, element, &ranges).unwrap();
    let mut bytes = vec![0; CHUNK];
    match checked.result.dtype {
        DType::I8 => bytes[usize::from(place)] = value as u8,
        DType::I32 => bytes[usize::from(place) * 4..][..4].copy_from_slice(&value.to_le_bytes()),
    }
    Opened {
        program: ProgramHeader {
            inputs: MAX_INPUTS as u32,
            parameters: MAX_PARAMETERS as u32,
            operators: MAX_NODES as u32,
            outputs: MAX_OUTPUTS as u32,
            units: u64::MAX,
            input_bytes: u64::from(u32::MAX),
            parameter_bytes: 1 << 32,
            value_bytes: 1 << 31,
            output_bytes: u64::from(u32::MAX),
            operators_root: [1; 32],
            parameters_root: [2; 32],
            inputs_root: [3; 32],
            outputs_root: [4; 32],
        },
        parameters_root: list_root_of(MAX_PARAMETERS as u64, &parameters_root),
        trace_root,
        leaf: OperatorLeaf {
            operands: (0..).map(operand).zip(types.iter().copied()).collect(),
            op,
            result: checked.result,
            running_units: u64::MAX,
            running_bytes: u64::MAX,
        },
        chunk: element / (CHUNK / size) as u64,
        bytes,
        proof,
    }
}

impl Opened {
    /// What is found of the claim that the chunk has these bytes.
    pub fn check(&self, bytes: &[u8]) -> Result<bool, ProofError> {
        let claims = ElementClaims {
            program: &self.program,
            parameters_root: &self.parameters_root,
            input_root: &[0; 32],
            trace_root: &self.trace_root,
            operator: self.program.operators - 1,
            leaf: &self.leaf,
            chunk: self.chunk,
            bytes,
        };
        check_element(&claims, &self.proof)
    }
}
