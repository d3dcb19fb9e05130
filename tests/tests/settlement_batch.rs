//! `post_batch` and `finalize_batch`.

use anchor_lang::InstructionData;
use anchor_lang::error::ErrorCode;
use assay_ledger::data::CHUNK;
use assay_ledger::state::TreeHead;
use assay_tests::batch::Draft;
use assay_tests::relay;
use assay_tests::rollup::{SLICE, TestRollup, config};
use assay_tests::svm::{Wire, accepted, instruction, refused};
use settlement::constants::{MAX_PENDING, PAGE_ENTRIES, RING};
use settlement::errors::SettlementError as E;
use settlement::events::{BatchFinalized, BatchPosted};
use settlement::header::BatchHeader;
use settlement::state::WriteSlots;
use settlement::{accounts, seeds};
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// The chain value after `count` messages.
fn chain_at(r: &TestRollup, count: u64) -> [u8; 32] {
    match count {
        0 => [0; 32],
        n => {
            let page = r.page((n - 1) / PAGE_ENTRIES as u64);
            page.entries[(n as usize - 1) % PAGE_ENTRIES].chain
        }
    }
}

mod post_batch {
    use super::*;

    #[test]
    fn becomes_the_tip() {
        let mut r = TestRollup::new(2);
        let user = r.svm.rich_key();
        accepted(r.force(&user));
        let outbox = TreeHead {
            count: 3,
            root: [8; 32],
        };
        let draft = Draft::new(&r, 20).outbox(outbox);
        let sent = r.settle(&draft);
        let chain = r.chain_account();
        assert_eq!((chain.final_number, chain.tip_number), (0, 1));
        let tip = chain.tip();
        assert_eq!((tip.hash, tip.number), (draft.hash(), 1));
        assert_eq!(tip.sequencer, r.sequencer.pubkey());
        assert_eq!((tip.window_end, tip.life), (r.svm.slot() + 100, 0));
        assert_eq!((tip.inbox_cursor, tip.inbox_fees), (1, 10_000));
        assert_eq!((tip.outbox_count, tip.outbox_root), (3, [8; 32]));
        assert_eq!(tip.bond_slice, SLICE);
        assert_eq!(chain.locked_bond(&r.sequencer.pubkey()).unwrap(), SLICE);
        assert!(chain.live(1, &draft.hash()).is_some());
        assert!(chain.live(1, &[0; 32]).is_none());
        assert!(chain.live(2, &draft.hash()).is_none());
        assert!(chain.final_outbox(1).is_err(), "not final");
        assert_eq!(r.account().inbox_cursor, 1);
        let event: BatchPosted = sent.event();
        assert_eq!((event.hash, event.header), (draft.hash(), draft.header));
    }

    #[test]
    fn refuses_whoever_is_no_sequencer() {
        let mut r = TestRollup::new(2);
        let stranger = r.svm.rich_key();
        let mut draft = Draft::new(&r, 1);
        r.publish(&draft);
        let data = draft.data_address();
        draft.header.sequencer = stranger.pubkey();
        refused(
            r.post_with(&stranger, data, &draft),
            ErrorCode::AccountNotInitialized,
        );
        // With the account of one who is.
        let instruction = instruction(
            settlement::ID,
            accounts::PostBatch {
                key: stranger.pubkey(),
                rollup: r.address,
                chain: r.chain(),
                sequencer: seeds::sequencer(&r.address, &r.sequencer.pubkey()),
                data,
                page: None,
            },
            r.post_arguments(data, &draft),
        );
        refused(
            r.svm.send(&[instruction], &[&stranger]),
            ErrorCode::ConstraintSeeds,
        );
    }

    /// Not every archive keeps inner instructions, and without the header nobody can open a dispute.
    #[test]
    fn refuses_to_be_called_by_a_program() {
        let mut r = TestRollup::new(2);
        relay::load(&mut r.svm);
        let key = r.sequencer.insecure_clone();
        let draft = Draft::new(&r, 1);
        r.publish(&draft);
        let post = r.post_instruction(&key, draft.data_address(), None, &draft);
        let inner = relay::through(post.clone());
        refused(
            r.svm.send_as(Wire::V1, &[inner], &[&key], &[]),
            E::InnerInstruction,
        );
        accepted(r.svm.send(&[post], &[&key]));
    }

    /// Every field that the program can check, wrong.
    #[test]
    fn refuses_each_wrong_field() {
        let mut r = TestRollup::new(4);
        let user = r.svm.rich_key();
        for _ in 0..2 {
            accepted(r.force(&user));
        }
        let first = Draft::new(&r, 5).outbox(TreeHead {
            count: 2,
            root: [1; 32],
        });
        r.settle(&first);
        accepted(r.force(&user));
        let good = Draft::new(&r, 5);
        r.publish(&good);
        type Change = fn(&mut BatchHeader);
        let cases: &[(&str, E, Change)] = &[
            ("rollup", E::HeaderMismatch, |h| h.rollup = seeds::rollup(8)),
            ("sequencer", E::HeaderMismatch, |h| {
                h.sequencer = Pubkey::new_from_array([4; 32])
            }),
            ("rules", E::WrongRules, |h| h.rules += 1),
            ("codec", E::WrongRules, |h| h.codec += 1),
            ("lane", E::UnknownLane, |h| h.lane = 1),
            ("window", E::WrongParams, |h| h.params.window = 1),
            ("slice", E::WrongParams, |h| h.params.bond_slice = 1),
            ("max_units", E::WrongParams, |h| h.params.max_units += 1),
            ("max_records", E::WrongParams, |h| h.params.max_records += 1),
            ("max_data", E::WrongParams, |h| h.params.max_data += 1),
            ("model_delay", E::WrongParams, |h| h.params.model_delay = 0),
            ("share", E::WrongParams, |h| h.params.sequencer_share += 1),
            ("clock", E::WrongParams, |h| h.params.clock += 1),
            ("extension", E::WrongParams, |h| h.params.extension += 1),
            ("bond", E::WrongParams, |h| h.params.dispute_bond += 1),
            ("the tip's number", E::WrongNumber, |h| h.number = 1),
            ("a number too far", E::WrongNumber, |h| h.number = 3),
            ("number 0", E::WrongNumber, |h| h.number = 0),
            ("the largest number", E::WrongNumber, |h| {
                h.number = u64::MAX
            }),
            ("parent", E::WrongParent, |h| h.parent[0] ^= 1),
            ("the tip's parent", E::WrongParent, |h| {
                h.parent = assay_ledger::header::genesis_hash(&h.rollup.to_bytes())
            }),
            ("a smaller outbox", E::OutboxShrank, |h| {
                h.state.outbox.count = 1
            }),
            ("a cursor going back", E::InboxCursor, |h| {
                h.state.inbox.cursor = 1
            }),
            ("a cursor past the end", E::InboxCursor, |h| {
                h.state.inbox.cursor = 4
            }),
            ("the largest cursor", E::InboxCursor, |h| {
                h.state.inbox.cursor = u64::MAX
            }),
            ("a forged chain value", E::InboxChain, |h| {
                h.state.inbox.chain[31] ^= 1
            }),
            ("no transactions", E::InboxCursor, |h| h.tx_count = 0),
            ("too many transactions", E::OverCap, |h| h.tx_count = 1_001),
            ("too many units", E::OverCap, |h| h.state.units = 1_000_001),
            ("too many accounts", E::OverCap, |h| {
                h.state.accounts.count = (1 << 24) + 1
            }),
            ("too many models", E::OverCap, |h| {
                h.state.models.count = (1 << 16) + 1
            }),
            ("too many messages", E::OverCap, |h| {
                h.state.outbox.count = (1 << 32) + 1
            }),
            ("another data root", E::DataMismatch, |h| {
                h.data_root[0] ^= 1
            }),
            ("another data length", E::DataMismatch, |h| h.data_len -= 1),
        ];
        for (name, error, change) in cases {
            let mut bad = good.clone();
            change(&mut bad.header);
            println!("{name}");
            let key = r.sequencer.insecure_clone();
            let outcome = r.post_with_page(&key, good.data_address(), None, &bad);
            refused(outcome, *error);
        }
        accepted(r.post(&good));
    }

    /// A reader that is told other slots finds neither the data nor the batches before.
    #[test]
    fn refuses_to_mislead_readers() {
        let mut r = TestRollup::new(2);
        let first = Draft::new(&r, 1);
        r.settle(&first);
        let posted = r.svm.slot();
        r.svm.warp(7);
        let second = Draft::new(&r, 1);
        r.publish(&second);
        let key = r.sequencer.insecure_clone();
        let data = second.data_address();
        let good = r.post_arguments(data, &second);
        assert_eq!(good.parent_slot, posted);
        assert!(good.writes.contains(r.svm.slot()));
        let mut wrong = Vec::new();
        for parent_slot in [0, posted - 1, posted + 1, u64::MAX] {
            wrong.push((parent_slot, good.writes.clone(), E::WrongParentSlot));
        }
        for (first, bitmap) in [
            (0, Vec::new()),
            (good.writes.first, Vec::new()),
            (good.writes.first + 1, good.writes.bitmap.clone()),
            (good.writes.first, vec![3]),
            (good.writes.first, vec![1, 0]),
            (good.writes.first, vec![1; 257]),
        ] {
            let writes = WriteSlots { first, bitmap };
            wrong.push((posted, writes, E::WrongWriteSlots));
        }
        let post = r.post_instruction(&key, data, None, &second);
        for (parent_slot, writes, error) in wrong {
            let arguments = settlement::instruction::PostBatch {
                header: second.header,
                parent_slot,
                writes,
            };
            let mut post = post.clone();
            post.data = arguments.data();
            refused(r.svm.send_as(Wire::V1, &[post], &[&key], &[]), error);
        }
        accepted(r.svm.send(&[post], &[&key]));
    }

    #[test]
    fn refuses_an_empty_batch() {
        let mut r = TestRollup::new(1);
        // There is no data of no bytes, so it must borrow some.
        let mut draft = Draft::new(&r, 1);
        r.publish(&draft);
        draft.header.tx_count = 0;
        refused(r.post(&draft), E::EmptyBatch);
    }

    #[test]
    fn refuses_a_replay() {
        let mut r = TestRollup::new(3);
        let first = Draft::new(&r, 1);
        r.publish(&first);
        accepted(r.post(&first));
        refused(r.post(&first), E::WrongNumber);
        // Not after finality either.
        r.svm.warp(100);
        accepted(r.finalize());
        refused(r.post(&first), E::WrongNumber);
        let second = Draft::new(&r, 1);
        r.settle(&second);
    }

    #[test]
    fn refuses_data_that_is_not_its_own() {
        let mut r = TestRollup::new(2);
        let key = r.sequencer.insecure_clone();
        let draft = Draft::new(&r, 20);
        let len = draft.header.data_len;
        // Not sealed.
        accepted(r.open_data(&key, "unsealed", len));
        let unsealed =
            Pubkey::create_with_seed(&key.pubkey(), "unsealed", &settlement::ID).unwrap();
        refused(r.post_with(&key, unsealed, &draft), E::DataNotSealed);
        for (i, chunk) in draft.data.chunks(CHUNK).enumerate() {
            accepted(r.write_chunks(Wire::V1, &key, unsealed, i as u32, chunk));
        }
        refused(r.post_with(&key, unsealed, &draft), E::DataNotSealed);
        // The same bytes, sealed by another.
        let other = r.svm.rich_key();
        accepted(r.open_data(&other, "data1", len));
        let foreign = Pubkey::create_with_seed(&other.pubkey(), "data1", &settlement::ID).unwrap();
        for (i, chunk) in draft.data.chunks(CHUNK).enumerate() {
            accepted(r.write_chunks(Wire::V1, &other, foreign, i as u32, chunk));
        }
        accepted(r.seal_data(&other, foreign));
        refused(r.post_with(&key, foreign, &draft), E::ForeignData);
        // The same bytes, for another rollup.
        accepted(r.initialize(8, config()));
        let create = r.create_data_instruction(
            &key.pubkey(),
            "elsewhere",
            settlement::state::BatchData::size(len),
        );
        let elsewhere =
            Pubkey::create_with_seed(&key.pubkey(), "elsewhere", &settlement::ID).unwrap();
        let home = std::mem::replace(&mut r.address, seeds::rollup(8));
        let open = r.open_data_instruction(&key.pubkey(), elsewhere, len);
        r.address = home;
        accepted(r.svm.send(&[create, open], &[&key]));
        for (i, chunk) in draft.data.chunks(CHUNK).enumerate() {
            accepted(r.write_chunks(Wire::V1, &key, elsewhere, i as u32, chunk));
        }
        accepted(r.seal_data(&key, elsewhere));
        refused(r.post_with(&key, elsewhere, &draft), E::ForeignData);
        // Another kind of account altogether.
        let sequencer = seeds::sequencer(&r.address, &key.pubkey());
        refused(
            r.post_with(&key, sequencer, &draft),
            ErrorCode::AccountDiscriminatorMismatch,
        );
        accepted(r.seal_data(&key, unsealed));
        accepted(r.post_with(&key, unsealed, &draft));
    }

    #[test]
    fn refuses_without_a_free_slice() {
        let mut r = TestRollup::new(2);
        let key = r.sequencer.insecure_clone();
        for _ in 0..2 {
            let draft = Draft::new(&r, 1);
            r.settle(&draft);
        }
        let third = Draft::new(&r, 1);
        r.publish(&third);
        refused(r.post(&third), E::NoFreeSlice);
        accepted(r.add_bond(&key, SLICE - 1));
        refused(r.post(&third), E::NoFreeSlice);
        accepted(r.add_bond(&key, 1));
        // What is being withdrawn backs nothing.
        accepted(r.request_unbond(&key, 1));
        refused(r.post(&third), E::NoFreeSlice);
        accepted(r.request_unbond(&key, 0));
        accepted(r.post(&third));
        // Another's batches do not lock one's own bond.
        let other = r.svm.rich_key();
        accepted(r.register(&other, SLICE));
        r.sequencer = other;
        let fourth = Draft::new(&r, 1);
        r.settle(&fourth);
        let fifth = Draft::new(&r, 1);
        r.publish(&fifth);
        refused(r.post(&fifth), E::NoFreeSlice);
        // Finality frees it.
        r.svm.warp(100);
        for _ in 0..3 {
            accepted(r.finalize_for(&key.pubkey()));
        }
        refused(r.post(&fifth), E::NoFreeSlice);
        accepted(r.finalize());
        accepted(r.post(&fifth));
    }

    #[test]
    fn refuses_more_pending_batches_than_the_chain_holds() {
        let mut r = TestRollup::new(40);
        for _ in 0..MAX_PENDING {
            let draft = Draft::new(&r, 1);
            r.settle(&draft);
        }
        let draft = Draft::new(&r, 1);
        r.publish(&draft);
        refused(r.post(&draft), E::TooManyPending);
        r.svm.warp(100);
        accepted(r.finalize());
        accepted(r.post(&draft));
    }

    /// Skipping a message, taking them out of order and forging one all show in the chain value.
    #[test]
    fn refuses_skipped_messages() {
        let mut r = TestRollup::new(3);
        let user = r.svm.rich_key();
        for _ in 0..3 {
            accepted(r.force(&user));
        }
        let all = Draft::new(&r, 1);
        r.publish(&all);
        // The value after message 1 without message 0.
        let page = r.page(0);
        let payload = assay_tests::rollup::forced(&user.pubkey());
        let skipping = assay_ledger::inbox::chain_next(
            &[0; 32],
            1,
            assay_ledger::inbox::MessageKind::Forced,
            &payload,
        );
        for (cursor, chain) in [
            (0, page.entries[0].chain),
            (1, [0; 32]),
            (1, page.entries[1].chain),
            (2, skipping),
            (2, page.entries[2].chain),
            (3, page.entries[1].chain),
        ] {
            let bad = all.clone().inbox(cursor, chain);
            refused(r.post(&bad), E::InboxChain);
        }
        // Leaving the young ones for later is allowed, at any cursor.
        for cursor in 0..=2 {
            let draft = Draft::new(&r, 1).inbox(cursor, chain_at(&r, cursor));
            if cursor == 0 {
                accepted(r.post(&draft.clone().data(all.data.clone())));
            } else {
                r.settle(&draft);
            }
        }
        assert_eq!(r.account().inbox_cursor, 2);
    }

    /// Each message is a transaction of the batch.
    #[test]
    fn refuses_to_consume_more_messages_than_transactions() {
        let mut r = TestRollup::new(1);
        let user = r.svm.rich_key();
        for _ in 0..3 {
            accepted(r.force(&user));
        }
        let mut draft = Draft::new(&r, 1);
        r.publish(&draft);
        draft.header.tx_count = 2;
        refused(r.post(&draft), E::InboxCursor);
    }

    /// With ten overdue messages and a K of four, a batch must take four.
    #[test]
    fn overdue_messages_must_be_consumed() {
        let mut r = TestRollup::new(8);
        let user = r.svm.rich_key();
        for _ in 0..10 {
            accepted(r.force(&user));
        }
        r.svm.warp(30);
        for _ in 0..2 {
            accepted(r.force(&user));
        }
        let post = |r: &mut TestRollup, cursor: u64| {
            let chain = chain_at(r, cursor);
            let draft = Draft::new(r, 12).inbox(cursor, chain);
            r.publish(&draft);
            let outcome = r.post(&draft);
            let key = r.sequencer.insecure_clone();
            accepted(r.close_data(&key, draft.data_address()));
            outcome
        };
        // 50 slots old is not overdue yet.
        r.svm.warp(20);
        accepted(post(&mut r, 0));
        r.svm.warp(1);
        refused(post(&mut r, 0), E::InboxOverdue);
        refused(post(&mut r, 3), E::InboxOverdue);
        accepted(post(&mut r, 4));
        refused(post(&mut r, 7), E::InboxOverdue);
        accepted(post(&mut r, 8));
        // Two overdue ones are left, which is less than K.
        refused(post(&mut r, 9), E::InboxOverdue);
        accepted(post(&mut r, 10));
        // The last two are young.
        accepted(post(&mut r, 10));
        r.svm.warp(30);
        refused(post(&mut r, 11), E::InboxOverdue);
        accepted(post(&mut r, 12));
    }

    /// The page with the first message that is left must be there, and no other.
    #[test]
    fn the_page_must_be_that_of_the_cursor() {
        let mut r = TestRollup::new(4);
        let user = r.svm.rich_key();
        for _ in 0..PAGE_ENTRIES + 2 {
            accepted(r.force(&user));
        }
        let last = PAGE_ENTRIES as u64;
        let draft = Draft::new(&r, 1).inbox(last, chain_at(&r, last));
        r.publish(&draft);
        let key = r.sequencer.insecure_clone();
        let data = draft.data_address();
        let (first, second) = (
            seeds::inbox_page(&r.address, 0),
            seeds::inbox_page(&r.address, 1),
        );
        refused(
            r.post_with_page(&key, data, None, &draft),
            E::InboxPageNeeded,
        );
        refused(
            r.post_with_page(&key, data, Some(first), &draft),
            E::InboxPageNeeded,
        );
        // The same page of another rollup, with the same messages.
        accepted(r.initialize(8, config()));
        let home = std::mem::replace(&mut r.address, seeds::rollup(8));
        for _ in 0..PAGE_ENTRIES + 2 {
            accepted(r.force(&user));
        }
        let foreign = seeds::inbox_page(&r.address, 1);
        r.address = home;
        refused(
            r.post_with_page(&key, data, Some(foreign), &draft),
            ErrorCode::ConstraintHasOne,
        );
        accepted(r.post_with_page(&key, data, Some(second), &draft));
        let next = Draft::new(&r, 1).inbox(last + 1, chain_at(&r, last + 1));
        r.settle(&next);
        assert_eq!(r.account().inbox_cursor, last + 1);
    }

    #[test]
    fn refuses_the_chain_of_another_rollup() {
        let mut r = TestRollup::new(2);
        accepted(r.initialize(8, config()));
        let draft = Draft::new(&r, 1);
        r.publish(&draft);
        let key = r.sequencer.insecure_clone();
        let instruction = instruction(
            settlement::ID,
            accounts::PostBatch {
                key: key.pubkey(),
                rollup: r.address,
                chain: seeds::chain(&seeds::rollup(8)),
                sequencer: seeds::sequencer(&r.address, &key.pubkey()),
                data: draft.data_address(),
                page: None,
            },
            r.post_arguments(draft.data_address(), &draft),
        );
        let code = r
            .svm
            .send(&[instruction], &[&key])
            .expect_err("another rollup's chain")
            .code();
        assert!(
            code == Some(ErrorCode::ConstraintHasOne.into())
                || code == Some(ErrorCode::ConstraintSeeds.into()),
            "{code:?}"
        );
    }
}

mod finalize_batch {
    use super::*;

    #[test]
    fn after_the_window_and_not_a_slot_before() {
        let mut r = TestRollup::new(2);
        refused(r.finalize(), E::NothingPending);
        let user = r.svm.rich_key();
        accepted(r.force(&user));
        let outbox = TreeHead {
            count: 5,
            root: [6; 32],
        };
        let draft = Draft::new(&r, 1).outbox(outbox);
        r.settle(&draft);
        refused(r.finalize(), E::WindowOpen);
        r.svm.warp(99);
        refused(r.finalize(), E::WindowOpen);
        r.svm.warp(1);
        let key = r.sequencer.pubkey();
        let address = seeds::sequencer(&r.address, &key);
        let (fund, bond) = (r.svm.lamports(&r.address), r.svm.lamports(&address));
        let sent = accepted(r.finalize());
        assert_eq!(fund - r.svm.lamports(&r.address), 10_000);
        assert_eq!(r.svm.lamports(&address) - bond, 10_000);
        assert_eq!(r.sequencer_account(&key).earned, 10_000);
        let chain = r.chain_account();
        assert_eq!((chain.final_number, chain.tip_number), (1, 1));
        assert_eq!(chain.final_outbox(1).unwrap(), outbox);
        assert!(chain.live(1, &draft.hash()).is_none(), "final");
        assert_eq!(chain.locked_bond(&key).unwrap(), 0);
        let event: BatchFinalized = sent.event();
        assert_eq!((event.number, event.hash), (1, draft.hash()));
        assert_eq!((event.fees, event.outbox_count), (10_000, 5));
        refused(r.finalize(), E::NothingPending);
    }

    /// One after the other, each with the account of who posted it.
    #[test]
    fn in_order_and_to_the_right_sequencer() {
        let mut r = TestRollup::new(1);
        let user = r.svm.rich_key();
        let first = r.sequencer.insecure_clone();
        let second = r.svm.rich_key();
        accepted(r.register(&second, SLICE));
        accepted(r.force(&user));
        let draft = Draft::new(&r, 1);
        r.settle(&draft);
        r.svm.warp(50);
        accepted(r.force(&user));
        r.sequencer = second.insecure_clone();
        let draft = Draft::new(&r, 1);
        r.settle(&draft);
        r.svm.warp(50);
        refused(r.finalize_for(&second.pubkey()), E::WrongSequencer);
        accepted(r.finalize_for(&first.pubkey()));
        refused(r.finalize_for(&second.pubkey()), E::WindowOpen);
        r.svm.warp(50);
        refused(r.finalize_for(&first.pubkey()), E::WrongSequencer);
        accepted(r.finalize_for(&second.pubkey()));
        for key in [first, second] {
            assert_eq!(r.sequencer_account(&key.pubkey()).earned, 10_000);
        }
    }

    /// A proof does not go stale while it is on its way: final outboxes stay readable until
    /// their slot in the ring is taken.
    #[test]
    fn final_outboxes_stay_readable() {
        let mut r = TestRollup::new(1);
        for number in 1..=RING as u64 + 3 {
            let outbox = TreeHead {
                count: number,
                root: [number as u8; 32],
            };
            assert_eq!(r.finalize_outbox(outbox), number);
        }
        let chain = r.chain_account();
        let newest = RING as u64 + 3;
        for number in 0..=newest + 1 {
            let readable = number > 3 && number <= newest;
            let found = chain.final_outbox(number);
            assert_eq!(found.is_ok(), readable, "batch {number}");
            if let Ok(head) = found {
                assert_eq!((head.count, head.root), (number, [number as u8; 32]));
            }
        }
        assert!(chain.final_outbox(u64::MAX).is_err());
    }
}
