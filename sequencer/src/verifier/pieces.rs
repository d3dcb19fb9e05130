//! The pieces of a model that were read from L1, and what is missing.

use crate::store::pieces::PieceKey;
use assay_dispute::demand::{Blob, MAX_PIECES, Pieces};
use assay_dispute::step::program::Leaves;
use assay_ledger::ProgramHeader;
use assay_tensor::commit::CHUNK;
use assay_tensor::leaves::{List, TypeLeaf};
use assay_tensor::program::CheckedProgram;
use assay_tensor::types::TensorType;
use std::collections::BTreeMap;

/// What of a model was read from L1.
#[derive(Debug, Default)]
pub struct Collected {
    pieces: BTreeMap<PieceKey, Vec<u8>>,
}

/// Where the lists of a program begin among the keys: no program has so many parameters.
const LISTS: u32 = u32::MAX - 3;

impl Collected {
    /// Those that a store has kept.
    pub fn of(kept: impl IntoIterator<Item = (PieceKey, Vec<u8>)>) -> Self {
        Self {
            pieces: kept.into_iter().collect(),
        }
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether this piece is here.
    pub fn has(&self, of: Blob, index: u64) -> bool {
        self.pieces.contains_key(&key(of, index))
    }

    /// Takes pieces that L1 has taken for answers.
    pub fn take(&mut self, pieces: Vec<(PieceKey, Vec<u8>)>) {
        self.pieces.extend(pieces);
    }

    fn leaf(&self, list: List, index: u64) -> Option<&Vec<u8>> {
        self.pieces.get(&(list_key(list), index))
    }

    /// All leaves, if they are here.
    pub fn leaves(&self, header: &ProgramHeader) -> Option<Leaves> {
        let all = |list: List| -> Option<Vec<Vec<u8>>> {
            let indices = 0..u64::from(header.count(list));
            let leaves = indices.map(|index| self.leaf(list, index).cloned());
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
            let leaf = self.leaf(List::Parameters, index)?;
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
                bytes.extend_from_slice(self.pieces.get(&(parameter, index))?);
            }
        }
        Some(bytes)
    }
}

/// Chunks of a parameter.
pub fn chunks(ty: &TensorType) -> u64 {
    ty.bytes().div_ceil(CHUNK as u64)
}

/// The key of a piece.
pub fn key(of: Blob, index: u64) -> PieceKey {
    let of = match of {
        Blob::Inputs => list_key(List::Inputs),
        Blob::Parameters => list_key(List::Parameters),
        Blob::Operators => list_key(List::Operators),
        Blob::Outputs => list_key(List::Outputs),
        Blob::Chunks { parameter } => parameter,
    };
    (of, index)
}

fn list_key(list: List) -> u32 {
    LISTS + list as u32
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
                collected.take(vec![(key(of, index), bytes.clone())]);
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
            huge.take(vec![(key(Blob::Parameters, index), leaf.encode())]);
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
                let key = key(Blob::Chunks { parameter }, index);
                collected.take(vec![(key, chunk.to_vec())]);
            }
        }
        let whole = collected.parameters(types.iter().map(chunks));
        assert_eq!(whole, Some(to_blob(&parameters)));
        assert_eq!(collected.missing(&header, Some(&program)), []);
    }
}
