//! A batch's bytes as the L1 lane carries them: chunks under a Merkle root.

use crate::Hash;
use alloc::vec::Vec;
use assay_tensor::merkle;

/// Bytes of a chunk; the last one of a batch may be shorter, none is empty. One fits a legacy
/// transaction of 1,232 bytes with a priority fee, four a version-1 transaction of 4,096.
pub const CHUNK: usize = 928;

const CHUNK_TAG: &[u8] = b"assay:chunk:1";

/// Hash of a chunk: a leaf of the data tree.
pub fn chunk_hash(chunk: &[u8]) -> Hash {
    merkle::leaf(CHUNK_TAG, &[chunk])
}

/// The number of chunks of `len` bytes of data.
pub fn chunk_count(len: u32) -> u32 {
    len.div_ceil(CHUNK as u32)
}

/// The data root over `data`. The length is committed to beside it, in the header.
pub fn data_root(data: &[u8]) -> Hash {
    merkle::root(&data.chunks(CHUNK).map(chunk_hash).collect::<Vec<_>>())
}
