//! Seeds of the program's addresses, and the addresses.
//!
//! | account | seeds |
//! | --- | --- |
//! | rollup | `"rollup"`, id (u64, little endian) |
//! | chain | `"chain"`, rollup |
//! | sequencer | `"sequencer"`, rollup, key |
//! | inbox page | `"inbox"`, rollup, page (u64, little endian) |
//! | dispute | `"dispute"`, rollup, challenger, id (u64, little endian) |
//! | demand | `"demand"`, rollup, demander, id (u64, little endian) |
//! | batch data | none: created by the client with seed from the sequencer's key, see [`data_seed`] |
//! | buffer | none: created by the client with seed from the owner's key, see [`buffer_seed`] |
//! | a program's sender of messages | `"sender"`, rollup; of the bridge or the escrow, not of this program |

use anchor_lang::prelude::*;

/// Of a rollup.
pub const ROLLUP: &[u8] = b"rollup";
/// Of a rollup's chain of batches.
pub const CHAIN: &[u8] = b"chain";
/// Of a sequencer's bond.
pub const SEQUENCER: &[u8] = b"sequencer";
/// Of a page of the inbox.
pub const INBOX: &[u8] = b"inbox";
/// Of a dispute.
pub const DISPUTE: &[u8] = b"dispute";
/// Of a demand.
pub const DEMAND: &[u8] = b"demand";
/// Of the signer by which the bridge and the escrow send messages.
pub const SENDER: &[u8] = b"sender";

/// Address of the rollup with this id.
pub fn rollup(id: u64) -> Pubkey {
    find(&[ROLLUP, &id.to_le_bytes()])
}

/// Address of a rollup's chain of batches.
pub fn chain(rollup: &Pubkey) -> Pubkey {
    find(&[CHAIN, rollup.as_ref()])
}

/// Address of the bond of sequencer `key`.
pub fn sequencer(rollup: &Pubkey, key: &Pubkey) -> Pubkey {
    find(&[SEQUENCER, rollup.as_ref(), key.as_ref()])
}

/// Address of an inbox page.
pub fn inbox_page(rollup: &Pubkey, page: u64) -> Pubkey {
    find(&[INBOX, rollup.as_ref(), &page.to_le_bytes()])
}

/// Address of dispute `id` of `challenger`.
pub fn dispute(rollup: &Pubkey, challenger: &Pubkey, id: u64) -> Pubkey {
    find(&[
        DISPUTE,
        rollup.as_ref(),
        challenger.as_ref(),
        &id.to_le_bytes(),
    ])
}

/// Address of demand `id` of `demander`.
pub fn demand(rollup: &Pubkey, demander: &Pubkey, id: u64) -> Pubkey {
    find(&[
        DEMAND,
        rollup.as_ref(),
        demander.as_ref(),
        &id.to_le_bytes(),
    ])
}

/// Address by which `program` (the bridge or the escrow) signs messages to `rollup`.
pub fn sender(program: &Pubkey, rollup: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[SENDER, rollup.as_ref()], program).0
}

/// Seed with which a sequencer creates the account of batch `number`'s data: its address is
/// `create_with_seed(sequencer's key, data_seed(number), this program)`. A convention of the
/// clients: the program accepts any account that the poster opened.
pub fn data_seed(number: u64) -> String {
    format!("data{number:x}")
}

/// Seed with which a client creates its buffer number `id`: its address is
/// `create_with_seed(owner's key, buffer_seed(id), this program)`. A convention of the clients.
pub fn buffer_seed(id: u64) -> String {
    format!("buffer{id:x}")
}

/// A seed that the IDL cannot express, as it is: from `account.key` and from a method's result
/// Anchor would derive a wrong rule for clients; behind a call it writes none.
pub(crate) fn opaque<const N: usize>(seed: [u8; N]) -> [u8; N] {
    seed
}

fn find(seeds: &[&[u8]]) -> Pubkey {
    Pubkey::find_program_address(seeds, &crate::ID).0
}
