//! What can be done in a dispute.

use assay_client::disputes::{self, Found};
use assay_client::instructions::disputes as make;
use assay_client::pda;
use assay_dispute::Side;
use assay_dispute::game::{Dispute as Game, Move};
use assay_dispute::prove::ProofKind;
use assay_ledger::header::Header;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Compute units of opening a dispute or a move in it, at most.
const MOVE_UNITS: u32 = 300_000;
/// Compute units of a step proof, at most.
const PROOF_UNITS: u32 = 1_200_000;
/// Compute units of what decides a dispute without a proof, or only moves lamports.
const SETTLE_UNITS: u32 = 60_000;

/// A dispute that something is done in: one that is on L1, or one that is about to be.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its account.
    pub address: Pubkey,
    /// The game: before it is opened, what it will be but for its clocks.
    game: Box<Game>,
    state: u64,
}

impl Table {
    /// The one that `challenger` will open with this number over the batch of this header.
    pub fn new(header: &Header, challenger: &Pubkey, id: u64) -> Self {
        let rollup = Pubkey::new_from_array(header.rollup);
        let game = Box::new(Game::open(*header, challenger.to_bytes(), 0));
        Self {
            address: pda::dispute(&rollup, challenger, id),
            state: disputes::name(&game),
            game,
        }
    }

    /// The batch's header.
    pub fn header(&self) -> &Header {
        &self.game.header
    }

    /// The game.
    pub fn game(&self) -> &Game {
        &self.game
    }

    /// Name of its state.
    pub fn state(&self) -> u64 {
        self.state
    }
}

impl From<&Found> for Table {
    fn from(found: &Found) -> Self {
        Self {
            address: found.address,
            game: found.game.clone(),
            state: found.state,
        }
    }
}

/// Something to be done in a dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Open it.
    Open {
        /// What its address is derived from.
        id: u64,
    },
    /// Make a move; `after` is the name of the state that it leads to.
    Play {
        /// The move.
        made: Move,
        /// The state after it.
        after: u64,
    },
    /// Bring a proof.
    Prove {
        /// What it shows.
        kind: ProofKind,
        /// How.
        bytes: Vec<u8>,
        /// The page of the inbox with the message that the disputed transaction consumes, if it
        /// consumes one.
        page: Option<u64>,
    },
    /// End it against the side whose clock has run out.
    TimeOut,
    /// Give it up: its batch is dead.
    Resolve,
    /// Have a side paid what it may claim. Anybody may.
    ClaimPayout {
        /// Who is paid.
        to: Side,
    },
    /// Close its account.
    Close,
}

impl Act {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Play { made, .. } => match made {
                Move::Claim(_) => "claim",
                Move::Reveal { .. } => "reveal",
                Move::Choose { .. } => "choose",
                Move::RevealLeaf { .. } => "reveal_leaf",
                Move::PostStates { .. } => "post_states",
                Move::RevealTensor { .. } => "reveal_tensor",
                Move::RevealChunk { .. } => "reveal_chunk",
            },
            Self::Prove { .. } => "prove",
            Self::TimeOut => "time_out",
            Self::Resolve => "resolve",
            Self::ClaimPayout { .. } => "claim_payout",
            Self::Close => "close",
        }
    }

    /// Compute units at most.
    pub fn units(&self) -> u32 {
        match self {
            Self::Open { .. } | Self::Play { .. } => MOVE_UNITS,
            Self::Prove { .. } => PROOF_UNITS,
            _ => SETTLE_UNITS,
        }
    }

    /// Whether it is a proof, which may need more memory.
    pub fn is_proof(&self) -> bool {
        matches!(self, Self::Prove { .. })
    }

    /// What goes into a buffer where it does not fit a transaction; `None` for what is never long.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            // Writing to a vector cannot fail.
            Self::Play { made, .. } => Some(borsh::to_vec(made).unwrap_or_default()),
            Self::Prove { bytes, .. } => Some(bytes.clone()),
            _ => None,
        }
    }

    /// Its instruction, by `key` in the state of this name; and the name of the state after it.
    pub fn instruction(&self, table: &Table, key: &Pubkey, state: u64) -> (Instruction, u64) {
        let header = table.header();
        let (rollup, dispute) = (Pubkey::new_from_array(header.rollup), &table.address);
        let challenger = Pubkey::new_from_array(table.game.challenger);
        let asserter = Pubkey::new_from_array(header.sequencer);
        let instruction = match self {
            Self::Open { id } => make::open_dispute(key, *id, header),
            Self::Play { made, after } => {
                return (make::play(&rollup, dispute, key, state, made), *after);
            }
            Self::Prove { kind, bytes, page } => make::prove(
                &rollup,
                dispute,
                key,
                &asserter,
                *page,
                *kind,
                bytes.clone(),
            ),
            Self::TimeOut => make::time_out(&rollup, dispute, &asserter),
            Self::Resolve => make::resolve(&rollup, dispute),
            Self::ClaimPayout { to } => {
                let recipient = match to {
                    Side::Asserter => &asserter,
                    Side::Challenger => &challenger,
                };
                make::claim_payout(dispute, recipient)
            }
            Self::Close => make::close_dispute(dispute, &challenger),
        };
        (instruction, state)
    }

    /// The same with its bytes in `buffer`.
    pub fn from_buffer(
        &self,
        table: &Table,
        key: &Pubkey,
        state: u64,
        buffer: &Pubkey,
    ) -> Instruction {
        let header = table.header();
        let (rollup, dispute) = (Pubkey::new_from_array(header.rollup), &table.address);
        let asserter = Pubkey::new_from_array(header.sequencer);
        match self {
            Self::Prove { kind, page, .. } => {
                make::prove_from_buffer(&rollup, dispute, key, &asserter, *page, *kind, buffer)
            }
            _ => make::play_from_buffer(&rollup, dispute, key, state, buffer),
        }
    }
}
