//! The transactions of some slots that named an address.

use super::Entry;
use crate::rpc::{Rpc, RpcError};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use solana_transaction_status_client_types::EncodedConfirmedTransactionWithStatusMeta as Transaction;
use std::collections::HashMap;

/// Transactions fetched at a time, and the least that a reader gathers before it fetches them.
pub const WIDTH: usize = 16;
/// Transactions that a reader fetches in vain, one by one, before it fetches blocks instead.
const IN_VAIN: usize = 64;
/// Candidates in a slot that are always fetched one by one.
const FEW: usize = 4;
/// Pages that are listed on the way to a slot before its block is fetched instead.
pub const FEW_PAGES: usize = 2;

/// Reads transactions, slot by slot, out of those that strangers land beside them.
///
/// One call a transaction is cheapest where all of them are wanted. A stranger pays a fee for a
/// transaction and not for the reader's call, so once [`IN_VAIN`] calls gave nothing, a slot with
/// more than [`FEW`] candidates is read with its whole block in one call. A slot that is more than
/// [`FEW_PAGES`] away in the list is read so without listing further. So a reader makes at most
/// `IN_VAIN` calls, and a few for each slot that it wants, more than without strangers, however many
/// transactions they land.
#[derive(Clone, Debug, Default)]
pub struct SlotReader {
    in_vain: usize,
}

/// Whether slots that are far away in a list are read with their blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// None was yet.
    Untried,
    /// Some were: what is missing may be missing in them.
    Used,
    /// The node gives none, or none that can be relied on.
    Useless,
}

/// What was found in some slots.
#[derive(Debug)]
pub struct InSlots<T> {
    /// What `read` made of the transactions of which it made something, newest first.
    pub found: Vec<(Entry, T)>,
    /// Whether the node lists a transaction that it did not give (yet).
    pub withheld: bool,
}

impl SlotReader {
    /// What `read` makes of the transactions of these entries, which are all that are wanted of
    /// their slots, newest first.
    pub async fn read<T>(
        &mut self,
        rpc: &Rpc,
        entries: &[Entry],
        read: impl Fn(&Entry, &Transaction) -> Option<T>,
    ) -> Result<InSlots<T>, RpcError> {
        let mut given: HashMap<usize, Option<T>> = HashMap::new();
        let mut one_by_one = self.in_vain;
        for slot in entries.chunk_by(|a, b| a.slot == b.slot) {
            one_by_one = one_by_one.saturating_add(slot.len());
            if slot.len() <= FEW || one_by_one <= IN_VAIN {
                continue;
            }
            one_by_one = one_by_one.saturating_sub(slot.len());
            let places = entries.iter().enumerate();
            let places = places.filter(|(_, entry)| entry.slot == slot[0].slot);
            let places: HashMap<_, _> = places.map(|(at, e)| (e.signature, at)).collect();
            // What the node leaves out of the block, or all of it, is fetched one by one.
            rpc.block(slot[0].slot, |signature, transaction| {
                if let Some(at) = places.get(&signature) {
                    given.insert(*at, read(&entries[*at], &transaction));
                }
            })
            .await?;
        }
        let mut withheld = false;
        let left = entries.iter().enumerate();
        let left = left.filter(|(at, _)| !given.contains_key(at));
        let mut fetched = fetch(rpc, left.map(|(at, entry)| (at, *entry)).collect());
        while let Some((at, entry, transaction)) = fetched.try_next().await? {
            let Some(transaction) = transaction else {
                withheld = true;
                continue;
            };
            let made = read(&entry, &transaction);
            if made.is_none() {
                self.in_vain = self.in_vain.saturating_add(1);
            }
            given.insert(at, made);
        }
        let found = entries.iter().enumerate();
        let found = found.filter_map(|(at, entry)| Some((*entry, given.remove(&at)??)));
        Ok(InSlots {
            found: found.collect(),
            withheld,
        })
    }

    /// What `read` makes of the transactions of a slot that succeeded, from its whole block, newest
    /// first; `None` where the node does not give the block. An answer that lacks something shows by
    /// what L1 keeps.
    pub async fn block<T>(
        &mut self,
        rpc: &Rpc,
        slot: u64,
        read: impl Fn(&Entry, &Transaction) -> Option<T>,
    ) -> Result<Option<Vec<(Entry, T)>>, RpcError> {
        let mut found = Vec::new();
        let mut any = false;
        rpc.block(slot, |signature, transaction| {
            any = true;
            let meta = transaction.transaction.meta.as_ref();
            let entry = Entry {
                signature,
                slot,
                failed: meta.is_none_or(|meta| meta.err.is_some()),
            };
            if !entry.failed
                && let Some(made) = read(&entry, &transaction)
            {
                found.push((entry, made));
            }
        })
        .await?;
        found.reverse();
        Ok(any.then_some(found))
    }
}

/// The place of an entry, it, and its transaction; `None` if the node does not have that (yet).
type Fetched = (usize, Entry, Option<Transaction>);

/// The transactions of these entries, in any order.
fn fetch(rpc: &Rpc, entries: Vec<(usize, Entry)>) -> BoxStream<'_, Result<Fetched, RpcError>> {
    let fetched = futures::stream::iter(entries).map(async move |(at, entry): (usize, Entry)| {
        Ok((at, entry, rpc.transaction(&entry.signature).await?))
    });
    fetched.buffer_unordered(WIDTH).boxed()
}
