//! The reader of batches behind nodes that fail and lie, and among strangers.

mod common;
#[path = "common/world.rs"]
mod world;

use assay_client::batches::{BatchError, Posted, Reader};
use assay_client::instructions::settlement as make;
use assay_client::pda;
use assay_client::rpc::Rpc;
use assay_ledger::Hash;
use assay_ledger::data::CHUNK;
use assay_ledger::header::Header;
use common::{Calls, node};
use settlement::state::Chain;
use solana_client::rpc_request::RpcRequest;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::sync::{Arc, Mutex};
use world::{World, entry};

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

/// L1 says in which slot each batch was posted: nothing of another one is fetched, and a slot full of junk
/// costs one call.
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
    let mut reader = Reader::new(rollup);
    let found = served.read(&mut reader, 0).await.unwrap();
    assert_eq!(numbers(&found), [1, 2, 3]);
    // The batches, and a stranger in the slot of each.
    assert_eq!(served.fetched(), 6);
    served.read(&mut reader, 3).await.unwrap();
    assert_eq!(served.fetched(), 0);

    {
        let mut world = served.world.lock().unwrap();
        for i in 0..3_000 {
            world.stranger(4_000, false);
            if i == 1_500 {
                world.post(4_000, b"more");
            }
        }
        world.stranger(4_001, false);
    }
    let found = served.read(&mut reader, 3).await.unwrap();
    assert_eq!((numbers(&found), found[0].slot), (vec![4], 4_000));
    assert_eq!(served.calls.of(RpcRequest::GetBlock).len(), 1);
    assert_eq!(served.fetched(), 0);
    // What the node lists late is found as well.
    let late = {
        let mut world = served.world.lock().unwrap();
        world.post(4_001, b"late");
        world.listed.pop().unwrap()
    };
    let missing = served.read(&mut reader, 4).await.unwrap_err();
    assert!(matches!(missing, BatchError::Missing { number: 5 }));
    served.world.lock().unwrap().listed.push(late);
    let found = served.read(&mut reader, 4).await.unwrap();
    assert_eq!(numbers(&found), [5]);
}

/// A node that serves no blocks is asked for the transactions one by one.
#[tokio::test]
async fn a_node_without_blocks_delays_and_hides_nothing() {
    let mut world = World::new();
    world.blocks = false;
    for i in 0..500 {
        world.stranger(7, false);
        if i == 250 {
            world.post(7, b"data");
        }
    }
    let rollup = world.rollup;
    let served = Served::new(world);
    let found = served.read(&mut Reader::new(rollup), 0).await.unwrap();
    assert_eq!(numbers(&found), [1]);
    assert_eq!(served.fetched(), 501);
}

/// A node that breaks down in the middle of a long history: what was listed is not listed again.
#[tokio::test]
async fn what_was_read_is_not_read_again_after_an_error() {
    let mut world = World::new();
    let mut names = Vec::new();
    for slot in 1..=15 {
        for _ in 0..1_000 {
            world.stranger(slot, true);
        }
        names.push(world.post(slot, b"data"));
    }
    let rollup = world.rollup;
    for at in [2, 7, 12] {
        world.broken.insert(names[at].clone());
    }
    let served = Served::new(world);
    let mut reader = Reader::new(rollup);
    let mut listed = 0;
    let mut count = || {
        listed += served.calls.of(RpcRequest::GetSignaturesForAddress).len();
        listed
    };
    for at in [12, 7, 2] {
        let failed = served.read(&mut reader, 0).await.unwrap_err();
        assert!(matches!(failed, BatchError::Rpc(_)), "{failed}");
        count();
        served.fetched();
        served.world.lock().unwrap().broken.remove(&names[at]);
    }
    let found = served.read(&mut reader, 0).await.unwrap();
    assert_eq!(found.len(), 15);
    assert!(count() <= 17, "{}", count());
    served.fetched();
    // One that has come since is all that is read then.
    served.world.lock().unwrap().post(1_600, b"new");
    assert_eq!(served.read(&mut reader, 15).await.unwrap().len(), 1);
    assert_eq!(served.fetched(), 1);
}

/// Junk in the very slots of the writes: what a reader does more is bounded by the number of these slots.
#[tokio::test]
async fn data_is_found_through_errors_and_strangers() {
    let mut world = World::new();
    let me = world.key.pubkey();
    let data: Vec<u8> = (0..40 * CHUNK).map(|i| (i / 7) as u8).collect();
    let [_, open] = make::open_data(&world.rollup, &me, 1, data.len() as u32, 0);
    world.put(1, &[open], false);
    let mut names = Vec::new();
    for (i, chunk) in (0..).zip(data.chunks(CHUNK)) {
        let slot = 2 + u64::from(i / 4);
        for _ in 0..20 {
            world.stranger(slot, false);
        }
        names.push(world.write(slot, i, chunk));
    }
    for _ in 0..5_000 {
        world.stranger(50, false);
    }
    world.post(60, &data);
    let rollup = world.rollup;
    let served = Served::new(world);
    let mut reader = Reader::new(rollup);
    let posted = served.read(&mut reader, 0).await.unwrap()[0].clone();
    served.fetched();
    // A transaction of the last slot, which is not read with its block yet.
    served
        .world
        .lock()
        .unwrap()
        .broken
        .insert(names[39].clone());
    served.world.lock().unwrap().blocks = false;
    let failed = reader.data().read(&served.rpc, &posted).await;
    assert!(matches!(failed, Err(BatchError::Rpc(_))));
    {
        let mut world = served.world.lock().unwrap();
        world.broken.clear();
        world.blocks = true;
    }
    served.fetched();
    let read = reader.data().read(&served.rpc, &posted).await.unwrap();
    assert!(read == data);
    assert_eq!(served.calls.of(RpcRequest::GetBlock).len(), 10);
    assert_eq!(served.fetched(), 0);
}

/// A node may make up signatures for ever.
#[tokio::test]
async fn a_list_that_does_not_end_holds_nobody_up() {
    let world = Arc::new(Mutex::new(World::new()));
    let (rollup, chain) = {
        let mut world = world.lock().unwrap();
        world.post(5, b"data");
        world.blocks = false;
        (world.rollup, world.chain.clone())
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
    let mut reader = Reader::new(rollup);
    let lost = reader.read(&rpc, &chain, |_| None).await;
    assert!(matches!(lost, Err(BatchError::Busy { number: 1 })));
    assert_eq!(
        calls.of(RpcRequest::GetTransaction).len(),
        0,
        "all after the batch"
    );
    // Where it gives blocks, its list does not matter.
    world.lock().unwrap().blocks = true;
    let found = Reader::new(rollup).read(&rpc, &chain, |_| None).await;
    assert_eq!(numbers(&found.unwrap().batches), [1]);
    world.lock().unwrap().blocks = false;
    let address = pda::chain(&rollup);
    let newest = assay_client::history::newest(&rpc, &address, 5_000).await;
    assert_eq!(newest.unwrap().len(), 5_000);
    let unfound = Posted {
        header: world.lock().unwrap().headers[0],
        data: pda::batch_data(&Pubkey::default(), 1),
        signature: solana_signature::Signature::default(),
        slot: 5,
        parent_slot: 0,
        writes: world::write_slots(&[4]),
        lamports: 0,
        bytes: 0,
    };
    let lost = reader.data().read(&rpc, &unfound).await;
    assert!(matches!(lost, Err(BatchError::Busy { number: 1 })));
}

/// A poster that closes its data account and writes another life of it in the very slot of its post: what a block
/// has behind the post is not the batch's.
#[tokio::test]
async fn another_life_of_the_account_in_the_slot_of_the_post_is_not_the_batch_s() {
    for blocks in [true, false] {
        let mut world = World::new();
        // A block is nearer than the second page.
        world.page = 3;
        world.blocks = blocks;
        let me = world.key.pubkey();
        let data = vec![7; CHUNK + 3];
        let [_, open] = make::open_data(&world.rollup, &me, 1, data.len() as u32, 0);
        world.put(9, std::slice::from_ref(&open), false);
        world.write(9, 0, &data[..CHUNK]);
        world.write(9, 1, &data[CHUNK..]);
        let writes = world.writes.clone();
        world.post(9, &data);
        world.put(9, &[open], false);
        world.write(9, 0, &[8; CHUNK]);
        world.write(9, 1, &[8; 3]);
        assert_eq!(writes, [9, 9]);
        let rollup = world.rollup;
        let served = Served::new(world);
        let mut reader = Reader::new(rollup);
        let posted = served.read(&mut reader, 0).await.unwrap()[0].clone();
        // Junk before the post, so that the writes are far away in the list.
        {
            let mut world = served.world.lock().unwrap();
            let post = posted.signature.to_string();
            for _ in 0..40 {
                world.stranger(9, false);
                let junk = world.listed.pop().unwrap();
                let at = world.listed.iter().position(|(name, ..)| *name == post);
                world.listed.insert(at.unwrap(), junk);
            }
        }
        let read = reader.data().read(&served.rpc, &posted).await.unwrap();
        assert!(read == data);
        let asked = served.calls.of(RpcRequest::GetBlock).len();
        assert!(asked > 0, "the block was not asked for");
    }
}
