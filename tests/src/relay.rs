//! A program that does as it is told: it calls the first of its accounts, a program, with the others
//! and with its own instruction's data. What another program could do, it does.

use crate::svm::Svm;
use solana_instruction::{AccountMeta, Instruction};
use solana_instruction_error::InstructionError;
use solana_program_runtime::declare_process_instruction;
use solana_program_runtime::solana_sbpf::program::BuiltinFunctionDefinition;
use solana_pubkey::Pubkey;

/// Where [`load`] puts it.
pub const ID: Pubkey = Pubkey::new_from_array(*b"relay, which calls other program");

/// What the macro makes is public and has no documentation.
mod entry {
    #![allow(missing_docs)]
    use super::*;

    declare_process_instruction!(Relay, 1, |invoke_context| {
        let inner = {
            let outer = invoke_context
                .transaction_context
                .get_current_instruction_context()?;
            let meta = |i| -> Result<AccountMeta, InstructionError> {
                Ok(AccountMeta {
                    pubkey: *outer.get_key_of_instruction_account(i)?,
                    is_signer: outer.is_instruction_account_signer(i)?,
                    is_writable: outer.is_instruction_account_writable(i)?,
                })
            };
            Instruction {
                program_id: *outer.get_key_of_instruction_account(0)?,
                accounts: (1..outer.get_number_of_instruction_accounts())
                    .map(meta)
                    .collect::<Result<_, InstructionError>>()?,
                data: outer.get_instruction_data().to_vec(),
            }
        };
        invoke_context.native_invoke_signed(inner, &[])
    });
}

/// Puts it on the chain.
pub fn load(svm: &mut Svm) {
    svm.inner().add_builtin(ID, entry::Relay::register);
}

/// `instruction`, called by the relay.
pub fn through(instruction: Instruction) -> Instruction {
    let program = AccountMeta::new_readonly(instruction.program_id, false);
    Instruction {
        program_id: ID,
        accounts: [vec![program], instruction.accounts].concat(),
        data: instruction.data,
    }
}
