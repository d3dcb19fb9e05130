//! Ends a dispute by a proof: `prove` and `prove_from_buffer`.

// All of it: the derive macro names what it generated for the nested accounts.
use super::court::*;
use crate::errors::SettlementError;
use crate::game::ProofKind;
use crate::state::{Buffer, InboxPage};
use anchor_lang::prelude::*;
use assay_dispute::prove::Proof;
use assay_dispute::step::ed25519::Syscalls;

/// Accounts of `prove`.
#[derive(Accounts)]
pub struct Prove<'info> {
    /// Who opened the dispute.
    #[account(
        constraint = challenger.key() == court.dispute.load()?.challenger @ SettlementError::WrongPlayer
    )]
    pub challenger: Signer<'info>,
    /// What the verdict changes.
    pub court: Court<'info>,
    /// The inbox page with the message that the transaction consumes; none if it consumes none.
    #[account(constraint = page.load()?.rollup == court.rollup.key() @ SettlementError::ForeignPage)]
    pub page: Option<AccountLoader<'info, InboxPage>>,
}

/// Accounts of `prove_from_buffer`.
#[derive(Accounts)]
pub struct ProveFromBuffer<'info> {
    /// Those of any proof.
    pub prove: Prove<'info>,
    /// The challenger's buffer with the proof.
    #[account(
        constraint = buffer.load()?.owner == prove.challenger.key() @ SettlementError::ForeignBuffer
    )]
    pub buffer: AccountLoader<'info, Buffer>,
}

impl Prove<'_> {
    /// See [`crate::settlement::prove`].
    pub fn handler(ctx: Context<Self>, kind: ProofKind, bytes: &[u8]) -> Result<()> {
        ctx.accounts.prove(kind, bytes, None)
    }

    /// Brings a proof; `buffer` is where it was.
    #[inline(never)]
    fn prove(&mut self, kind: ProofKind, bytes: &[u8], buffer: Option<Pubkey>) -> Result<()> {
        let page = self.page.as_ref().map(|page| page.load()).transpose()?;
        let chain = |message: u64| Some(page.as_ref()?.entry(message)?.chain);
        let proof = Proof {
            kind: kind.into(),
            bytes,
        };
        self.court.decide(buffer, |game, live, now| {
            let verdict = game.prove(&proof, &mut Syscalls, &chain, live, now);
            Ok(verdict.map_err(SettlementError::from)?)
        })
    }
}

impl ProveFromBuffer<'_> {
    /// See [`crate::settlement::prove_from_buffer`].
    pub fn handler(ctx: Context<Self>, kind: ProofKind) -> Result<()> {
        let info = ctx.accounts.buffer.to_account_info();
        let account = info.try_borrow_data()?;
        let proof = Buffer::bytes(&account)?;
        ctx.accounts.prove.prove(kind, proof, Some(info.key()))
    }
}
