//! Whether L1 takes a batch no more, because messages that it leaves out are overdue.

use super::L1;
use super::error::L1Error;
use crate::engine::rebuild::Due;
use assay_client::accounts;
use assay_ledger::header::Header;
use settlement::state::{InboxEntry, InboxPage};

/// What L1 asks for instead of the batch of `header`, if it can never take that one again.
///
/// A transaction that posts it may still be on its way, so this must be certain: the batch is not
/// among those that L1 held after some slot, and at that slot it was too late for it already.
pub async fn overdue(l1: &L1, header: &Header) -> Result<Option<Due>, L1Error> {
    let rollup = l1.rollup().await?;
    let cursor = header.state.inbox.cursor;
    let (grace, each) = (rollup.config.inbox_grace, rollup.config.inbox_batch);
    let mut messages = Messages::new(l1, rollup.inbox_count);
    let Some(first_left) = messages.get(cursor).await? else {
        return Ok(None);
    };
    let (slot, chain) = accounts::chain_at(l1.rpc(), &l1.rollup).await?;
    let late = |entry: &InboxEntry, grace: u64| entry.slot.saturating_add(grace) < slot;
    let consumed = cursor.saturating_sub(chain.tip_inbox_cursor());
    if !late(&first_left, grace)
        || consumed >= u64::from(each)
        || chain.tip_number.checked_add(1) != Some(header.number)
    {
        return Ok(None);
    }
    // Those too that would be overdue before long: posting takes its time.
    let mut due = cursor.saturating_add(1);
    while let Some(next) = messages.get(due).await?
        && late(&next, grace / 2)
    {
        due += 1;
    }
    Ok(Some(Due {
        tip: chain.tip_number,
        messages: due,
        each,
    }))
}

/// The inbox's entries, read page by page.
struct Messages<'a> {
    l1: &'a L1,
    count: u64,
    page: Option<(u64, Box<InboxPage>)>,
}

impl<'a> Messages<'a> {
    fn new(l1: &'a L1, count: u64) -> Self {
        Self {
            l1,
            count,
            page: None,
        }
    }

    /// Message `index`, if L1 has it.
    async fn get(&mut self, index: u64) -> Result<Option<InboxEntry>, L1Error> {
        if index >= self.count {
            return Ok(None);
        }
        let number = InboxPage::page_of(index);
        if self.page.as_ref().is_none_or(|(n, _)| *n != number) {
            let page = accounts::inbox_page(self.l1.rpc(), &self.l1.rollup, number).await?;
            self.page = page.map(|page| (number, page));
        }
        let page = self.page.as_ref();
        Ok(page.and_then(|(_, page)| page.entry(index).copied()))
    }
}
