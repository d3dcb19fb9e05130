//! A dispute: who plays over which batch, what is at stake, and the game.

use super::Chain;
use crate::constants::ACCOUNT_VERSION;
use crate::errors::SettlementError;
use anchor_lang::prelude::*;
use assay_dispute::game;
use assay_tensor::hash::hashv;

/// Bytes of the room for a game.
const ROOM: usize = game::Dispute::MAX_SIZE.next_multiple_of(8);

const STATE_TAG: &[u8] = b"assay:dispute-state:1";

/// A dispute's account, which holds this header and then the game: the borsh encoding of
/// [`assay_dispute::game::Dispute`], `game_len` bytes of it.
///
/// The lamports beyond the rent are the challenger's bond and what has been won and not yet paid
/// out.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Dispute {
    /// The rollup.
    pub rollup: Pubkey,
    /// Who opened it.
    pub challenger: Pubkey,
    /// The batch's sequencer.
    pub asserter: Pubkey,
    /// The batch: its header's hash.
    pub hash: [u8; 32],
    /// Its number.
    pub number: u64,
    /// What, with rollup and challenger, the address is derived from.
    pub id: u64,
    /// Lamports that the challenger has at stake; 0 once it is over.
    pub bond: u64,
    /// Lamports that the challenger may claim.
    pub challenger_due: u64,
    /// Lamports that the asserter may claim.
    pub asserter_due: u64,
    /// The batch's [`super::BatchSlot::life`].
    pub life: u32,
    /// Bytes of the game.
    pub game_len: u32,
    /// Layout of this account.
    pub version: u8,
    /// Of its address.
    pub bump: u8,
    /// Zero.
    pub padding: [u8; 6],
}

impl Dispute {
    /// Bytes of the account before the game.
    pub const fn head_size() -> usize {
        8 // discriminator
        + 32 // rollup
        + 32 // challenger
        + 32 // asserter
        + 32 // hash
        + 8 // number
        + 8 // id
        + 8 // bond
        + 8 // challenger_due
        + 8 // asserter_due
        + 4 // life
        + 4 // game_len
        + 1 // version
        + 1 // bump
        + 6 // padding
    }

    /// Bytes of the account: at most 10,240, so that one instruction can create it.
    pub const fn size() -> usize {
        Self::head_size() + ROOM
    }

    /// The header and the room for the game in an account's bytes (discriminator included).
    pub fn split(account: &mut [u8]) -> Result<(&mut Self, &mut [u8])> {
        require_eq!(account.len(), Self::size(), SettlementError::Invariant);
        let (head, room) = account.split_at_mut(Self::head_size());
        let header =
            bytemuck::try_from_bytes_mut(&mut head[8..]).map_err(|_| SettlementError::Invariant)?;
        Ok((header, room))
    }

    /// What an account's bytes (discriminator included) say, for clients: the header, the game,
    /// and the name of its state.
    pub fn read(account: &[u8]) -> Result<(Self, Box<game::Dispute>, u64)> {
        let body = account
            .strip_prefix(Self::DISCRIMINATOR)
            .filter(|_| account.len() == Self::size())
            .ok_or(ErrorCode::AccountDiscriminatorMismatch)?;
        let (head, room) = body.split_at(Self::head_size() - Self::DISCRIMINATOR.len());
        let header: Self =
            bytemuck::try_pod_read_unaligned(head).map_err(|_| SettlementError::Invariant)?;
        let game = header.game(room)?;
        Ok((header, game, state_name(header.encoded(room)?)))
    }

    /// The game's encoding in the account's room for it.
    pub fn encoded<'a>(&self, room: &'a [u8]) -> Result<&'a [u8]> {
        let game = room.get(..self.game_len as usize);
        game.ok_or_else(|| error!(SettlementError::Invariant))
    }

    /// The game in the account's room for it.
    #[inline(never)]
    pub fn game(&self, room: &[u8]) -> Result<Box<game::Dispute>> {
        let game = game::Dispute::try_from_slice(self.encoded(room)?);
        Ok(Box::new(game.map_err(|_| SettlementError::Invariant)?))
    }

    /// Writes the game into the account's room for it.
    pub fn set_game(&mut self, room: &mut [u8], game: &game::Dispute) -> Result<()> {
        let mut rest = &mut *room;
        game.serialize(&mut rest)
            .map_err(|_| SettlementError::Invariant)?;
        let left = rest.len();
        self.game_len = room.len().saturating_sub(left) as u32;
        Ok(())
    }

    /// Whether the batch is still pending, in the life in which it was disputed.
    pub fn is_live(&self, chain: &Chain) -> bool {
        chain
            .live(self.number, &self.hash)
            .is_some_and(|slot| slot.life == self.life)
    }

    /// Where the dispute stands in slot `now`: what every instruction asks.
    pub fn class(&self, game: &game::Dispute, chain: &Chain, now: u64) -> game::Class {
        game.class(self.is_live(chain), now)
    }

    /// Ends the stake: the bond is `to`'s.
    pub fn award(&mut self, to: assay_dispute::Side, more: u64) -> Result<()> {
        let due = match to {
            assay_dispute::Side::Asserter => &mut self.asserter_due,
            assay_dispute::Side::Challenger => &mut self.challenger_due,
        };
        *due = due
            .checked_add(self.bond)
            .and_then(|sum| sum.checked_add(more))
            .ok_or(SettlementError::Overflow)?;
        self.bond = 0;
        Ok(())
    }

    /// Takes what `key` may claim.
    pub fn take_due(&mut self, key: &Pubkey) -> Result<u64> {
        let mut lamports = 0u64;
        for (party, due) in [
            (self.challenger, &mut self.challenger_due),
            (self.asserter, &mut self.asserter_due),
        ] {
            if party == *key {
                lamports = lamports
                    .checked_add(*due)
                    .ok_or(SettlementError::Overflow)?;
                *due = 0;
            }
        }
        Ok(lamports)
    }

    /// Whether nothing is at stake and everything is paid out.
    pub fn is_settled(&self) -> bool {
        self.bond == 0 && self.challenger_due == 0 && self.asserter_due == 0
    }

    /// Checks what must hold after every instruction; `lamports` are the account's.
    pub fn invariant(&self, lamports: u64) -> Result<()> {
        require_eq!(
            self.version,
            ACCOUNT_VERSION,
            SettlementError::UnknownVersion
        );
        // A stake is lost or won as a whole.
        let undecided = self.challenger_due == 0 && self.asserter_due == 0;
        require!(
            self.number >= 1
                && self.game_len >= 1
                && self.game_len as usize <= ROOM
                && (self.bond == 0 || undecided),
            SettlementError::Invariant
        );
        let owed = Rent::get()?
            .minimum_balance(Self::size())
            .checked_add(self.bond)
            .and_then(|sum| sum.checked_add(self.challenger_due))
            .and_then(|sum| sum.checked_add(self.asserter_due))
            .ok_or(SettlementError::Overflow)?;
        require_gte!(lamports, owed, SettlementError::Invariant);
        Ok(())
    }
}

/// Where the clocks are in a game's encoding: after the header and the challenger's key.
const CLOCKS: core::ops::Range<usize> = 446..470;

/// The name of a game's state, by its encoding. A move names the state that it is made on, so
/// that one that arrives twice, late, or after another is refused and not taken for the next.
///
/// The clocks are no part of it: whoever sends two moves in one transaction knows the state after the
/// first, but not the slot in which it will be made.
pub fn state_name(game: &[u8]) -> u64 {
    let (before, rest) = game.split_at(CLOCKS.start.min(game.len()));
    let after = rest.get(CLOCKS.len()..).unwrap_or(&[]);
    let [a, b, c, d, e, f, g, h, ..] = hashv(&[STATE_TAG, before, after]);
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

const _: () = assert!(size_of::<Dispute>() + 8 == Dispute::head_size());
const _: () = assert!(Dispute::size() <= 8_192);

#[cfg(test)]
mod tests {
    use super::*;
    use assay_dispute::clock::Clocks;
    use assay_ledger::header::{Header, Lane};
    use assay_ledger::state::StateComponents;

    #[test]
    fn a_state_s_name_is_that_of_all_but_its_clocks() {
        let header = Header {
            rollup: [1; 32],
            rules: 2,
            codec: 3,
            lane: Lane::L1,
            number: 4,
            parent: [5; 32],
            sequencer: [6; 32],
            state: StateComponents::genesis(),
            tx_root: [7; 32],
            tx_count: 8,
            data_root: [9; 32],
            data_len: 10,
            params: header_params(),
        };
        let name = |game: &game::Dispute| {
            let mut encoding = Vec::new();
            game.serialize(&mut encoding).unwrap();
            state_name(&encoding)
        };
        let game = game::Dispute::open(header, [11; 32], 12);
        let mut other = game.clone();
        other.clocks = Clocks {
            asserter: u64::MAX,
            challenger: u64::MAX,
            since: u64::MAX,
        };
        assert_eq!(name(&other), name(&game));
        other.moves += 1;
        assert_ne!(name(&other), name(&game));
        let mut other = game.clone();
        other.challenger[31] ^= 1;
        assert_ne!(name(&other), name(&game));
    }

    fn header_params() -> assay_ledger::header::Params {
        assay_ledger::header::Params {
            window: 1,
            bond_slice: 2,
            max_units: 3,
            max_records: 4,
            max_data: 5,
            model_delay: 6,
            sequencer_share: 7,
            clock: 8,
            extension: 9,
            dispute_bond: 10,
        }
    }
}
