//! The client's inbox reader and its deployment against a real chain.

use assay::dev::chain::{Chain, Options as ChainOptions};
use assay::dev::network::{LAMPORTS, create_rollup, deploy_programs, dev_rollup, send_options};
use assay_client::accounts;
use assay_client::deploy::{Deployed, airdrop};
use assay_client::inbox::{InboxError, Reader};
use assay_client::instructions::settlement::force;
use assay_client::l1::L1;
use assay_client::pda;
use assay_client::rpc::Rpc;
use assay_client::sender::{Order, Sender};
use assay_client::wallet::Wallet;
use assay_ledger::inbox::{Deposit, Forced, GENESIS, MessageKind, chain_next};
use assay_ledger::state::InboxHead;
use settlement::constants::PAGE_ENTRIES;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_system_interface::instruction::transfer;
use std::time::Duration;

const START: InboxHead = InboxHead {
    cursor: 0,
    chain: GENESIS,
};

fn forced(wallet: &Wallet, amount: u64) -> Forced {
    Forced::Withdraw {
        owner: wallet.key(),
        mint: assay_ledger::SOL,
        recipient: wallet.key(),
        amount,
    }
}

/// Forced withdrawals of these amounts, all on `page`, many at a time.
async fn force_all(
    sender: &Sender,
    wallet: &Wallet,
    rollup: &Pubkey,
    page: u64,
    amounts: std::ops::Range<u64>,
) {
    let me = wallet.address();
    let orders = amounts.map(|amount| {
        let instruction = force(rollup, &me, &me, page, &forced(wallet, amount));
        Order::new("force", wallet.keypair(), vec![instruction]).units(100_000)
    });
    sender.send_all(orders.collect(), 32).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_is_read_in_order_across_pages_and_strangers_change_nothing() {
    let chain = Chain::start(ChainOptions {
        slot: Duration::from_millis(50),
        ..Default::default()
    })
    .await
    .unwrap();
    let rpc = Rpc::new(chain.rpc_url());
    let sender = Sender::new(rpc.clone(), send_options(chain.slot()));
    let wallet = Wallet::random();
    airdrop(&rpc, &wallet.address(), 1_000 * LAMPORTS)
        .await
        .unwrap();

    let outcome = deploy_programs(&sender, &wallet, |_, _| {}).await.unwrap();
    assert_eq!(outcome, [Deployed::New; 3]);
    let before = rpc.balance(&wallet.address()).await.unwrap();
    let outcome = deploy_programs(&sender, &wallet, |_, _| {}).await.unwrap();
    assert_eq!(outcome, [Deployed::Already; 3]);
    assert_eq!(rpc.balance(&wallet.address()).await.unwrap(), before);

    let rollup = create_rollup(&sender, &wallet, 3, dev_rollup())
        .await
        .unwrap();
    assert_eq!(
        create_rollup(&sender, &wallet, 3, dev_rollup())
            .await
            .unwrap(),
        rollup
    );
    let mut reader = Reader::new(rollup, START);
    assert!(reader.read(&rpc).await.unwrap().is_empty());

    // A deposit, which comes by an inner instruction.
    let l1 = L1::new(sender.clone(), rollup, wallet.clone());
    l1.deposit_sol(&wallet.address(), LAMPORTS).await.unwrap();
    // A stranger's transaction that names the page.
    let page = pda::inbox_page(&rollup, 0);
    let mut noise = transfer(&wallet.address(), &Pubkey::new_unique(), LAMPORTS);
    noise.accounts.push(AccountMeta::new_readonly(page, false));
    let order = Order::new("noise", wallet.keypair(), vec![noise]);
    sender.send(&order).await.unwrap();
    // A forced message, with a byte more than it needs: L1 takes it, so it is there. And one that
    // fails and must not be taken.
    let me = wallet.address();
    let mut longer = force(&rollup, &me, &me, 0, &forced(&wallet, 7));
    longer.data.push(0);
    let order = Order::new("force", wallet.keypair(), vec![longer]).units(100_000);
    sender.send(&order).await.unwrap();
    let wrong = force(
        &rollup,
        &wallet.address(),
        &wallet.address(),
        0,
        &forced(&wallet, 8),
    );
    let fails: Instruction = transfer(&wallet.address(), &rollup, u64::MAX);
    let order = Order::new("fails", wallet.keypair(), vec![wrong, fails]);
    assert!(sender.send(&order).await.is_err());

    let messages = reader.read(&rpc).await.unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].message.kind, MessageKind::Deposit);
    let deposit = Deposit {
        owner: wallet.key(),
        mint: assay_ledger::SOL,
        amount: LAMPORTS,
    };
    assert_eq!(
        messages[0].message.payload,
        borsh::to_vec(&deposit).unwrap()
    );
    assert_eq!(messages[1].message.kind, MessageKind::Forced);
    let payload = borsh::to_vec(&forced(&wallet, 7)).unwrap();
    assert_eq!(messages[1].message.payload, payload);
    let middle = reader.position();

    // Across the page's end; in one slot, in no order that a client could tell.
    let entries = PAGE_ENTRIES as u64;
    force_all(&sender, &wallet, &rollup, 0, 2..entries).await;
    force_all(&sender, &wallet, &rollup, 1, entries..entries + 5).await;
    let rest = reader.read(&rpc).await.unwrap();
    assert_eq!(rest.len() as u64, entries + 5 - 2);
    let (mut cursor, mut value) = (middle.cursor, middle.chain);
    for m in &rest {
        assert_eq!(m.index, cursor);
        value = chain_next(&value, cursor, m.message.kind, &m.message.payload);
        assert_eq!(m.chain, value);
        cursor += 1;
    }
    let on_chain = accounts::rollup(&rpc, &rollup).await.unwrap();
    assert_eq!(on_chain.inbox_count, cursor);
    assert_eq!(on_chain.inbox_chain, value);
    assert_eq!(
        reader.position(),
        InboxHead {
            cursor,
            chain: value
        }
    );
    assert!(reader.read(&rpc).await.unwrap().is_empty());

    // From the middle, as after a restart.
    let mut again = Reader::new(rollup, middle);
    let again = again.read(&rpc).await.unwrap();
    assert_eq!(again.len(), rest.len());
    for (a, b) in again.iter().zip(&rest) {
        assert_eq!(
            (a.index, &a.message, a.chain),
            (b.index, &b.message, b.chain)
        );
    }
    // From a position that is not on this chain.
    let mut lost = Reader::new(
        rollup,
        InboxHead {
            cursor,
            chain: GENESIS,
        },
    );
    assert!(matches!(
        lost.read(&rpc).await,
        Err(InboxError::Diverged { .. })
    ));
    let mut lost = Reader::new(
        rollup,
        InboxHead {
            cursor: 1,
            chain: GENESIS,
        },
    );
    assert!(matches!(
        lost.read(&rpc).await,
        Err(InboxError::Missing { index: 1 })
    ));
    chain.stop().await.unwrap();
}
