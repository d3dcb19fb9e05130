//! Hashes chunks of a batch's data into their places.
//!
//! The bytes themselves stay in the instruction's data, which is where a verifier reads them. So this
//! must be an instruction of the transaction itself ([`super::top_level`]): a batch whose bytes nobody
//! can find could not be disputed.

use super::top_level;
use crate::errors::SettlementError;
use crate::state::BatchData;
use anchor_lang::prelude::*;

/// Accounts of `write_chunks`.
#[derive(Accounts)]
pub struct WriteChunks<'info> {
    /// Who opened the account.
    pub poster: Signer<'info>,
    /// The data account.
    #[account(mut, has_one = poster @ SettlementError::ForeignData)]
    pub data: AccountLoader<'info, BatchData>,
}

impl WriteChunks<'_> {
    fn validate(&self) -> Result<()> {
        top_level()?;
        require!(!self.data.load()?.is_sealed(), SettlementError::DataSealed);
        Ok(())
    }

    /// See [`crate::settlement::write_chunks`].
    pub fn handler(ctx: Context<Self>, first: u32, bytes: Vec<u8>) -> Result<()> {
        ctx.accounts.validate()?;
        let mut account = ctx.accounts.data.as_ref().try_borrow_mut_data()?;
        let (data, hashes) = BatchData::split(&mut account)?;
        data.note_write(Clock::get()?.slot)?;
        let places = hashes
            .get_mut(first as usize..)
            .ok_or(SettlementError::ChunkOutOfRange)?;
        for (place, hash) in places.iter_mut().zip(data.chunk_hashes(first, &bytes)?) {
            *place = hash;
        }
        data.invariant()
    }
}
