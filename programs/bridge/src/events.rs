//! Events: all that an indexer needs to follow the bridge.

use anchor_lang::prelude::*;

/// A mint can be deposited from now on.
#[event]
pub struct MintRegistered {
    /// The rollup's address.
    pub rollup: Pubkey,
    /// The mint.
    pub mint: Pubkey,
    /// SPL Token or Token-2022.
    pub token_program: Pubkey,
    /// Where deposits go.
    pub vault: Pubkey,
    /// Of the mint.
    pub decimals: u8,
}

/// Lamports or tokens were locked, and a message for L2 put into the inbox.
#[event]
pub struct Deposited {
    /// The rollup's address.
    pub rollup: Pubkey,
    /// Who paid.
    pub depositor: Pubkey,
    /// Who is credited on L2.
    pub owner: Pubkey,
    /// The mint; the zero key for SOL.
    pub mint: Pubkey,
    /// The measured change of the vault, in base units.
    pub amount: u64,
    /// Index of the message in the inbox.
    pub message: u64,
    /// What the vault owes to L2 after it, in base units.
    pub locked: u64,
}

/// A withdrawal was paid.
#[event]
pub struct Withdrawn {
    /// The rollup's address.
    pub rollup: Pubkey,
    /// Index of the leaf in the outbox.
    pub index: u64,
    /// Number of the final batch that it was proven against.
    pub batch: u64,
    /// Who was paid: a wallet for SOL, the owner of the token account for SPL.
    pub recipient: Pubkey,
    /// The mint; the zero key for SOL.
    pub mint: Pubkey,
    /// In base units.
    pub amount: u64,
    /// What the vault owes to L2 after it, in base units.
    pub locked: u64,
}
