//! Seeds of the program's addresses. Each is followed by the rollup's address.

/// `["sender", rollup]`: signs what the bridge puts into the inbox. Holds nothing.
pub const SENDER: &[u8] = b"sender";
/// `["vault", rollup]`: the deposited lamports, a [`crate::state::SolVault`].
pub const SOL_VAULT: &[u8] = b"vault";
/// `["mint", rollup, mint]`: a [`crate::state::RegisteredMint`], which owns its token vault.
pub const REGISTERED_MINT: &[u8] = b"mint";
/// `["token_vault", rollup, mint]`: the deposited tokens, an SPL token account.
pub const TOKEN_VAULT: &[u8] = b"token_vault";
/// `["paid", rollup, page: u64 LE]`: a [`crate::state::PaidPage`].
pub const PAID_PAGE: &[u8] = b"paid";
