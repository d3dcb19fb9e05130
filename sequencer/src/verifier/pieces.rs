//! The pieces of a model that were read from L1, and what is missing.

use assay_dispute::demand::{Answer, Blob, MAX_PIECES, Pieces};
use assay_dispute::step::program::Leaves;
use assay_ledger::ProgramHeader;
use assay_tensor::commit::CHUNK;
use assay_tensor::leaves::{List, TypeLeaf};
use assay_tensor::program::CheckedProgram;
use assay_tensor::types::TensorType;
use solana_signature::Signature;
use std::collections::{BTreeMap, HashSet};

/// What of a model was read from L1.
#[derive(Debug, Default)]
pub struct Collected {
    leaves: BTreeMap<(u8, u64), Vec<u8>>,
    chunks: BTreeMap<(u32, u64), Vec<u8>>,
    /// Transactions that were read.
    pub seen: HashSet<Signature>,
}

impl Collected {
    /// Whether this piece is here.
    pub fn has(&self, of: Blob, index: u64) -> bool {
        match list(of) {
            Ok(list) => self.leaves.contains_key(&(list as u8, index)),
            Err(parameter) => self.chunks.contains_key(&(parameter, index)),
        }
    }

    /// Takes a piece that L1 has taken for an answer.
    pub fn take(&mut self, of: Blob, index: u64, answer: Answer) {
        match (list(of), answer) {
            (Ok(list), Answer::Leaf { bytes, .. }) => {
                self.leaves.insert((list as u8, index), bytes);
            }
            (Err(parameter), Answer::Chunk { bytes, .. }) => {
                self.chunks.insert((parameter, index), bytes);
            }
            // No such answer is taken by L1.
            _ => {}
        }
    }

    /// All leaves, if they are here.
    pub fn leaves(&self, header: &ProgramHeader) -> Option<Leaves> {
        let all = |list: List| -> Option<Vec<Vec<u8>>> {
            let indices = 0..u64::from(header.count(list));
            let leaves = indices.map(|index| self.leaves.get(&(list as u8, index)).cloned());
            leaves.collect()
        };
        Some(Leaves {
            inputs: all(List::Inputs)?,
            parameters: all(List::Parameters)?,
            operators: all(List::Operators)?,
            outputs: all(List::Outputs)?,
        })
    }

    /// What is missing of the model of this program, in parts that a demand can ask for; `known` is the program, if it
    /// is. Of parameters nothing, as long as nobody has shown their types.
    pub fn missing(&self, header: &ProgramHeader, known: Option<&CheckedProgram>) -> Vec<Pieces> {
        let types = match known {
            Some(program) => Some(program.program().parameters.clone()),
            None => self.types(header),
        };
        let lists: &[_] = match known {
            Some(_) => &[],
            None => &[
                (Blob::Parameters, List::Parameters),
                (Blob::Operators, List::Operators),
                (Blob::Inputs, List::Inputs),
                (Blob::Outputs, List::Outputs),
            ],
        };
        let lists = lists.iter();
        let lists = lists.map(|(blob, list)| (*blob, u64::from(header.count(*list))));
        let chunks = (0u32..).zip(types.iter().flatten().map(chunks));
        let chunks = chunks.map(|(parameter, count)| (Blob::Chunks { parameter }, count));
        let parts = lists.chain(chunks).flat_map(|(of, count)| {
            let firsts = (0..count).step_by(usize::from(MAX_PIECES));
            firsts.map(move |first| Pieces {
                of,
                first,
                count: (count - first).min(u64::from(MAX_PIECES)) as u8,
            })
        });
        let lacks = |pieces: &Pieces| {
            let mut all = pieces.first..pieces.first + u64::from(pieces.count);
            !all.all(|index| self.has(pieces.of, index))
        };
        parts.filter(lacks).collect()
    }

    /// The parameters' types, if all of their leaves are here, and are those of a program: whoever shows leaves that are
    /// not could say that there is any number of chunks.
    fn types(&self, header: &ProgramHeader) -> Option<Vec<TensorType>> {
        let mut sum = 0u64;
        let mut types = Vec::new();
        for index in 0..u64::from(header.parameters) {
            let leaf = self.leaves.get(&(List::Parameters as u8, index))?;
            let leaf = TypeLeaf::decode(leaf).ok()?;
            sum = sum.checked_add(leaf.ty.bytes())?;
            if leaf.running_bytes != sum || sum > header.parameter_bytes {
                return None;
            }
            types.push(leaf.ty);
        }
        (sum == header.parameter_bytes).then_some(types)
    }

    /// The bytes of parameters of so many chunks each, if they are here.
    pub fn parameters(&self, chunks: impl Iterator<Item = u64>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for (parameter, count) in (0u32..).zip(chunks) {
            for index in 0..count {
                bytes.extend_from_slice(self.chunks.get(&(parameter, index))?);
            }
        }
        Some(bytes)
    }
}

/// Chunks of a parameter.
pub fn chunks(ty: &TensorType) -> u64 {
    ty.bytes().div_ceil(CHUNK as u64)
}

/// The list that pieces are leaves of; or the parameter that they are chunks of.
fn list(of: Blob) -> Result<List, u32> {
    match of {
        Blob::Inputs => Ok(List::Inputs),
        Blob::Parameters => Ok(List::Parameters),
        Blob::Operators => Ok(List::Operators),
        Blob::Outputs => Ok(List::Outputs),
        Blob::Chunks { parameter } => Err(parameter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::digits::Digits;
    use crate::store::leaves::Spelling;
    use assay_tensor::program::to_blob;
    use assay_tensor::types::DType;

    fn pieces(of: Blob, first: u64, count: u8) -> Pieces {
        Pieces { of, first, count }
    }

    #[test]
    fn a_model_is_whole_when_nothing_is_missing() {
        let (program, parameters) = Digits::load(Some(1)).unwrap().bundle.open().unwrap();
        let header = program.header();
        let leaves = Leaves::of(&program);
        let mut collected = Collected::default();
        let count = |list: List| header.count(list) as u8;
        let lists = [
            pieces(Blob::Parameters, 0, count(List::Parameters)),
            pieces(Blob::Operators, 0, count(List::Operators)),
            pieces(Blob::Inputs, 0, count(List::Inputs)),
            pieces(Blob::Outputs, 0, count(List::Outputs)),
        ];
        assert_eq!(collected.missing(&header, None), lists);

        let give = |collected: &mut Collected, of: Blob, list: List| {
            for (index, bytes) in (0u64..).zip(leaves.list(list)) {
                let (bytes, path) = (bytes.clone(), Vec::new());
                collected.take(of, index, Answer::Leaf { bytes, path });
            }
        };
        give(&mut collected, Blob::Parameters, List::Parameters);
        let types = &program.program().parameters;
        let sized = (0u32..).zip(types).flat_map(|(parameter, ty)| {
            let count = chunks(ty);
            (0..count.div_ceil(64)).map(move |part| {
                let rest = count - part * 64;
                pieces(Blob::Chunks { parameter }, part * 64, rest.min(64) as u8)
            })
        });
        let sized: Vec<Pieces> = sized.collect();
        let missing = collected.missing(&header, None);
        assert_eq!(missing[..3], lists[1..]);
        assert_eq!(missing[3..], sized);
        assert_eq!(collected.missing(&header, Some(&program)), sized);

        // Leaves that do not add up to what the header says are of no program, and nothing is asked for by them.
        let more = ProgramHeader {
            parameter_bytes: header.parameter_bytes + 1,
            ..header
        };
        assert_eq!(collected.missing(&more, None)[..], lists[1..]);
        let mut huge = Collected::default();
        for index in 0..u64::from(header.parameters) {
            let leaf = TypeLeaf {
                ty: TensorType::new(DType::I32, &[1 << 31]).unwrap(),
                running_bytes: (index + 1) << 33,
            };
            let (bytes, path) = (leaf.encode(), Vec::new());
            huge.take(Blob::Parameters, index, Answer::Leaf { bytes, path });
        }
        assert_eq!(huge.missing(&header, None)[..], lists[1..]);

        assert_eq!(collected.leaves(&header), None);
        give(&mut collected, Blob::Operators, List::Operators);
        give(&mut collected, Blob::Inputs, List::Inputs);
        give(&mut collected, Blob::Outputs, List::Outputs);
        let spelled = Spelling {
            header,
            leaves: collected.leaves(&header).unwrap(),
        };
        assert_eq!(spelled.program(), Some(program.clone()));
        for (parameter, tensor) in (0u32..).zip(&parameters) {
            assert_eq!(collected.parameters(types.iter().map(chunks)), None);
            for (index, chunk) in (0u64..).zip(tensor.data().chunks(CHUNK)) {
                let answer = Answer::Chunk {
                    ty: Vec::new(),
                    ty_path: Vec::new(),
                    data_root: [0; 32],
                    parameter_path: Vec::new(),
                    bytes: chunk.to_vec(),
                    path: Vec::new(),
                };
                collected.take(Blob::Chunks { parameter }, index, answer);
            }
        }
        let whole = collected.parameters(types.iter().map(chunks));
        assert_eq!(whole, Some(to_blob(&parameters)));
        assert_eq!(collected.missing(&header, Some(&program)), []);
    }
}
