//! The whole state after a batch, for whoever begins there and not at genesis.
//!
//! It needs no trust where the batch's header is known to be L1's: everything in it follows from the header's roots, and the
//! programs' headers from the roots in the models' leaves.
//!
//! # Format
//!
//! The four bytes `ATSn`, the version in one byte (1), then the [`Snapshot`] in borsh: each list with its length in four
//! bytes. Every list is in the order of its indices, from 0.

use crate::header::Header;
use crate::outbox::OutboxLeaf;
use crate::state::{Account, Model};
use crate::store::{Corrupt, FullState};
use crate::transition::Heads;
use crate::{Hash, ProgramHeader};
use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;

const MAGIC: &[u8; 5] = b"ATSn\x01";
/// Bytes of an account in borsh; of a model; of a leaf of the outbox, at most; of a list's length.
const ACCOUNT: u64 = 2 * 32 + 2 * 8 + 4;
const MODEL: u64 = 4 + 2 * 32 + 2 * 8 + 2 * 4 + 2 * 8;
const LEAF: u64 = 1 + 4 * 32 + 1 + 3 * 8;
const LENGTH: u64 = 4;

/// What a state consists of.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Snapshot {
    /// Header of the batch after which it is the state.
    pub header: Header,
    /// All accounts.
    pub accounts: Vec<Account>,
    /// All models.
    pub models: Vec<Model>,
    /// All leaves of the outbox.
    pub outbox: Vec<OutboxLeaf>,
    /// Headers of the models' programs: with one the pieces of a program can be demanded.
    pub programs: Vec<ProgramHeader>,
}

/// Why bytes are not the state after their batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSnapshot {
    /// Not of this format and version.
    #[error("the bytes are no snapshot of this version")]
    Format,
    /// The parts do not make a state.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The parts make another state than the header names.
    #[error("the state is not the one that the header names")]
    OtherState,
    /// A model's program's header is missing.
    #[error("the header of a model's program is missing")]
    Program,
}

impl Snapshot {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        // Writing to a vector cannot fail.
        let _ = self.serialize(&mut bytes);
        bytes
    }

    /// The snapshot that encodes to `bytes`. Nothing in it is checked yet.
    ///
    /// # Errors
    /// [`NoSnapshot::Format`].
    pub fn decode(bytes: &[u8]) -> Result<Self, NoSnapshot> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(NoSnapshot::Format)?;
        borsh::from_slice(rest).map_err(|_| NoSnapshot::Format)
    }

    /// The header that bytes begin with, as soon as there are enough of them.
    ///
    /// # Errors
    /// [`NoSnapshot::Format`].
    pub fn header(bytes: &[u8]) -> Result<Option<Header>, NoSnapshot> {
        let Some((magic, mut rest)) = bytes.split_at_checked(MAGIC.len()) else {
            return Ok(None);
        };
        if magic != MAGIC {
            return Err(NoSnapshot::Format);
        }
        match Header::deserialize(&mut rest) {
            Ok(header) => Ok(Some(header)),
            // All headers are as long as any.
            Err(_) if bytes.len() < Self::MOST_PREFIX => Ok(None),
            Err(_) => Err(NoSnapshot::Format),
        }
    }

    /// Bytes in which a header is found, if one is there.
    const MOST_PREFIX: usize = 1_024;

    /// The most bytes of a snapshot with this header.
    pub fn most_bytes(header: &Header) -> u64 {
        let state = &header.state;
        let lists = [
            (state.accounts.count, ACCOUNT),
            (state.models.count, MODEL),
            (state.outbox.count, LEAF),
            (state.models.count, ProgramHeader::SIZE as u64),
        ];
        lists
            .into_iter()
            .map(|(count, bytes)| count.saturating_mul(bytes).saturating_add(LENGTH))
            .fold(Self::MOST_PREFIX as u64, u64::saturating_add)
    }

    /// The state, if it is the one after the header's batch.
    ///
    /// # Errors
    /// All but [`NoSnapshot::Format`].
    pub fn state(&self) -> Result<FullState, NoSnapshot> {
        let heads = Heads::from(&self.header.state);
        let accounts = self.accounts.iter().copied();
        let (models, outbox) = (self.models.iter().copied(), self.outbox.iter().copied());
        let mut state = FullState::from_parts(&heads, accounts, models, outbox)?;
        match state.components() == self.header.state {
            true => Ok(state),
            false => Err(NoSnapshot::OtherState),
        }
    }

    /// The models' programs' headers by their roots.
    ///
    /// # Errors
    /// [`NoSnapshot::Program`] if one is not there: what it takes could not be demanded.
    pub fn programs(&self) -> Result<BTreeMap<Hash, ProgramHeader>, NoSnapshot> {
        let given = self.programs.iter().map(|header| (header.root(), *header));
        let given: BTreeMap<Hash, ProgramHeader> = given.collect();
        let named = self.models.iter().map(|model| model.program_root);
        let named = named.map(|root| Some((root, *given.get(&root)?)));
        named.collect::<Option<_>>().ok_or(NoSnapshot::Program)
    }
}
