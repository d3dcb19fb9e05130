//! What the batches cost on L1, from the fees really paid, and what other ways would cost.

use assay_client::api::BatchView;
use assay_client::instructions::settlement::write_chunks;
use assay_client::wire::{self, BASE_FEE, Budget, Wire};
use assay_ledger::data::CHUNK;
use solana_hash::Hash;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

/// The step of a batch's transactions that carries its data.
const WRITE: &str = "write";

/// Lamports and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Lamports.
    pub lamports: u64,
    /// Bytes of transactions.
    pub bytes: u64,
}

impl Cost {
    /// Lamports for each of `n`.
    pub fn lamports_each(&self, n: usize) -> f64 {
        self.lamports as f64 / n.max(1) as f64
    }

    /// Bytes for each of `n`.
    pub fn bytes_each(&self, n: usize) -> f64 {
        self.bytes as f64 / n.max(1) as f64
    }
}

/// What all transactions of these batches cost.
pub fn paid(batches: &[BatchView]) -> Cost {
    batches.iter().fold(Cost::default(), |sum, b| Cost {
        lamports: sum.lamports + b.l1_lamports,
        bytes: sum.bytes + b.l1_bytes,
    })
}

/// What the same batches cost where only legacy transactions are taken, computed: the transactions
/// that carry data are replaced by legacy ones of one chunk each and of one base fee, measured by
/// making them; the others fit either format and cost the same.
pub fn legacy(batches: &[BatchView], poster: &Pubkey) -> Cost {
    let mut sum = Cost::default();
    for batch in batches {
        for other in batch.l1.iter().filter(|t| t.step != WRITE) {
            sum.lamports += other.lamports;
            sum.bytes += other.bytes;
        }
        let mut left = batch.data_len as usize;
        let mut first = 0;
        while left > 0 {
            let part = left.min(CHUNK);
            let account = assay_client::pda::batch_data(poster, batch.number);
            let write = write_chunks(poster, &account, first, vec![0; part]);
            sum.lamports += BASE_FEE;
            sum.bytes += size(poster, write);
            left -= part;
            first += 1;
        }
    }
    sum
}

/// What `n` operations with `payload` bytes each cost as one Solana transaction each: a base fee,
/// and the bytes of a legacy transaction with one signature and one writable account beside the
/// payer's.
pub fn one_each(n: usize, payload: usize) -> Cost {
    let payer = Pubkey::new_from_array([1; 32]);
    let instruction = Instruction {
        program_id: Pubkey::new_from_array([2; 32]),
        accounts: vec![
            AccountMeta::new(payer, true),
            AccountMeta::new(Pubkey::new_from_array([3; 32]), false),
        ],
        data: vec![0; payload],
    };
    let n = n as u64;
    Cost {
        lamports: n * BASE_FEE,
        bytes: n * size(&payer, instruction),
    }
}

fn size(payer: &Pubkey, instruction: Instruction) -> u64 {
    let budget = Budget::default();
    // Compiling a legacy message cannot fail.
    wire::message(
        Wire::Legacy,
        payer,
        &[instruction],
        &budget,
        Hash::default(),
    )
    .map_or(0, |m| wire::bytes_of(&m) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_fits_a_legacy_transaction_and_the_sizes_are_those_of_real_ones() {
        let poster = Pubkey::new_from_array([7; 32]);
        let write = write_chunks(&poster, &poster, u32::MAX, vec![0; CHUNK]);
        let bytes = size(&poster, write);
        assert!(
            bytes > CHUNK as u64 && bytes <= Wire::Legacy.limit() as u64,
            "{bytes}"
        );
        let each = one_each(10, 64);
        assert_eq!(each.lamports, 10 * BASE_FEE);
        assert!(each.bytes_each(10) > 64.0 + 64.0 + 4.0 * 32.0);
    }
}
