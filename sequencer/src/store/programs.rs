//! Headers of the programs that were ever deployed: L1 has each in one transaction's data, and whoever demands pieces
//! of a program for a model that is updated has to name it.

use super::records::{decode, encode};
use super::{Store, StoreError, tables};
use assay_ledger::result::TxResult;
use assay_ledger::transaction::Transaction;
use assay_ledger::{Hash, ProgramHeader};
use redb::WriteTransaction;

impl Store {
    /// The header of a program that was deployed.
    pub fn program_header(&self, root: &Hash) -> Result<Option<ProgramHeader>, StoreError> {
        let table = self.reader()?.open_table(tables::PROGRAMS)?;
        let found = table.get(root)?;
        found.map(|bytes| decode(bytes.value())).transpose()
    }
}

/// The program that a transaction deploys.
pub fn deployed(tx: &Transaction, result: &TxResult) -> Option<ProgramHeader> {
    match tx {
        Transaction::Deploy { program, .. } if result.done() => Some(*program),
        _ => None,
    }
}

/// Notes headers. What is taken back stays: a header is named by its hash.
pub(super) fn note(
    tx: &WriteTransaction,
    headers: impl IntoIterator<Item = ProgramHeader>,
) -> Result<(), StoreError> {
    let mut table = tx.open_table(tables::PROGRAMS)?;
    for header in headers {
        table.insert(&header.root(), encode(&header)?.as_slice())?;
    }
    Ok(())
}
