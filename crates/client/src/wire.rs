//! Transactions on the wire: legacy ones of 1,232 bytes, version-1 ones of 4,096.

use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage, v1};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;

/// Lamports of one signature, what a transaction costs at least.
pub const BASE_FEE: u64 = 5_000;
/// The compute limit of a transaction that states none.
pub const DEFAULT_UNITS: u32 = 400_000;
/// What a version-1 transaction must state to load as much as a legacy one may.
const LOADED_BYTES: u32 = 64 << 20;

/// A transaction's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// At most 1,232 bytes; compute limit and priority fee are instructions.
    Legacy,
    /// At most 4,096 bytes; compute limit and priority fee are in the message.
    Version1,
}

impl Wire {
    /// Bytes of a transaction at most, signatures included.
    pub const fn limit(self) -> usize {
        match self {
            Self::Legacy => 1_232,
            Self::Version1 => 4_096,
        }
    }
}

/// What a transaction may use, and what it offers for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Compute units at most.
    pub units: u32,
    /// Heap bytes, a multiple of 1,024; `None` for the usual 32 KiB.
    pub heap: Option<u32>,
    /// Micro-lamports per compute unit on top of the base fee.
    pub unit_price: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            units: DEFAULT_UNITS,
            heap: None,
            unit_price: 0,
        }
    }
}

impl Budget {
    /// The priority fee in lamports: units times price, rounded up.
    pub fn priority_fee(&self) -> u64 {
        (u128::from(self.units) * u128::from(self.unit_price)).div_ceil(1_000_000) as u64
    }
}

/// Why a transaction could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It does not fit.
    #[error("the transaction has {bytes} bytes, its format takes {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The format's limit.
        limit: usize,
    },
    /// The keys do not fit the instructions.
    #[error("cannot sign the transaction: {0}")]
    Sign(solana_signer::SignerError),
    /// Accounts or instructions do not fit the format.
    #[error("cannot encode the transaction: {0}")]
    Encode(String),
}

/// The message of `instructions` paid by `payer`.
pub fn message(
    wire: Wire,
    payer: &solana_pubkey::Pubkey,
    instructions: &[Instruction],
    budget: &Budget,
    blockhash: Hash,
) -> Result<VersionedMessage, WireError> {
    Ok(match wire {
        Wire::Legacy => {
            let mut all = vec![ComputeBudgetInstruction::set_compute_unit_limit(
                budget.units,
            )];
            if budget.unit_price > 0 {
                all.push(ComputeBudgetInstruction::set_compute_unit_price(
                    budget.unit_price,
                ));
            }
            if let Some(bytes) = budget.heap {
                all.push(ComputeBudgetInstruction::request_heap_frame(bytes));
            }
            all.extend_from_slice(instructions);
            VersionedMessage::Legacy(Message::new_with_blockhash(&all, Some(payer), &blockhash))
        }
        Wire::Version1 => {
            let config = v1::TransactionConfig {
                priority_fee: Some(budget.priority_fee()).filter(|fee| *fee > 0),
                compute_unit_limit: Some(budget.units),
                loaded_accounts_data_size_limit: Some(LOADED_BYTES),
                heap_size: budget.heap,
            };
            VersionedMessage::V1(
                v1::Message::try_compile_with_config(payer, instructions, blockhash, config)
                    .map_err(|e| WireError::Encode(e.to_string()))?,
            )
        }
    })
}

/// The signed transaction of `instructions`, paid by the first of `signers`, with its bytes.
pub fn transaction(
    wire: Wire,
    signers: &[&Keypair],
    instructions: &[Instruction],
    budget: &Budget,
    blockhash: Hash,
) -> Result<(VersionedTransaction, usize), WireError> {
    let payer = signers
        .first()
        .ok_or_else(|| WireError::Encode("a transaction needs a payer".into()))?;
    let message = message(wire, &payer.pubkey(), instructions, budget, blockhash)?;
    let bytes = bytes_of(&message);
    let limit = wire.limit();
    if bytes > limit {
        return Err(WireError::TooLarge { bytes, limit });
    }
    let transaction = VersionedTransaction::try_new(message, signers).map_err(WireError::Sign)?;
    Ok((transaction, bytes))
}

/// Bytes of the transaction with this message: its signatures and their count included.
pub fn bytes_of(message: &VersionedMessage) -> usize {
    let signatures = usize::from(message.header().num_required_signatures);
    // Legacy transactions lead with the number of signatures (one byte up to 127 of them);
    // version 1 puts the signatures after the message, without a count of their own.
    let count = usize::from(!matches!(message, VersionedMessage::V1(_)));
    count + signatures * size_of::<Signature>() + message.serialize().len()
}

/// Bytes of the largest payload that leaves a transaction of `instruction(payload)` within its
/// format, found by trying; `None` if not even an empty one fits.
pub fn room(
    wire: Wire,
    payer: &solana_pubkey::Pubkey,
    budget: &Budget,
    instructions: impl Fn(usize) -> Vec<Instruction>,
) -> Option<usize> {
    let fits = |n: usize| {
        message(wire, payer, &instructions(n), budget, Hash::default())
            .is_ok_and(|m| bytes_of(&m) <= wire.limit())
    };
    let (mut low, mut high) = (0, wire.limit());
    if !fits(0) {
        return None;
    }
    while low < high {
        let mid = (low + high).div_ceil(2);
        if fits(mid) {
            low = mid;
        } else {
            high = mid - 1;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use solana_instruction::AccountMeta;

    fn write(n: usize) -> Vec<Instruction> {
        vec![Instruction {
            program_id: solana_pubkey::Pubkey::new_from_array([3; 32]),
            accounts: vec![AccountMeta::new(
                solana_pubkey::Pubkey::new_from_array([4; 32]),
                false,
            )],
            data: vec![7; n],
        }]
    }

    #[test]
    fn the_counted_bytes_are_the_serialised_ones() {
        let payer = Keypair::new_from_array([1; 32]);
        for wire in [Wire::Legacy, Wire::Version1] {
            for n in [0, 1, 100, 900] {
                let (tx, bytes) = transaction(
                    wire,
                    &[&payer],
                    &write(n),
                    &Budget::default(),
                    Hash::new_from_array([9; 32]),
                )
                .unwrap();
                let payload = tx.message.serialize().len();
                assert_eq!(bytes, wincode::serialize(&tx).unwrap().len());
                assert!(payload < bytes);
            }
        }
    }

    #[test]
    fn a_transaction_that_does_not_fit_is_refused() {
        let payer = Keypair::new_from_array([1; 32]);
        for wire in [Wire::Legacy, Wire::Version1] {
            let budget = Budget::default();
            let most = room(wire, &payer.pubkey(), &budget, write).unwrap();
            let hash = Hash::new_from_array([9; 32]);
            let (_, bytes) = transaction(wire, &[&payer], &write(most), &budget, hash).unwrap();
            assert!(bytes <= wire.limit());
            assert!(matches!(
                transaction(wire, &[&payer], &write(most + 1), &budget, hash),
                Err(WireError::TooLarge { .. })
            ));
        }
    }

    #[test]
    fn the_priority_fee_rounds_up() {
        let budget = Budget {
            units: 3,
            heap: None,
            unit_price: 1,
        };
        assert_eq!(budget.priority_fee(), 1);
    }
}
