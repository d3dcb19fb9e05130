//! The pieces of models that were read from the demands' accounts on L1. A demand's account is
//! closed, for its rent, once its pieces are here; so they must outlast a crash.

use super::{Store, StoreError, tables};
use crate::engine::execute::ModelKey;

/// A list of a program by its number, or the parameter of whose chunks it is; and the index in it.
pub type PieceKey = (u32, u64);

impl Store {
    /// Keeps pieces of a model, all of them or none.
    pub fn keep_pieces(
        &self,
        (program, parameters): &ModelKey,
        pieces: impl IntoIterator<Item = (PieceKey, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        let tx = self.writer()?;
        {
            let mut table = tx.open_table(tables::PIECES)?;
            for ((of, index), bytes) in pieces {
                table.insert((program, parameters, of, index), bytes.as_slice())?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    /// The pieces of a model that are kept.
    pub fn pieces(&self, model: &ModelKey) -> Result<Vec<(PieceKey, Vec<u8>)>, StoreError> {
        let table = self.reader()?.open_table(tables::PIECES)?;
        let (program, parameters) = model;
        let (first, last) = (
            (program, parameters, 0, 0),
            (program, parameters, u32::MAX, u64::MAX),
        );
        let mut pieces = Vec::new();
        for row in table.range(first..=last)? {
            let (key, bytes) = row?;
            let (_, _, of, index) = key.value();
            pieces.push(((of, index), bytes.value().to_vec()));
        }
        Ok(pieces)
    }

    /// Forgets the pieces of a model.
    pub fn forget_pieces(&self, (program, parameters): &ModelKey) -> Result<(), StoreError> {
        let tx = self.writer()?;
        {
            let mut table = tx.open_table(tables::PIECES)?;
            let (first, last) = (
                (program, parameters, 0, 0),
                (program, parameters, u32::MAX, u64::MAX),
            );
            table.retain_in(first..=last, |_, _| false)?;
        }
        tx.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_one_model_are_there_after_a_restart_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(dir.path(), &[1; 32], &[0; 32]).unwrap();
        let (model, other) = (([5; 32], [6; 32]), ([5; 32], [7; 32]));
        let pieces = vec![
            ((0, 3), vec![1, 2]),
            ((9, 0), vec![]),
            ((9, 1), vec![3; 512]),
        ];
        let store = open();
        assert_eq!(store.pieces(&model).unwrap(), []);
        store.keep_pieces(&model, pieces.clone()).unwrap();
        store.keep_pieces(&other, [((9, 1), vec![4])]).unwrap();
        drop(store);
        let store = open();
        assert_eq!(store.pieces(&model).unwrap(), pieces);
        store.forget_pieces(&model).unwrap();
        assert_eq!(store.pieces(&model).unwrap(), []);
        assert_eq!(store.pieces(&other).unwrap(), [((9, 1), vec![4])]);
    }
}
