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
        for call in history::calls(&transaction) {
            let to = call.program == settlement::ID && call.account(OF) == found.address;
            let given = if !to {
                None
            } else if let Some(settlement::instruction::Answer { place, answer }) = parse(&call) {
                Some((place, answer))
            } else if let Some(AnswerFromBuffer { place }) = parse(&call) {
                let buffer = call.account(BUFFER);
                let bytes = written(rpc, &buffer, &entry.signature).await?;
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
        seen.insert(entry.signature);
    }
    Ok(answers)
}

/// What was in a buffer when the transaction of this signature used it; `None` if that is not known (yet).
async fn written(
    rpc: &Rpc,
    buffer: &Pubkey,
    used: &Signature,
) -> Result<Option<Vec<u8>>, RpcError> {
    let mut content = Vec::new();
    let mut entries = history::all(rpc, buffer, None).await?;
    entries.reverse();
    for entry in entries.into_iter().filter(|entry| !entry.failed) {
        let Some(transaction) = rpc.transaction(&entry.signature).await? else {
            return Ok(None);
        };
        for call in history::calls(&transaction) {
            if call.program != settlement::ID {
                continue;
            }
            if let Some(OpenBuffer { len }) = parse(&call)
                && call.account(1) == *buffer
            {
                content = vec![0; usize::try_from(len).unwrap_or_default()];
            } else if let Some(WriteBuffer { offset, bytes }) = parse(&call)
                && call.account(1) == *buffer
                && let Some(start) = usize::try_from(offset).ok()
                && let Some(end) = start.checked_add(bytes.len())
                && let Some(part) = content.get_mut(start..end)
            {
                part.copy_from_slice(&bytes);
            } else if parse::<AnswerFromBuffer>(&call).is_some()
                && call.account(BUFFER) == *buffer
                && entry.signature == *used
            {
                return Ok(Some(content));
            }
        }
    }
    Ok(None)
}

fn parse<T: Discriminator + AnchorDeserialize>(call: &Call) -> Option<T> {
    T::try_from_slice(call.data.strip_prefix(T::DISCRIMINATOR)?).ok()
}
