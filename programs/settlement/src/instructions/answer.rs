//! Answers one piece of a demand: `answer` and `answer_from_buffer`.

use crate::errors::SettlementError;
use crate::events::PieceAnswered;
use crate::seeds;
use crate::state::demand::{DemandClass, piece_head};
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
        let now = Clock::get()?.slot;
        let class = self.demand.class(&*self.chain.load()?, now);
        match class {
            DemandClass::Open(_) => {}
            DemandClass::Over => return err!(SettlementError::DemandOver),
            DemandClass::Moot => return err!(SettlementError::DemandMoot),
            DemandClass::Expired => return err!(SettlementError::AnswerTooLate),
        }
        // Or whoever copies the sequencer's answer from the network's queue would earn its fee.
        require!(
            now >= self.demand.reserved_end || self.answerer.key() == self.demand.asserter,
            SettlementError::AnswerReserved
        );
        let demand = &mut self.demand;
        demand.left = keep(demand, place, answer)?;
        let price = demand.pay_answer()?;
        let fee = price.min(demand::PIECE_FEE);
        demand.sub_lamports(price)?;
        self.answerer.add_lamports(fee)?;
        // The rest is nobody's: no instruction takes lamports from the chain's account.
        self.chain.add_lamports(price.saturating_sub(fee))?;
        {
            let mut chain = self.chain.load_mut()?;
            chain.answer(demand.number)?;
            if demand.left == 0 {
                demand.over = true;
                chain.release(demand.number)?;
            }
            chain.invariant()?;
        }
        let len = demand.to_account_info().data_len();
        demand.invariant(demand.get_lamports(), len)?;
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

/// Checks an answer (borsh) and keeps its bytes in the demand's account. Returns what is left of the demand.
#[inline(never)]
fn keep(demand: &Account<Demand>, place: u8, answer: &[u8]) -> Result<u64> {
    let answer =
        demand::Answer::try_from_slice(answer).map_err(|_| SettlementError::NotAnAnswer)?;
    let mut rules = demand.rules();
    rules
        .answer(place, &answer)
        .map_err(SettlementError::from)?;
    let bytes = answer.bytes();
    let head = piece_head(place, bytes.len())?;
    let info = demand.to_account_info();
    let start = info.data_len();
    let end = start
        .checked_add(head.len())
        .and_then(|end| end.checked_add(bytes.len()))
        .ok_or(SettlementError::Overflow)?;
    info.resize(end)?;
    let mut account = info.try_borrow_mut_data()?;
    let place = account.get_mut(start..).ok_or(SettlementError::Invariant)?;
    let (to_head, to_bytes) = place.split_at_mut(head.len());
    to_head.copy_from_slice(&head);
    to_bytes.copy_from_slice(bytes);
    Ok(rules.left)
}
