//! Demands for the blobs that a pending batch names.
//!
//! A batch that deploys or updates a model names blobs whose bytes are not on L1. Whoever cannot get
//! them from anywhere demands pieces of them: leaves of the program, or chunks of a parameter. Anybody
//! who has them answers with the bytes and their paths; if nobody does in time, the batch is lost.
//!
//! Whoever has all pieces and another root than the batch names demands the last piece of each list: its path
//! shows every place past the list's end, and an answer has nothing there.
//!
//! How many chunks there are of a parameter, only the program says. So leaves are demanded first, in the first sixth of
//! the batch's window, and answered to the end of the second; who has read them demands chunks, to the end of the third
//! sixth, which are answered to the end of the fourth. A third is left to run the model and to dispute what others
//! say that it does. If all were demanded in the same time, a program that is shown in the last slot for answers would
//! come too late for anybody to ask for its parameters.

use crate::Hash;
use crate::stage::apart;
use alloc::vec::Vec;
use assay_ledger::batch::tx_leaf;
use assay_ledger::header::Header;
use assay_ledger::result::TxResult;
use assay_ledger::state::{MODEL_DEPTH, Model};
use assay_ledger::transaction::Transaction;
use assay_ledger::{ProgramHeader, merkle};
use assay_tensor::commit::{CHUNK, chunk_hash, list_root_of, tensor_root_of};
use assay_tensor::leaves::{List, MAX_LEAF, TypeLeaf};
use borsh::{BorshDeserialize, BorshSerialize};

/// Pieces of a demand, at most: one bit each.
pub const MAX_PIECES: u8 = 64;
/// Lamports that an answer earns, at the demander's cost. A piece that does not fit a transaction takes
/// six of legacy size at 5,000 lamports each: a buffer is opened, written three times, used and closed.
pub const PIECE_FEE: u64 = 30_000;
/// Open pieces of the batch that raise the cost by as much again: eight whole demands.
pub const FEE_STEP: u32 = 8 * MAX_PIECES as u32;

/// Lamports that a piece costs which is demanded while so many others are open over the batch. It rises, so
/// that who would have its opponent drown in demands pays with the square of their number, and who demands one
/// piece among them pays little more. Pieces count, and not demands or disputes: those cost next to nothing to
/// have open, and who raises the price must pay for it. What is over [`PIECE_FEE`] is lost to all: or a
/// sequencer could make it dear for others with demands that it answers itself, and earn by what they pay.
pub const fn fee(open: u32) -> u64 {
    PIECE_FEE + PIECE_FEE * (open as u64) / FEE_STEP as u64
}

/// Lamports that a demand for so many pieces at this fee puts at stake: what a dispute does, or what
/// the answers cost if that is more. What they do not cost is returned.
pub const fn bond(dispute_bond: u64, fee: u64, pieces: u8) -> u64 {
    let fees = fee.saturating_mul(pieces as u64);
    if dispute_bond > fees {
        dispute_bond
    } else {
        fees
    }
}

/// Until when something may be done about a blob that a batch names, in L1 slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The first slot in which nothing may be demanded any more.
    pub demand_end: u64,
    /// The first slot in which nothing may be answered any more.
    pub answer_end: u64,
    /// The first slot in which others than the batch's sequencer may answer.
    pub reserved_end: u64,
}

impl Times {
    /// The shortest window that a rollup may have: four slots for each kind of demand, and for its answers. Those that matter
    /// are longer, so that a sixth of them is time enough to answer.
    pub const MIN_WINDOW: u64 = 24;

    /// Those of a blob, named in a batch whose window, of so many slots, ends before slot `window_end`.
    pub const fn new(of: Blob, window_end: u64, window: u64) -> Self {
        let sixth = window / 6;
        let end = if of.is_chunks() { 3 * sixth } else { sixth };
        // None is more than the window.
        let answer_end = window_end.saturating_sub(window - end - sixth);
        Self {
            demand_end: window_end.saturating_sub(window - end),
            answer_end,
            reserved_end: answer_end.saturating_sub(sixth / 2),
        }
    }

    /// The first slot in which nothing may be answered any more about any blob.
    pub const fn all_answered(window_end: u64, window: u64) -> u64 {
        Self::new(Blob::Chunks { parameter: 0 }, window_end, window).answer_end
    }
}

/// A blob, or a part of one, of which pieces can be demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Blob {
    /// The leaves of the program's inputs.
    Inputs,
    /// The leaves of its parameters' types.
    Parameters,
    /// The leaves of its operators.
    Operators,
    /// The leaves of its outputs.
    Outputs,
    /// The chunks of a parameter.
    Chunks {
        /// Its index.
        parameter: u32,
    },
}

impl Blob {
    /// Whether its pieces are chunks, of which there are as many as the program's leaves say.
    pub const fn is_chunks(self) -> bool {
        matches!(self, Self::Chunks { .. })
    }
}

/// What is demanded: consecutive pieces of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Pieces {
    /// Of what.
    pub of: Blob,
    /// Index of the first.
    pub first: u64,
    /// How many: at least one, at most [`MAX_PIECES`].
    pub count: u8,
}

/// Where a batch names the blobs.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Named {
    /// Place of the transaction that does: a deployment or an update.
    pub index: u32,
    /// The transaction.
    #[borsh(deserialize_with = "apart")]
    pub transaction: Transaction,
    /// Its result, which is that it did what it asked for.
    pub result: TxResult,
    /// Path of the leaf in the batch's transaction tree.
    pub path: Vec<Hash>,
    /// Of an update: the model, which says what program the parameters are for.
    #[borsh(deserialize_with = "apart")]
    pub updated: Option<Updated>,
}

/// A model that a batch updates.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Updated {
    /// Its leaf in the state after the batch. An update leaves the program as it was.
    pub model: Model,
    /// The leaf's path.
    pub path: Vec<Hash>,
    /// Its program.
    pub program: ProgramHeader,
}

/// One piece with what it opens by.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// A leaf of the program.
    Leaf {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its path in the list.
        path: Vec<Hash>,
    },
    /// A chunk of a parameter.
    Chunk {
        /// The leaf of the parameter's type in the program.
        ty: Vec<u8>,
        /// The leaf's path.
        ty_path: Vec<Hash>,
        /// Root over the parameter's chunks.
        data_root: Hash,
        /// The parameter's path in the list of parameters.
        parameter_path: Vec<Hash>,
        /// The chunk; nothing where the parameter ends before it.
        bytes: Vec<u8>,
        /// The chunk's path.
        path: Vec<Hash>,
    },
}

impl Answer {
    /// The piece itself.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Leaf { bytes, .. } | Self::Chunk { bytes, .. } => bytes,
        }
    }
}

/// Why a demand is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDemand {
    /// The transaction is not the batch's.
    #[error("the transaction does not open in the batch")]
    Transaction,
    /// It names no blobs, or failed.
    #[error("the transaction deploys or updates no model")]
    NamesNothing,
    /// The updated model is missing, or another.
    #[error("the updated model does not open in the state after the batch, or has another program")]
    Model,
    /// There are no such pieces.
    #[error("there are no such pieces")]
    Pieces,
}

/// Why an answer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The piece was not demanded, or has been answered.
    #[error("the piece was not demanded, or has been answered")]
    NotWanted,
    /// Another kind of piece is demanded.
    #[error("the answer is for another kind of piece")]
    Kind,
    /// The bytes do not open, or a path shows something past the end of its list.
    #[error("the piece does not open in what the batch names")]
    Opening,
    /// A leaf is longer than any of a well-formed program.
    #[error("the leaf is longer than any of a well-formed program")]
    TooLong,
}

/// A demand: what it is opened against, and what is left to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Demand {
    /// The program.
    pub program: ProgramHeader,
    /// Root of the parameters.
    pub parameters_root: Hash,
    /// What is demanded.
    pub pieces: Pieces,
    /// A bit for each piece that is not answered, the lowest for the first.
    pub left: u64,
}

impl Demand {
    /// A demand for pieces of what the batch with this header names there.
    pub fn open(header: &Header, named: &Named, pieces: Pieces) -> Result<Self, NoDemand> {
        let leaf = tx_leaf(&named.transaction, &named.result);
        let (count, index) = (u64::from(header.tx_count), u64::from(named.index));
        if !merkle::verify(&header.tx_root, count, &leaf, index, &named.path) {
            return Err(NoDemand::Transaction);
        }
        if !named.result.done() {
            return Err(NoDemand::NamesNothing);
        }
        let (program, parameters_root) = match &named.transaction {
            Transaction::Deploy {
                program,
                parameters_root,
                ..
            } => (*program, *parameters_root),
            Transaction::Update {
                model,
                parameters_root,
                ..
            } => {
                let updated = named.updated.as_ref().ok_or(NoDemand::Model)?;
                (updated.program(header, *model)?, *parameters_root)
            }
            _ => return Err(NoDemand::NamesNothing),
        };
        let demand = Self {
            program,
            parameters_root,
            pieces,
            left: u64::MAX >> (MAX_PIECES.saturating_sub(pieces.count) & (MAX_PIECES - 1)),
        };
        let end = pieces.first.checked_add(u64::from(pieces.count));
        let there = match pieces.of {
            // How many chunks there are, only the parameter's type says.
            Blob::Chunks { parameter } if parameter < program.parameters => true,
            Blob::Chunks { .. } => false,
            _ => {
                let (_, count, _) = demand.list().ok_or(NoDemand::Pieces)?;
                end.is_some_and(|end| end <= count)
            }
        };
        if !there || end.is_none() || !(1..=MAX_PIECES).contains(&pieces.count) {
            return Err(NoDemand::Pieces);
        }
        Ok(demand)
    }

    /// Takes the answer for piece number `place` of those demanded.
    pub fn answer(&mut self, place: u8, answer: &Answer) -> Result<(), NoAnswer> {
        if place >= MAX_PIECES || self.left >> place & 1 == 0 {
            return Err(NoAnswer::NotWanted);
        }
        // `open` saw to it that the sum exists.
        let index = self.pieces.first.saturating_add(u64::from(place));
        let opens = match (self.pieces.of, answer) {
            (
                Blob::Chunks { parameter },
                Answer::Chunk {
                    ty,
                    ty_path,
                    data_root,
                    parameter_path,
                    bytes,
                    path,
                },
            ) => self
                .parameter(parameter, ty, ty_path, data_root, parameter_path)
                .is_some_and(|len| is_chunk(len, data_root, index, bytes, path)),
            (Blob::Chunks { .. }, Answer::Leaf { .. }) => return Err(NoAnswer::Kind),
            (_, Answer::Leaf { bytes, path }) => {
                let (list, count, root) = self.list().ok_or(NoAnswer::Kind)?;
                // The proof that it is malformed might fit no buffer.
                if bytes.len() > MAX_LEAF {
                    return Err(NoAnswer::TooLong);
                }
                is_in_list(&root, count, &list.hash(bytes), index, path)
            }
            (_, Answer::Chunk { .. }) => return Err(NoAnswer::Kind),
        };
        if !opens {
            return Err(NoAnswer::Opening);
        }
        self.left &= !(1 << place);
        Ok(())
    }

    /// Whether every piece is answered.
    pub fn is_answered(&self) -> bool {
        self.left == 0
    }

    /// The list of the program that leaves are demanded of, its length and its root.
    fn list(&self) -> Option<(List, u64, Hash)> {
        let program = &self.program;
        let (list, count, root) = match self.pieces.of {
            Blob::Inputs => (List::Inputs, program.inputs, program.inputs_root),
            Blob::Parameters => (
                List::Parameters,
                program.parameters,
                program.parameters_root,
            ),
            Blob::Operators => (List::Operators, program.operators, program.operators_root),
            Blob::Outputs => (List::Outputs, program.outputs, program.outputs_root),
            Blob::Chunks { .. } => return None,
        };
        Some((list, u64::from(count), root))
    }

    /// The bytes of a parameter, if its type is the program's and both open.
    fn parameter(
        &self,
        parameter: u32,
        ty: &[u8],
        ty_path: &[Hash],
        data_root: &Hash,
        path: &[Hash],
    ) -> Option<u64> {
        let (index, count) = (u64::from(parameter), u64::from(self.program.parameters));
        let types = &self.program.parameters_root;
        let leaf = List::Parameters.hash(ty);
        let ty = TypeLeaf::decode(ty).ok()?.ty;
        let tensor = tensor_root_of(&ty, data_root);
        let root = merkle::root_from_path(&tensor, index, path);
        let opens = is_in_list(types, count, &leaf, index, ty_path)
            && is_in_list(&root, count, &tensor, index, path)
            && list_root_of(count, &root) == self.parameters_root;
        opens.then_some(ty.bytes())
    }
}

impl Updated {
    /// The program of model `index` after the batch.
    fn program(&self, header: &Header, index: u32) -> Result<ProgramHeader, NoDemand> {
        let models = &header.state.models;
        let (root, index) = (&models.root, u64::from(index));
        let opens = index < models.count
            && self.path.len() == MODEL_DEPTH as usize
            && merkle::root_from_path(&self.model.leaf(), index, &self.path) == *root
            && self.program.root() == self.model.program_root;
        opens.then_some(self.program).ok_or(NoDemand::Model)
    }
}

/// Whether `bytes` are chunk `index` of `len` bytes; past their end that is none.
fn is_chunk(len: u64, data_root: &Hash, index: u64, bytes: &[u8], path: &[Hash]) -> bool {
    let chunk = CHUNK as u64;
    let count = len.div_ceil(chunk);
    if index >= count {
        return bytes.is_empty() && path.is_empty();
    }
    // The index is below the count, so that nothing leaves 64 bits.
    bytes.len() as u64 == (len - index * chunk).min(chunk)
        && is_in_list(data_root, count, &chunk_hash(bytes), index, path)
}

/// Whether this is leaf `index` of a list of `count` leaves under `root`, and nothing behind the list's end that
/// the path shows. With junk there all pieces would open, and nobody who has them would have the root.
fn is_in_list(root: &Hash, count: u64, leaf: &Hash, index: u64, path: &[Hash]) -> bool {
    merkle::verify(root, count, leaf, index, path) && merkle::is_padded(count, index, path)
}

#[cfg(test)]
mod tests;
