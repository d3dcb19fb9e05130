//! Where the decoder reads a batch's data from: the whole of it, or some of its chunks.

use crate::data::CHUNK;

/// A part of the data that was read is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of the batch's data that is needed was not supplied")]
pub struct NotSupplied;

/// A batch's data.
pub trait Source {
    /// Bytes of the whole data.
    fn len(&self) -> u32;

    /// Whether there is no data.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `into` with the bytes from `at` on. The decoder asks only within [`Source::len`].
    fn read(&self, at: u32, into: &mut [u8]) -> Result<(), NotSupplied>;
}

impl Source for &[u8] {
    fn len(&self) -> u32 {
        u32::try_from((**self).len()).unwrap_or(u32::MAX)
    }

    fn read(&self, at: u32, into: &mut [u8]) -> Result<(), NotSupplied> {
        let part = self
            .get(at as usize..)
            .and_then(|rest| rest.get(..into.len()))
            .ok_or(NotSupplied)?;
        into.copy_from_slice(part);
        Ok(())
    }
}

/// Some chunks of a batch's data, each of which its supplier has opened against the data root.
#[derive(Clone, Copy, Debug)]
pub struct Chunks<'a> {
    /// Bytes of the whole data, as the batch's header says.
    pub len: u32,
    /// Chunks with their indices, in any order.
    pub chunks: &'a [(u32, &'a [u8])],
}

impl Source for Chunks<'_> {
    fn len(&self) -> u32 {
        self.len
    }

    fn read(&self, at: u32, into: &mut [u8]) -> Result<(), NotSupplied> {
        let mut at = at as usize;
        let mut into = into;
        while !into.is_empty() {
            let (index, offset) = (at / CHUNK, at % CHUNK);
            let found = self.chunks.iter().find(|(i, _)| *i as usize == index);
            let rest = found
                .and_then(|(_, c)| c.get(offset..))
                .ok_or(NotSupplied)?;
            let n = into.len().min(rest.len());
            if n == 0 {
                return Err(NotSupplied);
            }
            let (head, tail) = into.split_at_mut(n);
            head.copy_from_slice(&rest[..n]);
            into = tail;
            at += n;
        }
        Ok(())
    }
}
