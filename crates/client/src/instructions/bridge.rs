//! Instructions of the bridge.

use super::{SYSTEM, instruction};
use crate::api::{OutboxProof, OutboxView};
use crate::pda;
use assay_ledger::{SOL, outbox};
use bridge::{DepositArgs, ID, WithdrawArgs, accounts, instruction as data};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Makes a mint depositable.
pub fn register_mint(
    rollup: &Pubkey,
    payer: &Pubkey,
    mint: &Pubkey,
    token_program: &Pubkey,
) -> Instruction {
    instruction(
        ID,
        accounts::RegisterMint {
            payer: *payer,
            rollup: *rollup,
            mint: *mint,
            registered_mint: pda::registered_mint(rollup, mint),
            vault: pda::token_vault(rollup, mint),
            token_program: *token_program,
            system_program: SYSTEM,
        },
        data::RegisterMint {},
    )
}

/// Locks lamports for `owner` on L2. `page` is the rollup's
/// [`settlement::state::Rollup::next_page`].
pub fn deposit_sol(
    rollup: &Pubkey,
    depositor: &Pubkey,
    owner: &Pubkey,
    amount: u64,
    page: u64,
) -> Instruction {
    instruction(
        ID,
        accounts::DepositSol {
            depositor: *depositor,
            vault: pda::sol_vault(rollup),
            sender: pda::bridge_sender(rollup),
            rollup: *rollup,
            inbox_page: pda::inbox_page(rollup, page),
            settlement_program: settlement::ID,
            system_program: SYSTEM,
        },
        data::DepositSol {
            args: DepositArgs {
                owner: *owner,
                amount,
            },
        },
    )
}

/// Locks tokens of `depositor`'s token account `source` for `owner` on L2.
pub fn deposit_token(
    rollup: &Pubkey,
    depositor: &Pubkey,
    source: &Pubkey,
    mint: &Pubkey,
    token_program: &Pubkey,
    owner: &Pubkey,
    amount: u64,
    page: u64,
) -> Instruction {
    instruction(
        ID,
        accounts::DepositToken {
            depositor: *depositor,
            source: *source,
            mint: *mint,
            registered_mint: pda::registered_mint(rollup, mint),
            vault: pda::token_vault(rollup, mint),
            sender: pda::bridge_sender(rollup),
            rollup: *rollup,
            inbox_page: pda::inbox_page(rollup, page),
            token_program: *token_program,
            settlement_program: settlement::ID,
            system_program: SYSTEM,
        },
        data::DepositToken {
            args: DepositArgs {
                owner: *owner,
                amount,
            },
        },
    )
}

/// Pays the withdrawal that `proof` proves; `None` if its leaf is none. `token_program` is that of
/// the withdrawal's mint, and is not used for SOL.
pub fn withdraw(
    rollup: &Pubkey,
    payer: &Pubkey,
    proof: &OutboxProof,
    token_program: &Pubkey,
) -> Option<Instruction> {
    let OutboxView::Withdrawal {
        recipient,
        mint,
        amount,
    } = &proof.leaf
    else {
        return None;
    };
    let siblings: Vec<[u8; 32]> = proof.siblings.iter().map(|h| h.0).collect();
    let args = WithdrawArgs {
        batch: proof.batch,
        index: proof.index,
        amount: *amount,
        siblings: outbox::trim(proof.count, &siblings).to_vec(),
    };
    let recipient = Pubkey::from(*recipient);
    let (chain, paid_page) = (pda::chain(rollup), pda::paid_page(rollup, proof.index));
    Some(if mint.0 == SOL {
        instruction(
            ID,
            accounts::WithdrawSol {
                payer: *payer,
                recipient,
                rollup: *rollup,
                chain,
                vault: pda::sol_vault(rollup),
                paid_page,
                system_program: SYSTEM,
            },
            data::WithdrawSol { args },
        )
    } else {
        let mint = Pubkey::from(*mint);
        instruction(
            ID,
            accounts::WithdrawToken {
                payer: *payer,
                recipient,
                destination: pda::token_account(&recipient, &mint, token_program),
                mint,
                rollup: *rollup,
                chain,
                registered_mint: pda::registered_mint(rollup, &mint),
                vault: pda::token_vault(rollup, &mint),
                paid_page,
                token_program: *token_program,
                associated_token_program: spl_associated_token_account_interface::program::ID,
                system_program: SYSTEM,
            },
            data::WithdrawToken { args },
        )
    })
}
