//! Instructions of the settlement program.

use super::{SYSTEM, instruction};
use crate::pda;
use assay_ledger::header::Header;
use assay_ledger::inbox::Forced;
use settlement::state::{BatchData, Config, WriteSlots};
use settlement::{ID, accounts, instruction as data};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Starts rollup number `id`.
pub fn initialize_rollup(authority: &Pubkey, id: u64, config: Config) -> Instruction {
    let rollup = pda::rollup(id);
    instruction(
        ID,
        accounts::InitializeRollup {
            authority: *authority,
            rollup,
            chain: pda::chain(&rollup),
            system_program: SYSTEM,
        },
        data::InitializeRollup { id, config },
    )
}

/// Makes a sequencer of `key` with a bond. The rollup's authority signs too.
pub fn register_sequencer(
    rollup: &Pubkey,
    key: &Pubkey,
    authority: &Pubkey,
    bond: u64,
) -> Instruction {
    instruction(
        ID,
        accounts::RegisterSequencer {
            key: *key,
            authority: *authority,
            rollup: *rollup,
            sequencer: pda::sequencer(rollup, key),
            system_program: SYSTEM,
        },
        data::RegisterSequencer { bond },
    )
}

/// Adds to the bond of sequencer `key`, which pays.
pub fn add_bond(rollup: &Pubkey, key: &Pubkey, amount: u64) -> Instruction {
    instruction(
        ID,
        accounts::AddBond {
            key: *key,
            sequencer: pda::sequencer(rollup, key),
            system_program: SYSTEM,
        },
        data::AddBond { amount },
    )
}

/// Asks for a part of the bond back.
pub fn request_unbond(rollup: &Pubkey, key: &Pubkey, amount: u64) -> Instruction {
    instruction(
        ID,
        accounts::RequestUnbond {
            key: *key,
            rollup: *rollup,
            sequencer: pda::sequencer(rollup, key),
        },
        data::RequestUnbond { amount },
    )
}

/// Withdraws what was asked for, when its delay has passed.
pub fn withdraw_bond(rollup: &Pubkey, key: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::WithdrawBond {
            key: *key,
            rollup: *rollup,
            chain: pda::chain(rollup),
            sequencer: pda::sequencer(rollup, key),
        },
        data::WithdrawBond {},
    )
}

/// Pays the sequencer its inbox fees.
pub fn claim_fees(rollup: &Pubkey, key: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::ClaimFees {
            key: *key,
            sequencer: pda::sequencer(rollup, key),
        },
        data::ClaimFees {},
    )
}

/// Says that process `instance` of the key is at work for `seconds`; with `take_over` though another is.
pub fn renew_lease(
    rollup: &Pubkey,
    key: &Pubkey,
    instance: [u8; 16],
    seconds: u32,
    take_over: bool,
) -> Instruction {
    instruction(
        ID,
        accounts::RenewLease {
            key: *key,
            sequencer: pda::sequencer(rollup, key),
        },
        data::RenewLease {
            instance,
            seconds,
            take_over,
        },
    )
}

/// Closes the account of a sequencer that has no bond and no fees left, for its rent.
pub fn close_sequencer(rollup: &Pubkey, key: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::CloseSequencer {
            key: *key,
            sequencer: pda::sequencer(rollup, key),
        },
        data::CloseSequencer {},
    )
}

/// Creates and opens the account of batch `number`'s data of `len` bytes. `rent` is the
/// rent-exempt minimum of [`BatchData::size`]`(len)` bytes.
pub fn open_data(
    rollup: &Pubkey,
    poster: &Pubkey,
    number: u64,
    len: u32,
    rent: u64,
) -> [Instruction; 2] {
    let address = pda::batch_data(poster, number);
    let create = solana_system_interface::instruction::create_account_with_seed(
        poster,
        &address,
        poster,
        &settlement::seeds::data_seed(number),
        rent,
        BatchData::size(len) as u64,
        &ID,
    );
    let open = instruction(
        ID,
        accounts::OpenData {
            poster: *poster,
            rollup: *rollup,
            data: address,
        },
        data::OpenData { len },
    );
    [create, open]
}

/// Writes the chunks from number `first` on.
pub fn write_chunks(poster: &Pubkey, data: &Pubkey, first: u32, bytes: Vec<u8>) -> Instruction {
    instruction(
        ID,
        accounts::WriteChunks {
            poster: *poster,
            data: *data,
        },
        data::WriteChunks { first, bytes },
    )
}

/// Turns the chunks' hashes into the data root.
pub fn seal_data(poster: &Pubkey, data: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::SealData {
            poster: *poster,
            data: *data,
        },
        data::SealData {},
    )
}

/// Closes a data account.
pub fn close_data(poster: &Pubkey, data: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::CloseData {
            poster: *poster,
            data: *data,
        },
        data::CloseData {},
    )
}

/// Posts a batch whose data is sealed at `data`. `page` is the inbox page with the message at the
/// batch's cursor, `None` when all messages are consumed; `parent_slot` and `writes` are as L1's accounts
/// of the chain and of the data have them.
pub fn post_batch(
    key: &Pubkey,
    data: &Pubkey,
    header: &Header,
    page: Option<u64>,
    parent_slot: u64,
    writes: WriteSlots,
) -> Instruction {
    let rollup = Pubkey::new_from_array(header.rollup);
    instruction(
        ID,
        accounts::PostBatch {
            key: *key,
            rollup,
            chain: pda::chain(&rollup),
            sequencer: pda::sequencer(&rollup, key),
            data: *data,
            page: page.map(|page| pda::inbox_page(&rollup, page)),
        },
        data::PostBatch {
            header: header.into(),
            parent_slot,
            writes,
        },
    )
}

/// Makes the oldest pending batch, which `sequencer` posted, final.
pub fn finalize_batch(rollup: &Pubkey, sequencer: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::FinalizeBatch {
            rollup: *rollup,
            chain: pda::chain(rollup),
            sequencer: pda::sequencer(rollup, sequencer),
        },
        data::FinalizeBatch {},
    )
}

/// Forces a transaction of `owner`, who signs; `payer` pays the fee. `page` is the rollup's
/// [`settlement::state::Rollup::next_page`].
pub fn force(
    rollup: &Pubkey,
    payer: &Pubkey,
    owner: &Pubkey,
    page: u64,
    forced: &Forced,
) -> Instruction {
    instruction(
        ID,
        accounts::Enqueue {
            payer: *payer,
            sender: *owner,
            rollup: *rollup,
            page: pda::inbox_page(rollup, page),
            system_program: SYSTEM,
        },
        data::Enqueue {
            // Writing to a vector cannot fail.
            payload: borsh::to_vec(forced).unwrap_or_default(),
        },
    )
}

/// Closes a full inbox page whose messages are final, for the rent of `payer`, who opened it.
pub fn close_inbox_page(rollup: &Pubkey, page: u64, payer: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::CloseInboxPage {
            rollup: *rollup,
            chain: pda::chain(rollup),
            page: pda::inbox_page(rollup, page),
            payer: *payer,
        },
        data::CloseInboxPage {},
    )
}
