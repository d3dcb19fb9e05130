//! Runs that a verifier could not re-execute, with the output roots that it took for them: kept until they
//! can be, also when their batch is final and nothing else of it is known any more.

use super::{Store, StoreError, tables};
use assay_ledger::Hash;
use assay_ledger::batch::Run;
use borsh::{BorshDeserialize, BorshSerialize};

/// A run whose output root nobody has checked here.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct UnverifiedRun {
    /// Place of the transaction in the batch.
    pub index: u32,
    /// The program.
    pub program_root: Hash,
    /// The parameters.
    pub parameters_root: Hash,
    /// The bytes of all inputs.
    pub input: Vec<u8>,
    /// The output root with which the batch is as its header says.
    pub output_root: Hash,
}

impl UnverifiedRun {
    /// A run, and the output root that was taken for it.
    pub fn new(run: &Run, output_root: Hash) -> Self {
        Self {
            index: run.index,
            program_root: run.program_root,
            parameters_root: run.parameters_root,
            input: run.input.clone(),
            output_root,
        }
    }

    /// The run.
    pub fn run(&self) -> Run {
        Run {
            index: self.index,
            program_root: self.program_root,
            parameters_root: self.parameters_root,
            input: self.input.clone(),
        }
    }
}

impl Store {
    /// Keeps the unverified runs of a batch, in place of those that it had.
    pub fn keep_unverified(&self, batch: u64, runs: &[UnverifiedRun]) -> Result<(), StoreError> {
        let tx = self.writer()?;
        {
            let mut table = tx.open_table(tables::UNVERIFIED)?;
            table.retain_in((batch, 0)..=(batch, u32::MAX), |_, _| false)?;
            for run in runs {
                // Writing to a vector cannot fail.
                let bytes = borsh::to_vec(run).unwrap_or_default();
                table.insert((batch, run.index), bytes.as_slice())?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    /// The unverified runs of a batch.
    pub fn unverified(&self, batch: u64) -> Result<Vec<UnverifiedRun>, StoreError> {
        let table = self.reader()?.open_table(tables::UNVERIFIED)?;
        let rows = table.range((batch, 0)..=(batch, u32::MAX))?;
        let decode = |bytes: &[u8]| {
            borsh::from_slice(bytes).map_err(|e| StoreError::Record(format!("batch {batch}: {e}")))
        };
        rows.map(|row| decode(row?.1.value())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_there_after_a_restart_until_they_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(dir.path(), &[1; 32], &[0; 32]).unwrap();
        let run = |index| {
            let run = Run {
                index,
                program_root: [1; 32],
                parameters_root: [2; 32],
                input: vec![3; index as usize],
            };
            UnverifiedRun::new(&run, [4; 32])
        };
        let store = open();
        store.keep_unverified(7, &[run(0), run(9)]).unwrap();
        store.keep_unverified(8, &[run(1)]).unwrap();
        drop(store);
        let store = open();
        assert_eq!(store.unverified(7).unwrap(), [run(0), run(9)]);
        store.keep_unverified(7, &[run(9)]).unwrap();
        assert_eq!(store.unverified(7).unwrap(), [run(9)]);
        store.keep_unverified(7, &[]).unwrap();
        assert_eq!(store.unverified(7).unwrap(), []);
        assert_eq!(store.unverified(8).unwrap(), [run(1)]);
    }
}
