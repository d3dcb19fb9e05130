//! The client's reader of batches against a real chain: a poster that makes it as hard as it can.

use assay::dev::chain::{Chain, Options as ChainOptions};
use assay::dev::network::{
    LAMPORTS, bond, create_rollup, deploy_programs, dev_rollup, send_options,
};
use assay_client::accounts;
use assay_client::batches::{Ahead, BatchError, Posted, Reader};
use assay_client::deploy::airdrop;
use assay_client::instructions::settlement as make;
use assay_client::pda;
use assay_client::rpc::Rpc;
use assay_client::sender::{Order, Sender};
use assay_client::wallet::Wallet;
use assay_ledger::Hash;
use assay_ledger::data::{CHUNK, data_root};
use assay_ledger::header::{Header, Lane, genesis_hash};
use assay_ledger::state::{InboxHead, StateComponents};
use assay_ledger::{RULES_VERSION, codec};
use settlement::state::BatchData;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction::{create_account, transfer};
use std::sync::Arc;
use std::time::Duration;

struct World {
    chain: Chain,
    rpc: Rpc,
    sender: Sender,
    wallet: Wallet,
    rollup: Pubkey,
}

impl World {
    async fn start() -> Self {
        let chain = Chain::start(ChainOptions {
            slot: Duration::from_millis(50),
            ..Default::default()
        })
        .await
        .unwrap();
        let rpc = Rpc::new(chain.rpc_url());
        let sender = Sender::new(rpc.clone(), send_options(chain.slot()));
        let wallet = Wallet::random();
        let operator = Wallet::random();
        airdrop(&rpc, &wallet.address(), 1_000 * LAMPORTS)
            .await
            .unwrap();
        airdrop(&rpc, &operator.address(), 1_000 * LAMPORTS)
            .await
            .unwrap();
        deploy_programs(&sender, &operator, |_, _| {})
            .await
            .unwrap();
        let rollup = create_rollup(&sender, &operator, 0, dev_rollup())
            .await
            .unwrap();
        bond(&sender, &operator, &wallet, &rollup, 100 * LAMPORTS)
            .await
            .unwrap();
        Self {
            chain,
            rpc,
            sender,
            wallet,
            rollup,
        }
    }

    fn header(&self, number: u64, parent: Hash, data: &[u8]) -> Header {
        let genesis = StateComponents::genesis();
        Header {
            rollup: self.rollup.to_bytes(),
            rules: RULES_VERSION,
            codec: codec::VERSION,
            lane: Lane::L1,
            number,
            parent,
            sequencer: self.wallet.key(),
            state: StateComponents {
                inbox: InboxHead {
                    cursor: 0,
                    ..genesis.inbox
                },
                ..genesis
            },
            tx_root: [7; 32],
            tx_count: 1,
            data_root: data_root(data),
            data_len: data.len() as u32,
            params: dev_rollup().params.into(),
        }
    }

    async fn send(&self, instructions: Vec<Instruction>, also: Option<&Arc<Keypair>>) {
        let mut order = Order::new("test", self.wallet.keypair(), instructions).units(400_000);
        if let Some(key) = also {
            order = order.signer(key);
        }
        self.sender.send(&order).await.unwrap();
    }

    fn write(&self, account: &Pubkey, data: &[u8], first: usize, count: usize) -> Instruction {
        let end = data.len().min((first + count) * CHUNK);
        let bytes = data[first * CHUNK..end].to_vec();
        make::write_chunks(&self.wallet.address(), account, first as u32, bytes)
    }

    /// Posts a batch whose data is sealed.
    async fn post(&self, data: &Pubkey, header: &Header) -> Instruction {
        let account = self.rpc.zero_copy::<BatchData>(data, "batch's data").await;
        let writes = account.unwrap().unwrap().write_slots();
        let chain = accounts::chain(&self.rpc, &self.rollup).await.unwrap();
        let parent = chain.tip().posted_slot(dev_rollup().params.window);
        make::post_batch(&self.wallet.address(), data, header, None, parent, writes)
    }

    async fn read(&self, reader: &mut Reader, known: &[Hash]) -> Result<Ahead, BatchError> {
        let chain = accounts::chain(&self.rpc, &self.rollup).await.unwrap();
        let known = |number: u64| known.get(number as usize - 1).copied();
        reader.read(&self.rpc, &chain, known).await
    }
}

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|i| (i as u8).wrapping_mul(31) ^ seed)
        .collect()
}

fn hashes(batches: &[Posted]) -> Vec<Hash> {
    batches.iter().map(|p| p.header.hash()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_data_are_read_from_instructions_alone() {
    let world = World::start().await;
    let me = world.wallet.address();
    let rollup = world.rollup;
    let mut reader = Reader::new(rollup);
    let none = world.read(&mut reader, &[]).await.unwrap();
    assert_eq!((none.common, none.batches.len()), (0, 0));

    // Batch 1 at the usual address, after an earlier life of the account with other data and with
    // chunks that were written twice.
    let usual = pda::batch_data(&me, 1);
    let (old, data) = (bytes(CHUNK + 1, 9), bytes(3 * CHUNK + 17, 1));
    let rent = world.rpc.rent(BatchData::size(4 << 10)).await.unwrap();
    let [create, open] = make::open_data(&rollup, &me, 1, old.len() as u32, rent);
    world
        .send(vec![create, open, world.write(&usual, &old, 0, 2)], None)
        .await;
    world.send(vec![make::close_data(&me, &usual)], None).await;
    let [create, open] = make::open_data(&rollup, &me, 1, data.len() as u32, rent);
    world.send(vec![create, open], None).await;
    world
        .send(vec![world.write(&usual, &data, 2, 2)], None)
        .await;
    let wrong = bytes(data.len(), 5);
    world
        .send(vec![world.write(&usual, &wrong, 0, 2)], None)
        .await;
    // A stranger names the account, and a write that fails.
    let mut noise = transfer(&me, &Pubkey::new_unique(), LAMPORTS);
    noise.accounts.push(AccountMeta::new_readonly(usual, false));
    let fails = transfer(&me, &rollup, u64::MAX);
    let order = Order::new(
        "fails",
        world.wallet.keypair(),
        vec![world.write(&usual, &wrong, 2, 2), fails],
    );
    assert!(world.sender.send(&order).await.is_err());
    world.send(vec![noise], None).await;
    // The rest and the seal in one transaction, the post and the close in another. Some with bytes behind
    // their arguments, which L1 does not look at.
    let first = world.header(1, genesis_hash(&rollup.to_bytes()), &data);
    let mut instructions = vec![
        world.write(&usual, &data, 0, 1),
        world.write(&usual, &data, 1, 1),
        make::seal_data(&me, &usual),
    ];
    instructions[1].data.push(0);
    world.send(instructions, None).await;
    let mut instructions = vec![
        world.post(&usual, &first).await,
        make::close_data(&me, &usual),
    ];
    instructions[0].data.extend([1, 2, 3]);
    world.send(instructions, None).await;
    // Another life at the same address after it.
    let [create, open] = make::open_data(&rollup, &me, 1, old.len() as u32, rent);
    world
        .send(vec![create, open, world.write(&usual, &old, 0, 2)], None)
        .await;

    let ahead = world.read(&mut reader, &[]).await.unwrap();
    assert_eq!(ahead.common, 0);
    assert_eq!(hashes(&ahead.batches), [first.hash()]);
    let posted = ahead.batches[0].clone();
    assert_eq!((posted.header, posted.data), (first, usual));
    assert_eq!(posted.lamports, 5_000);
    assert_eq!(reader.data().read(&world.rpc, &posted).await.unwrap(), data);

    // Batch 2 at an address of the poster's choice.
    let other = Arc::new(Keypair::new());
    let address = other.pubkey();
    let small = bytes(100, 2);
    let second = world.header(2, first.hash(), &small);
    let size = BatchData::size(100);
    let rent = world.rpc.rent(size).await.unwrap();
    let mut open = make::open_data(&rollup, &me, 2, 100, rent)[1].clone();
    for account in &mut open.accounts {
        if account.pubkey == pda::batch_data(&me, 2) {
            account.pubkey = address;
        }
    }
    world
        .send(
            vec![
                create_account(&me, &address, rent, size as u64, &settlement::ID),
                open,
                world.write(&address, &small, 0, 1),
                make::seal_data(&me, &address),
            ],
            Some(&other),
        )
        .await;
    world
        .send(vec![world.post(&address, &second).await], None)
        .await;
    let known = [first.hash()];
    let ahead = world.read(&mut reader, &known).await.unwrap();
    assert_eq!(ahead.common, 1);
    assert_eq!(hashes(&ahead.batches), [second.hash()]);
    let posted = ahead.batches[0].clone();
    assert_eq!(
        reader.data().read(&world.rpc, &posted).await.unwrap(),
        small
    );
    // What is asked of the data is what the header says.
    let mut lie = posted;
    lie.header.data_root[0] ^= 1;
    let read = reader.data().read(&world.rpc, &lie).await;
    assert!(matches!(read, Err(BatchError::Data { number: 2 })));

    // A new reader from the start, and one that knows all, or other batches.
    let both = [first.hash(), second.hash()];
    let mut fresh = Reader::new(rollup);
    let ahead = world.read(&mut fresh, &[]).await.unwrap();
    assert_eq!((ahead.common, hashes(&ahead.batches)), (0, both.to_vec()));
    let mut idle = Reader::new(rollup);
    let ahead = world.read(&mut idle, &both).await.unwrap();
    assert_eq!((ahead.common, ahead.batches.len()), (2, 0));
    let reverted = world.read(&mut fresh, &[first.hash(), [1; 32]]).await;
    let reverted = reverted.unwrap();
    assert_eq!(reverted.common, 1);
    assert_eq!(hashes(&reverted.batches), [second.hash()]);

    // Once they are final, another history is another chain's.
    loop {
        let order = Order::new(
            "finalise",
            world.wallet.keypair(),
            vec![make::finalize_batch(&rollup, &me); 2],
        );
        if world.sender.send(&order).await.is_ok() {
            break;
        }
    }
    let other = world.read(&mut fresh, &[first.hash(), [1; 32]]).await;
    assert!(matches!(other, Err(BatchError::Diverged { number: 2 })));
    fresh.forget(2);
    let ahead = world.read(&mut fresh, &both).await.unwrap();
    assert_eq!((ahead.common, ahead.batches.len()), (2, 0));
    world.chain.stop().await.unwrap();
}
