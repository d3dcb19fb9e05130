//! Moves of both sides: `claim`, `reveal`, `choose`, `reveal_leaf`, `post_states`,
//! `reveal_tensor` and `reveal_chunk`, and `play_from_buffer`, which makes any of them.

use crate::errors::SettlementError;
use crate::events::DisputeMoved;
use crate::game::MoveKind;
use crate::state::dispute::state_name;
use crate::state::{Buffer, Chain, Dispute};
use anchor_lang::prelude::*;
use assay_dispute::Side;
use assay_dispute::game::{Class, Move};

/// Accounts of a move.
#[derive(Accounts)]
pub struct Play<'info> {
    /// The key of the side that makes such moves.
    pub player: Signer<'info>,
    /// Says whether the batch is live.
    pub chain: AccountLoader<'info, Chain>,
    /// The dispute.
    #[account(
        mut,
        constraint = dispute.load()?.rollup == chain.load()?.rollup @ SettlementError::ForeignDispute
    )]
    pub dispute: AccountLoader<'info, Dispute>,
}

/// Accounts of `play_from_buffer`.
#[derive(Accounts)]
pub struct PlayFromBuffer<'info> {
    /// Those of any move.
    pub play: Play<'info>,
    /// The player's buffer with the move.
    #[account(
        constraint = buffer.load()?.owner == play.player.key() @ SettlementError::ForeignBuffer
    )]
    pub buffer: AccountLoader<'info, Buffer>,
}

impl Play<'_> {
    /// See [`crate::settlement::claim`] and those after it.
    pub fn handler(ctx: Context<Self>, state: u64, made: Move) -> Result<()> {
        ctx.accounts.play(state, made, None)
    }

    /// Makes a move on the state of this name; `buffer` is where it was.
    #[inline(never)]
    fn play(&self, state: u64, made: Move, buffer: Option<Pubkey>) -> Result<()> {
        let info = self.dispute.to_account_info();
        let mut account = info.try_borrow_mut_data()?;
        let (dispute, room) = Dispute::split(&mut account)?;
        let (side, kind) = (made.side(), MoveKind::from(&made));
        let key = match side {
            Side::Asserter => dispute.asserter,
            Side::Challenger => dispute.challenger,
        };
        require_keys_eq!(self.player.key(), key, SettlementError::WrongPlayer);
        require!(
            state_name(dispute.encoded(room)?) == state,
            SettlementError::OtherState
        );
        let chain = self.chain.load()?;
        let now = Clock::get()?.slot;
        let mut game = dispute.game(room)?;
        game.play(made, dispute.is_live(&chain), now)
            .map_err(SettlementError::from)?;
        dispute.set_game(room, &game)?;
        dispute.invariant(info.lamports())?;
        // No move decides: it is somebody's turn, whose time has just begun.
        let Class::Turn(turn, deadline) = dispute.class(&game, &chain, now) else {
            return err!(SettlementError::Invariant);
        };
        emit!(DisputeMoved {
            rollup: dispute.rollup,
            dispute: info.key(),
            number: dispute.number,
            moves: game.moves,
            side: side.into(),
            kind,
            buffer,
            stage: (&game.stage).into(),
            turn: turn.into(),
            deadline,
            state: state_name(dispute.encoded(room)?),
        });
        Ok(())
    }
}

impl PlayFromBuffer<'_> {
    /// See [`crate::settlement::play_from_buffer`].
    pub fn handler(ctx: Context<Self>, state: u64) -> Result<()> {
        let info = ctx.accounts.buffer.to_account_info();
        let account = info.try_borrow_data()?;
        let made = Move::try_from_slice(Buffer::bytes(&account)?)
            .map_err(|_| SettlementError::NotAMove)?;
        ctx.accounts.play.play(state, made, Some(info.key()))
    }
}
