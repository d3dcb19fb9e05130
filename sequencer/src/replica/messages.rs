//! The messages that batches consume, read from a node that is not believed: L1 has compared the inbox's
//! chain of every batch with its own, so that it says which messages the batch consumes.

use super::error::ReplicaError;
use assay_client::inbox::{InboxError, Reader};
use assay_client::rpc::Rpc;
use assay_ledger::Hash;
use assay_ledger::inbox::Message;
use assay_ledger::state::InboxHead;
use solana_pubkey::Pubkey;
use std::collections::BTreeMap;

/// Reads messages.
#[derive(Debug)]
pub(super) struct Messages {
    reader: Reader,
    /// The chain's value before the messages of these indices, of those that were read.
    chains: BTreeMap<u64, Hash>,
}

impl Messages {
    /// Those from `from` on.
    pub(super) fn new(rollup: Pubkey, from: InboxHead) -> Self {
        Self {
            reader: Reader::new(rollup, from),
            chains: BTreeMap::from([(from.cursor, from.chain)]),
        }
    }

    /// Reads up to `head` of batch `number`, and gives what is new to `push`.
    ///
    /// # Errors
    /// [`ReplicaError::OtherMessages`] if what the node gave, now or earlier, is not what the batch consumes.
    pub(super) async fn read_to(
        &mut self,
        rpc: &Rpc,
        number: u64,
        head: &InboxHead,
        mut push: impl FnMut(Message),
    ) -> Result<(), ReplicaError> {
        while self.reader.next() < head.cursor {
            let messages = self.reader.read(rpc).await?;
            if messages.is_empty() {
                // The node is behind the one that gave the batch.
                let index = self.reader.next();
                return Err(InboxError::Missing { index }.into());
            }
            for message in messages {
                self.chains.insert(message.index + 1, message.chain);
                push(message.message);
            }
        }
        match self.chains.get(&head.cursor) {
            Some(chain) if *chain != head.chain => Err(ReplicaError::OtherMessages { number }),
            _ => Ok(()),
        }
    }

    /// Forgets what batches consumed that are part of the replica: none goes back before `cursor`.
    pub(super) fn forget(&mut self, cursor: u64) {
        self.chains = self.chains.split_off(&cursor);
    }
}
