//! `enqueue` and `close_inbox_page`.

use anchor_lang::error::ErrorCode;
use assay_ledger::inbox::{
    Deposit, Forced, GENESIS, Job, MAX_JOB_INPUT, MAX_PAYLOAD, MessageKind, chain_next,
};
use assay_tests::batch::Draft;
use assay_tests::rollup::{SLICE, TestRollup, bridge_id, encode, escrow_id, forced};
use assay_tests::svm::{accepted, instruction, refused};
use settlement::constants::PAGE_ENTRIES;
use settlement::errors::SettlementError as E;
use settlement::events::{InboxPageClosed, MessageEnqueued};
use settlement::{accounts, seeds};
use solana_signer::Signer;

fn deposit() -> Vec<u8> {
    encode(&Deposit {
        owner: [5; 32],
        mint: assay_ledger::SOL,
        amount: 7,
    })
}

fn job(input: usize) -> Vec<u8> {
    encode(&Job {
        job: [6; 32],
        model: 1,
        program_root: [7; 32],
        max_price: 9,
        output_bytes: 4,
        input: vec![8; input],
    })
}

mod enqueue {
    use super::*;

    /// The kind follows from the signer, and the chain is the ledger's.
    #[test]
    fn the_sender_decides_the_kind() {
        let mut r = TestRollup::new(1);
        let user = r.svm.rich_key();
        let messages = [
            (MessageKind::Forced, forced(&user.pubkey())),
            (MessageKind::Deposit, deposit()),
            (MessageKind::Job, job(3)),
        ];
        let mut chain = GENESIS;
        let mut fees = 0;
        for (index, (kind, payload)) in messages.into_iter().enumerate() {
            r.svm.warp(3);
            let length = payload.len() as u32;
            chain = chain_next(&chain, index as u64, kind, &payload);
            fees += 10_000 + 100 * index as u64;
            let before = r.svm.lamports(&r.address);
            let sent = accepted(match kind {
                MessageKind::Deposit => r.enqueue_from(&user, &bridge_id(), payload),
                MessageKind::Job => r.enqueue_from(&user, &escrow_id(), payload),
                MessageKind::Forced => r.enqueue(&user, payload),
            });
            let account = r.account();
            assert_eq!(account.inbox_count, index as u64 + 1);
            assert_eq!((account.inbox_chain, account.inbox_fees), (chain, fees));
            let fee = 10_000 + 100 * index as u64;
            assert_eq!(r.svm.lamports(&r.address) - before, fee);
            let page = r.page(0);
            let entry = page.entries[index];
            assert_eq!((entry.chain, entry.fees), (chain, fees));
            assert_eq!(entry.slot, r.svm.slot());
            assert_eq!((page.count, page.payer), (index as u64 + 1, user.pubkey()));
            let event: MessageEnqueued = sent.event();
            assert_eq!((event.index, event.kind), (index as u64, kind as u8));
            assert_eq!((event.chain, event.fee), (chain, fee));
            assert_eq!(event.payload_len, length);
        }
    }

    /// A stranger's deposit is malformed, whatever its bytes say; and so is a job.
    #[test]
    fn strangers_can_only_force() {
        let mut r = TestRollup::new(1);
        let user = r.svm.rich_key();
        refused(r.enqueue(&user, job(3)), E::BadMessage);
        // 72 bytes that start with a zero decode as nothing forced, as they are too short.
        refused(r.enqueue(&user, deposit()), E::BadMessage);
        let mut other = forced(&user.pubkey());
        other[1] ^= 1;
        refused(r.enqueue(&user, other), E::NotOwner);
        let withdraw = |owner: [u8; 32]| {
            encode(&Forced::Withdraw {
                owner,
                mint: [1; 32],
                recipient: [2; 32],
                amount: 3,
            })
        };
        refused(r.enqueue(&user, withdraw([9; 32])), E::NotOwner);
        accepted(r.enqueue(&user, withdraw(user.pubkey().to_bytes())));
    }

    /// The sender of another rollup, or of another program, is a stranger.
    #[test]
    fn a_sender_is_bound_to_its_rollup_and_program() {
        let mut r = TestRollup::new(1);
        let user = r.svm.rich_key();
        let foreign = [
            seeds::sender(&bridge_id(), &seeds::rollup(8)),
            seeds::sender(&user.pubkey(), &r.address),
        ];
        for sender in foreign {
            let message = r.enqueue_instruction(&user.pubkey(), &sender, deposit());
            let outcome = r.svm.send_as(
                assay_tests::svm::Wire::Legacy,
                &[message],
                &[&user],
                &[sender],
            );
            refused(outcome, E::BadMessage);
        }
        refused(r.enqueue_from(&user, &bridge_id(), job(1)), E::BadMessage);
        refused(
            r.enqueue_from(&user, &escrow_id(), deposit()),
            E::BadMessage,
        );
    }

    #[test]
    fn the_sender_must_sign() {
        let mut r = TestRollup::new(1);
        let user = r.svm.rich_key();
        let victim = r.svm.rich_key();
        let payload = forced(&victim.pubkey());
        let mut message = r.enqueue_instruction(&user.pubkey(), &victim.pubkey(), payload);
        message.accounts[1].is_signer = false;
        refused(
            r.svm.send(&[message], &[&user]),
            ErrorCode::AccountNotSigner,
        );
    }

    #[test]
    fn payloads_are_capped_and_exact() {
        let mut r = TestRollup::new(1);
        let user = r.svm.rich_key();
        accepted(r.enqueue_from(&user, &escrow_id(), job(MAX_JOB_INPUT)));
        refused(
            r.enqueue_from(&user, &escrow_id(), job(MAX_JOB_INPUT + 1)),
            E::BadMessage,
        );
        refused(
            r.enqueue_from(&user, &escrow_id(), vec![0; MAX_PAYLOAD + 1]),
            E::BadMessage,
        );
        for bad in [
            vec![],
            vec![2; 105],
            [forced(&user.pubkey()), vec![0]].concat(),
            forced(&user.pubkey())[..104].to_vec(),
        ] {
            refused(r.enqueue(&user, bad), E::BadMessage);
        }
        // A job whose length field promises more than there is.
        let mut lying = job(4);
        let at = lying.len() - 8;
        lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        refused(r.enqueue_from(&user, &escrow_id(), lying), E::BadMessage);
    }

    /// The fee follows the queue: up with each message, down when a batch takes them.
    #[test]
    fn the_fee_rises_with_the_queue() {
        let mut r = TestRollup::new(2);
        let user = r.svm.rich_key();
        for waiting in 0..5 {
            let sent = accepted(r.force(&user));
            assert_eq!(sent.event::<MessageEnqueued>().fee, 10_000 + 100 * waiting);
        }
        let draft = Draft::new(&r, 0);
        r.settle(&draft);
        assert_eq!(r.account().inbox_cursor, 5);
        let sent = accepted(r.force(&user));
        assert_eq!(sent.event::<MessageEnqueued>().fee, 10_000);
    }

    /// Message 128 opens the second page, and each page starts where the one before ends.
    #[test]
    fn pages_follow_one_another() {
        let mut r = TestRollup::new(1);
        let user = r.svm.rich_key();
        let opener = r.svm.rich_key();
        for _ in 0..PAGE_ENTRIES {
            accepted(r.force(&user));
        }
        assert!(r.svm.account(&seeds::inbox_page(&r.address, 1)).is_none());
        accepted(r.force(&opener));
        let (first, second) = (r.page(0), r.page(1));
        let last = first.entries[PAGE_ENTRIES - 1];
        assert_eq!((second.number, second.count), (1, 1));
        assert_eq!(second.payer, opener.pubkey());
        assert_eq!(
            (second.chain_before, second.fees_before),
            (last.chain, last.fees)
        );
        assert_eq!(second.entries[0].chain, r.account().inbox_chain);
    }

    #[test]
    fn refuses_another_page() {
        let mut r = TestRollup::new(1);
        let user = r.svm.rich_key();
        accepted(r.force(&user));
        let key = user.pubkey();
        for page in [
            seeds::inbox_page(&r.address, 1),
            seeds::inbox_page(&seeds::rollup(8), 0),
        ] {
            let message = instruction(
                settlement::ID,
                accounts::Enqueue {
                    payer: key,
                    sender: key,
                    rollup: r.address,
                    page,
                    system_program: anchor_lang::system_program::ID,
                },
                settlement::instruction::Enqueue {
                    payload: forced(&key),
                },
            );
            refused(r.svm.send(&[message], &[&user]), ErrorCode::ConstraintSeeds);
        }
    }
}

mod close_inbox_page {
    use super::*;

    #[test]
    fn returns_the_rent_once_all_is_final() {
        let mut r = TestRollup::new(3);
        let opener = r.svm.rich_key();
        let user = r.svm.rich_key();
        accepted(r.force(&opener));
        for _ in 1..PAGE_ENTRIES - 1 {
            accepted(r.force(&user));
        }
        let partial = Draft::new(&r, 0);
        r.settle(&partial);
        r.svm.warp(100);
        accepted(r.finalize());
        // All its messages are final, but there will be another.
        refused(r.close_page(0, &opener.pubkey()), E::PageInUse);
        accepted(r.force(&user));
        refused(r.close_page(0, &opener.pubkey()), E::PageInUse);
        let rest = Draft::new(&r, 0);
        r.settle(&rest);
        // Consumed, but not final: a revert would need it again.
        refused(r.close_page(0, &opener.pubkey()), E::PageInUse);
        r.svm.warp(100);
        accepted(r.finalize());
        refused(r.close_page(0, &user.pubkey()), E::WrongPayer);

        let before = r.svm.lamports(&opener.pubkey());
        let sent = accepted(r.close_page(0, &opener.pubkey()));
        let rent = r.svm.rent(settlement::state::InboxPage::size());
        assert_eq!(r.svm.lamports(&opener.pubkey()) - before, rent);
        assert_eq!(sent.event::<InboxPageClosed>().page, 0);
        // The chain goes on without it.
        accepted(r.force(&user));
        let next = Draft::new(&r, 0);
        r.settle(&next);
        assert_eq!(r.sequencer_account(&r.sequencer.pubkey()).bond, 3 * SLICE);
    }

    #[test]
    fn refuses_the_chain_of_another_rollup() {
        let mut r = TestRollup::new(1);
        accepted(r.initialize(8, assay_tests::rollup::config()));
        let user = r.svm.rich_key();
        accepted(r.force(&user));
        let other = seeds::rollup(8);
        for (rollup, chain) in [
            (r.address, seeds::chain(&other)),
            (other, seeds::chain(&other)),
        ] {
            let close = instruction(
                settlement::ID,
                accounts::CloseInboxPage {
                    rollup,
                    chain,
                    page: seeds::inbox_page(&r.address, 0),
                    payer: user.pubkey(),
                },
                settlement::instruction::CloseInboxPage {},
            );
            let outcome = r.svm.send(&[close], &[]);
            let code = outcome.expect_err("another rollup's account").code();
            assert!(
                code == Some(ErrorCode::ConstraintHasOne.into())
                    || code == Some(ErrorCode::ConstraintSeeds.into()),
                "{code:?}"
            );
        }
    }
}
