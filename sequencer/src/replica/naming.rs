//! What batches name of models: their bytes are not on L1, and whoever cannot get them demands them of the batch
//! that names them, as long as it is pending. So where it does is kept, through restarts.

use crate::engine::execute::ModelKey;
use assay_dispute::demand::{Named, Updated};
use assay_ledger::batch::Replayed;
use assay_ledger::header::Header;
use assay_ledger::store::FullState;
use assay_ledger::transaction::Transaction;
use assay_ledger::{Hash, ProgramHeader, merkle};
use borsh::{BorshDeserialize, BorshSerialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A model that a batch names.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Naming {
    /// The batch.
    pub header: Header,
    /// Where it does; nothing of an update whose program is not known.
    pub named: Option<Named>,
    /// The model's program's and parameters' roots.
    pub model: ModelKey,
}

impl Naming {
    /// Whether the batch deploys the model's program.
    pub fn is_deployment(&self) -> bool {
        let named = self.named.as_ref();
        named.is_some_and(|named| matches!(named.transaction, Transaction::Deploy { .. }))
    }

    /// The program's header, if it is known.
    pub fn program(&self) -> Option<ProgramHeader> {
        let named = self.named.as_ref()?;
        match (&named.transaction, &named.updated) {
            (Transaction::Deploy { program, .. }, _) => Some(*program),
            (_, updated) => Some(updated.as_ref()?.program),
        }
    }
}

/// A batch with runs that could not be re-executed: their output roots are unverified. With them the batch is as its
/// header says.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Doubt {
    /// The batch.
    pub header: Header,
    /// The models whose bytes were missing. One that does not run here for another reason will not run later.
    pub models: Vec<ModelKey>,
    /// How many runs.
    pub runs: u64,
}

/// What the batch of `header` names, which was `replayed`; `state` is the one after it. `program` knows
/// headers by their roots.
pub(super) fn of(
    header: &Header,
    replayed: &Replayed,
    state: &mut FullState,
    program: impl Fn(&Hash) -> Option<ProgramHeader>,
) -> Vec<Naming> {
    let mut namings = Vec::new();
    for (index, (tx, result)) in (0u32..).zip(&replayed.records) {
        if !result.done() {
            continue;
        }
        let (model, updated) = match tx {
            Transaction::Deploy {
                program,
                parameters_root,
                ..
            } => ((program.root(), *parameters_root), Some(None)),
            Transaction::Update {
                model: place,
                parameters_root,
                ..
            } => {
                let Some(leaf) = state.model(*place) else {
                    continue;
                };
                let updated = program(&leaf.program_root).and_then(|program| {
                    let path = state.model_path(*place)?;
                    Some(Updated {
                        model: leaf,
                        path,
                        program,
                    })
                });
                ((leaf.program_root, *parameters_root), updated.map(Some))
            }
            _ => continue,
        };
        let named = updated.and_then(|updated| {
            Some(Named {
                index,
                transaction: tx.clone(),
                result: *result,
                path: merkle::path(&replayed.leaves, index.into())?,
                updated,
            })
        });
        namings.push(Naming {
            header: *header,
            named,
            model,
        });
    }
    namings
}

/// What is to be known of pending batches beside their headers, in one file.
#[derive(Debug)]
pub(super) struct Pending {
    file: PathBuf,
    kept: Kept,
}

#[derive(Debug, Default, BorshSerialize, BorshDeserialize)]
struct Kept {
    named: Vec<Naming>,
    doubts: Vec<Doubt>,
}

impl Pending {
    /// What is kept in `dir`. A file that cannot be read is as good as none.
    pub(super) fn open(dir: &Path) -> Self {
        let file = dir.join("pending");
        let bytes = std::fs::read(&file).unwrap_or_default();
        let kept = borsh::from_slice(&bytes).unwrap_or_default();
        Self { file, kept }
    }

    /// What they name, in their order.
    pub(super) fn named(&self) -> &[Naming] {
        &self.kept.named
    }

    /// Those with unverified runs, in their order.
    pub(super) fn doubts(&self) -> &[Doubt] {
        &self.kept.doubts
    }

    /// Adds what a batch names, and what of it is unverified, durably.
    pub(super) fn add(&mut self, named: Vec<Naming>, doubt: Option<Doubt>) -> std::io::Result<()> {
        if named.is_empty() && doubt.is_none() {
            return Ok(());
        }
        self.kept.named.extend(named);
        self.kept.doubts.extend(doubt);
        self.write()
    }

    /// Keeps what some batches name, and what of some is unverified.
    pub(super) fn retain(
        &mut self,
        name: impl Fn(&Header) -> bool,
        doubt: impl Fn(&Doubt) -> bool,
    ) -> std::io::Result<()> {
        let Kept { named, doubts } = &mut self.kept;
        let before = (named.len(), doubts.len());
        named.retain(|naming| name(&naming.header));
        doubts.retain(doubt);
        if before == (named.len(), doubts.len()) {
            return Ok(());
        }
        self.write()
    }

    fn write(&self) -> std::io::Result<()> {
        let dir = self.file.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&borsh::to_vec(&self.kept)?)?;
        file.as_file().sync_all()?;
        file.persist(&self.file).map_err(|e| e.error)?;
        Ok(())
    }
}
