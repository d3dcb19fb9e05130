//! A rollup put on the chain in the middle of its life: the parent of a batch is final, and the inbox holds
//! what L1 has sent. What the programs then do is theirs.

use crate::batch::Draft;
use crate::rollup::{TestRollup, config};
use crate::svm::{Svm, accepted};
use anchor_lang::{AccountSerialize, Discriminator};
use assay_ledger::Hash;
use assay_ledger::header::Header;
use assay_ledger::inbox;
use assay_ledger::state::StateComponents;
use bytemuck::Zeroable;
use settlement::constants::{ACCOUNT_VERSION, PAGE_ENTRIES, RING};
use settlement::seeds;
use settlement::state::{Config, InboxEntry, InboxPage};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

impl TestRollup {
    /// A rollup in which `header` is the next batch: after `parent` (genesis if none), with the inbox's
    /// `chain` after so many messages, and the header's parameters. `sequencer` is the header's, with a bond
    /// for `slices` batches.
    ///
    /// # Panics
    /// If the header is of another rollup or sequencer.
    pub fn staged(
        header: &Header,
        parent: Option<&Header>,
        chain: &[Hash],
        sequencer: Keypair,
        slices: u64,
    ) -> Self {
        let params = header.params.into();
        let config = Config {
            params,
            inbox_grace: u64::from(u32::MAX),
            ..config()
        };
        let mut r = Self::unregistered(&["settlement"], config);
        assert_eq!(header.rollup, r.address.to_bytes());
        assert_eq!(header.sequencer, sequencer.pubkey().to_bytes());
        r.sequencer = sequencer;
        let key = r.sequencer.insecure_clone();
        let bond = slices * config.params.bond_slice;
        r.svm.airdrop(&key.pubkey(), bond + 1_000_000_000_000);
        accepted(r.register(&key, bond));
        r.set_tip(header, parent);
        r.set_inbox(parent, chain);
        r
    }

    /// Makes the parent of `header` the final tip.
    pub fn set_tip(&mut self, header: &Header, parent: Option<&Header>) {
        let state = parent.map_or(StateComponents::genesis(), |parent| parent.state);
        let mut account = self.chain_account();
        let number = header.number - 1;
        account.final_number = number;
        account.tip_number = number;
        let slot = &mut account.slots[(number % RING as u64) as usize];
        slot.hash = header.parent;
        slot.number = number;
        slot.outbox_root = state.outbox.root;
        slot.outbox_count = state.outbox.count;
        slot.inbox_cursor = state.inbox.cursor;
        let address = self.chain();
        let bytes = [
            settlement::state::Chain::DISCRIMINATOR,
            bytemuck::bytes_of(&*account),
        ]
        .concat();
        set(&mut self.svm, address, bytes);
    }

    fn set_inbox(&mut self, parent: Option<&Header>, chain: &[Hash]) {
        let mut rollup = self.account();
        rollup.inbox_count = chain.len() as u64 - 1;
        rollup.inbox_chain = chain.last().copied().unwrap_or(inbox::GENESIS);
        rollup.inbox_cursor = parent.map_or(0, |parent| parent.state.inbox.cursor);
        let mut bytes = Vec::new();
        rollup
            .try_serialize(&mut bytes)
            .expect("writing to a vector does not fail");
        set(&mut self.svm, self.address, bytes);
        for (number, values) in chain[1..].chunks(PAGE_ENTRIES).enumerate() {
            let mut page = Box::new(InboxPage::zeroed());
            page.rollup = self.address;
            page.number = number as u64;
            page.count = values.len() as u64;
            page.chain_before = chain[number * PAGE_ENTRIES];
            page.version = ACCOUNT_VERSION;
            for (entry, chain) in page.entries.iter_mut().zip(values) {
                *entry = InboxEntry {
                    chain: *chain,
                    slot: 1,
                    fees: 0,
                };
            }
            let address = seeds::inbox_page(&self.address, number as u64);
            let bytes = [InboxPage::DISCRIMINATOR, bytemuck::bytes_of(&*page)].concat();
            set(&mut self.svm, address, bytes);
        }
    }
}

/// Writes an account of the program.
fn set(svm: &mut Svm, address: Pubkey, data: Vec<u8>) {
    let mut account = svm.account(&address).unwrap_or_default();
    account.lamports = account.lamports.max(svm.rent(data.len()));
    account.owner = settlement::ID;
    account.data = data;
    svm.inner()
        .set_account(address, account)
        .expect("an account of the program");
}

/// A batch with this header and data.
pub fn draft(header: &Header, data: &[u8]) -> Draft {
    Draft {
        header: header.into(),
        data: data.to_vec(),
    }
}
