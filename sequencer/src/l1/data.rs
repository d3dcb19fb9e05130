//! A batch's data account as L1 has it.

use anchor_lang::Owner;
use assay_client::instructions::settlement::open_data;
use assay_client::pda;
use assay_client::rpc::read_zero_copy;
use assay_ledger::Hash;
use assay_ledger::data::{CHUNK, chunk_hash};
use settlement::constants::WRITE_SLOTS;
use settlement::state::{BatchData, WriteSlots};
use solana_account::Account;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use solana_system_interface::instruction as system;

/// What stands at a data account's address.
#[derive(Debug, PartialEq, Eq)]
pub enum DataAccount {
    /// Nothing; at most lamports that a stranger sent there.
    None {
        /// Lamports at the address.
        lamports: u64,
    },
    /// Chunks are being written.
    Open {
        /// Indices of the chunks that are not there yet.
        missing: Vec<u32>,
    },
    /// Some chunks are not there, and their time is over.
    TooOld,
    /// Complete.
    Sealed {
        /// The slots in which it was written.
        writes: WriteSlots,
    },
    /// Other data, from a batch that was given up.
    Other,
}

impl DataAccount {
    /// Compares `account`, in slot `now`, with the data that it should hold.
    pub fn of(account: Option<&Account>, data: &[u8], root: &Hash, now: u64) -> Self {
        let Some(account) = account else {
            return Self::None { lamports: 0 };
        };
        if account.owner != BatchData::owner() || account.data.is_empty() {
            return Self::None {
                lamports: account.lamports,
            };
        }
        let Ok(header) = read_zero_copy::<BatchData>(&account.data) else {
            return Self::Other;
        };
        if header.len as usize != data.len() {
            return Self::Other;
        }
        if header.is_sealed() {
            return if header.root == *root {
                let writes = header.write_slots();
                Self::Sealed { writes }
            } else {
                Self::Other
            };
        }
        let hashes = account.data.get(BatchData::sealed_size()..).unwrap_or(&[]);
        let missing: Vec<u32> = data
            .chunks(CHUNK)
            .zip(hashes.chunks(32))
            .zip(0u32..)
            .filter(|((chunk, hash), _)| *hash != chunk_hash(chunk))
            .map(|(_, index)| index)
            .collect();
        let written = !header.write_slots().bitmap.is_empty();
        let late = written && now >= header.first_slot.saturating_add(WRITE_SLOTS);
        if late && !missing.is_empty() {
            return Self::TooOld;
        }
        Self::Open { missing }
    }
}

/// Creates the data account and takes it into use for `len` bytes, `lamports` of its rent being
/// missing. `create_account` refuses an address that a stranger sent lamports to, which would
/// stop the sequencer for good; so the account is made in its parts.
pub fn create(
    rollup: &Pubkey,
    key: &Pubkey,
    number: u64,
    len: u32,
    lamports: u64,
) -> Vec<Instruction> {
    let address = pda::batch_data(key, number);
    let seed = settlement::seeds::data_seed(number);
    let space = BatchData::size(len) as u64;
    let [_, open] = open_data(rollup, key, number, len, 0);
    vec![
        system::transfer(key, &address, lamports),
        system::allocate_with_seed(&address, key, &seed, space, &settlement::ID),
        open,
    ]
}

/// Runs of consecutive chunk indices, each at most `most` long.
pub fn runs(indices: &[u32], most: usize) -> Vec<(u32, usize)> {
    let mut runs: Vec<(u32, usize)> = Vec::new();
    for index in indices {
        match runs.last_mut() {
            Some((first, len)) if *len < most && *first + *len as u32 == *index => *len += 1,
            _ => runs.push((*index, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_chunks_are_gathered_into_runs() {
        assert_eq!(runs(&[], 4), vec![]);
        assert_eq!(
            runs(&[0, 1, 2, 3, 4, 7, 9, 10], 4),
            vec![(0, 4), (4, 1), (7, 1), (9, 2)]
        );
        assert_eq!(runs(&[5, 6], 1), vec![(5, 1), (6, 1)]);
    }
}
