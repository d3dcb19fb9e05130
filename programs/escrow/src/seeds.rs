//! Seeds of the program's addresses.

/// `["sender", rollup]`: signs what the escrow puts into the inbox. Holds nothing.
pub const SENDER: &[u8] = b"sender";
/// `["client", rollup, client]`: a [`crate::state::Client`].
pub const CLIENT: &[u8] = b"client";
/// `["job", rollup, client, nonce: u64 LE]`: a [`crate::state::Job`].
pub const JOB: &[u8] = b"job";
/// `["feed", client, name: 32 bytes]`: a [`crate::state::Feed`].
pub const FEED: &[u8] = b"feed";
