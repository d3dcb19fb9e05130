//! `withdraw_sol` and `withdraw_token`: what they do, and each refusal.

use anchor_lang::error::ErrorCode;
use assay_ledger::outbox::OutboxLeaf;
use assay_tests::batch::Draft;
use assay_tests::bridge::{new, paid_page, registered_mint, sol_vault, token_vault, withdraw_args};
use assay_tests::outbox::OutboxTree;
use assay_tests::rollup::TestRollup;
use assay_tests::svm::{accepted, refused};
use assay_tests::tokens::{SPL_TOKEN, TOKEN_2022, TestMint, balance};
use bridge::errors::BridgeError;
use bridge::events::Withdrawn;
use bridge::state::PaidPage;
use bridge::{WithdrawArgs, instruction as args};
use settlement::errors::SettlementError;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

const OWNER: Pubkey = Pubkey::new_from_array([6; 32]);
const RECIPIENT: Pubkey = Pubkey::new_from_array([7; 32]);

fn withdrawal(recipient: Pubkey, mint: Pubkey, amount: u64) -> OutboxLeaf {
    OutboxLeaf::Withdrawal {
        recipient: recipient.to_bytes(),
        mint: mint.to_bytes(),
        amount,
    }
}

/// A rollup with 10 SOL in its vault and a final batch 1 with four withdrawals of lamports to
/// [`RECIPIENT`]: 2, 3, 4 and 5 million.
struct Scene {
    r: TestRollup,
    user: Keypair,
    outbox: OutboxTree,
    batch: u64,
}

impl Scene {
    fn new() -> Self {
        let mut r = new();
        let user = r.svm.rich_key();
        accepted(r.deposit_sol(&user, OWNER, 10_000_000_000));
        let mut outbox = OutboxTree::default();
        for amount in [2_000_000, 3_000_000, 4_000_000, 5_000_000] {
            outbox.push(withdrawal(RECIPIENT, Pubkey::default(), amount));
        }
        let batch = r.finalize_outbox(outbox.head());
        Self {
            r,
            user,
            outbox,
            batch,
        }
    }

    fn args(&self, index: u64) -> WithdrawArgs {
        withdraw_args(&self.outbox, self.batch, index)
    }

    #[track_caller]
    fn refuse(&mut self, args: WithdrawArgs, error: impl Into<u32>) {
        let user = self.user.insecure_clone();
        let page = paid_page(&self.r.address, args.index);
        let existed = self.r.svm.account(&page).is_some();
        let locked = self.r.sol_vault().locked;
        refused(self.r.withdraw_sol(&user, RECIPIENT, args), error);
        assert_eq!(self.r.svm.account(&page).is_some(), existed);
        assert_eq!(self.r.sol_vault().locked, locked);
    }
}

#[test]
fn a_withdrawal_of_sol_is_paid_once_by_anybody() {
    let mut s = Scene::new();
    let stranger = s.r.svm.rich_key();
    let args = s.args(1);
    let sent = accepted(s.r.withdraw_sol(&stranger, RECIPIENT, args.clone()));
    let event: Withdrawn = sent.event();
    assert_eq!((event.index, event.batch), (1, s.batch));
    assert_eq!((event.recipient, event.amount), (RECIPIENT, 3_000_000));
    assert_eq!(event.locked, 10_000_000_000 - 3_000_000);
    assert_eq!(s.r.svm.lamports(&RECIPIENT), 3_000_000);
    assert!(s.r.is_paid(1) && !s.r.is_paid(0) && !s.r.is_paid(2));

    // Replayed: by the same, by another, against a later batch.
    s.refuse(args, BridgeError::AlreadyPaid);
    s.outbox
        .push(withdrawal(RECIPIENT, Pubkey::default(), 1_000_000));
    s.batch = s.r.finalize_outbox(s.outbox.head());
    let args = s.args(1);
    s.refuse(args, BridgeError::AlreadyPaid);
    assert_eq!(s.r.svm.lamports(&RECIPIENT), 3_000_000);
    // The others are not affected.
    for index in [0, 2, 3, 4] {
        let args = s.args(index);
        accepted(s.r.withdraw_sol(&stranger, RECIPIENT, args));
    }
    assert_eq!(s.r.svm.lamports(&RECIPIENT), 15_000_000);
    assert_eq!(s.r.sol_vault().locked, 10_000_000_000 - 15_000_000);
    let page: PaidPage = s.r.svm.read(&paid_page(&s.r.address, 0));
    assert_eq!(page.paid, 5);
}

#[test]
fn a_full_path_proves_as_a_trimmed_one_does() {
    let mut s = Scene::new();
    let user = s.user.insecure_clone();
    let mut args = s.args(2);
    args.siblings = s.outbox.path(2);
    assert_eq!(args.siblings.len(), 32);
    let instruction = assay_tests::svm::instruction(
        bridge::ID,
        s.r.withdraw_sol_accounts(&user.pubkey(), RECIPIENT, 2),
        args::WithdrawSol { args },
    );
    accepted(
        s.r.svm
            .send_as(assay_tests::svm::Wire::V1, &[instruction], &[&user], &[]),
    );
    assert_eq!(s.r.svm.lamports(&RECIPIENT), 4_000_000);
}

#[test]
fn a_forged_withdrawal_is_refused() {
    let mut s = Scene::new();
    let good = s.args(1);
    let wrong = BridgeError::WrongProof as u32 + 6_000;

    let mut args = good.clone();
    args.amount += 1;
    s.refuse(args, wrong);
    // Another leaf's index, an index past the end, the same place in a larger tree.
    for index in [0, 2, 3, 4, 1 + 4, 1 + (1 << 32)] {
        let mut args = good.clone();
        args.index = index;
        s.refuse(args, wrong);
    }
    let mut args = good.clone();
    args.siblings[0][0] ^= 1;
    s.refuse(args, wrong);
    let mut args = good.clone();
    args.siblings.swap(0, 1);
    s.refuse(args, wrong);
    let mut args = good.clone();
    args.siblings.pop();
    s.refuse(args, wrong);
    let mut args = good.clone();
    args.siblings.push([0; 32]);
    s.refuse(args, wrong);
    // An inner node as a leaf: the two are hashed apart.
    let mut args = good.clone();
    args.siblings.remove(0);
    args.index = 0;
    s.refuse(args, wrong);
    // Another recipient.
    let user = s.user.insecure_clone();
    refused(
        s.r.withdraw_sol(&user, user.pubkey(), good.clone()),
        BridgeError::WrongProof,
    );
    accepted(s.r.withdraw_sol(&user, RECIPIENT, good));
}

#[test]
fn a_result_of_a_job_is_no_withdrawal() {
    let mut s = Scene::new();
    let leaf = assay_tests::escrow::declined(RECIPIENT, RECIPIENT);
    let index = s.outbox.push(leaf);
    s.batch = s.r.finalize_outbox(s.outbox.head());
    let path = s.outbox.path(index);
    s.refuse(
        WithdrawArgs {
            batch: s.batch,
            index,
            amount: 1,
            siblings: path[..3].to_vec(),
        },
        BridgeError::WrongProof,
    );
}

#[test]
fn a_batch_that_is_not_final_proves_nothing() {
    let mut s = Scene::new();
    let index = s
        .outbox
        .push(withdrawal(RECIPIENT, Pubkey::default(), 6_000_000));
    let draft = Draft::new(&s.r, 1).outbox(s.outbox.head());
    s.r.settle(&draft);
    s.batch = draft.header.number;
    let args = s.args(index);
    // Pending: not yet. The batch before it does not have the leaf. No batch: neither.
    s.refuse(args.clone(), SettlementError::NotFinal);
    for (batch, error) in [
        (s.batch - 1, BridgeError::WrongProof as u32 + 6_000),
        (0, BridgeError::WrongProof as u32 + 6_000),
        (s.batch + 1, SettlementError::NotFinal as u32 + 6_000),
        (u64::MAX, SettlementError::NotFinal as u32 + 6_000),
    ] {
        s.refuse(
            WithdrawArgs {
                batch,
                ..args.clone()
            },
            error,
        );
    }
    s.r.svm.warp(100);
    s.refuse(args.clone(), SettlementError::NotFinal);
    accepted(s.r.finalize());
    let user = s.user.insecure_clone();
    accepted(s.r.withdraw_sol(&user, RECIPIENT, args));
}

#[test]
fn wrong_accounts_of_withdraw_sol_are_refused() {
    let mut s = Scene::new();
    let user = s.user.insecure_clone();
    let data = args::WithdrawSol { args: s.args(1) };
    let good = s.r.withdraw_sol_accounts(&user.pubkey(), RECIPIENT, 1);
    // Another page would forget that this leaf was paid.
    let mut accounts = good;
    accounts.paid_page = paid_page(&s.r.address, PaidPage::BITS);
    let copy = args::WithdrawSol { args: s.args(1) };
    refused(
        s.r.send_bridge(accounts, copy, &user),
        ErrorCode::ConstraintSeeds,
    );
    let mut accounts = good;
    accounts.vault = user.pubkey();
    let copy = args::WithdrawSol { args: s.args(1) };
    assert!(s.r.send_bridge(accounts, copy, &user).is_err());
    // Another rollup's chain account, and a copy of the right one under another owner.
    let mut fake = s.r.svm.account(&s.r.chain()).unwrap();
    fake.owner = bridge::ID;
    let address = Pubkey::new_from_array([11; 32]);
    s.r.svm.inner().set_account(address, fake).unwrap();
    accepted(s.r.initialize(8, assay_tests::rollup::config()));
    let other = settlement::seeds::chain(&settlement::seeds::rollup(8));
    for chain in [address, other] {
        let mut accounts = good;
        accounts.chain = chain;
        let copy = args::WithdrawSol { args: s.args(1) };
        assert!(s.r.send_bridge(accounts, copy, &user).is_err());
    }
    assert_eq!(s.r.svm.lamports(&RECIPIENT), 0);
    accepted(s.r.send_bridge(good, data, &user));
}

#[test]
fn another_rollups_outbox_does_not_open_this_vault() {
    let mut s = Scene::new();
    let user = s.user.insecure_clone();
    // Anybody may start a rollup and post what he likes to it.
    let home = s.r.address;
    accepted(s.r.initialize(8, assay_tests::rollup::config()));
    s.r.address = settlement::seeds::rollup(8);
    let key = s.r.sequencer.insecure_clone();
    accepted(s.r.register(&key, assay_tests::rollup::SLICE));
    let mut outbox = OutboxTree::default();
    outbox.push(withdrawal(user.pubkey(), Pubkey::default(), 1_000_000));
    let batch = s.r.finalize_outbox(outbox.head());
    let args = withdraw_args(&outbox, batch, 0);
    // Its own vault does not exist, and never has more than was deposited there.
    assert!(
        s.r.withdraw_sol(&user, user.pubkey(), args.clone())
            .is_err()
    );
    let mut accounts = s.r.withdraw_sol_accounts(&user.pubkey(), user.pubkey(), 0);
    accounts.vault = sol_vault(&home);
    let data = args::WithdrawSol { args: args.clone() };
    refused(
        s.r.send_bridge(accounts, data, &user),
        ErrorCode::ConstraintSeeds,
    );
    accepted(s.r.deposit_sol(&user, OWNER, 999_999));
    refused(
        s.r.withdraw_sol(&user, user.pubkey(), args.clone()),
        BridgeError::VaultShort,
    );
    // Lamports that are no deposit do not help.
    let vault = sol_vault(&s.r.address);
    s.r.svm.airdrop(&vault, 5_000_000);
    refused(
        s.r.withdraw_sol(&user, user.pubkey(), args.clone()),
        BridgeError::VaultShort,
    );
    accepted(s.r.deposit_sol(&user, OWNER, 1));
    accepted(s.r.withdraw_sol(&user, user.pubkey(), args));
    assert_eq!(s.r.sol_vault().locked, 0);
}

#[test]
fn a_recipient_below_rent_exemption_is_paid_when_it_is_not() {
    let mut s = Scene::new();
    let user = s.user.insecure_clone();
    let poor = Pubkey::new_from_array([12; 32]);
    let index = s.outbox.push(withdrawal(poor, Pubkey::default(), 1_000));
    s.batch = s.r.finalize_outbox(s.outbox.head());
    let args = s.args(index);
    refused(
        s.r.withdraw_sol(&user, poor, args.clone()),
        BridgeError::RecipientBelowRent,
    );
    assert!(!s.r.is_paid(index));
    let rent = s.r.svm.rent(0);
    s.r.svm.airdrop(&poor, rent);
    accepted(s.r.withdraw_sol(&user, poor, args.clone()));
    assert!(s.r.is_paid(index));
    assert_eq!(s.r.svm.lamports(&poor), rent + 1_000);
    refused(
        s.r.withdraw_sol(&user, poor, args),
        BridgeError::AlreadyPaid,
    );
}

#[test]
fn a_program_is_not_paid() {
    let mut s = Scene::new();
    let user = s.user.insecure_clone();
    let index = s
        .outbox
        .push(withdrawal(bridge::ID, Pubkey::default(), 1_000));
    s.batch = s.r.finalize_outbox(s.outbox.head());
    let args = s.args(index);
    // The runtime makes a program's account read-only.
    assert!(s.r.withdraw_sol(&user, bridge::ID, args).is_err());
    assert!(!s.r.is_paid(index));
}

#[test]
fn the_last_leaf_of_a_page_and_the_first_of_the_next() {
    let mut s = Scene::new();
    let user = s.user.insecure_clone();
    let leaf = withdrawal(RECIPIENT, Pubkey::default(), 1_000_000);
    while s.outbox.leaves.len() < PaidPage::BITS as usize + 2 {
        s.outbox.push(leaf);
    }
    s.batch = s.r.finalize_outbox(s.outbox.head());
    for index in [PaidPage::BITS - 1, PaidPage::BITS, PaidPage::BITS + 1] {
        let args = s.args(index);
        accepted(s.r.withdraw_sol(&user, RECIPIENT, args.clone()));
        assert!(s.r.is_paid(index));
        s.refuse(args, BridgeError::AlreadyPaid);
    }
    let pages: Vec<PaidPage> = [0, PaidPage::BITS]
        .map(|i| s.r.svm.read(&paid_page(&s.r.address, i)))
        .into();
    assert_eq!((pages[0].page, pages[0].paid), (0, 1));
    assert_eq!((pages[1].page, pages[1].paid), (1, 2));
    assert!(!s.r.is_paid(0));
}

/// A rollup with 1,000 tokens in the vault of a mint of `program`, and a final batch with
/// withdrawals of 300 and 200 of them to `recipient`.
fn with_tokens(program: Pubkey, recipient: Pubkey) -> (Scene, TestMint) {
    let mut r = new();
    let user = r.svm.rich_key();
    let mint = TestMint::new(&mut r.svm, program, &[]);
    mint.mint_to(&mut r.svm, &user.pubkey(), 1_000);
    accepted(r.register_mint(&user, &mint));
    accepted(r.deposit_token(&user, &mint, OWNER, 1_000));
    let mut outbox = OutboxTree::default();
    outbox.push(withdrawal(recipient, mint.address, 300));
    outbox.push(withdrawal(recipient, mint.address, 200));
    let batch = r.finalize_outbox(outbox.head());
    let scene = Scene {
        r,
        user,
        outbox,
        batch,
    };
    (scene, mint)
}

#[test]
fn a_withdrawal_of_tokens_is_paid_once_to_the_associated_account() {
    for program in [SPL_TOKEN, TOKEN_2022] {
        let (mut s, mint) = with_tokens(program, RECIPIENT);
        let stranger = s.r.svm.rich_key();
        let account = mint.account_of(&RECIPIENT);
        assert!(s.r.svm.account(&account).is_none());
        let args = s.args(0);
        let sent = accepted(s.r.withdraw_token(&stranger, &mint, RECIPIENT, args.clone()));
        let event: Withdrawn = sent.event();
        assert_eq!((event.mint, event.amount), (mint.address, 300));
        assert_eq!((event.recipient, event.locked), (RECIPIENT, 700));
        assert_eq!(balance(&s.r.svm, &account), 300);
        refused(
            s.r.withdraw_token(&stranger, &mint, RECIPIENT, args),
            BridgeError::AlreadyPaid,
        );
        // Into the account that is there now.
        let args = s.args(1);
        accepted(s.r.withdraw_token(&stranger, &mint, RECIPIENT, args));
        assert_eq!(balance(&s.r.svm, &account), 500);
        assert_eq!(s.r.registered_mint(&mint.address).locked, 500);
        let vault = token_vault(&s.r.address, &mint.address);
        assert_eq!(balance(&s.r.svm, &vault), 500);
    }
}

#[test]
fn a_forged_withdrawal_of_tokens_is_refused() {
    let (mut s, mint) = with_tokens(SPL_TOKEN, RECIPIENT);
    let user = s.user.insecure_clone();
    let good = s.args(0);
    let wrong = BridgeError::WrongProof;

    let mut args = good.clone();
    args.amount = 301;
    refused(s.r.withdraw_token(&user, &mint, RECIPIENT, args), wrong);
    // To somebody else.
    refused(
        s.r.withdraw_token(&user, &mint, user.pubkey(), good.clone()),
        BridgeError::WrongProof,
    );
    // In a dearer mint.
    let dear = TestMint::new(&mut s.r.svm, SPL_TOKEN, &[]);
    dear.mint_to(&mut s.r.svm, &user.pubkey(), 1_000);
    accepted(s.r.register_mint(&user, &dear));
    accepted(s.r.deposit_token(&user, &dear, OWNER, 1_000));
    refused(
        s.r.withdraw_token(&user, &dear, RECIPIENT, good.clone()),
        BridgeError::WrongProof,
    );
    // As lamports.
    accepted(s.r.deposit_sol(&user, OWNER, 5_000_000));
    refused(
        s.r.withdraw_sol(&user, RECIPIENT, good.clone()),
        BridgeError::WrongProof,
    );
    assert!(!s.r.is_paid(0));
    accepted(s.r.withdraw_token(&user, &mint, RECIPIENT, good));
}

#[test]
fn wrong_accounts_of_withdraw_token_are_refused() {
    let (mut s, mint) = with_tokens(TOKEN_2022, RECIPIENT);
    let user = s.user.insecure_clone();
    let good =
        s.r.withdraw_token_accounts(&user.pubkey(), &mint, RECIPIENT, 0);
    let data = |s: &Scene| args::WithdrawToken { args: s.args(0) };
    mint.mint_to(&mut s.r.svm, &user.pubkey(), 1);

    // The payer's token account instead of the recipient's.
    let mut accounts = good;
    accounts.destination = mint.account_of(&user.pubkey());
    let copy = data(&s);
    assert!(s.r.send_bridge(accounts, copy, &user).is_err());
    // Another vault: a token account of somebody who is not the bridge.
    let mut accounts = good;
    accounts.vault = mint.account_of(&user.pubkey());
    let copy = data(&s);
    refused(
        s.r.send_bridge(accounts, copy, &user),
        BridgeError::OtherVault,
    );
    let mut accounts = good;
    accounts.token_program = SPL_TOKEN;
    let copy = data(&s);
    assert!(s.r.send_bridge(accounts, copy, &user).is_err());
    let mut accounts = good;
    accounts.registered_mint = registered_mint(&s.r.address, &user.pubkey());
    let copy = data(&s);
    assert!(s.r.send_bridge(accounts, copy, &user).is_err());
    let mut accounts = good;
    accounts.paid_page = paid_page(&s.r.address, PaidPage::BITS);
    let copy = data(&s);
    refused(
        s.r.send_bridge(accounts, copy, &user),
        ErrorCode::ConstraintSeeds,
    );
    assert!(!s.r.is_paid(0));
    let copy = data(&s);
    accepted(s.r.send_bridge(good, copy, &user));
}

#[test]
fn a_frozen_recipient_is_paid_when_it_is_thawed() {
    let (mut s, mint) = with_tokens(TOKEN_2022, RECIPIENT);
    let user = s.user.insecure_clone();
    let account = mint.mint_to(&mut s.r.svm, &RECIPIENT, 1);
    mint.freeze(&mut s.r.svm, &account);
    let args = s.args(0);
    assert!(
        s.r.withdraw_token(&user, &mint, RECIPIENT, args.clone())
            .is_err()
    );
    assert!(!s.r.is_paid(0));
    mint.thaw(&mut s.r.svm, &account);
    accepted(s.r.withdraw_token(&user, &mint, RECIPIENT, args));
    assert_eq!(balance(&s.r.svm, &account), 301);
}

#[test]
fn tokens_beyond_the_deposits_are_not_paid() {
    let (mut s, mint) = with_tokens(SPL_TOKEN, RECIPIENT);
    let user = s.user.insecure_clone();
    let index = s.outbox.push(withdrawal(RECIPIENT, mint.address, 1_001));
    s.batch = s.r.finalize_outbox(s.outbox.head());
    let args = s.args(index);
    refused(
        s.r.withdraw_token(&user, &mint, RECIPIENT, args),
        BridgeError::VaultShort,
    );
}
