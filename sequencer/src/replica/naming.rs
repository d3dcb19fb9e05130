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

/// What pending batches name, in one file.
#[derive(Debug)]
pub(super) struct Namings {
    file: PathBuf,
    all: Vec<Naming>,
}

impl Namings {
    /// Those that are kept in `dir`. A file that cannot be read is as good as none.
    pub(super) fn open(dir: &Path) -> Self {
        let file = dir.join("named");
        let bytes = std::fs::read(&file).unwrap_or_default();
        let all = borsh::from_slice(&bytes).unwrap_or_default();
        Self { file, all }
    }

    /// All of them, in their batches' order.
    pub(super) fn all(&self) -> &[Naming] {
        &self.all
    }

    /// Adds those of a batch, durably.
    pub(super) fn add(&mut self, more: Vec<Naming>) -> std::io::Result<()> {
        if more.is_empty() {
            return Ok(());
        }
        self.all.extend(more);
        self.write()
    }

    /// Keeps those of some batches only.
    pub(super) fn retain(&mut self, keep: impl Fn(&Header) -> bool) -> std::io::Result<()> {
        let before = self.all.len();
        self.all.retain(|naming| keep(&naming.header));
        match self.all.len() == before {
            true => Ok(()),
            false => self.write(),
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let dir = self.file.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&borsh::to_vec(&self.all)?)?;
        file.as_file().sync_all()?;
        file.persist(&self.file).map_err(|e| e.error)?;
        Ok(())
    }
}
