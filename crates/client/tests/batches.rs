//! The reader of batches behind nodes that fail and lie, and among strangers.

mod common;

use anchor_lang::AccountSerialize;
use assay_client::batches::{BatchError, Posted, Reader};
use assay_client::instructions::settlement as make;
use assay_client::pda;
use assay_client::rpc::Rpc;
use assay_client::wire::{self, Budget, Wire};
use assay_ledger::data::{CHUNK, data_root};
use assay_ledger::header::{Header, Lane, genesis_hash};
use assay_ledger::state::StateComponents;
use assay_ledger::{Hash, RULES_VERSION, codec};
use common::{Calls, account, at, broken, landed, node};
use serde_json::{Value, json};
use settlement::state::{Chain, Config, Params, Rollup};
use solana_client::rpc_request::RpcRequest;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;
use solana_transaction::versioned::VersionedTransaction;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

const WINDOW: u64 = 1_000;

fn params() -> Params {
    Params {
        window: WINDOW,
        bond_slice: 1,
        max_units: 1,
        max_records: 100,
        max_data: 100_000,
        model_delay: 1,
        sequencer_share: 0,
        clock: 1,
        extension: 1,
        dispute_bond: 1,
    }
}

fn rollup() -> Rollup {
    Rollup {
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
            params: params(),
            unbond_delay: WINDOW,
            inbox_grace: 1,
            inbox_batch: 1,
            inbox_fee_base: 0,
            inbox_fee_step: 0,
        },
        bridge_sender: Pubkey::new_from_array([1; 32]),
        escrow_sender: Pubkey::new_from_array([2; 32]),
        inbox_count: 0,
        inbox_chain: [0; 32],
        inbox_fees: 0,
        inbox_cursor: 0,
    }
}

/// A chain with batches, as a node tells of it.
struct World {
    rollup: Pubkey,
    key: Keypair,
    chain: Box<Chain>,
    headers: Vec<Header>,
    /// Newest last: name, slot, whether it failed.
    listed: Vec<(String, u64, bool)>,
    stored: HashMap<String, Value>,
    /// Transactions that the node fails to give.
    broken: HashSet<String>,
}

impl World {
    fn new() -> Self {
        Self {
            rollup: pda::rollup(5),
            key: Keypair::new_from_array([9; 32]),
            chain: Box::new(bytemuck::Zeroable::zeroed()),
            headers: Vec::new(),
            listed: Vec::new(),
            stored: HashMap::new(),
            broken: HashSet::new(),
        }
    }

    fn put(&mut self, slot: u64, instructions: &[Instruction], failed: bool) -> String {
        let mut hash = [3; 32];
        hash[..8].copy_from_slice(&(self.listed.len() as u64).to_le_bytes());
        let (transaction, _): (VersionedTransaction, usize) = wire::transaction(
            Wire::Legacy,
            &[&self.key],
            instructions,
            &Budget::default(),
            hash.into(),
        )
        .unwrap();
        let name = transaction.signatures[0].to_string();
        self.stored.insert(name.clone(), landed(slot, &transaction));
        self.listed.push((name.clone(), slot, failed));
        name
    }

    fn data_account(&self) -> Pubkey {
        pda::batch_data(&self.key.pubkey(), 1)
    }

    /// Posts the next batch in `slot`.
    fn post(&mut self, slot: u64, data: &[u8]) -> String {
        let number = self.headers.len() as u64 + 1;
        let first = genesis_hash(&self.rollup.to_bytes());
        let header = Header {
            rollup: self.rollup.to_bytes(),
            rules: RULES_VERSION,
            codec: codec::VERSION,
            lane: Lane::L1,
            number,
            parent: self.headers.last().map_or(first, Header::hash),
            sequencer: self.key.pubkey().to_bytes(),
            state: StateComponents::genesis(),
            tx_root: [7; 32],
            tx_count: 1,
            data_root: data_root(data),
            data_len: data.len() as u32,
            params: params().into(),
        };
        self.headers.push(header);
        let ring = self.chain.slots.len() as u64;
        let place = &mut self.chain.slots[(number % ring) as usize];
        place.number = number;
        place.hash = header.hash();
        place.window_end = slot + WINDOW;
        self.chain.tip_number = number;
        self.chain.final_number = number.saturating_sub(3);
        let (me, account) = (self.key.pubkey(), self.data_account());
        let post = make::post_batch(&me, &account, &header, None);
        self.put(slot, &[post], false)
    }

    /// A stranger's transaction in `slot` that names the chain.
    fn stranger(&mut self, slot: u64, failed: bool) -> String {
        let chain = pda::chain(&self.rollup);
        let mut noise = transfer(&self.key.pubkey(), &Pubkey::default(), 1);
        noise.accounts.push(AccountMeta::new_readonly(chain, false));
        self.put(slot, &[noise], failed)
    }

    fn answer(&self, request: RpcRequest, params: &Value) -> common::Answer {
        match request {
            RpcRequest::GetAccountInfo => {
                assert_eq!(params[0].as_str().unwrap(), self.rollup.to_string());
                let mut data = Vec::new();
                rollup().try_serialize(&mut data).unwrap();
                at(0, params, account(&settlement::ID, 1, &data))
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
                Ok(part
                    .map(|(name, slot, failed)| entry(name, *slot, *failed))
                    .collect())
            }
            RpcRequest::GetTransaction => {
                let name = params[0].as_str().unwrap();
                if self.broken.contains(name) {
                    return Err(broken());
                }
                Ok(self.stored.get(name).cloned().unwrap_or(Value::Null))
            }
            other => panic!("{other}"),
        }
    }
}

fn entry(name: &str, slot: u64, failed: bool) -> Value {
    json!({
        "signature": name, "slot": slot, "memo": null, "blockTime": null,
        "err": failed.then_some("AccountNotFound"), "confirmationStatus": "confirmed",
    })
}

struct Served {
    rpc: Rpc,
    calls: Arc<Calls>,
    world: Arc<Mutex<World>>,
}

impl Served {
    fn new(world: World) -> Self {
        let world = Arc::new(Mutex::new(world));
        let shared = world.clone();
        let (rpc, calls) =
            node(move |request, params| shared.lock().unwrap().answer(request, params));
        let rpc = rpc.patience(std::time::Duration::from_millis(100));
        Self { rpc, calls, world }
    }

    /// What the reader finds after batch `known`.
    async fn read(&self, reader: &mut Reader, known: u64) -> Result<Vec<Posted>, BatchError> {
        let (chain, hashes): (Box<Chain>, Vec<Hash>) = {
            let world = self.world.lock().unwrap();
            let hashes = world.headers.iter().map(Header::hash);
            let hashes = hashes.take(known as usize).collect();
            (world.chain.clone(), hashes)
        };
        let known = |number: u64| hashes.get(number as usize - 1).copied();
        let ahead = reader.read(&self.rpc, &chain, known).await?;
        Ok(ahead.batches)
    }

    fn fetched(&self) -> usize {
        let fetched = self.calls.of(RpcRequest::GetTransaction).len();
        self.calls.clear();
        fetched
    }
}

fn numbers(posted: &[Posted]) -> Vec<u64> {
    posted.iter().map(|p| p.header.number).collect()
}

/// Of the newest batches L1 says in which slot they were posted: nothing of another one is fetched, nothing
/// that failed, and nothing that comes after all that L1 was asked about, until it was.
#[tokio::test]
async fn strangers_cost_who_follows_next_to_nothing() {
    let mut world = World::new();
    for slot in 1..=2_500 {
        world.stranger(slot, false);
        if [40, 1_200, 2_000].contains(&slot) {
            world.stranger(slot, true);
            world.post(slot, b"data");
        }
    }
    let rollup = world.rollup;
    let served = Served::new(world);
    let mut reader = Reader::new(rollup, None);
    let found = served.read(&mut reader, 0).await.unwrap();
    assert_eq!(numbers(&found), [1, 2, 3]);
    // The batches, and a stranger in the slot of each; those before the first may be older batches.
    assert_eq!(served.fetched(), 6 + 39);
    served.read(&mut reader, 3).await.unwrap();
    assert_eq!(served.fetched(), 0);

    {
        let mut world = served.world.lock().unwrap();
        for slot in 2_501..=4_000 {
            world.stranger(slot, false);
        }
        world.post(4_000, b"more");
        world.stranger(4_001, false);
    }
    let found = served.read(&mut reader, 3).await.unwrap();
    assert_eq!((numbers(&found), found[0].slot), (vec![4], 4_000));
    assert_eq!(served.fetched(), 2);
    // What the node lists behind what it has listed before is found as well, and nothing is fetched twice.
    let late = {
        let mut world = served.world.lock().unwrap();
        world.post(4_001, b"late");
        world.listed.pop().unwrap()
    };
    let missing = served.read(&mut reader, 4).await.unwrap_err();
    assert!(matches!(missing, BatchError::Missing { number: 5 }));
    {
        let mut world = served.world.lock().unwrap();
        let at = world.listed.len() - 1;
        world.listed.insert(at, late);
    }
    served.fetched();
    let found = served.read(&mut reader, 4).await.unwrap();
    assert_eq!(numbers(&found), [5]);
    assert_eq!(served.fetched(), 1);
}

/// A node that breaks down in the middle of a long history: the reader goes on where it was.
#[tokio::test]
async fn what_was_read_is_not_read_again_after_an_error() {
    let mut world = World::new();
    let mut names = Vec::new();
    for slot in 1..=1_500 {
        names.push(world.stranger(slot, false));
        if slot % 100 == 0 {
            names.push(world.post(slot, b"data"));
        }
    }
    let all = names.len();
    let rollup = world.rollup;
    // The newest three are pending: what comes between them is not fetched.
    let skipped = 2 * 99;
    for at in [200, 700, 1_200] {
        world.broken.insert(names[at].clone());
    }
    let served = Served::new(world);
    let mut reader = Reader::new(rollup, None);
    let mut fetched = 0;
    for at in [1_200, 700, 200] {
        let failed = served.read(&mut reader, 0).await.unwrap_err();
        assert!(matches!(failed, BatchError::Rpc(_)), "{failed}");
        fetched += served.fetched();
        served.world.lock().unwrap().broken.remove(&names[at]);
    }
    let found = served.read(&mut reader, 0).await.unwrap();
    assert_eq!(found.len(), 15);
    fetched += served.fetched();
    // At each error a part that was begun, and the tries of what failed.
    assert!(fetched < all - skipped + 3 * 100, "{fetched} of {all}");
    // One that has come since is all that is read then.
    served.world.lock().unwrap().post(1_600, b"new");
    assert_eq!(served.read(&mut reader, 15).await.unwrap().len(), 1);
    assert_eq!(served.fetched(), 1);
}

#[tokio::test]
async fn data_is_found_through_errors_and_strangers() {
    let mut world = World::new();
    let account = world.data_account();
    let me = world.key.pubkey();
    let data: Vec<u8> = (0..40 * CHUNK).map(|i| (i / 7) as u8).collect();
    let [_, open] = make::open_data(&world.rollup, &me, 1, data.len() as u32, 0);
    world.put(1, &[open], false);
    let mut names = Vec::new();
    for (i, chunk) in (0..).zip(data.chunks(CHUNK)) {
        let write = make::write_chunks(&me, &account, i, chunk.to_vec());
        names.push(world.put(2, &[write], false));
        for _ in 0..20 {
            names.push(world.stranger(2, false));
        }
    }
    world.post(3, &data);
    let rollup = world.rollup;
    let served = Served::new(world);
    let mut reader = Reader::new(rollup, None);
    let posted = served.read(&mut reader, 0).await.unwrap()[0];
    served.fetched();
    let fails = names[400].clone();
    served.world.lock().unwrap().broken.insert(fails);
    let failed = reader.data().read(&served.rpc, &posted).await;
    assert!(matches!(failed, Err(BatchError::Rpc(_))));
    let before = served.fetched();
    served.world.lock().unwrap().broken.clear();
    let read = reader.data().read(&served.rpc, &posted).await.unwrap();
    assert!(read == data);
    let after = served.fetched();
    let fetched = before + after;
    assert!(
        after < 450 && fetched < names.len() + 50,
        "{fetched} of {}",
        names.len()
    );
}

/// A node may make up signatures for ever.
#[tokio::test]
async fn a_list_that_does_not_end_holds_nobody_up() {
    let world = Arc::new(Mutex::new(World::new()));
    let (rollup_address, chain, header) = {
        let mut world = world.lock().unwrap();
        world.post(5, b"data");
        (world.rollup, world.chain.clone(), world.headers[0])
    };
    let shared = world.clone();
    let made_up = std::sync::atomic::AtomicU64::new(0);
    let (rpc, calls) = node(move |request, params| match request {
        RpcRequest::GetSignaturesForAddress => {
            let page = (0..1_000).map(|_| {
                let n = made_up.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let mut name = [1; 64];
                name[..8].copy_from_slice(&n.to_le_bytes());
                entry(
                    &solana_signature::Signature::from(name).to_string(),
                    6,
                    false,
                )
            });
            Ok(page.collect())
        }
        _ => shared.lock().unwrap().answer(request, params),
    });
    let mut reader = Reader::new(rollup_address, None);
    let lost = reader.read(&rpc, &chain, |_| None).await;
    assert!(matches!(lost, Err(BatchError::Missing { number: 1 })));
    assert_eq!(
        calls.of(RpcRequest::GetTransaction).len(),
        0,
        "all after the batch"
    );
    let address = pda::chain(&rollup_address);
    let all = assay_client::history::all(&rpc, &address, None);
    let all = all.await.unwrap();
    assert_eq!(all.len(), assay_client::history::MOST);
    let posted = Posted {
        header,
        data: pda::batch_data(&Pubkey::default(), 1),
        signature: all[0].signature,
        slot: 5,
        lamports: 0,
        bytes: 0,
    };
    let lost = reader.data().read(&rpc, &posted).await;
    assert!(matches!(lost, Err(BatchError::Data { number: 1 })));
}
