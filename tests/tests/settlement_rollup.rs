//! `initialize_rollup`, and the formats that everything else builds on.

use anchor_lang::AnchorSerialize;
use assay_ledger::header::genesis_hash;
use assay_ledger::state::StateComponents;
use assay_tests::batch::Draft;
use assay_tests::rollup::{TestRollup, bridge_id, config, encode, escrow_id};
use assay_tests::svm::{accepted, refused};
use settlement::constants::{INBOX_RECORD_BYTES, MAX_DATA, RING};
use settlement::errors::SettlementError as E;
use settlement::events::RollupInitialized;
use settlement::seeds;
use settlement::state::{Chain, Config, Rollup};
use solana_signer::Signer;

#[test]
fn starts_at_genesis() {
    let mut r = TestRollup::unregistered(&["settlement"], config());
    let sent = accepted(r.initialize(8, config()));
    let address = seeds::rollup(8);
    let rollup: Rollup = r.svm.read(&address);
    assert_eq!((rollup.version, rollup.id), (2, 8));
    assert_eq!(rollup.authority, r.authority.pubkey());
    assert_eq!(rollup.config, config());
    assert_eq!(
        (rollup.rules, rollup.codec),
        (assay_ledger::RULES_VERSION, 1)
    );
    assert_eq!(rollup.bridge_sender, seeds::sender(&bridge_id(), &address));
    assert_eq!(rollup.escrow_sender, seeds::sender(&escrow_id(), &address));
    assert_eq!((rollup.inbox_count, rollup.inbox_fees), (0, 0));
    assert_eq!(rollup.inbox_chain, [0; 32]);

    let chain: Chain = r.svm.read(&seeds::chain(&address));
    let genesis = genesis_hash(&address.to_bytes());
    assert_eq!((chain.final_number, chain.tip_number), (0, 0));
    assert_eq!(chain.tip().hash, genesis);
    assert_eq!(
        chain.final_outbox(0).unwrap(),
        StateComponents::genesis().outbox
    );
    assert!(chain.live(0, &genesis).is_none(), "genesis is final");
    let event: RollupInitialized = sent.event();
    assert_eq!((event.rollup, event.genesis), (address, genesis));
    assert_eq!(event.config, config());
}

#[test]
fn an_id_is_taken_once() {
    let mut r = TestRollup::unregistered(&["settlement"], config());
    // The system program: the account is in use.
    refused(r.initialize(7, config()), 0u32);
}

#[test]
fn refuses_values_out_of_range() {
    let mut r = TestRollup::unregistered(&["settlement"], config());
    type Change = fn(&mut Config);
    let cases: &[(&str, Change)] = &[
        ("a window too short for demands", |c| c.params.window = 23),
        ("a window over 32 bits", |c| {
            c.params.window = 1 << 32;
            c.unbond_delay = 1 << 33;
        }),
        ("no slice", |c| c.params.bond_slice = 0),
        ("no units", |c| c.params.max_units = 0),
        ("no records", |c| c.params.max_records = 0),
        ("no data", |c| c.params.max_data = 0),
        ("more data than can be sealed", |c| {
            c.params.max_data = MAX_DATA + 1
        }),
        ("a share over the whole", |c| {
            c.params.sequencer_share = 10_001
        }),
        ("a model callable at once", |c| c.params.model_delay = 0),
        ("no clock", |c| c.params.clock = 0),
        ("a clock that never runs out", |c| {
            c.params.clock = 1 << 32;
        }),
        ("no extension", |c| c.params.extension = 0),
        ("an extension over the clock", |c| {
            c.params.extension = c.params.clock + 1
        }),
        ("no bond of a challenger", |c| c.params.dispute_bond = 0),
        ("an unbonding before the window's end", |c| {
            c.unbond_delay = 99
        }),
        ("no overdue message to consume", |c| c.inbox_batch = 0),
        ("more overdue messages than records", |c| {
            c.inbox_batch = c.params.max_records + 1
        }),
        ("more overdue messages than fit the data", |c| {
            c.params.max_data = 4 * 32 - 1
        }),
        ("one program for both parts", |c| c.escrow = c.bridge),
    ];
    for (id, (name, change)) in cases.iter().enumerate() {
        let mut bad = config();
        change(&mut bad);
        println!("{name}");
        refused(r.initialize(100 + id as u64, bad), E::BadConfig);
    }
    accepted(r.initialize(100, config()));
}

/// The header of the IDL is the ledger's, byte for byte.
#[test]
fn the_header_is_encoded_as_in_the_ledger() {
    let r = TestRollup::unregistered(&["settlement"], config());
    let mut header = Draft::new(&r, 3).header;
    header.state.units = 77;
    header.state.models.count = 5;
    header.state.inbox.cursor = 6;
    header.params.model_delay = 9;
    let ledger = header.to_ledger().unwrap();
    let mut bytes = Vec::new();
    ledger.serialize(&mut bytes).unwrap();
    assert_eq!(encode(&header), bytes);
    assert_eq!(settlement::header::BatchHeader::from(&ledger), header);
}

/// A configuration that is accepted lets a batch hold what the overdue rule demands.
#[test]
fn inbox_records_are_as_small_as_the_configuration_assumes() {
    use assay_ledger::transaction::Transaction;
    for record in [Transaction::Inbox, Transaction::DeclineJob] {
        for count in 1..200 {
            let bytes = assay_ledger::codec::encode(&vec![record.clone(); count]).len() as u64;
            assert!(
                bytes <= count as u64 * INBOX_RECORD_BYTES,
                "{count}: {bytes}"
            );
        }
    }
}

/// What clients and indexers rely on: addresses, sizes and the names of accounts and events.
#[test]
fn the_formats_are_pinned() {
    use anchor_lang::Discriminator;
    use settlement::state::{BatchData, InboxPage, Sequencer};
    assert_eq!(
        settlement::ID.to_string(),
        "5Cu7XjEXBBfBQx9j3QezLaNm3AsKjjyiNpzKWRSVzaaY"
    );
    assert_eq!(Rollup::size(), 340);
    assert_eq!(Chain::size(), 64 + RING * 168);
    assert_eq!(Sequencer::size(), 130);
    assert_eq!(InboxPage::size(), 6_280);
    assert_eq!(BatchData::sealed_size(), 376);
    assert_eq!(BatchData::size(929), 376 + 64);
    assert_eq!(seeds::data_seed(0xa1b2), "dataa1b2");
    // The first bytes of SHA-256 of "account:<name>".
    assert_eq!(hex(Rollup::DISCRIMINATOR), hex(&sha("account:Rollup")[..8]));
    assert_eq!(hex(Chain::DISCRIMINATOR), hex(&sha("account:Chain")[..8]));
}

/// The accounts' real sizes are those that `size()` promises.
#[test]
fn accounts_have_their_sizes() {
    let mut r = TestRollup::new(1);
    let user = r.svm.rich_key();
    accepted(r.force(&user));
    let size = |address| r.svm.account(&address).unwrap().data.len();
    assert_eq!(size(r.address), Rollup::size());
    assert_eq!(encode(&r.account()).len() + 8, Rollup::size());
    assert_eq!(size(r.chain()), Chain::size());
    let key = r.sequencer.pubkey();
    assert_eq!(
        encode(&r.sequencer_account(&key)).len() + 8,
        size(seeds::sequencer(&r.address, &key))
    );
}

fn sha(text: &str) -> [u8; 32] {
    assay_tensor::hash::hashv(&[text.as_bytes()])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
