//! Moving lamports out of a job's account.
//!
//! A verdict is never blocked by who is paid: an account that cannot take lamports (a wallet that
//! would stay below the rent-exempt minimum, or a program) is passed over, and the lamports stay
//! in the job's account. What the sequencer or the publisher has to get waits there for
//! `claim_payment`; what the client has to get comes with `close_job`.

use anchor_lang::prelude::*;

/// Whether lamports can be added to `account` such that the runtime accepts it.
fn can_take(account: &AccountInfo, amount: u64) -> Result<bool> {
    let minimum = Rent::get()?.minimum_balance(account.data_len());
    Ok(account.is_writable
        && !account.executable
        && account
            .lamports()
            .checked_add(amount)
            .is_some_and(|lamports| lamports >= minimum))
}

/// Moves `amount` lamports from `job` to `to` if `to` can take them; says whether it did.
/// Nothing is always paid.
pub fn pay<'info>(job: &AccountInfo<'info>, to: &AccountInfo<'info>, amount: u64) -> Result<bool> {
    if amount == 0 {
        return Ok(true);
    }
    if !can_take(to, amount)? {
        return Ok(false);
    }
    job.sub_lamports(amount)?;
    to.add_lamports(amount)?;
    Ok(true)
}
