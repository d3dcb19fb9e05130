//! What an element's proof opens, which its prover and its verifier derive alike.

use super::Opened;
use crate::step::ProofError;
use alloc::boxed::Box;
use alloc::vec::Vec;
use assay_tensor::check::MAX_OPERANDS;
use assay_tensor::commit::{CHUNK, OperatorLeaf};
use assay_tensor::program::Operand;
use assay_tensor::reads::{Read, Reads, reads};
use assay_tensor::types::TensorType;

/// A tree of chunks that operands lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The bytes of all inputs.
    Input,
    /// A parameter.
    Parameter(u32),
    /// The value of an operator.
    Value(u32),
}

impl Source {
    fn of(operand: Operand) -> Self {
        match operand {
            Operand::Input(_) => Self::Input,
            Operand::Parameter(index) => Self::Parameter(index),
            Operand::Value(index) => Self::Value(index),
        }
    }
}

/// The chunks of one source that an element needs.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Which source.
    pub source: Source,
    /// The tensor's type; of the input, that of the first operand in it.
    pub ty: TensorType,
    /// Bytes under the tree.
    pub len: u64,
    /// Runs of consecutive chunks, first and end, ascending and apart.
    pub runs: Vec<(u64, u64)>,
}

impl Tree {
    /// The number of chunks under the tree.
    pub(crate) fn count(&self) -> u64 {
        self.len.div_ceil(CHUNK as u64)
    }

    /// The chunks, ascending.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().flat_map(|(first, end)| *first..*end)
    }

    /// The bytes from chunk `first` to before chunk `end`: all are whole but the tree's last.
    fn bytes(&self, first: u64, end: u64) -> u64 {
        let end = end.saturating_mul(CHUNK as u64).min(self.len);
        end.saturating_sub(first.saturating_mul(CHUNK as u64))
    }

    /// The bytes of all runs.
    pub(crate) fn opened_bytes(&self) -> u64 {
        self.runs
            .iter()
            .map(|(first, end)| self.bytes(*first, *end))
            .sum()
    }

    /// Where the bytes `start..start + len` of the source are in the runs' bytes.
    pub(crate) fn find(&self, start: u64, len: u64) -> Option<core::ops::Range<usize>> {
        let chunk = start / CHUNK as u64;
        let mut before = 0;
        for (first, end) in &self.runs {
            if (*first..*end).contains(&chunk) {
                let from = before + (start - first * CHUNK as u64);
                let to = from.checked_add(len)?;
                return Some(usize::try_from(from).ok()?..usize::try_from(to).ok()?);
            }
            before += self.bytes(*first, *end);
        }
        None
    }

    /// Adds the chunks of the bytes `start..start + len`, `len` at least one.
    fn add(&mut self, start: u64, len: u64) -> Result<(), ProofError> {
        let end = start.checked_add(len).filter(|end| *end <= self.len);
        let last = end.ok_or(ProofError::Malformed)?.saturating_sub(1);
        self.runs
            .push((start / CHUNK as u64, last / CHUNK as u64 + 1));
        Ok(())
    }

    /// Sorts the runs and joins those that overlap or touch.
    fn join(&mut self) {
        self.runs.sort_unstable();
        self.runs.dedup_by(|next, run| {
            let touch = next.0 <= run.1;
            if touch {
                run.1 = run.1.max(next.1);
            }
            touch
        });
    }
}

/// What an element's proof opens: the chunks of at most four trees.
pub(crate) struct Layout {
    reads: Box<Reads>,
    /// In the order in which the operands name them first.
    pub trees: Vec<Tree>,
    /// The tree of each operand, and the offset of its first byte there.
    places: [(usize, u64); MAX_OPERANDS],
}

impl Layout {
    /// Of element `element` of the operator with this leaf, in a program whose inputs have `input_bytes`
    /// together; `inputs` has the offset at which each operand that is one begins.
    pub(crate) fn new(
        leaf: &OperatorLeaf,
        types: &[TensorType],
        element: u64,
        input_bytes: u64,
        inputs: &[u64; MAX_OPERANDS],
    ) -> Result<Self, ProofError> {
        let reads = reads(&leaf.op, types, element).map(Box::new);
        let mut layout = Self {
            reads: reads.ok_or(ProofError::Malformed)?,
            trees: Vec::with_capacity(MAX_OPERANDS),
            places: [(0, 0); MAX_OPERANDS],
        };
        let places = layout.places.iter_mut().zip(inputs);
        for ((operand, ty), (place, offset)) in leaf.operands.iter().zip(places) {
            let source = Source::of(*operand);
            let known = layout.trees.iter().position(|tree| tree.source == source);
            let at = known.unwrap_or(layout.trees.len());
            match layout.trees.get(at) {
                // One tensor has one type.
                Some(tree) if source != Source::Input && tree.ty != *ty => {
                    return Err(ProofError::Malformed);
                }
                Some(_) => {}
                None => layout.trees.push(Tree {
                    source,
                    ty: *ty,
                    len: match source {
                        Source::Input => input_bytes,
                        _ => ty.bytes(),
                    },
                    runs: Vec::with_capacity(layout.reads.as_slice().len()),
                }),
            }
            *place = match source {
                Source::Input => (at, *offset),
                _ => (at, 0),
            };
        }
        for read in layout.reads.as_slice() {
            let (tree, start) = layout.place(read).ok_or(ProofError::Malformed)?;
            let tree = layout.trees.get_mut(tree).ok_or(ProofError::Malformed)?;
            tree.add(start, u64::from(read.len))?;
        }
        for tree in &mut layout.trees {
            tree.join();
        }
        // An operand of which this element reads nothing is not opened.
        Ok(layout)
    }

    fn place(&self, read: &Read) -> Option<(usize, u64)> {
        let (tree, offset) = self.places.get(usize::from(read.operand))?;
        Some((*tree, offset.checked_add(read.start)?))
    }

    /// The bytes of each range, where `opened` has those of each tree's runs.
    pub(crate) fn ranges<'a>(&self, opened: &Opened<'a>) -> Option<Vec<&'a [u8]>> {
        let reads = self.reads.as_slice();
        let mut ranges = Vec::with_capacity(reads.len());
        for read in reads {
            let (at, start) = self.place(read)?;
            let place = self.trees.get(at)?.find(start, u64::from(read.len))?;
            ranges.push(opened.get(at)?.get(place)?);
        }
        Some(ranges)
    }
}
