//! Demands pieces of a blob that a pending batch names: `open_demand` and `open_demand_from_buffer`.

use crate::constants::ACCOUNT_VERSION;
use crate::demand::Pieces;
use crate::errors::SettlementError;
use crate::events::DemandOpened;
use crate::header::BatchHeader;
use crate::seeds;
use crate::state::{Buffer, Chain, Demand, Rollup};
use anchor_lang::prelude::*;
use anchor_lang::system_program;
use assay_dispute::demand::{self, Named, Times};
use assay_ledger::header::Header;

/// Accounts of `open_demand`.
#[derive(Accounts)]
#[instruction(id: u64)]
pub struct OpenDemand<'info> {
    /// Cannot get the pieces from anywhere; pays the rent and what answers cost.
    #[account(mut)]
    pub demander: Signer<'info>,
    /// The rollup.
    #[account(seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()], bump = rollup.bump)]
    pub rollup: Box<Account<'info, Rollup>>,
    /// The batches.
    #[account(
        mut,
        has_one = rollup,
        seeds = [seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// The demand, created.
    #[account(
        init,
        payer = demander,
        space = Demand::size(),
        seeds = [seeds::DEMAND, rollup.key().as_ref(), demander.key().as_ref(), &id.to_le_bytes()],
        bump
    )]
    pub demand: Box<Account<'info, Demand>>,
    /// Creates the account and moves the lamports.
    pub system_program: Program<'info, System>,
}

/// Accounts of `open_demand_from_buffer`. The nested ones read the instruction's data.
#[derive(Accounts)]
pub struct OpenDemandFromBuffer<'info> {
    /// Those of any demand.
    pub open: OpenDemand<'info>,
    /// The demander's buffer that says where the batch names the blob.
    #[account(
        constraint = buffer.load()?.owner == open.demander.key() @ SettlementError::ForeignBuffer
    )]
    pub buffer: AccountLoader<'info, Buffer>,
}

impl OpenDemand<'_> {
    /// Checks that something may be demanded of the batch of this hash. Returns its life, the fee of
    /// an answer and when they must be there.
    fn validate(
        &self,
        header: &BatchHeader,
        hash: &[u8; 32],
        pieces: Pieces,
    ) -> Result<(u32, u64, Times)> {
        require_keys_eq!(
            header.rollup,
            self.rollup.key(),
            SettlementError::HeaderMismatch
        );
        let chain = self.chain.load()?;
        let slot = chain
            .live(header.number, hash)
            .ok_or(SettlementError::NotLive)?;
        let of = demand::Pieces::from(pieces).of;
        let times = Times::new(of, slot.window_end, header.params.window);
        require_gt!(
            times.demand_end,
            Clock::get()?.slot,
            SettlementError::DemandTooLate
        );
        Ok((slot.life, demand::fee(slot.pieces), times))
    }

    /// See [`crate::settlement::open_demand`].
    pub fn handler(
        ctx: Context<Self>,
        id: u64,
        header: &BatchHeader,
        pieces: Pieces,
        named: &[u8],
    ) -> Result<()> {
        let bump = ctx.bumps.demand;
        ctx.accounts.open(bump, id, header, pieces, named)
    }

    #[inline(never)]
    fn open(
        &mut self,
        bump: u8,
        id: u64,
        header: &BatchHeader,
        pieces: Pieces,
        named: &[u8],
    ) -> Result<()> {
        let (hash, rules) = demanded(header, pieces, named)?;
        let (life, fee, times) = self.validate(header, &hash, pieces)?;
        {
            let mut chain = self.chain.load_mut()?;
            chain.demand(header.number, pieces.count)?;
            chain.invariant()?;
        }
        let bond = demand::bond(header.params.dispute_bond, fee, pieces.count);
        system_program::transfer(
            CpiContext::new(
                system_program::ID,
                system_program::Transfer {
                    from: self.demander.to_account_info(),
                    to: self.demand.to_account_info(),
                },
            ),
            bond.checked_add(rent_of_answers(pieces.count)?)
                .ok_or(SettlementError::Overflow)?,
        )?;
        self.demand.set_inner(Demand {
            version: ACCOUNT_VERSION,
            bump,
            over: false,
            rollup: header.rollup,
            demander: self.demander.key(),
            asserter: header.sequencer,
            id,
            number: header.number,
            hash,
            life,
            answer_end: times.answer_end,
            reserved_end: times.reserved_end,
            bond,
            fee,
            program: rules.program.into(),
            parameters_root: rules.parameters_root,
            pieces,
            left: rules.left,
        });
        self.demand
            .invariant(self.demand.get_lamports(), Demand::size())?;
        emit!(DemandOpened {
            rollup: header.rollup,
            demand: self.demand.key(),
            demander: self.demander.key(),
            asserter: header.sequencer,
            number: header.number,
            hash,
            program: self.demand.program,
            parameters_root: rules.parameters_root,
            pieces,
            bond,
            fee,
            answer_end: times.answer_end,
        });
        Ok(())
    }
}

impl OpenDemandFromBuffer<'_> {
    /// See [`crate::settlement::open_demand_from_buffer`].
    pub fn handler(
        ctx: Context<Self>,
        id: u64,
        header: &BatchHeader,
        pieces: Pieces,
    ) -> Result<()> {
        let info = ctx.accounts.buffer.to_account_info();
        let account = info.try_borrow_data()?;
        let named = Buffer::bytes(&account)?;
        let bump = ctx.bumps.open.demand;
        ctx.accounts.open.open(bump, id, header, pieces, named)
    }
}

/// Lamports of the rent of so many answered pieces, at most.
fn rent_of_answers(pieces: u8) -> Result<u64> {
    let rent = Rent::get()?;
    let whole = rent.minimum_balance(Demand::size_with(pieces));
    let more = whole.checked_sub(rent.minimum_balance(Demand::size()));
    more.ok_or_else(|| error!(SettlementError::Overflow))
}

/// The header's hash, and the demand for pieces of what `named` (borsh) says that the batch names.
#[inline(never)]
fn demanded(
    header: &BatchHeader,
    pieces: Pieces,
    named: &[u8],
) -> Result<([u8; 32], Box<demand::Demand>)> {
    let named = named_in(named)?;
    let header = boxed(header)?;
    let rules = opened(&header, &named, pieces)?;
    Ok((header.hash(), rules))
}

// Each in a frame of its own.

#[inline(never)]
fn named_in(bytes: &[u8]) -> Result<Box<Named>> {
    let named = Named::try_from_slice(bytes).map_err(|_| SettlementError::NotNamed)?;
    Ok(Box::new(named))
}

#[inline(never)]
fn boxed(header: &BatchHeader) -> Result<Box<Header>> {
    Ok(Box::new(header.to_ledger()?))
}

#[inline(never)]
fn opened(header: &Header, named: &Named, pieces: Pieces) -> Result<Box<demand::Demand>> {
    let rules = demand::Demand::open(header, named, pieces.into());
    Ok(Box::new(rules.map_err(SettlementError::from)?))
}
