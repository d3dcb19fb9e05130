//! Turns the list of chunk hashes into the data root.

use crate::errors::SettlementError;
use crate::events::DataSealed;
use crate::state::BatchData;
use anchor_lang::prelude::*;

/// Accounts of `seal_data`.
#[derive(Accounts)]
pub struct SealData<'info> {
    /// Who opened the account; gets the rent of the list back.
    #[account(mut)]
    pub poster: Signer<'info>,
    /// The data account.
    #[account(mut, has_one = poster @ SettlementError::ForeignData)]
    pub data: AccountLoader<'info, BatchData>,
}

impl SealData<'_> {
    /// See [`crate::settlement::seal_data`].
    pub fn handler(ctx: Context<Self>) -> Result<()> {
        let info = ctx.accounts.data.as_ref();
        let event = {
            let mut account = info.try_borrow_mut_data()?;
            let (data, hashes) = BatchData::split(&mut account)?;
            data.seal(hashes)?;
            data.invariant()?;
            DataSealed {
                rollup: data.rollup,
                data: info.key(),
                poster: data.poster,
                root: data.root,
                len: data.len,
            }
        };
        info.resize(BatchData::sealed_size())?;
        let rent = Rent::get()?.minimum_balance(BatchData::sealed_size());
        let excess = info.lamports().saturating_sub(rent);
        info.sub_lamports(excess)?;
        ctx.accounts.poster.add_lamports(excess)?;
        emit!(event);
        Ok(())
    }
}
