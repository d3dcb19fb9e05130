//! Addresses of the programs' accounts. The seeds are the programs' own.

use solana_pubkey::Pubkey;

pub use settlement::seeds::{chain, inbox_page, rollup, sender, sequencer};

/// Where batch `number`'s data of sequencer `key` is put together.
pub fn batch_data(key: &Pubkey, number: u64) -> Pubkey {
    // Too long a seed is the only error, and 4 + 16 characters are not.
    Pubkey::create_with_seed(key, &settlement::seeds::data_seed(number), &settlement::ID)
        .unwrap_or_default()
}

/// The associated token account of `owner`.
pub fn token_account(owner: &Pubkey, mint: &Pubkey, token_program: &Pubkey) -> Pubkey {
    spl_associated_token_account_interface::address::get_associated_token_address_with_program_id(
        owner,
        mint,
        token_program,
    )
}
