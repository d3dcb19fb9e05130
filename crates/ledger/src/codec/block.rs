//! A block: up to sixteen records, column by column.
//!
//! ```text
//! block := kind, from, to, amount, model, price, length     columns
//!          key * k, root * r, program * p, signature * s    32, 32, 168 and 64 bytes each
//!          inputs
//! inputs := minimum i8, width u8, packed input * i          only where there are any
//! ```
//! Every record has a kind; each other column and list holds the values of the records whose kind
//! has that field, in the records' order, and is left out where there are none:
//!
//! | kind | transaction | fields |
//! | --- | --- | --- |
//! | 0 | inbox | |
//! | 1 | decline job | |
//! | 2 | transfer to an account | from, to, amount, signature |
//! | 3 | transfer to a new key | from, amount, key, signature |
//! | 4 | withdraw | from, amount, key (the recipient), signature |
//! | 5 | deploy | from, price, root (of the parameters), program, signature |
//! | 6 | update | model, price, root (of the parameters), signature |
//! | 7 | infer | from, model, length, input, signature |
//! | 8 | infer with the version pinned | as 7 |
//!
//! An input is `length` bytes, each as its difference, read as `i8`, to the minimum over all
//! inputs of the block, in `width` bits (1 to 8), packed as in a column; each starts at a byte, and
//! bits left over are zero. So a byte of an input takes at least one bit, and data cannot stand for
//! more than eight times its length. Where all inputs of the block are empty, minimum and width
//! are 0.

use super::column::{Column, Cursor};
use super::{BLOCK_RECORDS, DecodeError, Malformed, Source};
use crate::request::MAX_INPUT;
use crate::transaction::{Destination, Transaction};
use crate::{Hash, Key, ProgramHeader, Signature};
use alloc::vec;
use alloc::vec::Vec;
use borsh::BorshDeserialize;

/// The largest kind.
const LAST_KIND: u64 = 8;

/// The fields of records, in the order in which a block holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    // Columns.
    From,
    To,
    Amount,
    Model,
    Price,
    Length,
    // Lists.
    Key,
    Root,
    Program,
    Signature,
}

/// The columns after the kinds, with the largest value of each.
const COLUMNS: [(Field, u64); 6] = [
    (Field::From, u32::MAX as u64),
    (Field::To, u32::MAX as u64),
    (Field::Amount, u64::MAX),
    (Field::Model, u32::MAX as u64),
    (Field::Price, u64::MAX),
    (Field::Length, MAX_INPUT as u64),
];

/// The lists, with the bytes of an item of each.
const LISTS: [(Field, usize); 4] = [
    (Field::Key, 32),
    (Field::Root, 32),
    (Field::Program, ProgramHeader::SIZE),
    (Field::Signature, 64),
];

/// The most bytes that a block can have.
pub const MAX_BLOCK: usize = 7 * (1 + 10 + BLOCK_RECORDS * 8)
    + BLOCK_RECORDS * (32 + 32 + ProgramHeader::SIZE + 64 + MAX_INPUT)
    + 2;

/// Whether records of `kind` have `field`.
fn has(kind: u64, field: Field) -> bool {
    match field {
        Field::From => matches!(kind, 2..=5 | 7 | 8),
        Field::To => kind == 2,
        Field::Amount => matches!(kind, 2..=4),
        Field::Model => matches!(kind, 6..=8),
        Field::Price => matches!(kind, 5 | 6),
        Field::Length => matches!(kind, 7 | 8),
        Field::Key => matches!(kind, 3 | 4),
        Field::Root => matches!(kind, 5 | 6),
        Field::Program => kind == 5,
        Field::Signature => matches!(kind, 2..=8),
    }
}

/// Groups of eight differences that are read from the source at once.
const PIECE_GROUPS: usize = 32;

/// How the inputs of a block are packed.
#[derive(Clone, Copy, Debug, Default)]
struct Packing {
    minimum: i8,
    width: u8,
}

impl Packing {
    /// The narrowest packing for `inputs`.
    fn of<'a>(inputs: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut min, mut max) = (i8::MAX, i8::MIN);
        for byte in inputs.flatten() {
            min = min.min(*byte as i8);
            max = max.max(*byte as i8);
        }
        if min > max {
            return Self::default();
        }
        Self {
            minimum: min,
            // Never 0: a few bytes could otherwise stand for any number of long inputs.
            width: (u8::BITS - max.abs_diff(min).leading_zeros()).max(1) as u8,
        }
    }

    /// Bytes of an input of `length` bytes.
    fn packed_len(&self, length: usize) -> usize {
        (length * usize::from(self.width)).div_ceil(8)
    }

    fn pack(&self, input: &[u8], out: &mut Vec<u8>) {
        let (mut acc, mut filled) = (0u64, 0u32);
        for byte in input {
            let difference = byte.wrapping_sub(self.minimum as u8);
            acc |= u64::from(difference) << filled;
            filled += u32::from(self.width);
            if filled >= 32 {
                out.extend_from_slice(&(acc as u32).to_le_bytes());
                acc >>= 32;
                filled -= 32;
            }
        }
        let rest = acc.to_le_bytes();
        out.extend_from_slice(&rest[..filled.div_ceil(8) as usize]);
    }

    /// Reads the `length` bytes of the input packed at `at`, piece by piece: nothing but the input
    /// itself is held.
    fn unpack<S: Source>(
        &self,
        source: &S,
        at: u32,
        length: usize,
    ) -> Result<Vec<u8>, DecodeError> {
        let width = usize::from(self.width);
        let minimum = self.minimum as u8;
        let mut out = vec![minimum; length];
        if width == 0 {
            // Only where all inputs are empty.
            return Ok(out);
        }
        let mask = (1u64 << width) - 1;
        let mut widest = 0;
        let mut at = at;
        // Eight differences fill whole bytes.
        for piece in out.chunks_mut(8 * PIECE_GROUPS) {
            let mut packed = [0; 8 * PIECE_GROUPS];
            let packed = &mut packed[..self.packed_len(piece.len())];
            source.read(at, packed)?;
            at += packed.len() as u32;
            for (group, packed) in piece.chunks_mut(8).zip(packed.chunks(width)) {
                let mut bits = [0; 8];
                bits[..packed.len()].copy_from_slice(packed);
                let mut bits = u64::from_le_bytes(bits);
                for byte in group {
                    let difference = (bits & mask) as u8;
                    bits >>= width;
                    widest = widest.max(difference);
                    *byte = minimum.wrapping_add(difference);
                }
                if bits != 0 {
                    return Err(Malformed.into());
                }
            }
        }
        // The widest difference that still is an `i8`.
        if widest > i8::MAX.abs_diff(self.minimum) {
            return Err(Malformed.into());
        }
        Ok(out)
    }
}

/// The bytes of a block of at most [`BLOCK_RECORDS`] records.
pub(super) fn encode(records: &[Transaction]) -> Vec<u8> {
    let mut kinds = Column::default();
    let mut columns = [Column::default(); COLUMNS.len()];
    let mut lists: [Vec<u8>; LISTS.len()] = Default::default();
    let mut inputs: Vec<&[u8]> = Vec::new();
    for record in records {
        let mut put = |field: Field, value: u64| columns[field as usize].push(value);
        let list = |field: Field| field as usize - COLUMNS.len();
        let (kind, signature) = match record {
            Transaction::Inbox => (0, None),
            Transaction::DeclineJob => (1, None),
            Transaction::Transfer {
                from,
                to,
                amount,
                signature,
            } => {
                put(Field::From, u64::from(*from));
                put(Field::Amount, *amount);
                let kind = match to {
                    Destination::Account(index) => {
                        put(Field::To, u64::from(*index));
                        2
                    }
                    Destination::New(key) => {
                        lists[list(Field::Key)].extend_from_slice(key);
                        3
                    }
                };
                (kind, Some(signature))
            }
            Transaction::Withdraw {
                from,
                recipient,
                amount,
                signature,
            } => {
                put(Field::From, u64::from(*from));
                put(Field::Amount, *amount);
                lists[list(Field::Key)].extend_from_slice(recipient);
                (4, Some(signature))
            }
            Transaction::Deploy {
                from,
                program,
                parameters_root,
                price,
                signature,
            } => {
                put(Field::From, u64::from(*from));
                put(Field::Price, *price);
                lists[list(Field::Root)].extend_from_slice(parameters_root);
                // Writing to a vector cannot fail.
                let program = borsh::to_vec(program).unwrap_or_default();
                lists[list(Field::Program)].extend_from_slice(&program);
                (5, Some(signature))
            }
            Transaction::Update {
                model,
                parameters_root,
                price,
                signature,
            } => {
                put(Field::Model, u64::from(*model));
                put(Field::Price, *price);
                lists[list(Field::Root)].extend_from_slice(parameters_root);
                (6, Some(signature))
            }
            Transaction::Infer {
                from,
                model,
                pinned,
                input,
                signature,
            } => {
                put(Field::From, u64::from(*from));
                put(Field::Model, u64::from(*model));
                put(Field::Length, input.len() as u64);
                inputs.push(input);
                (7 + u64::from(*pinned), Some(signature))
            }
        };
        kinds.push(kind);
        if let Some(signature) = signature {
            lists[list(Field::Signature)].extend_from_slice(signature);
        }
    }
    let mut out = Vec::with_capacity(2_048);
    kinds.encode(&mut out);
    columns.iter().for_each(|column| column.encode(&mut out));
    lists.iter().for_each(|list| out.extend_from_slice(list));
    if !inputs.is_empty() {
        let packing = Packing::of(inputs.iter().copied());
        out.extend_from_slice(&[packing.minimum as u8, packing.width]);
        inputs
            .iter()
            .for_each(|input| packing.pack(input, &mut out));
    }
    out
}

/// A block whose head has been read and whose length is right.
pub(super) struct Block {
    kinds: Column,
    columns: [Column; COLUMNS.len()],
    /// Where each list starts.
    lists: [u32; LISTS.len()],
    packing: Packing,
    /// Where the packed inputs start.
    inputs: u32,
}

impl Block {
    /// Reads the head of the block of `records` records at `start..end`.
    pub(super) fn open<S: Source>(
        source: &S,
        start: u32,
        end: u32,
        records: usize,
    ) -> Result<Self, DecodeError> {
        let mut cursor = Cursor {
            source,
            at: start,
            end,
        };
        let kinds = Column::decode(&mut cursor, records, LAST_KIND)?;
        let number = |field| kinds.values().iter().filter(|k| has(**k, field)).count();
        let mut columns = [Column::default(); COLUMNS.len()];
        for (column, (field, max)) in columns.iter_mut().zip(COLUMNS) {
            *column = Column::decode(&mut cursor, number(field), max)?;
        }
        // From here on a block is bounded far below 2^32; 64 bits keep sums of hostile ones exact.
        let mut at = u64::from(cursor.at);
        let mut lists = [0; LISTS.len()];
        for (list, (field, size)) in lists.iter_mut().zip(LISTS) {
            *list = at as u32;
            at += (number(field) * size) as u64;
            if at > u64::from(end) {
                return Err(Malformed.into());
            }
        }
        cursor.at = at as u32;
        let lengths = columns[Field::Length as usize];
        let mut packing = Packing::default();
        if !lengths.values().is_empty() {
            packing.minimum = cursor.byte()? as i8;
            packing.width = cursor.byte()?;
            let empty = lengths.values().iter().all(|length| *length == 0);
            let good = match empty {
                true => packing.minimum == 0 && packing.width == 0,
                false => (1..=8).contains(&packing.width),
            };
            if !good {
                return Err(Malformed.into());
            }
        }
        let inputs = cursor.at;
        let packed = lengths.values().iter();
        let packed: u64 = packed.map(|l| packing.packed_len(*l as usize) as u64).sum();
        if u64::from(inputs) + packed != u64::from(end) {
            return Err(Malformed.into());
        }
        Ok(Self {
            kinds,
            columns,
            lists,
            packing,
            inputs,
        })
    }

    /// Number of records.
    pub(super) fn records(&self) -> usize {
        self.kinds.values().len()
    }

    /// Record `i` of the block.
    pub(super) fn record<S: Source>(
        &self,
        source: &S,
        i: usize,
    ) -> Result<Transaction, DecodeError> {
        let kind = *self.kinds.values().get(i).ok_or(Malformed)?;
        let record = Record {
            block: self,
            source,
            i,
        };
        let number = |field| record.number(field);
        let index = |field| Ok::<u32, Malformed>(record.number(field)? as u32);
        let signature = || record.item::<64, _>(Field::Signature);
        Ok(match kind {
            0 => Transaction::Inbox,
            1 => Transaction::DeclineJob,
            2 | 3 => Transaction::Transfer {
                from: index(Field::From)?,
                to: if kind == 2 {
                    Destination::Account(index(Field::To)?)
                } else {
                    Destination::New(record.item::<32, Key>(Field::Key)?)
                },
                amount: number(Field::Amount)?,
                signature: signature()?,
            },
            4 => Transaction::Withdraw {
                from: index(Field::From)?,
                recipient: record.item::<32, Key>(Field::Key)?,
                amount: number(Field::Amount)?,
                signature: signature()?,
            },
            5 => Transaction::Deploy {
                from: index(Field::From)?,
                program: record.program()?,
                parameters_root: record.item::<32, Hash>(Field::Root)?,
                price: number(Field::Price)?,
                signature: signature()?,
            },
            6 => Transaction::Update {
                model: index(Field::Model)?,
                parameters_root: record.item::<32, Hash>(Field::Root)?,
                price: number(Field::Price)?,
                signature: signature()?,
            },
            7 | 8 => Transaction::Infer {
                from: index(Field::From)?,
                model: index(Field::Model)?,
                pinned: kind == 8,
                input: record.input()?,
                signature: signature()?,
            },
            _ => return Err(Malformed.into()),
        })
    }
}

/// One record of an opened block.
struct Record<'a, S> {
    block: &'a Block,
    source: &'a S,
    i: usize,
}

impl<S: Source> Record<'_, S> {
    /// How many records before this one have `field`.
    fn rank(&self, field: Field) -> usize {
        let before = &self.block.kinds.values()[..self.i];
        before.iter().filter(|k| has(**k, field)).count()
    }

    /// The value of a column.
    fn number(&self, field: Field) -> Result<u64, Malformed> {
        let column = self.block.columns.get(field as usize).ok_or(Malformed)?;
        let value = column.values().get(self.rank(field));
        value.copied().ok_or(Malformed)
    }

    /// The bytes of a list's item.
    fn bytes(&self, field: Field, into: &mut [u8]) -> Result<(), DecodeError> {
        let list = field as usize - COLUMNS.len();
        let at = self.block.lists[list] + (self.rank(field) * into.len()) as u32;
        Ok(self.source.read(at, into)?)
    }

    fn item<const N: usize, T: From<[u8; N]>>(&self, field: Field) -> Result<T, DecodeError> {
        let mut item = [0; N];
        self.bytes(field, &mut item)?;
        Ok(item.into())
    }

    fn program(&self) -> Result<ProgramHeader, DecodeError> {
        let mut bytes = [0; ProgramHeader::SIZE];
        self.bytes(Field::Program, &mut bytes)?;
        ProgramHeader::try_from_slice(&bytes).map_err(|_| Malformed.into())
    }

    fn input(&self) -> Result<Vec<u8>, DecodeError> {
        let packing = &self.block.packing;
        let lengths = self.block.columns[Field::Length as usize];
        let rank = self.rank(Field::Length);
        let length = *lengths.values().get(rank).ok_or(Malformed)? as usize;
        let before = lengths.values()[..rank].iter();
        let before: usize = before.map(|l| packing.packed_len(*l as usize)).sum();
        packing.unpack(self.source, self.block.inputs + before as u32, length)
    }
}

/// A signature is what a list of them holds.
const _: () = assert!(size_of::<Signature>() == 64);
