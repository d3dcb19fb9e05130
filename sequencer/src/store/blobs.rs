//! The blobs of models: files named by their roots.
//!
//! A program's root is its header's; the root of parameters covers their types, which are the
//! program's, so parameters are stored for a program that is already here. Every file is checked
//! against its name when it is written and again when it is loaded.

use super::leaves::Spelling;
use super::quota::Quota;
use assay_dispute::step::program::{Leaves, prove_flaw};
use assay_ledger::Hash;
use assay_tensor::commit::parameters_root;
use assay_tensor::program::{CheckedProgram, Program};
use assay_tensor::types::Tensor;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a blob is not taken or not given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Not the encoding of a program.
    #[error(
        "not a tensor program ({0}): send what `Program::encode` gives, or name the program with `?program=` if these are parameters"
    )]
    NotAProgram(String),
    /// A program that `check` refuses.
    #[error("the program does not check: {0}")]
    Unchecked(String),
    /// Parameters of another length than the program's.
    #[error("the program's parameters are {expected} bytes, these are {got}")]
    Length {
        /// Bytes by the program's types.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// Bytes of another blob.
    #[error("these are not the bytes of blob {}", hex::encode(.0))]
    Other(Hash),
    /// It is not here.
    #[error("blob {} is not here: upload it with PUT /v1/blobs", hex::encode(.0))]
    Missing(Hash),
    /// The file is not what its name says.
    #[error("the file of blob {} is damaged: remove it and upload the blob again", hex::encode(.0))]
    Damaged(Hash),
    /// No room for blobs that no model names.
    #[error(
        "blobs that no model names take {used} of the {most} bytes that they may, and none is old enough to give way: deploy what was uploaded, or try again in some minutes"
    )]
    Quota {
        /// Bytes that they take.
        used: u64,
        /// Bytes that they may take.
        most: u64,
    },
    /// The disk.
    #[error(
        "a blob's file cannot be read or written ({0}): see that the disk is neither full nor broken"
    )]
    Io(std::io::Error),
}

impl From<std::io::Error> for BlobError {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

/// A model as the executors need it.
#[derive(Clone, Debug)]
pub struct LoadedModel {
    /// The checked program.
    pub program: Arc<CheckedProgram>,
    /// Its parameters.
    pub parameters: Arc<Vec<Tensor>>,
}

/// The directory of blobs.
#[derive(Clone, Debug)]
pub struct Blobs {
    dir: PathBuf,
    quota: Option<Arc<Quota>>,
}

impl Blobs {
    /// The blobs in `dir/blobs`, which is made where it is not there.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        let dir = dir.join("blobs");
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir, quota: None })
    }

    /// The same, with a quota on those that no model names.
    pub fn with_quota(self, quota: Quota) -> Self {
        Self {
            quota: Some(Arc::new(quota)),
            ..self
        }
    }

    /// Stores a program's encoding; its root.
    pub fn put_program(&self, bytes: &[u8]) -> Result<Hash, BlobError> {
        let root = decode(bytes)?.root();
        self.write(&root, bytes)?;
        Ok(root)
    }

    /// Stores the parameters of `program`, their bytes one after the other; their root.
    pub fn put_parameters(&self, program: &Hash, bytes: &[u8]) -> Result<Hash, BlobError> {
        let program = self.program(program)?;
        let root = parameters_root(&split(&program, bytes)?);
        self.touch(&program.root())?;
        self.write(&root, bytes)?;
        Ok(root)
    }

    /// Stores what a stranger says is the encoding of the program with this root, or of its leaves. If these
    /// show that it is malformed, they are kept as what [`Blobs::malformed`] gives.
    pub fn take_program(&self, root: &Hash, bytes: &[u8]) -> Result<(), BlobError> {
        if let Some(spelling) = Spelling::decode(bytes) {
            return match spelling.root() == *root {
                true => self.take_leaves(&spelling),
                false => Err(BlobError::Other(*root)),
            };
        }
        if decode(bytes)?.root() != *root {
            return Err(BlobError::Other(*root));
        }
        self.write(root, bytes)
    }

    /// Stores the program that these leaves spell, or if they spell none, that they do not.
    pub fn take_leaves(&self, spelling: &Spelling) -> Result<(), BlobError> {
        let root = spelling.root();
        if let Some(program) = spelling.program() {
            return self.write(&root, &program.program().encode());
        }
        match prove_flaw(&spelling.header, &spelling.leaves) {
            Some(_) => self.put(&malformed(&root), &spelling.encode()),
            None => Err(BlobError::Other(root)),
        }
    }

    /// The leaves of the program with this root, if they are here and the program is malformed.
    pub fn malformed(&self, root: &Hash) -> Option<Leaves> {
        let bytes = std::fs::read(self.dir.join(malformed(root))).ok()?;
        let spelling = Spelling::decode(&bytes).filter(|it| it.root() == *root)?;
        Some(spelling.leaves)
    }

    /// Stores what a stranger says are the parameters with this root, of a program that takes such.
    pub fn take_parameters(
        &self,
        program: &CheckedProgram,
        root: &Hash,
        bytes: &[u8],
    ) -> Result<(), BlobError> {
        if parameters_root(&split(program, bytes)?) != *root {
            return Err(BlobError::Other(*root));
        }
        self.write(root, bytes)
    }

    /// The bytes of a blob.
    pub fn get(&self, root: &Hash) -> Result<Vec<u8>, BlobError> {
        match std::fs::read(self.path(root)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(BlobError::Missing(*root)),
            other => Ok(other?),
        }
    }

    /// Whether a blob is here.
    pub fn has(&self, root: &Hash) -> bool {
        self.path(root).is_file()
    }

    /// The program with this root.
    pub fn program(&self, root: &Hash) -> Result<CheckedProgram, BlobError> {
        let program = decode(&self.get(root)?).map_err(|_| BlobError::Damaged(*root))?;
        if program.root() != *root {
            return Err(BlobError::Damaged(*root));
        }
        Ok(program)
    }

    /// A model, checked against both of its roots.
    pub fn model(&self, program_root: &Hash, params_root: &Hash) -> Result<LoadedModel, BlobError> {
        let program = self.program(program_root)?;
        let parameters = split(&program, &self.get(params_root)?)?;
        if parameters_root(&parameters) != *params_root {
            return Err(BlobError::Damaged(*params_root));
        }
        Ok(LoadedModel {
            program: Arc::new(program),
            parameters: Arc::new(parameters),
        })
    }

    /// Makes a blob the youngest: it is about to be named.
    pub fn touch(&self, root: &Hash) -> Result<(), BlobError> {
        let file = std::fs::File::options()
            .append(true)
            .open(self.path(root))?;
        Ok(file.set_modified(std::time::SystemTime::now())?)
    }

    fn path(&self, root: &Hash) -> PathBuf {
        self.dir.join(hex::encode(root))
    }

    /// Whole or not at all: a temporary file, synced, then renamed.
    fn write(&self, root: &Hash, bytes: &[u8]) -> Result<(), BlobError> {
        let _reserved = match &self.quota {
            Some(quota) if !self.has(root) => Some(quota.reserve(&self.dir, bytes.len() as u64)?),
            _ => None,
        };
        self.put(&hex::encode(root), bytes)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BlobError> {
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.dir.join(name)).map_err(|e| e.error)?;
        std::fs::File::open(&self.dir)?.sync_all()?;
        Ok(())
    }
}

/// The file of a malformed program's leaves.
fn malformed(root: &Hash) -> String {
    format!("{}.malformed", hex::encode(root))
}

fn decode(bytes: &[u8]) -> Result<CheckedProgram, BlobError> {
    Program::decode(bytes)
        .map_err(|e| BlobError::NotAProgram(e.to_string()))?
        .check()
        .map_err(|e| BlobError::Unchecked(e.to_string()))
}

fn split(program: &CheckedProgram, bytes: &[u8]) -> Result<Vec<Tensor>, BlobError> {
    program
        .parameters_from_blob(bytes)
        .ok_or_else(|| BlobError::Length {
            expected: program.program().parameters.iter().map(|t| t.bytes()).sum(),
            got: bytes.len() as u64,
        })
}
