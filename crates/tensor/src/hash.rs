//! SHA-256, domain-separated. On Solana it is the system call.

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// SHA-256 of the concatenation of `parts`.
///
/// Callers that hash a structure pass its domain tag as the first part and fixed-width or
/// length-prefixed fields after it, so that no two structures share a preimage.
pub fn hashv(parts: &[&[u8]]) -> Hash {
    solana_sha256_hasher::hashv(parts).to_bytes()
}
