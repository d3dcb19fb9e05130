//! What an element's proof opens, which its prover and its verifier derive alike.

use super::Opened;
use crate::step::ProofError;
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
    /// Runs of consecutive chunks, ascending and apart.
    pub runs: Vec<Run>,
}

/// Consecutive chunks of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first.
    pub first: u64,
    /// The one behind the last.
    pub end: u64,
    /// How many chunks the runs before have.
    before: u64,
}

impl Tree {
    /// The number of chunks under the tree.
    pub(crate) fn count(&self) -> u64 {
        self.len.div_ceil(CHUNK as u64)
    }

    /// The chunks, ascending.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().flat_map(|run| run.first..run.end)
    }

    /// How many chunks there are in all runs.
    pub(crate) fn opened(&self) -> u64 {
        self.runs
            .last()
            .map_or(0, |run| run.before + (run.end - run.first))
    }

    /// The bytes of all runs: all chunks are whole but the tree's last.
    pub(crate) fn opened_bytes(&self) -> u64 {
        let end = self.runs.last().map_or(0, |run| run.end * CHUNK as u64);
        self.opened() * CHUNK as u64 - end.saturating_sub(self.len)
    }

    /// Where the bytes `start..start + len` of the source are in the runs' bytes.
    pub(crate) fn find(&self, start: u64, len: u64) -> Option<core::ops::Range<usize>> {
        let chunk = start / CHUNK as u64;
        let run = self.runs.partition_point(|run| run.end <= chunk);
        let run = self.runs.get(run).filter(|run| run.first <= chunk)?;
        // A run begins with a chunk, among those that are opened too.
        let from = run.before * CHUNK as u64 + (start - run.first * CHUNK as u64);
        let to = from.checked_add(len)?;
        Some(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
    }

    /// Adds the chunks of the bytes `start..start + len`, `len` at least one.
    fn add(&mut self, start: u64, len: u64) -> Result<(), ProofError> {
        let end = start.checked_add(len).filter(|end| *end <= self.len);
        let last = end.ok_or(ProofError::Malformed)?.saturating_sub(1);
        self.runs.push(Run {
            first: start / CHUNK as u64,
            end: last / CHUNK as u64 + 1,
            before: 0,
        });
        Ok(())
    }

    /// Sorts the runs and joins those that overlap or touch.
    fn join(&mut self) {
        self.runs.sort_unstable_by_key(|run| run.first);
        self.runs.dedup_by(|next, run| {
            let touch = next.first <= run.end;
            if touch {
                run.end = run.end.max(next.end);
            }
            touch
        });
        let mut before = 0;
        for run in &mut self.runs {
            run.before = before;
            before += run.end - run.first;
        }
    }
}

/// What an element's proof opens: the chunks of at most four trees.
pub(crate) struct Layout {
    reads: Reads,
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
        let reads = reads(&leaf.op, types, element);
        let mut layout = Self {
            reads: reads.ok_or(ProofError::Malformed)?,
            trees: Vec::with_capacity(MAX_OPERANDS),
            places: [(0, 0); MAX_OPERANDS],
        };
        let places = layout.places.iter_mut().zip(inputs);
        for (number, ((operand, ty), (place, offset))) in
            (0u8..).zip(leaf.operands.iter().zip(places))
        {
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
                    runs: Vec::with_capacity(layout.reads.of(number)),
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
