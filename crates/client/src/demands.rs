//! Reading demands: the accounts as L1 has them, and what was answered.
//!
//! An answer is in the data of a transaction, or was written to a buffer first; both are read from the history
//! of the accounts. What a node gives is checked against the demand: it cannot make up an answer.

use crate::history::{self, Call};
use crate::rpc::{Rpc, RpcError};
use anchor_lang::{AccountDeserialize, AnchorDeserialize, Discriminator};
use assay_dispute::demand::Answer;
use settlement::instruction::{AnswerFromBuffer, OpenBuffer, WriteBuffer};
use settlement::state::{Chain, Demand};
use solana_client::rpc_filter::{Memcmp, RpcFilterType};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use std::collections::{BTreeMap, HashSet};

/// Where the rollup and the demander are in a demand's account: after discriminator, version, bump and state.
const ROLLUP: usize = 8 + 3;
const DEMANDER: usize = ROLLUP + 32;
/// Which account of `answer` and of `answer_from_buffer` the demand is, and which the buffer.
const OF: usize = 2;
const BUFFER: usize = 3;

/// A demand as L1 has it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its account.
    pub address: Pubkey,
    /// What it holds.
    pub demand: Demand,
}

impl Found {
    /// Whether its batch is pending.
    pub fn is_live(&self, chain: &Chain) -> bool {
        let slot = chain.live(self.demand.number, &self.demand.hash);
        slot.is_some_and(|slot| slot.life == self.demand.life)
    }

    /// The pieces that were answered, a bit each.
    pub fn answered(&self) -> u64 {
        let count = u32::from(self.demand.pieces.count);
        let all = u64::MAX.checked_shr(u64::BITS.saturating_sub(count));
        all.unwrap_or_default() & !self.demand.left
    }
}

/// The demands of `demander` in a rollup.
pub async fn of(rpc: &Rpc, rollup: &Pubkey, demander: &Pubkey) -> Result<Vec<Found>, RpcError> {
    let bytes =
        |at: usize, bytes: &[u8]| RpcFilterType::Memcmp(Memcmp::new_base58_encoded(at, bytes));
    let filters = [
        RpcFilterType::DataSize(Demand::size() as u64),
        bytes(0, Demand::DISCRIMINATOR),
        bytes(ROLLUP, rollup.as_ref()),
        bytes(DEMANDER, demander.as_ref()),
    ];
    let found = rpc.owned(&settlement::ID, &filters).await?;
    let read = |(address, account): (Pubkey, solana_account::Account)| {
        let demand = Demand::try_deserialize(&mut account.data.as_slice());
        let demand = demand.map_err(|e| RpcError::Account {
            address,
            expected: "demand",
            reason: e.to_string(),
        })?;
        Ok(Found { address, demand })
    };
    let mut found: Vec<Found> = found.into_iter().map(read).collect::<Result<_, _>>()?;
    // Nodes give them in any order.
    found.sort_by_key(|found| (found.demand.number, found.address));
    Ok(found)
}

/// The answers that were given to a demand, by their places: as far as the node gives the transactions (yet).
/// Those in `seen` are not read again.
pub async fn answers(
    rpc: &Rpc,
    found: &Found,
    seen: &mut HashSet<Signature>,
) -> Result<BTreeMap<u8, Answer>, RpcError> {
    let mut answers = BTreeMap::new();
    for entry in history::all(rpc, &found.address, None).await? {
        if entry.failed || seen.contains(&entry.signature) {
            continue;
        }
        let Some(transaction) = rpc.transaction(&entry.signature).await? else {
            continue;
        };
        let mut read = true;
        for (at, call) in history::calls(&transaction).into_iter().enumerate() {
            let to = call.program == settlement::ID && call.account(OF) == found.address;
            let given = if !to {
                None
            } else if let Some(settlement::instruction::Answer { place, answer }) = call.arguments()
            {
                Some((place, answer))
            } else if let Some(AnswerFromBuffer { place }) = call.arguments() {
                let buffer = call.account(BUFFER);
                let bytes = written(rpc, &buffer, &entry.signature, at).await?;
                read &= bytes.is_some();
                bytes.map(|bytes| (place, bytes))
            } else {
                None
            };
            let Some((place, bytes)) = given else {
                continue;
            };
            let mut rules = found.demand.rules();
            rules.left = u64::MAX;
            if let Ok(answer) = Answer::try_from_slice(&bytes)
                && rules.answer(place, &answer).is_ok()
            {
                answers.insert(place, answer);
            }
        }
        if read {
            seen.insert(entry.signature);
        }
    }
    Ok(answers)
}

/// What was in a buffer at call `at` of the transaction of this signature; `None` if that is not known (yet).
async fn written(
    rpc: &Rpc,
    buffer: &Pubkey,
    used: &Signature,
    at: usize,
) -> Result<Option<Vec<u8>>, RpcError> {
    let mut entries = history::all(rpc, buffer, None).await?;
    entries.reverse();
    let mut calls = Vec::new();
    for entry in entries.into_iter().filter(|entry| !entry.failed) {
        let Some(transaction) = rpc.transaction(&entry.signature).await? else {
            return Ok(None);
        };
        let mut these = history::calls(&transaction);
        let last = entry.signature == *used;
        if last {
            these.truncate(at);
        }
        calls.extend(these);
        if last {
            return Ok(Some(content(buffer, &calls)));
        }
    }
    Ok(None)
}

/// What is in a buffer after these calls. One transaction may write and use it several times.
fn content(buffer: &Pubkey, calls: &[Call]) -> Vec<u8> {
    let mut content = Vec::new();
    let of = |call: &&Call| call.program == settlement::ID && call.account(1) == *buffer;
    for call in calls.iter().filter(of) {
        if let Some(OpenBuffer { len }) = call.arguments() {
            content = vec![0; usize::try_from(len).unwrap_or_default()];
        } else if let Some(WriteBuffer { offset, bytes }) = call.arguments()
            && let Some(start) = usize::try_from(offset).ok()
            && let Some(end) = start.checked_add(bytes.len())
            && let Some(part) = content.get_mut(start..end)
        {
            part.copy_from_slice(&bytes);
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instructions::disputes::{close_buffer, open_buffer, write_buffer};
    use solana_instruction::Instruction;

    /// A buffer can be written and used several times, also in one transaction, and opened anew.
    #[test]
    fn a_buffer_holds_what_was_written_before_it_was_used() {
        let owner = Pubkey::new_from_array([1; 32]);
        let buffer = crate::pda::buffer(&owner, 7);
        let other = crate::pda::buffer(&owner, 8);
        let write =
            |to: &Pubkey, offset, bytes: &[u8]| write_buffer(&owner, to, offset, bytes.to_vec());
        let [.., open] = open_buffer(&owner, 7, 4, 0);
        let [.., again] = open_buffer(&owner, 7, 2, 0);
        let call = |instruction: Instruction| Call {
            program: instruction.program_id,
            accounts: instruction.accounts.iter().map(|a| a.pubkey).collect(),
            data: instruction.data,
        };
        let calls: Vec<Call> = [
            open,
            write(&buffer, 0, &[1, 2]),
            write(&other, 0, &[9; 4]),
            write(&buffer, 1, &[3, 4, 5]),
            // Refused by the program, had it been there.
            write(&buffer, 3, &[6, 7]),
            close_buffer(&owner, &buffer),
            again,
        ]
        .into_iter()
        .map(call)
        .collect();
        let after = |calls_so_far: usize| content(&buffer, &calls[..calls_so_far]);
        assert!(after(0).is_empty());
        assert_eq!(after(1), [0; 4]);
        assert_eq!(after(3), [1, 2, 0, 0]);
        assert_eq!(after(6), [1, 3, 4, 5]);
        assert_eq!(after(7), [0; 2]);
    }
}
