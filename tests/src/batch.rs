//! Batches with valid headers. Their states and transactions mean nothing: the programs do not
//! execute them.

use crate::rollup::TestRollup;
use assay_ledger::RULES_VERSION;
use assay_ledger::data::data_root;
use assay_ledger::state::{StateComponents, TreeHead};
use settlement::constants::CODEC_VERSION;
use settlement::header::BatchHeader;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// A batch that is not posted yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its header.
    pub header: BatchHeader,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl Draft {
    /// A batch on the tip of `rollup` by its sequencer, which consumes all waiting messages, has
    /// `transactions` more of 135 bytes each, and leaves the outbox as it is.
    pub fn new(rollup: &TestRollup, transactions: u32) -> Self {
        let account = rollup.account();
        let chain = rollup.chain_account();
        let tip = chain.tip();
        let consumed = account.inbox_count - tip.inbox_cursor;
        let mut state = StateComponents::genesis();
        state.accounts.root = [tip.number as u8 + 1; 32];
        state.inbox.cursor = account.inbox_count;
        state.inbox.chain = account.inbox_chain;
        state.outbox = TreeHead {
            count: tip.outbox_count,
            root: tip.outbox_root,
        };
        let length = consumed as usize + 135 * transactions as usize;
        let data: Vec<u8> = (0..length).map(|i| (i * 7 + i / 256) as u8).collect();
        Self {
            header: BatchHeader {
                rollup: rollup.address,
                rules: RULES_VERSION,
                codec: CODEC_VERSION,
                lane: 0,
                number: tip.number + 1,
                parent: tip.hash,
                sequencer: rollup.sequencer.pubkey(),
                state: state.into(),
                tx_root: [3; 32],
                tx_count: consumed as u32 + transactions,
                data_root: data_root(&data),
                data_len: length as u32,
                params: account.config.params,
            },
            data,
        }
    }

    /// The same batch with this outbox.
    pub fn outbox(mut self, head: TreeHead) -> Self {
        self.header.state.outbox = head.into();
        self
    }

    /// The same batch with another inbox cursor and the chain value there.
    pub fn inbox(mut self, cursor: u64, chain: [u8; 32]) -> Self {
        self.header.state.inbox.cursor = cursor;
        self.header.state.inbox.chain = chain;
        self
    }

    /// The same batch with other data.
    pub fn data(mut self, data: Vec<u8>) -> Self {
        self.header.data_root = data_root(&data);
        self.header.data_len = data.len() as u32;
        self.data = data;
        self
    }

    /// Where its sequencer keeps the data.
    pub fn data_address(&self) -> Pubkey {
        let seed = settlement::seeds::data_seed(self.header.number);
        Pubkey::create_with_seed(&self.header.sequencer, &seed, &settlement::ID)
            .expect("the seed is short")
    }

    /// The header's hash.
    pub fn hash(&self) -> [u8; 32] {
        self.header.to_ledger().expect("lane 0").hash()
    }
}
