//! What a verdict does to the batch, the bond and the stake.

use crate::constants::INCINERATOR;
use crate::errors::SettlementError;
use crate::events::{BatchReverted, BondChanged, DisputeDecided};
use crate::seeds;
use crate::state::{BatchSlot, Chain, Dispute, Rollup, Sequencer};
use anchor_lang::prelude::*;
use assay_dispute::Side;
use assay_dispute::game::{self, Verdict};

/// The accounts of an instruction that may decide a dispute. The verdict takes effect in the
/// same instruction; what it pays waits in the dispute's account.
#[derive(Accounts)]
pub struct Court<'info> {
    /// Its copy of the inbox cursor goes back with a revert.
    #[account(
        mut,
        seeds = [seeds::ROLLUP, &rollup.id.to_le_bytes()],
        bump = rollup.bump
    )]
    pub rollup: Box<Account<'info, Rollup>>,
    /// The batches.
    #[account(
        mut,
        has_one = rollup,
        seeds = [seeds::CHAIN, rollup.key().as_ref()],
        bump = rollup.chain_bump
    )]
    pub chain: AccountLoader<'info, Chain>,
    /// The bond of the batch's sequencer.
    #[account(
        mut,
        has_one = rollup,
        seeds = [seeds::SEQUENCER, rollup.key().as_ref(), &seeds::opaque(sequencer.key.to_bytes())],
        bump = sequencer.bump,
        constraint = sequencer.key == dispute.load()?.asserter @ SettlementError::WrongSequencer
    )]
    pub sequencer: Box<Account<'info, Sequencer>>,
    /// The dispute.
    #[account(mut, has_one = rollup @ SettlementError::ForeignDispute)]
    pub dispute: AccountLoader<'info, Dispute>,
    /// CHECK: the address under which Solana destroys lamports.
    #[account(mut, address = INCINERATOR)]
    pub incinerator: UncheckedAccount<'info>,
}

impl Court<'_> {
    /// Decides the dispute as `judge` does, given the game, whether the batch is live, and the
    /// slot. `buffer` is where the proof was.
    pub(super) fn decide(
        &mut self,
        buffer: Option<Pubkey>,
        judge: impl FnOnce(&mut game::Dispute, bool, u64) -> Result<Verdict>,
    ) -> Result<()> {
        let info = self.dispute.to_account_info();
        let mut account = info.try_borrow_mut_data()?;
        let (dispute, room) = Dispute::split(&mut account)?;
        let verdict = {
            let live = dispute.is_live(&*self.chain.load()?);
            let mut game = dispute.game(room)?;
            let verdict = judge(&mut game, live, Clock::get()?.slot)?;
            dispute.set_game(room, &game)?;
            verdict
        };
        // Only over a live batch can there be a verdict.
        let payout = match verdict.winner {
            Side::Asserter => {
                let mut chain = self.chain.load_mut()?;
                chain.release(dispute.number)?;
                chain.invariant()?;
                dispute.award(Side::Asserter, 0)?;
                dispute.asserter_due
            }
            Side::Challenger => {
                let reward = convict(
                    Condemned {
                        rollup: &mut self.rollup,
                        chain: &self.chain,
                        sequencer: &mut self.sequencer,
                        incinerator: &self.incinerator,
                    },
                    dispute.number,
                    &info,
                )?;
                dispute.award(Side::Challenger, reward)?;
                dispute.challenger_due
            }
        };
        dispute.invariant(info.lamports())?;
        emit!(DisputeDecided {
            rollup: dispute.rollup,
            dispute: info.key(),
            number: dispute.number,
            hash: dispute.hash,
            winner: verdict.winner.into(),
            reason: verdict.reason.into(),
            buffer,
            payout,
        });
        Ok(())
    }
}

/// The accounts that a conviction changes.
pub(super) struct Condemned<'a, 'info> {
    pub(super) rollup: &'a mut Account<'info, Rollup>,
    pub(super) chain: &'a AccountLoader<'info, Chain>,
    pub(super) sequencer: &'a mut Account<'info, Sequencer>,
    pub(super) incinerator: &'a UncheckedAccount<'info>,
}

/// Reverts live batch `number` with all that follow it and slashes its slice of the bond: at
/// least half is burned, the rest goes to the account `winner`. Returns that rest.
///
/// The batch is live, so its slice is locked and therefore bonded: nobody can have withdrawn it.
pub(super) fn convict(
    condemned: Condemned<'_, '_>,
    number: u64,
    winner: &AccountInfo<'_>,
) -> Result<u64> {
    let Condemned {
        rollup,
        chain,
        sequencer,
        incinerator,
    } = condemned;
    let (batch, tip): (BatchSlot, BatchSlot) = {
        let mut chain = chain.load_mut()?;
        let batch = chain.revert(number)?;
        chain.invariant()?;
        (batch, *chain.tip())
    };
    require_keys_eq!(
        sequencer.key,
        batch.sequencer,
        SettlementError::WrongSequencer
    );
    rollup.inbox_cursor = tip.inbox_cursor;
    rollup.invariant()?;

    let slashed = sequencer.slash(batch.bond_slice);
    let reward = slashed / 2;
    let burned = slashed.saturating_sub(reward);
    sequencer.sub_lamports(slashed)?;
    winner.add_lamports(reward)?;
    incinerator.add_lamports(burned)?;
    sequencer.invariant()?;
    sequencer.solvent(sequencer.get_lamports())?;
    emit!(BatchReverted {
        rollup: rollup.key(),
        number,
        hash: batch.hash,
        sequencer: batch.sequencer,
        by: winner.key(),
        slot: Clock::get()?.slot,
        tip_hash: tip.hash,
        inbox_cursor: tip.inbox_cursor,
        slashed,
        burned,
    });
    emit!(BondChanged {
        rollup: rollup.key(),
        sequencer: sequencer.key,
        bond: sequencer.bond,
        unbonding: sequencer.unbonding,
        unbond_slot: sequencer.unbond_slot,
    });
    Ok(reward)
}
