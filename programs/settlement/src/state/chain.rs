//! The chain of batches: the pending ones, and the newest final ones.
//!
//! ```text
//!   ... final ... | final_number | final_number + 1 ... tip_number |
//!       readable outboxes          pending (live)
//! ```
//!
//! Reverting batch `n` is one step, `tip_number = n - 1` (and the rollup's copy of the cursor). The
//! slots above the tip are then dead without being touched, their bonds unlocked, and
//! [`Chain::live`] says so to every dispute over them.

use crate::constants::{ACCOUNT_VERSION, MAX_PENDING, RING};
use crate::errors::SettlementError;
use anchor_lang::prelude::*;
use assay_ledger::state::TreeHead;

/// What L1 remembers of a batch; everything else is in the header, which its hash binds.
#[zero_copy]
#[derive(Debug, PartialEq, Eq)]
pub struct BatchSlot {
    /// The header's hash.
    pub hash: [u8; 32],
    /// Who posted it, and whose bond it locks.
    pub sequencer: Pubkey,
    /// Root of the outbox after it.
    pub outbox_root: [u8; 32],
    /// Messages in the outbox after it.
    pub outbox_count: u64,
    /// The batch's number; distinguishes it from the one that held the slot before.
    pub number: u64,
    /// The first L1 slot in which it may become final, and may no longer be disputed.
    pub window_end: u64,
    /// Inbox messages consumed after it.
    pub inbox_cursor: u64,
    /// Lamports that all messages up to the cursor have paid.
    pub inbox_fees: u64,
    /// Lamports of the sequencer's bond that it locks while it is live.
    pub bond_slice: u64,
    /// [`Chain::reverts`] when it was posted. The very same batch can be posted again after a
    /// revert, and nothing that was open over its first life may touch the second.
    pub life: u32,
    /// Open disputes over it, and open demands for what it names: they hold its finality back.
    pub disputes: u32,
    /// `Clock::unix_timestamp` when it was posted.
    pub posted_at: i64,
    /// Pieces demanded of what it names and not answered yet: they set the price of the next demand.
    pub pieces: u32,
    /// Zero.
    pub padding: [u8; 4],
}

impl BatchSlot {
    /// The slot in which it was posted, of a rollup whose windows are `window` slots long; 0 for
    /// genesis.
    pub fn posted_slot(&self, window: u64) -> u64 {
        self.window_end.saturating_sub(window)
    }
}

/// A rollup's chain account.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Chain {
    /// The rollup.
    pub rollup: Pubkey,
    /// Number of the newest final batch; 0 is genesis.
    pub final_number: u64,
    /// Number of the newest batch.
    pub tip_number: u64,
    /// Reverts so far.
    pub reverts: u32,
    /// Layout of this account.
    pub version: u8,
    /// Zero.
    pub padding: [u8; 3],
    /// The batch with number `n` is in place `n % RING`.
    pub slots: [BatchSlot; RING],
}

impl Chain {
    /// Bytes of the account: at most 10,240, so that one instruction can create it.
    pub const fn size() -> usize {
        8 // discriminator
        + 32 // rollup
        + 8 // final_number
        + 8 // tip_number
        + 4 // reverts
        + 1 + 3 // version, padding
        + RING * (
            32 // hash
            + 32 // sequencer
            + 32 // outbox_root
            + 8 // outbox_count
            + 8 // number
            + 8 // window_end
            + 8 // inbox_cursor
            + 8 // inbox_fees
            + 8 // bond_slice
            + 4 // life
            + 4 // disputes
            + 8 // posted_at
            + 4 // pieces
            + 4 // padding
        )
    }

    /// The newest batch.
    pub fn tip(&self) -> &BatchSlot {
        self.place(self.tip_number)
    }

    /// The newest final batch.
    pub fn last_final(&self) -> &BatchSlot {
        self.place(self.final_number)
    }

    /// Inbox messages that the tip has consumed.
    pub fn tip_inbox_cursor(&self) -> u64 {
        self.tip().inbox_cursor
    }

    /// Batches posted and not yet final.
    pub fn pending(&self) -> u64 {
        self.tip_number.saturating_sub(self.final_number)
    }

    /// Batch `number` with this header hash, if it is pending: neither final nor reverted.
    pub fn live(&self, number: u64, hash: &[u8; 32]) -> Option<&BatchSlot> {
        let pending = number > self.final_number && number <= self.tip_number;
        Some(self.place(number)).filter(|slot| pending && slot.hash == *hash)
    }

    /// Notes that `pieces` more are demanded of what live batch `number` names.
    pub fn demand(&mut self, number: u64, pieces: u8) -> Result<()> {
        let slot = self.place_mut(number);
        slot.pieces = slot
            .pieces
            .checked_add(u32::from(pieces))
            .ok_or(SettlementError::Overflow)?;
        self.hold(number)
    }

    /// Notes that one of them is answered, and the batch still live.
    pub fn answer(&mut self, number: u64) -> Result<()> {
        let slot = self.place_mut(number);
        slot.pieces = slot
            .pieces
            .checked_sub(1)
            .ok_or(SettlementError::Invariant)?;
        Ok(())
    }

    /// Notes one more dispute or demand over live batch `number`.
    pub fn hold(&mut self, number: u64) -> Result<()> {
        let slot = self.place_mut(number);
        slot.disputes = slot
            .disputes
            .checked_add(1)
            .ok_or(SettlementError::Overflow)?;
        Ok(())
    }

    /// Notes that one is over, and the batch still live.
    pub fn release(&mut self, number: u64) -> Result<()> {
        let slot = self.place_mut(number);
        slot.disputes = slot
            .disputes
            .checked_sub(1)
            .ok_or(SettlementError::Invariant)?;
        Ok(())
    }

    /// Reverts live batch `number` with all that follow it. Returns it.
    pub fn revert(&mut self, number: u64) -> Result<BatchSlot> {
        let pending = number > self.final_number && number <= self.tip_number;
        require!(pending, SettlementError::NothingPending);
        // As many reverts as wrap it round cannot happen; an error would make the last lie safe.
        self.reverts = self.reverts.wrapping_add(1);
        self.tip_number = number.saturating_sub(1);
        Ok(*self.place(number))
    }

    /// Batch `number`, if it is final and still remembered.
    pub fn final_batch(&self, number: u64) -> Result<&BatchSlot> {
        let slot = self.place(number);
        require!(
            number <= self.final_number && slot.number == number,
            SettlementError::NotFinal
        );
        Ok(slot)
    }

    /// The outbox after batch `number`, if that is final and still remembered: what a
    /// withdrawal or a job's result is proven against.
    pub fn final_outbox(&self, number: u64) -> Result<TreeHead> {
        let slot = self.final_batch(number)?;
        Ok(TreeHead {
            count: slot.outbox_count,
            root: slot.outbox_root,
        })
    }

    /// The oldest final batch that is remembered whose outbox has leaf `index`. It is the one that wrote the
    /// leaf, or, where that is forgotten, a later one: the leaf is as old as this batch or older.
    pub fn outbox_batch(&self, index: u64) -> Result<&BatchSlot> {
        let oldest = self.final_number.saturating_sub(RING as u64 - 1);
        // Not `final_batch`: an error takes memory, and a program frees none.
        (oldest..=self.final_number)
            .map(|number| (number, self.place(number)))
            .filter(|(number, slot)| slot.number == *number)
            .map(|(_, slot)| slot)
            .find(|slot| slot.outbox_count > index)
            .ok_or_else(|| error!(SettlementError::NotFinal))
    }

    /// Lamports of `sequencer`'s bond that its live batches lock.
    pub fn locked_bond(&self, sequencer: &Pubkey) -> Result<u64> {
        let mut locked = 0u64;
        for number in self.final_number..self.tip_number {
            let slot = self.place(number.saturating_add(1));
            if slot.sequencer == *sequencer {
                locked = locked
                    .checked_add(slot.bond_slice)
                    .ok_or(SettlementError::Overflow)?;
            }
        }
        Ok(locked)
    }

    /// Makes `batch` the tip.
    pub fn push(&mut self, batch: BatchSlot) -> Result<()> {
        let next = self.tip_number.checked_add(1);
        require!(next == Some(batch.number), SettlementError::WrongNumber);
        require!(
            self.pending() < MAX_PENDING,
            SettlementError::TooManyPending
        );
        self.tip_number = batch.number;
        *self.place_mut(batch.number) = batch;
        Ok(())
    }

    /// Makes the oldest pending batch final; its parent is the last final one. Returns it with
    /// the lamports that its messages paid.
    pub fn finalize_next(&mut self, now: u64) -> Result<(BatchSlot, u64)> {
        require!(self.pending() > 0, SettlementError::NothingPending);
        let number = self
            .final_number
            .checked_add(1)
            .ok_or(SettlementError::Overflow)?;
        let batch = *self.place(number);
        require!(now >= batch.window_end, SettlementError::WindowOpen);
        require!(batch.disputes == 0, SettlementError::Disputed);
        let fees = batch
            .inbox_fees
            .checked_sub(self.last_final().inbox_fees)
            .ok_or(SettlementError::Overflow)?;
        self.final_number = number;
        Ok((batch, fees))
    }

    /// Checks what must hold after every instruction.
    pub fn invariant(&self) -> Result<()> {
        require_eq!(
            self.version,
            ACCOUNT_VERSION,
            SettlementError::UnknownVersion
        );
        let (last, tip) = (self.last_final(), self.tip());
        require!(
            self.final_number <= self.tip_number
                && self.pending() <= MAX_PENDING
                && last.number == self.final_number
                && tip.number == self.tip_number
                && last.inbox_cursor <= tip.inbox_cursor
                && last.inbox_fees <= tip.inbox_fees
                && last.outbox_count <= tip.outbox_count,
            SettlementError::Invariant
        );
        Ok(())
    }

    fn place(&self, number: u64) -> &BatchSlot {
        &self.slots[(number % RING as u64) as usize]
    }

    fn place_mut(&mut self, number: u64) -> &mut BatchSlot {
        &mut self.slots[(number % RING as u64) as usize]
    }
}

const _: () = assert!(size_of::<Chain>() + 8 == Chain::size() && Chain::size() <= 10_240);

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    fn batch(number: u64, fork: u8, sequencer: Pubkey) -> BatchSlot {
        BatchSlot {
            hash: [number as u8 ^ fork; 32],
            sequencer,
            outbox_count: number,
            number,
            window_end: 10 * number + 50,
            inbox_cursor: 2 * number,
            inbox_fees: 100 * number,
            bond_slice: 7,
            ..BatchSlot::zeroed()
        }
    }

    fn chain() -> Box<Chain> {
        let mut chain = Box::new(Chain::zeroed());
        chain.version = ACCOUNT_VERSION;
        chain
    }

    /// A revert is one assignment: what dies is no longer live, no longer locks a bond, was never
    /// final, and is overwritten by what follows. Final outboxes stay.
    #[test]
    fn a_revert_is_one_step() {
        let (a, b) = (Pubkey::new_unique(), Pubkey::new_unique());
        let mut chain = chain();
        for number in 1..=40 {
            chain.push(batch(number, 0, a)).unwrap();
            if number <= 30 {
                assert_eq!(chain.finalize_next(10 * number + 50).unwrap().1, 100);
            }
        }
        for number in 41..=50 {
            chain.push(batch(number, 0, b)).unwrap();
        }
        assert_eq!(chain.locked_bond(&a).unwrap(), 70);
        assert_eq!(chain.locked_bond(&b).unwrap(), 70);
        assert!(chain.revert(30).is_err() && chain.revert(51).is_err());
        assert_eq!(chain.revert(35).unwrap().number, 35);
        assert_eq!(chain.reverts, 1);
        chain.invariant().unwrap();
        assert_eq!(chain.locked_bond(&a).unwrap(), 28);
        assert_eq!(chain.locked_bond(&b).unwrap(), 0);
        for number in 0..=60 {
            let pending = (31..=34).contains(&number);
            let live = chain.live(number, &[number as u8; 32]);
            assert_eq!(live.is_some(), pending, "{number}");
            let found = chain.final_outbox(number);
            assert_eq!(found.is_ok(), number <= 30, "{number}");
        }
        // Another branch over the dead one.
        for number in 35..=45 {
            chain.push(batch(number, 0x80, b)).unwrap();
            assert!(chain.live(number, &[number as u8; 32]).is_none());
            assert!(chain.live(number, &[number as u8 ^ 0x80; 32]).is_some());
        }
        assert_eq!(chain.locked_bond(&b).unwrap(), 77);
        for number in 31..=45 {
            assert_eq!(chain.finalize_next(u64::MAX).unwrap().0.number, number);
        }
        assert!(chain.final_outbox(46).is_err(), "dead, never final");
        chain.invariant().unwrap();
    }

    /// What is open over a batch holds it back, and those after it with it.
    #[test]
    fn a_disputed_batch_is_not_final() {
        let mut chain = chain();
        let key = Pubkey::new_unique();
        chain.push(batch(1, 0, key)).unwrap();
        chain.push(batch(2, 0, key)).unwrap();
        assert!(chain.release(1).is_err(), "nothing is open");
        chain.hold(1).unwrap();
        chain.hold(1).unwrap();
        chain.release(1).unwrap();
        assert!(chain.finalize_next(u64::MAX).is_err());
        assert_eq!(chain.final_number, 0);
        chain.release(1).unwrap();
        chain.finalize_next(60).unwrap();
        chain.hold(2).unwrap();
        assert!(chain.finalize_next(u64::MAX).is_err());
        // Its successor in the slot starts with none.
        chain.revert(2).unwrap();
        chain.push(batch(2, 0x80, key)).unwrap();
        chain.finalize_next(u64::MAX).unwrap();
    }

    #[test]
    fn the_pending_batches_are_bounded() {
        let mut chain = chain();
        let key = Pubkey::new_unique();
        for number in 1..=MAX_PENDING {
            chain.push(batch(number, 0, key)).unwrap();
        }
        assert!(chain.push(batch(MAX_PENDING + 1, 0, key)).is_err());
        assert!(chain.push(batch(MAX_PENDING + 2, 0, key)).is_err());
        assert_eq!(chain.pending(), MAX_PENDING);
    }
}
