//! Addresses of the programs' accounts. The seeds are the programs' own.

use solana_pubkey::Pubkey;

pub use settlement::seeds::{chain, demand, dispute, inbox_page, rollup, sender, sequencer};

/// Where batch `number`'s data of sequencer `key` is put together.
pub fn batch_data(key: &Pubkey, number: u64) -> Pubkey {
    // Too long a seed is the only error, and 4 + 16 characters are not.
    Pubkey::create_with_seed(key, &settlement::seeds::data_seed(number), &settlement::ID)
        .unwrap_or_default()
}

/// Where buffer `id` of `owner` is.
pub fn buffer(owner: &Pubkey, id: u64) -> Pubkey {
    // Too long a seed is the only error, and 6 + 16 characters are not.
    Pubkey::create_with_seed(owner, &settlement::seeds::buffer_seed(id), &settlement::ID)
        .unwrap_or_default()
}

/// The signer of the bridge's messages.
pub fn bridge_sender(rollup: &Pubkey) -> Pubkey {
    sender(&bridge::ID, rollup)
}

/// The signer of the escrow's messages.
pub fn escrow_sender(rollup: &Pubkey) -> Pubkey {
    sender(&escrow::ID, rollup)
}

/// The bridge's lamports.
pub fn sol_vault(rollup: &Pubkey) -> Pubkey {
    of_bridge(&[bridge::seeds::SOL_VAULT, rollup.as_ref()])
}

/// The bridge's record of a mint.
pub fn registered_mint(rollup: &Pubkey, mint: &Pubkey) -> Pubkey {
    of_bridge(&[
        bridge::seeds::REGISTERED_MINT,
        rollup.as_ref(),
        mint.as_ref(),
    ])
}

/// The bridge's tokens of a mint.
pub fn token_vault(rollup: &Pubkey, mint: &Pubkey) -> Pubkey {
    of_bridge(&[bridge::seeds::TOKEN_VAULT, rollup.as_ref(), mint.as_ref()])
}

/// The page that says whether outbox leaf `index` was paid.
pub fn paid_page(rollup: &Pubkey, index: u64) -> Pubkey {
    let page = bridge::state::PaidPage::number(index);
    of_bridge(&[
        bridge::seeds::PAID_PAGE,
        rollup.as_ref(),
        &page.to_le_bytes(),
    ])
}

/// What the escrow remembers of a client.
pub fn escrow_client(rollup: &Pubkey, client: &Pubkey) -> Pubkey {
    of_escrow(&[escrow::seeds::CLIENT, rollup.as_ref(), client.as_ref()])
}

/// A client's job.
pub fn job(rollup: &Pubkey, client: &Pubkey, nonce: u64) -> Pubkey {
    of_escrow(&[
        escrow::seeds::JOB,
        rollup.as_ref(),
        client.as_ref(),
        &nonce.to_le_bytes(),
    ])
}

/// A client's feed.
pub fn feed(client: &Pubkey, name: &[u8; escrow::constants::NAME]) -> Pubkey {
    of_escrow(&[escrow::seeds::FEED, client.as_ref(), name])
}

/// The associated token account of `owner`.
pub fn token_account(owner: &Pubkey, mint: &Pubkey, token_program: &Pubkey) -> Pubkey {
    spl_associated_token_account_interface::address::get_associated_token_address_with_program_id(
        owner,
        mint,
        token_program,
    )
}

fn of_bridge(seeds: &[&[u8]]) -> Pubkey {
    Pubkey::find_program_address(seeds, &bridge::ID).0
}

fn of_escrow(seeds: &[&[u8]]) -> Pubkey {
    Pubkey::find_program_address(seeds, &escrow::ID).0
}
