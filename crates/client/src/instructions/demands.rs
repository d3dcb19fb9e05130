//! Instructions of the settlement program for demands.

use super::{SYSTEM, instruction};
use crate::pda;
use assay_dispute::demand::{Answer, Named, Pieces};
use assay_ledger::header::Header;
use settlement::constants::INCINERATOR;
use settlement::{ID, accounts, instruction as data};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Opens demand `id` of `demander` for pieces of what the batch of this header names there.
pub fn open_demand(
    demander: &Pubkey,
    id: u64,
    header: &Header,
    pieces: Pieces,
    named: &Named,
) -> Instruction {
    instruction(
        ID,
        open_accounts(demander, id, header),
        data::OpenDemand {
            id,
            header: header.into(),
            pieces: pieces.into(),
            named: encoded(named),
        },
    )
}

/// The same with where the batch names it (the borsh encoding of a [`Named`]) in the demander's `buffer`.
pub fn open_demand_from_buffer(
    demander: &Pubkey,
    id: u64,
    header: &Header,
    pieces: Pieces,
    buffer: &Pubkey,
) -> Instruction {
    instruction(
        ID,
        accounts::OpenDemandFromBuffer {
            open: open_accounts(demander, id, header),
            buffer: *buffer,
        },
        data::OpenDemandFromBuffer {
            id,
            header: header.into(),
            pieces: pieces.into(),
        },
    )
}

/// Answers piece number `place` of those demanded.
pub fn answer(
    rollup: &Pubkey,
    demand: &Pubkey,
    answerer: &Pubkey,
    place: u8,
    answer: &Answer,
) -> Instruction {
    instruction(
        ID,
        answer_accounts(rollup, demand, answerer),
        data::Answer {
            place,
            answer: encoded(answer),
        },
    )
}

/// The same with the answer (the borsh encoding of an [`Answer`]) in the answerer's `buffer`.
pub fn answer_from_buffer(
    rollup: &Pubkey,
    demand: &Pubkey,
    answerer: &Pubkey,
    place: u8,
    buffer: &Pubkey,
) -> Instruction {
    instruction(
        ID,
        accounts::AnswerFromBuffer {
            answer: answer_accounts(rollup, demand, answerer),
            buffer: *buffer,
        },
        data::AnswerFromBuffer { place },
    )
}

/// Takes down a batch of `sequencer` of whose blobs a piece was demanded and not answered.
pub fn time_out_demand(rollup: &Pubkey, demand: &Pubkey, sequencer: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::TimeOutDemand {
            rollup: *rollup,
            chain: pda::chain(rollup),
            sequencer: pda::sequencer(rollup, sequencer),
            demand: *demand,
            incinerator: INCINERATOR,
        },
        data::TimeOutDemand {},
    )
}

/// Gives up a demand on a dead batch.
pub fn resolve_demand(rollup: &Pubkey, demand: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::ResolveDemand {
            chain: pda::chain(rollup),
            demand: *demand,
        },
        data::ResolveDemand {},
    )
}

/// Closes a demand that is over and pays its demander.
pub fn close_demand(demand: &Pubkey, demander: &Pubkey) -> Instruction {
    instruction(
        ID,
        accounts::CloseDemand {
            demand: *demand,
            demander: *demander,
        },
        data::CloseDemand {},
    )
}

fn open_accounts(demander: &Pubkey, id: u64, header: &Header) -> accounts::OpenDemand {
    let rollup = Pubkey::new_from_array(header.rollup);
    accounts::OpenDemand {
        demander: *demander,
        rollup,
        chain: pda::chain(&rollup),
        demand: pda::demand(&rollup, demander, id),
        system_program: SYSTEM,
    }
}

fn answer_accounts(rollup: &Pubkey, demand: &Pubkey, answerer: &Pubkey) -> accounts::AnswerDemand {
    accounts::AnswerDemand {
        answerer: *answerer,
        chain: pda::chain(rollup),
        demand: *demand,
    }
}

fn encoded(value: &impl borsh::BorshSerialize) -> Vec<u8> {
    // Writing to a vector cannot fail.
    borsh::to_vec(value).unwrap_or_default()
}
