//! Answers one piece of a demand: `answer` and `answer_from_buffer`.

use super::top_level;
use crate::errors::SettlementError;
use crate::events::PieceAnswered;
use crate::seeds;
use crate::state::demand::DemandClass;
use crate::state::{Buffer, Chain, Demand};
use anchor_lang::prelude::*;
use assay_dispute::demand;

/// Accounts of `answer`. Anybody may answer.
#[derive(Accounts)]
pub struct AnswerDemand<'info> {
    /// Who has the piece; is paid.
    #[account(mut)]
    pub answerer: Signer<'info>,
    /// The batches.
    #[account(
        mut,
        constraint = chain.load()?.rollup == demand.rollup @ SettlementError::ForeignDemand
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// The demand, which pays.
    #[account(
        mut,
        seeds = [
            seeds::DEMAND,
            demand.rollup.as_ref(),
            demand.demander.as_ref(),
            &demand.id.to_le_bytes()
        ],
        bump = demand.bump
    )]
    pub demand: Box<Account<'info, Demand>>,
}

/// Accounts of `answer_from_buffer`.
#[derive(Accounts)]
pub struct AnswerFromBuffer<'info> {
    /// Those of any answer.
    pub answer: AnswerDemand<'info>,
    /// The answerer's buffer with the answer.
    #[account(
        constraint = buffer.load()?.owner == answer.answerer.key() @ SettlementError::ForeignBuffer
    )]
    pub buffer: AccountLoader<'info, Buffer>,
}

impl AnswerDemand<'_> {
    /// See [`crate::settlement::answer`].
    pub fn handler(ctx: Context<Self>, place: u8, answer: &[u8]) -> Result<()> {
        ctx.accounts.answer(place, answer, None)
    }

    /// Takes the answer for piece `place`; `buffer` is where it was.
    #[inline(never)]
    fn answer(&mut self, place: u8, answer: &[u8], buffer: Option<Pubkey>) -> Result<()> {
        // The demander must be able to read what was answered: see `write_chunks`.
        top_level()?;
        let class = self.demand.class(&*self.chain.load()?, Clock::get()?.slot);
        match class {
            DemandClass::Open(_) => {}
            DemandClass::Over => return err!(SettlementError::DemandOver),
            DemandClass::Moot => return err!(SettlementError::DemandMoot),
            DemandClass::Expired => return err!(SettlementError::AnswerTooLate),
        }
        let demand = &mut self.demand;
        demand.left = left_after(demand, place, answer)?;
        let price = demand.pay_answer()?;
        let fee = price.min(demand::PIECE_FEE);
        demand.sub_lamports(price)?;
        self.answerer.add_lamports(fee)?;
        // The rest is nobody's: no instruction takes lamports from the chain's account.
        self.chain.add_lamports(price.saturating_sub(fee))?;
        if demand.left == 0 {
            demand.over = true;
            let mut chain = self.chain.load_mut()?;
            chain.release(demand.number)?;
            chain.invariant()?;
        }
        demand.invariant(demand.get_lamports())?;
        emit!(PieceAnswered {
            rollup: demand.rollup,
            demand: demand.key(),
            place,
            answerer: self.answerer.key(),
            buffer,
            fee,
            left: demand.left,
        });
        Ok(())
    }
}

impl AnswerFromBuffer<'_> {
    /// See [`crate::settlement::answer_from_buffer`].
    pub fn handler(ctx: Context<Self>, place: u8) -> Result<()> {
        let info = ctx.accounts.buffer.to_account_info();
        let account = info.try_borrow_data()?;
        let answer = Buffer::bytes(&account)?;
        ctx.accounts.answer.answer(place, answer, Some(info.key()))
    }
}

/// What is left of a demand after this answer (borsh).
#[inline(never)]
fn left_after(demand: &Demand, place: u8, answer: &[u8]) -> Result<u64> {
    let answer =
        demand::Answer::try_from_slice(answer).map_err(|_| SettlementError::NotAnAnswer)?;
    let mut rules = demand.rules();
    rules
        .answer(place, &answer)
        .map_err(SettlementError::from)?;
    Ok(rules.left)
}
