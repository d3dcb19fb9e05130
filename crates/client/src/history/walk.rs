//! Walking the list of an address from newer transactions to older ones, slot by slot.

use super::{Entry, page};
use crate::rpc::{Rpc, RpcError};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use std::collections::VecDeque;

/// Where a step of a walk has led.
#[derive(Debug, PartialEq, Eq)]
pub enum Walked<T> {
    /// To the end of what was asked for.
    Done(T),
    /// As far as the budget went. The next step goes on from there.
    Busy,
}

/// A walk through the transactions that named an address.
///
/// What it has read it does not read again, whatever error comes between, until it is dropped.
/// It holds a page of the list and the entries of one slot.
#[derive(Clone, Debug)]
pub struct Walk {
    address: Pubkey,
    /// The last entry that was listed.
    before: Option<Signature>,
    /// Entries that were listed and are older than those that were given, newest first.
    rest: VecDeque<Entry>,
    /// The slot that is being gathered, and its entries that succeeded, newest first.
    slot: Option<u64>,
    entries: Vec<Entry>,
    /// Whether the list has ended.
    ended: bool,
}

impl Walk {
    /// A walk through the transactions of `address` before `before`; from the newest for `None`.
    pub fn new(address: Pubkey, before: Option<Signature>) -> Self {
        Self {
            address,
            before,
            rest: VecDeque::new(),
            slot: None,
            entries: Vec::new(),
            ended: false,
        }
    }

    /// The entries of `slot` that succeeded, newest first. Slots are asked for from newer to
    /// older; one may be asked for again. Each page that is listed takes one of `pages`.
    pub async fn to(
        &mut self,
        rpc: &Rpc,
        slot: u64,
        pages: &mut usize,
    ) -> Result<Walked<&[Entry]>, RpcError> {
        if self.slot != Some(slot) {
            self.slot = Some(slot);
            self.entries.clear();
        }
        loop {
            while let Some(entry) = self.rest.pop_front_if(|entry| entry.slot >= slot) {
                if entry.slot == slot && !entry.failed {
                    self.entries.push(entry);
                }
            }
            if self.ended || !self.rest.is_empty() {
                return Ok(Walked::Done(&self.entries));
            }
            if !self.list(rpc, pages).await? {
                return Ok(Walked::Busy);
            }
        }
    }

    /// The next older slot in which a transaction succeeded; `None` where there is none.
    pub async fn next_slot(
        &mut self,
        rpc: &Rpc,
        pages: &mut usize,
    ) -> Result<Walked<Option<u64>>, RpcError> {
        loop {
            while self.rest.pop_front_if(|entry| entry.failed).is_some() {}
            if let Some(entry) = self.rest.front() {
                return Ok(Walked::Done(Some(entry.slot)));
            }
            if self.ended {
                return Ok(Walked::Done(None));
            }
            if !self.list(rpc, pages).await? {
                return Ok(Walked::Busy);
            }
        }
    }

    /// Lists a page more, if there is budget for it.
    async fn list(&mut self, rpc: &Rpc, pages: &mut usize) -> Result<bool, RpcError> {
        let Some(left) = pages.checked_sub(1) else {
            return Ok(false);
        };
        *pages = left;
        let page = page(rpc, &self.address, self.before).await?;
        match page.last() {
            Some(last) => self.before = Some(last.signature),
            None => self.ended = true,
        }
        self.rest.extend(page);
        Ok(true)
    }
}
