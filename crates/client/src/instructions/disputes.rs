//! Instructions of the settlement program for disputes and buffers.

use super::{SYSTEM, instruction};
use crate::pda;
use assay_dispute::game::Move;
use assay_dispute::prove::ProofKind;
use assay_ledger::header::Header;
use settlement::constants::INCINERATOR;
use settlement::state::Buffer;
use settlement::{ID, accounts, instruction as data};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use solana_system_interface::instruction as system;

/// Bytes of a buffer that one legacy transaction writes, whoever pays for it.
pub const WRITE: usize = 864;

/// Opens dispute `id` of `challenger` over the batch of this header.
pub fn open_dispute(challenger: &Pubkey, id: u64, header: &Header) -> Instruction {
    let rollup = Pubkey::new_from_array(header.rollup);
    instruction(
        ID,
        accounts::OpenDispute {
            challenger: *challenger,
            rollup,
            chain: pda::chain(&rollup),
            dispute: pda::dispute(&rollup, challenger, id),
            system_program: SYSTEM,
        },
        data::OpenDispute {
            id,
            header: header.into(),
        },
    )
}

/// Makes a move of `player` on the game's state of this name.
pub fn play(
    rollup: &Pubkey,
    dispute: &Pubkey,
    player: &Pubkey,
    state: u64,
    made: &Move,
) -> Instruction {
    let accounts = play_accounts(rollup, dispute, player);
    match made.clone() {
        Move::Claim(claim) => {
            let claim = (&claim).into();
            instruction(ID, accounts, data::Claim { state, claim })
        }
        Move::Reveal { nodes } => instruction(ID, accounts, data::Reveal { state, nodes }),
        Move::Choose { child } => instruction(ID, accounts, data::Choose { state, child }),
        Move::RevealLeaf { result, run } => instruction(
            ID,
            accounts,
            data::RevealLeaf {
                state,
                result: result.into(),
                run: run.as_ref().map(Into::into),
            },
        ),
        Move::PostStates { root, nodes } => {
            instruction(ID, accounts, data::PostStates { state, root, nodes })
        }
        Move::RevealTensor {
            operator,
            path,
            data_root,
            nodes,
        } => instruction(
            ID,
            accounts,
            data::RevealTensor {
                state,
                operator,
                path,
                data_root,
                nodes,
            },
        ),
        Move::RevealChunk { bytes } => {
            instruction(ID, accounts, data::RevealChunk { state, bytes })
        }
    }
}

/// Makes the move in `buffer`, which is the player's, on the game's state of this name.
pub fn play_from_buffer(
    rollup: &Pubkey,
    dispute: &Pubkey,
    player: &Pubkey,
    state: u64,
    buffer: &Pubkey,
) -> Instruction {
    instruction(
        ID,
        accounts::PlayFromBuffer {
            play: play_accounts(rollup, dispute, player),
            buffer: *buffer,
        },
        data::PlayFromBuffer { state },
    )
}

/// Brings a proof of `challenger` in a dispute over a batch of `sequencer`. `page` is the inbox page
/// with the message that the disputed transaction consumes, if it consumes one.
pub fn prove(
    rollup: &Pubkey,
    dispute: &Pubkey,
    challenger: &Pubkey,
    sequencer: &Pubkey,
    page: Option<u64>,
    kind: ProofKind,
    proof: Vec<u8>,
) -> Instruction {
    instruction(
        ID,
        prove_accounts(rollup, dispute, challenger, sequencer, page),
        data::Prove {
            kind: kind.into(),
            proof,
        },
    )
}

/// The same with the proof in the challenger's `buffer`.
pub fn prove_from_buffer(
    rollup: &Pubkey,
    dispute: &Pubkey,
    challenger: &Pubkey,
    sequencer: &Pubkey,
    page: Option<u64>,
    kind: ProofKind,
    buffer: &Pubkey,
) -> Instruction {
    instruction(
        ID,
        accounts::ProveFromBuffer {
            prove: prove_accounts(rollup, dispute, challenger, sequencer, page),
            buffer: *buffer,
        },
        data::ProveFromBuffer { kind: kind.into() },
    )
}

/// Ends a dispute over a batch of `sequencer` against the side whose clock has run out.
pub fn time_out(rollup: &Pubkey, dispute: &Pubkey, sequencer: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::TimeOut {
            court: court(rollup, dispute, sequencer),
        },
        data::TimeOut {},
    )
}

/// Gives up a dispute over a dead batch.
pub fn resolve(rollup: &Pubkey, dispute: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::Resolve {
            chain: pda::chain(rollup),
            dispute: *dispute,
        },
        data::Resolve {},
    )
}

/// Pays `recipient`, a party of the dispute, what it may claim.
pub fn claim_payout(dispute: &Pubkey, recipient: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::ClaimPayout {
            dispute: *dispute,
            recipient: *recipient,
        },
        data::ClaimPayout {},
    )
}

/// Closes a dispute that is over and paid out, for the rent of its challenger.
pub fn close_dispute(dispute: &Pubkey, challenger: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::CloseDispute {
            dispute: *dispute,
            challenger: *challenger,
        },
        data::CloseDispute {},
    )
}

/// Creates and opens buffer `id` of `owner` for `len` bytes. `rent` is the rent-exempt minimum of
/// [`Buffer::size`]`(len)` bytes.
///
/// `create_account` refuses an address that has lamports already, and anybody can send some to where the next
/// buffer will be: its owner could then not bring its proof. So the account is made in its parts.
pub fn open_buffer(owner: &Pubkey, id: u64, len: u32, rent: u64) -> [Instruction; 3] {
    let buffer = pda::buffer(owner, id);
    let seed = settlement::seeds::buffer_seed(id);
    let space = Buffer::size(len) as u64;
    let open = instruction(
        ID,
        accounts::OpenBuffer {
            owner: *owner,
            buffer,
        },
        data::OpenBuffer { len },
    );
    [
        system::transfer(owner, &buffer, rent),
        system::allocate_with_seed(&buffer, owner, &seed, space, &ID),
        open,
    ]
}

/// Writes bytes into a buffer from `offset` on.
pub fn write_buffer(owner: &Pubkey, buffer: &Pubkey, offset: u32, bytes: Vec<u8>) -> Instruction {
    instruction(
        ID,
        accounts::WriteBuffer {
            owner: *owner,
            buffer: *buffer,
        },
        data::WriteBuffer { offset, bytes },
    )
}

/// Closes a buffer, for its rent.
pub fn close_buffer(owner: &Pubkey, buffer: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::CloseBuffer {
            owner: *owner,
            buffer: *buffer,
        },
        data::CloseBuffer {},
    )
}

fn play_accounts(rollup: &Pubkey, dispute: &Pubkey, player: &Pubkey) -> accounts::Play {
    accounts::Play {
        player: *player,
        chain: pda::chain(rollup),
        dispute: *dispute,
    }
}

fn prove_accounts(
    rollup: &Pubkey,
    dispute: &Pubkey,
    challenger: &Pubkey,
    sequencer: &Pubkey,
    page: Option<u64>,
) -> accounts::Prove {
    accounts::Prove {
        challenger: *challenger,
        court: court(rollup, dispute, sequencer),
        page: page.map(|page| pda::inbox_page(rollup, page)),
    }
}

fn court(rollup: &Pubkey, dispute: &Pubkey, sequencer: &Pubkey) -> accounts::Court {
    accounts::Court {
        rollup: *rollup,
        chain: pda::chain(rollup),
        sequencer: pda::sequencer(rollup, sequencer),
        dispute: *dispute,
        incinerator: INCINERATOR,
    }
}
