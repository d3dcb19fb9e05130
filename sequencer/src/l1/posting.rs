//! What goes to L1: the batches that were closed, or, in a development network, a lie.

use crate::dev::cheat::cheater::Cheater;
use crate::l1::error::L1Error;
use crate::store::Store;
use crate::store::records::BatchRecord;
use assay_dispute::player::Claims;
use assay_ledger::Hash;
use assay_ledger::header::Header;
use std::sync::Arc;

/// What goes to L1.
#[derive(Clone, Debug, Default)]
pub enum Posting {
    /// The batches that were closed.
    #[default]
    Honest,
    /// A lie in place of one of them. Nothing but the development network's code makes this: no
    /// configuration says it.
    Cheating(Arc<Cheater>),
}

impl Posting {
    /// What to post for a closed batch.
    pub(super) fn of(
        &self,
        store: &Store,
        record: BatchRecord,
        data: Vec<u8>,
    ) -> Result<(BatchRecord, Vec<u8>), L1Error> {
        match self {
            Self::Honest => Ok((record, data)),
            Self::Cheating(cheater) => cheater.alter(store, record, data),
        }
    }

    /// Whether the batch of this number and hash, which is not the one that was closed, was
    /// posted all the same.
    pub(super) fn posted(&self, number: u64, hash: &Hash) -> bool {
        match self {
            Self::Honest => false,
            Self::Cheating(cheater) => cheater.posted(number, hash),
        }
    }

    /// Whether lies are told: they are reverted, and the batch is posted as it is.
    pub(super) fn is_cheating(&self) -> bool {
        matches!(self, Self::Cheating(_))
    }

    /// What is claimed of a batch that was never closed, but posted.
    pub(crate) fn claims(&self, header: &Header) -> Option<Claims> {
        match self {
            Self::Honest => None,
            Self::Cheating(cheater) => {
                let told = cheater.told()?;
                let claims = &told.lie.claims;
                (claims.header == *header).then(|| claims.clone())
            }
        }
    }
}
