//! What the bridge says to L2 and hears from it.

use crate::errors::BridgeError;
use crate::seeds;
use anchor_lang::prelude::*;
use assay_ledger::inbox::Deposit;
use assay_ledger::outbox::{self, OutboxLeaf};
use settlement::cpi::accounts::Enqueue;
use settlement::state::Chain;

/// Puts a deposit into the inbox, signed by `["sender", rollup]` with `bump`.
pub fn send_deposit<'info>(
    program: Pubkey,
    accounts: Enqueue<'info>,
    bump: u8,
    deposit: &Deposit,
) -> Result<()> {
    let rollup = accounts.rollup.key();
    let signer: &[&[u8]] = &[seeds::SENDER, rollup.as_ref(), &[bump]];
    let payload = borsh::to_vec(deposit)?;
    settlement::cpi::enqueue(
        CpiContext::new_with_signer(program, accounts, &[signer]),
        payload,
    )
}

/// Checks that the outbox of final batch `batch` has this withdrawal as leaf `index`.
pub fn prove_withdrawal(
    chain: &Chain,
    batch: u64,
    index: u64,
    siblings: &[[u8; 32]],
    withdrawal: OutboxLeaf,
) -> Result<()> {
    let outbox = chain.final_outbox(batch)?;
    require!(
        outbox::verify(outbox.count, &outbox.root, &withdrawal, index, siblings),
        BridgeError::WrongProof
    );
    Ok(())
}
