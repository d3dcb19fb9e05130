//! How many more batches L1 takes.

use super::L1;
use super::error::L1Error;
use crate::engine::gate::Closed;
use assay_client::accounts;
use assay_ledger::Key;
use settlement::constants::MAX_PENDING;
use settlement::state::{Chain, Sequencer};
use solana_pubkey::Pubkey;

/// What bounds the batches that L1 takes after its tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Places for pending batches.
    pub places: u64,
    /// Slices of the bond that nothing locks.
    pub slices: u64,
}

impl Bounds {
    /// Those of sequencer `key`, of which each batch locks `slice` lamports.
    pub fn of(chain: &Chain, bond: Option<&Sequencer>, key: &Key, slice: u64) -> Self {
        // What cannot be counted is locked.
        let locked = (chain.locked_bond(&Pubkey::new_from_array(*key))).unwrap_or(u64::MAX);
        let free = bond.map_or(0, |bond| bond.free_bond(locked));
        Self {
            places: MAX_PENDING.saturating_sub(chain.pending()),
            slices: free.checked_div(slice).unwrap_or(u64::MAX),
        }
    }

    /// Batches that L1 takes now.
    pub fn batches(&self) -> u64 {
        self.places.min(self.slices)
    }
}

/// Why no batch of the sequencer with this stake can ever be posted, as long as it stays so; none if one can, now or
/// when batches that lock the stake are final.
pub fn unbacked(stake: Option<&Sequencer>, slice: u64) -> Option<Closed> {
    let Some(stake) = stake else {
        return Some(Closed::Unregistered);
    };
    let left = stake.free_bond(0);
    (left < slice).then_some(Closed::Stake { left, slice })
}

/// The chain and the sequencer's bond, read at once.
pub async fn read(l1: &L1, key: &Key) -> Result<(Box<Chain>, Option<Sequencer>), L1Error> {
    let key = Pubkey::new_from_array(*key);
    Ok(accounts::chain_and_bond(l1.rpc(), &l1.rollup, &key).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use settlement::state::BatchSlot;

    const KEY: Key = [3; 32];

    fn bond(bond: u64, unbonding: u64) -> Sequencer {
        Sequencer {
            version: 1,
            bump: 0,
            rollup: Pubkey::default(),
            key: Pubkey::new_from_array(KEY),
            bond,
            unbonding,
            unbond_slot: 0,
            earned: 0,
            lease_instance: [0; 16],
            lease_until: 0,
        }
    }

    fn pending(count: u64) -> Box<Chain> {
        let mut chain = Box::new(Chain::zeroed());
        for number in 1..=count {
            let slot = BatchSlot {
                number,
                sequencer: Pubkey::new_from_array(KEY),
                bond_slice: 10,
                ..BatchSlot::zeroed()
            };
            chain.push(slot).unwrap();
        }
        chain
    }

    #[test]
    fn places_and_bond_bound_the_batches_that_l1_takes() {
        let batches = |pending_now, bond: Option<&Sequencer>| {
            Bounds::of(&pending(pending_now), bond, &KEY, 10).batches()
        };
        let rich = bond(10_000, 0);
        assert_eq!(batches(0, Some(&rich)), MAX_PENDING);
        assert_eq!(batches(5, Some(&rich)), MAX_PENDING - 5);
        assert_eq!(batches(MAX_PENDING, Some(&rich)), 0);
        // Five slices, three of them locked.
        assert_eq!(batches(3, Some(&bond(59, 0))), 2);
        assert_eq!(batches(3, Some(&bond(59, 20))), 0);
        assert_eq!(batches(0, None), 0);
    }

    #[test]
    fn a_stake_backs_batches_from_a_slice_on() {
        assert_eq!(unbacked(None, 10), Some(Closed::Unregistered));
        assert_eq!(unbacked(Some(&bond(10, 0)), 10), None);
        let less = |left| Some(Closed::Stake { left, slice: 10 });
        assert_eq!(unbacked(Some(&bond(9, 0)), 10), less(9));
        assert_eq!(unbacked(Some(&bond(100, 91)), 10), less(9));
        assert_eq!(unbacked(Some(&bond(100, 90)), 10), None);
    }
}
