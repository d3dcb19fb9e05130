//! The whole state after a batch, for whoever begins there and not at genesis.
//!
//! It needs no trust where the batch's header is known to be L1's: everything in it follows from the header's roots, but for
//! the programs' headers, each of which is what the root in a model's leaf is of.
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
    /// Headers of the models' programs, as far as whoever made it knows them: with one the pieces of a program can be demanded.
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

    /// The programs' headers that a model names, by their roots.
    pub fn named_programs(&self) -> BTreeMap<Hash, ProgramHeader> {
        let given = self.programs.iter().map(|header| (header.root(), *header));
        let given: BTreeMap<Hash, ProgramHeader> = given.collect();
        let named = self.models.iter().map(|model| model.program_root);
        named
            .filter_map(|root| Some((root, *given.get(&root)?)))
            .collect()
    }
}
