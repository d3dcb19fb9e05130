//! The reader of the inbox behind nodes that lag, and among strangers.

mod common;

use anchor_lang::{AccountSerialize, Discriminator};
use assay_client::inbox::{InboxError, Reader};
use assay_client::instructions::settlement::force;
use assay_client::pda;
use assay_client::rpc::{Rpc, Severity};
use assay_client::wire::{self, Budget, Wire};
use assay_ledger::inbox::{Forced, GENESIS, MessageKind, chain_next};
use assay_ledger::state::InboxHead;
use common::{Calls, account, at, landed, node};
use serde_json::{Value, json};
use settlement::state::{Config, InboxPage, Params, Rollup};
use solana_client::rpc_request::RpcRequest;
use solana_instruction::AccountMeta;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;
use solana_transaction::versioned::VersionedTransaction;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

const START: InboxHead = InboxHead {
    cursor: 0,
    chain: GENESIS,
};

/// A chain with one page of the inbox.
struct World {
    rollup: Pubkey,
    user: Keypair,
    state: Rollup,
    page: Option<Box<InboxPage>>,
    /// Newest last: name, slot, whether it failed.
    listed: Vec<(String, u64, bool)>,
    stored: HashMap<String, Value>,
    slot: u64,
}

impl World {
    fn new() -> Self {
        let rollup = pda::rollup(5);
        let state = Rollup {
            version: 1,
            bump: 0,
            chain_bump: 0,
            id: 5,
            authority: Pubkey::default(),
            rules: 1,
            codec: 1,
            config: Config {
                bridge: bridge::ID,
                escrow: escrow::ID,
                params: Params {
                    window: 20,
                    bond_slice: 1,
                    max_units: 1,
                    max_records: 100,
                    max_data: 100_000,
                    model_delay: 1,
                    sequencer_share: 0,
                    clock: 1,
                    extension: 1,
                    dispute_bond: 1,
                },
                unbond_delay: 20,
                inbox_grace: 1,
                inbox_batch: 1,
                inbox_fee_base: 0,
                inbox_fee_step: 0,
            },
            bridge_sender: Pubkey::new_from_array([1; 32]),
            escrow_sender: Pubkey::new_from_array([2; 32]),
            inbox_count: 0,
            inbox_chain: GENESIS,
            inbox_fees: 0,
            inbox_cursor: 0,
        };
        Self {
            rollup,
            user: Keypair::new_from_array([9; 32]),
            state,
            page: Some(Box::new(bytemuck::Zeroable::zeroed())),
            listed: Vec::new(),
            stored: HashMap::new(),
            slot: 0,
        }
    }

    fn put(&mut self, slot: u64, instruction: solana_instruction::Instruction, failed: bool) {
        let count = self.listed.len() as u64;
        let mut hash = [3; 32];
        hash[..8].copy_from_slice(&count.to_le_bytes());
        let (transaction, _): (VersionedTransaction, usize) = wire::transaction(
            Wire::Legacy,
            &[&self.user],
            &[instruction],
            &Budget::default(),
            hash.into(),
        )
        .unwrap();
        let name = transaction.signatures[0].to_string();
        self.stored.insert(name.clone(), landed(slot, &transaction));
        self.listed.push((name, slot, failed));
        self.slot = slot;
    }

    /// A message in `slot`.
    fn message(&mut self, slot: u64) {
        let index = self.state.inbox_count;
        let forced = Forced::Withdraw {
            owner: self.user.pubkey().to_bytes(),
            mint: [0; 32],
            recipient: [4; 32],
            amount: index,
        };
        let payload = borsh::to_vec(&forced).unwrap();
        let chain = chain_next(
            &self.state.inbox_chain,
            index,
            MessageKind::Forced,
            &payload,
        );
        self.state.inbox_chain = chain;
        self.state.inbox_count += 1;
        if let Some(page) = &mut self.page {
            page.count += 1;
            let entry = &mut page.entries[index as usize];
            (entry.chain, entry.slot) = (chain, slot);
        }
        let me = self.user.pubkey();
        self.put(slot, force(&self.rollup, &me, &me, 0, &forced), false);
    }

    /// A stranger's transaction in `slot` that names the page.
    fn stranger(&mut self, slot: u64, failed: bool) {
        let page = pda::inbox_page(&self.rollup, 0);
        let mut noise = transfer(&self.user.pubkey(), &Pubkey::default(), 1);
        noise.accounts.push(AccountMeta::new_readonly(page, false));
        self.put(slot, noise, failed);
    }

    fn answer(&self, request: RpcRequest, params: &Value) -> common::Answer {
        match request {
            RpcRequest::GetAccountInfo => {
                let address = params[0].as_str().unwrap();
                let value = if address == self.rollup.to_string() {
                    let mut data = Vec::new();
                    self.state.try_serialize(&mut data).unwrap();
                    account(&settlement::ID, 1, &data)
                } else {
                    assert_eq!(address, pda::inbox_page(&self.rollup, 0).to_string());
                    match &self.page {
                        Some(page) => {
                            let mut data = InboxPage::DISCRIMINATOR.to_vec();
                            data.extend_from_slice(bytemuck::bytes_of(&**page));
                            account(&settlement::ID, 1, &data)
                        }
                        None => Value::Null,
                    }
                };
                at(self.slot, params, value)
            }
            RpcRequest::GetSignaturesForAddress => {
                let config = &params[1];
                let name = |key: &str| config[key].as_str().map(str::to_owned);
                let (before, until) = (name("before"), name("until"));
                let newest_first = self.listed.iter().rev();
                let after = newest_first
                    .skip_while(|(name, ..)| before.as_ref().is_some_and(|before| before != name));
                let part = after
                    .skip(usize::from(before.is_some()))
                    .take_while(|(name, ..)| until.as_ref() != Some(name))
                    .take(config["limit"].as_u64().unwrap() as usize);
                let part = part.map(|(name, slot, failed)| {
                    json!({
                        "signature": name, "slot": slot, "memo": null, "blockTime": null,
                        "err": failed.then_some("AccountNotFound"),
                        "confirmationStatus": "confirmed",
                    })
                });
                Ok(part.collect())
            }
            RpcRequest::GetTransaction => {
                let found = self.stored.get(params[0].as_str().unwrap());
                Ok(found.cloned().unwrap_or(Value::Null))
            }
            other => panic!("{other}"),
        }
    }
}

fn served(world: World) -> (Rpc, Arc<Calls>, Arc<Mutex<World>>) {
    let world = Arc::new(Mutex::new(world));
    let shared = world.clone();
    let (rpc, calls) = node(move |request, params| shared.lock().unwrap().answer(request, params));
    (rpc, calls, world)
}

/// A stranger can name a page in as many transactions as he likes to pay for. None of another slot
/// than a message's is fetched, none that failed, and nothing is listed twice.
#[tokio::test]
async fn strangers_cost_the_reader_next_to_nothing() {
    let mut world = World::new();
    for slot in 1..=5_000 {
        world.stranger(slot, false);
        if [40, 2_500, 4_000].contains(&slot) {
            world.stranger(slot, true);
            world.message(slot);
            world.stranger(slot, false);
        }
    }
    let rollup = world.rollup;
    let (rpc, calls, world) = served(world);
    let mut reader = Reader::new(rollup, START);
    assert_eq!(reader.read(&rpc).await.unwrap().len(), 3);
    // The messages, and two strangers in the slot of each.
    assert_eq!(calls.of(RpcRequest::GetTransaction).len(), 9);
    let most = calls.most.load(Ordering::SeqCst);
    assert!((2..=16).contains(&most), "{most} at once");

    calls.clear();
    assert!(reader.read(&rpc).await.unwrap().is_empty());
    assert!(calls.of(RpcRequest::GetSignaturesForAddress).is_empty());

    {
        let mut world = world.lock().unwrap();
        for slot in 5_001..=7_000 {
            world.stranger(slot, false);
        }
        world.message(7_000);
        world.stranger(7_001, false);
    }
    calls.clear();
    let messages = reader.read(&rpc).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].index, messages[0].slot), (3, 7_000));
    // The one before the message is in its slot.
    assert_eq!(calls.of(RpcRequest::GetTransaction).len(), 2);
    let listings = calls.of(RpcRequest::GetSignaturesForAddress);
    assert_eq!(listings.len(), 1, "the newest thousand go back far enough");
}

/// Of a closed page L1 knows no slots: all that succeeded is fetched, many at a time and once, from the newest
/// back to the first message.
#[tokio::test]
async fn a_closed_page_is_read_whole() {
    let mut world = World::new();
    world.page = None;
    for slot in 1..=300 {
        world.stranger(slot, slot % 3 == 0);
        if slot % 100 == 0 {
            world.message(slot);
        }
    }
    let rollup = world.rollup;
    let (rpc, calls, _) = served(world);
    let mut reader = Reader::new(rollup, START);
    assert_eq!(reader.read(&rpc).await.unwrap().len(), 3);
    // Those of slots 100 to 300, and some of the last part.
    assert_eq!(calls.of(RpcRequest::GetTransaction).len(), 144);
    let most = calls.most.load(Ordering::SeqCst);
    assert!((2..=16).contains(&most), "{most} at once");
}

/// A node may list a transaction later than others that came after it, or not give it at once.
#[tokio::test]
async fn what_is_listed_late_is_read_late() {
    let mut world = World::new();
    world.message(10);
    world.message(11);
    world.message(12);
    let rollup = world.rollup;
    let late = world.listed.remove(1);
    let not_yet = world.stored.remove(&world.listed[1].0).unwrap();
    let (rpc, _, world) = served(world);
    let mut reader = Reader::new(rollup, START);
    assert_eq!(reader.read(&rpc).await.unwrap().len(), 1);
    let missing = reader.read(&rpc).await.unwrap_err();
    assert!(matches!(missing, InboxError::Missing { index: 1 }));
    assert_eq!(missing.severity(), Severity::Temporary);
    {
        let mut world = world.lock().unwrap();
        world.listed.insert(1, late);
    }
    assert_eq!(reader.read(&rpc).await.unwrap().len(), 1);
    {
        let mut world = world.lock().unwrap();
        let name = world.listed[2].0.clone();
        world.stored.insert(name, not_yet);
    }
    assert_eq!(reader.read(&rpc).await.unwrap().len(), 1);
    assert_eq!(reader.next(), 3);
}

/// A node that shows another inbox once or twice lags, or is on a fork: it is asked again. One that
/// goes on is believed.
#[tokio::test]
async fn one_stale_look_is_no_divergence() {
    let mut world = World::new();
    world.message(10);
    world.message(11);
    let rollup = world.rollup;
    let (rpc, _, world) = served(world);
    let mut reader = Reader::new(rollup, START);
    assert_eq!(reader.read(&rpc).await.unwrap().len(), 2);
    let (mut other, good) = (World::new(), world.lock().unwrap().state.clone());
    other.message(10);
    let set = |state: &Rollup| world.lock().unwrap().state = state.clone();
    for _ in 0..3 {
        set(&other.state);
        for _ in 0..7 {
            let error = reader.read(&rpc).await.unwrap_err();
            assert!(matches!(error, InboxError::Diverged { index: 2, .. }));
            assert_eq!(error.severity(), Severity::Temporary, "{error}");
        }
        set(&good);
        assert!(reader.read(&rpc).await.unwrap().is_empty());
    }
    set(&other.state);
    for _ in 0..7 {
        reader.read(&rpc).await.unwrap_err();
    }
    let error = reader.read(&rpc).await.unwrap_err();
    assert_eq!(error.severity(), Severity::Permanent, "{error}");
}
