//! Taking a proof apart: values off the front of bytes, none copied.

use super::ProofError;
use crate::Hash;

/// The bytes of a proof that have not been read.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(proof: &'a [u8]) -> Self {
        Self(proof)
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8], ProofError> {
        let len = usize::try_from(len).map_err(|_| ProofError::Malformed)?;
        let (head, rest) = self.0.split_at_checked(len).ok_or(ProofError::Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProofError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(ProofError::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    /// The next byte.
    pub(crate) fn u8(&mut self) -> Result<u8, ProofError> {
        self.array().map(|[byte]| byte)
    }

    /// The next two bytes, little-endian.
    pub(crate) fn u16(&mut self) -> Result<u16, ProofError> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next four bytes, little-endian.
    pub(crate) fn u32(&mut self) -> Result<u32, ProofError> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next eight bytes, little-endian.
    pub(crate) fn u64(&mut self) -> Result<u64, ProofError> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next 32 bytes.
    pub(crate) fn hash(&mut self) -> Result<Hash, ProofError> {
        self.array()
    }

    /// The next `count` hashes.
    pub(crate) fn hashes(&mut self, count: u32) -> Result<&'a [Hash], ProofError> {
        let bytes = self.take(u64::from(count) * 32)?;
        Ok(bytes.as_chunks().0)
    }

    /// As many hashes as `read` takes off the front of them.
    pub(crate) fn hashes_for<T>(&mut self, read: impl FnOnce(&mut &[Hash]) -> T) -> T {
        let (all, _) = self.0.as_chunks();
        let mut left = all;
        let result = read(&mut left);
        let read = all.len() - left.len();
        self.0 = self.0.get(read * 32..).unwrap_or(&[]);
        result
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// That nothing is left.
    pub(crate) fn end(self) -> Result<(), ProofError> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(ProofError::Malformed),
        }
    }
}
