//! A run of a model, and an asserter who lies about it.
#![allow(dead_code)]

use assay_dispute::Hash;
use assay_dispute::step::ProofError;
use assay_dispute::step::element::{Disputed, ElementClaims, Execution, check_element};
use assay_tensor::commit::{CHUNK, OperatorLeaf, input_root};
use assay_tensor::header::ProgramHeader;
use assay_tensor::program::CheckedProgram;
use assay_tensor::random::RandomCase;
use assay_tensor::trace::{TensorTrees, Trace};
use assay_tensor::types::{DType, Tensor};

/// How many seeds or cases a test takes: `ASSAY_CASES`, or else `default`.
pub fn cases(default: u64) -> u64 {
    let cases = std::env::var("ASSAY_CASES").ok();
    cases.and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// A run, as an honest challenger has it.
pub struct Run {
    pub program: CheckedProgram,
    pub header: ProgramHeader,
    pub parameters: Vec<Tensor>,
    pub parameter_trees: TensorTrees,
    pub parameters_root: Hash,
    pub input: Vec<u8>,
    pub input_root: Hash,
    pub trace: Trace,
}

impl Run {
    pub fn new(program: CheckedProgram, parameters: Vec<Tensor>, input: Vec<u8>) -> Self {
        let inputs = program.inputs_from_bytes(&input).unwrap();
        let trace = Trace::reference(&program, &parameters, &inputs).unwrap();
        let parameter_trees = TensorTrees::new(&parameters);
        Self {
            header: program.header(),
            parameters_root: parameter_trees.list_root(),
            input_root: input_root(&input),
            program,
            parameters,
            parameter_trees,
            input,
            trace,
        }
    }

    pub fn random(case: RandomCase) -> Self {
        let input = case.inputs.into_iter().next().unwrap();
        Self::new(case.program, case.parameters, input)
    }

    pub fn execution(&self) -> Execution<'_> {
        Execution {
            program: &self.program,
            parameters: &self.parameters,
            parameter_trees: &self.parameter_trees,
            input: &self.input,
            trace: &self.trace,
        }
    }

    pub fn leaf(&self, operator: u32) -> OperatorLeaf {
        self.program.operator_leaf(operator).unwrap()
    }

    /// The asserter's trace with `change` made to the bytes of operator `operator`'s value, and to those of
    /// all later ones.
    pub fn lie(&self, operator: u32, change: impl FnOnce(&mut [u8])) -> Lie {
        let mut values = self.trace.values().to_vec();
        let mut data = values[operator as usize].data().to_vec();
        change(&mut data);
        let ty = *values[operator as usize].ty();
        values[operator as usize] = Tensor::new(ty, data).unwrap();
        for value in values.iter_mut().skip(operator as usize + 1) {
            let mut data = value.data().to_vec();
            data.iter_mut().for_each(|byte| *byte ^= 0x55);
            *value = Tensor::new(*value.ty(), data).unwrap();
        }
        let trace = Trace::new(&self.program, values).unwrap();
        let roots = trace.trees().roots();
        Lie {
            leaf: self.leaf(operator),
            operator,
            root: roots.node(0, u64::from(operator)),
            path: roots.path(u64::from(operator)).unwrap(),
            trace_root: trace.root(),
            data: trace.values()[operator as usize].data().to_vec(),
        }
    }
}

/// What the asserter claims about one operator.
pub struct Lie {
    pub leaf: OperatorLeaf,
    pub operator: u32,
    pub root: Hash,
    pub path: Vec<Hash>,
    pub trace_root: Hash,
    pub data: Vec<u8>,
}

impl Lie {
    pub fn disputed(&self) -> Disputed<'_> {
        Disputed {
            operator: self.operator,
            root: self.root,
            path: &self.path,
        }
    }

    pub fn chunk(&self, chunk: u64) -> &[u8] {
        self.data.chunks(CHUNK).nth(chunk as usize).unwrap()
    }

    pub fn claims<'a>(&'a self, run: &'a Run, chunk: u64) -> ElementClaims<'a> {
        ElementClaims {
            program: &run.header,
            parameters_root: &run.parameters_root,
            input_root: &run.input_root,
            trace_root: &self.trace_root,
            operator: self.operator,
            leaf: &self.leaf,
            chunk,
            bytes: self.chunk(chunk),
        }
    }

    pub fn check(&self, run: &Run, chunk: u64, proof: &[u8]) -> Result<bool, ProofError> {
        check_element(&self.claims(run, chunk), proof)
    }
}

/// The chunk and the place in it of element `element` of a value of this type.
pub fn place(dtype: DType, element: u64) -> (u64, u16) {
    let per_chunk = (CHUNK / dtype.size()) as u64;
    (element / per_chunk, (element % per_chunk) as u16)
}
