//! The programs' instructions. What each needs is said in the program.
//!
//! * [`settlement`]: sequencers, batches, the inbox
//! * [`disputes`]: disputes and buffers
//! * [`demands`]: demands for the blobs that a batch names
//! * [`bridge`]: deposits and withdrawals
//! * [`escrow`]: jobs paid on L1

pub mod bridge;
pub mod demands;
pub mod disputes;
pub mod escrow;
pub mod settlement;

use anchor_lang::{InstructionData, ToAccountMetas};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

fn instruction(
    program_id: Pubkey,
    accounts: impl ToAccountMetas,
    data: impl InstructionData,
) -> Instruction {
    Instruction {
        program_id,
        accounts: accounts.to_account_metas(None),
        data: data.data(),
    }
}

const SYSTEM: Pubkey = solana_system_interface::program::ID;
