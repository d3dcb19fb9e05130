//! The words of a demand as the instructions, events and accounts have them.
//!
//! As in [`crate::game`]: the same variants and fields in the same order as in
//! [`assay_dispute::demand`], whose borsh encoding is therefore the same (a test pins it).

use anchor_lang::prelude::*;
use assay_dispute::demand;

/// A blob, or a part of one, of which pieces can be demanded.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
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

/// What is demanded: consecutive pieces of a blob.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// Of what.
    pub of: Blob,
    /// Index of the first.
    pub first: u64,
    /// How many: at least one, at most [`demand::MAX_PIECES`].
    pub count: u8,
}

impl Pieces {
    /// Bytes of the borsh encoding, at most.
    pub const SIZE: usize = (1 + 4) + 8 + 1;
}

impl From<demand::Pieces> for Pieces {
    fn from(demand::Pieces { of, first, count }: demand::Pieces) -> Self {
        let of = match of {
            demand::Blob::Inputs => Blob::Inputs,
            demand::Blob::Parameters => Blob::Parameters,
            demand::Blob::Operators => Blob::Operators,
            demand::Blob::Outputs => Blob::Outputs,
            demand::Blob::Chunks { parameter } => Blob::Chunks { parameter },
        };
        Self { of, first, count }
    }
}

impl From<Pieces> for demand::Pieces {
    fn from(Pieces { of, first, count }: Pieces) -> Self {
        let of = match of {
            Blob::Inputs => demand::Blob::Inputs,
            Blob::Parameters => demand::Blob::Parameters,
            Blob::Operators => demand::Blob::Operators,
            Blob::Outputs => demand::Blob::Outputs,
            Blob::Chunks { parameter } => demand::Blob::Chunks { parameter },
        };
        Self { of, first, count }
    }
}
