//! `register_mint`, `deposit_sol` and `deposit_token`: what they do, and each refusal.

use anchor_lang::error::ErrorCode;
use assay_ledger::inbox::{Deposit, MessageKind, chain_next};
use assay_tests::bridge::{new, registered_mint, sol_vault, token_vault};
use assay_tests::rollup::{TestRollup, bridge_id, config, encode};
use assay_tests::svm::{accepted, refused};
use assay_tests::tokens::{SPL_TOKEN, TOKEN_2022, TestMint, balance};
use bridge::errors::BridgeError;
use bridge::events::{Deposited, MintRegistered};
use bridge::state::SolVault;
use bridge::{DepositArgs, instruction as args};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use spl_token_2022_interface::extension::ExtensionType;

const OWNER: Pubkey = Pubkey::new_from_array([6; 32]);

/// A mint of `program` without extensions, and a depositor with 1,000 base units.
fn with_mint(
    r: &mut TestRollup,
    program: Pubkey,
    extensions: &[ExtensionType],
) -> (TestMint, solana_keypair::Keypair) {
    let mint = TestMint::new(&mut r.svm, program, extensions);
    let user = r.svm.rich_key();
    mint.mint_to(&mut r.svm, &user.pubkey(), 1_000);
    (mint, user)
}

#[test]
fn deposit_sol_moves_lamports_and_tells_l2() {
    let mut r = new();
    let user = r.svm.rich_key();
    let before = r.account();
    let sent = accepted(r.deposit_sol(&user, OWNER, 5_000_000));
    let vault = r.sol_vault();
    assert_eq!(
        (vault.version, vault.locked),
        (SolVault::VERSION, 5_000_000)
    );
    assert_eq!(vault.rollup, r.address);
    let rent = r.svm.rent(SolVault::size());
    let address = sol_vault(&r.address);
    assert_eq!(r.svm.lamports(&address), rent + 5_000_000);

    let payload = encode(&Deposit {
        owner: OWNER.to_bytes(),
        mint: assay_ledger::SOL,
        amount: 5_000_000,
    });
    let after = r.account();
    assert_eq!(after.inbox_count, 1);
    assert_eq!(
        after.inbox_chain,
        chain_next(&before.inbox_chain, 0, MessageKind::Deposit, &payload)
    );
    let event: Deposited = sent.event();
    assert_eq!((event.depositor, event.owner), (user.pubkey(), OWNER));
    assert_eq!(
        (event.amount, event.message, event.locked),
        (5_000_000, 0, 5_000_000)
    );
    assert_eq!(event.mint, Pubkey::default());

    // The second pays no rent for the vault.
    let lamports = r.svm.lamports(&user.pubkey());
    let fee = r.account().next_fee().unwrap();
    accepted(r.deposit_sol(&user, OWNER, 7));
    assert_eq!(r.svm.lamports(&user.pubkey()), lamports - 7 - fee);
    assert_eq!(r.sol_vault().locked, 5_000_007);
    assert_eq!(r.svm.lamports(&address), rent + 5_000_007);
}

#[test]
fn lamports_that_lie_at_the_vaults_address_are_no_deposit() {
    let mut r = new();
    let user = r.svm.rich_key();
    let address = sol_vault(&r.address);
    r.svm.airdrop(&address, 50_000_000);
    accepted(r.deposit_sol(&user, OWNER, 1_000));
    r.svm.airdrop(&address, 3_000);
    assert_eq!(r.sol_vault().locked, 1_000);
    assert_eq!(r.svm.lamports(&address), 50_000_000 + 3_000 + 1_000);
}

#[test]
fn a_deposit_of_nothing_or_for_nobody_is_refused() {
    let mut r = new();
    let (mint, user) = with_mint(&mut r, SPL_TOKEN, &[]);
    accepted(r.register_mint(&user, &mint));
    refused(
        r.deposit_sol(&user, OWNER, 0),
        BridgeError::NothingToDeposit,
    );
    refused(
        r.deposit_sol(&user, Pubkey::default(), 5),
        BridgeError::NoOwner,
    );
    refused(
        r.deposit_token(&user, &mint, OWNER, 0),
        BridgeError::NothingToDeposit,
    );
    refused(
        r.deposit_token(&user, &mint, Pubkey::default(), 5),
        BridgeError::NoOwner,
    );
    assert_eq!(r.account().inbox_count, 0);
}

#[test]
fn a_deposit_beyond_the_purse_is_refused() {
    let mut r = new();
    let (mint, user) = with_mint(&mut r, SPL_TOKEN, &[]);
    accepted(r.register_mint(&user, &mint));
    let all = r.svm.lamports(&user.pubkey());
    assert!(r.deposit_sol(&user, OWNER, all).is_err());
    assert!(r.deposit_token(&user, &mint, OWNER, 1_001).is_err());
    assert_eq!(r.account().inbox_count, 0);
    assert_eq!(balance(&r.svm, &mint.account_of(&user.pubkey())), 1_000);
}

#[test]
fn wrong_accounts_of_deposit_sol_are_refused() {
    let mut r = new();
    let user = r.svm.rich_key();
    let good = r.deposit_sol_accounts(&user.pubkey());
    let args = || args::DepositSol {
        args: DepositArgs {
            owner: OWNER,
            amount: 9,
        },
    };
    let stranger = r.svm.rich_key().pubkey();

    // Another program as the settlement: its "inbox" would say what it likes.
    let mut accounts = good;
    accounts.settlement_program = bridge_id();
    refused(
        r.send_bridge(accounts, args(), &user),
        ErrorCode::InvalidProgramId,
    );
    // A rollup that the settlement program does not own.
    let mut accounts = good;
    accounts.rollup = stranger;
    refused(
        r.send_bridge(accounts, args(), &user),
        ErrorCode::AccountOwnedByWrongProgram,
    );
    // Not the vault, not the sender, not the page.
    let mut accounts = good;
    accounts.vault = stranger;
    refused(
        r.send_bridge(accounts, args(), &user),
        ErrorCode::ConstraintSeeds,
    );
    let mut accounts = good;
    accounts.sender = stranger;
    refused(
        r.send_bridge(accounts, args(), &user),
        ErrorCode::ConstraintSeeds,
    );
    let mut accounts = good;
    accounts.inbox_page = settlement::seeds::inbox_page(&r.address, 1);
    refused(
        r.send_bridge(accounts, args(), &user),
        ErrorCode::ConstraintSeeds,
    );
    accepted(r.send_bridge(good, args(), &user));
}

#[test]
fn an_account_that_looks_like_a_rollup_is_refused() {
    let mut r = new();
    let user = r.svm.rich_key();
    // The bytes of the real one, owned by somebody else's program.
    let mut copy = r.svm.account(&r.address).unwrap();
    copy.owner = Pubkey::new_from_array([9; 32]);
    let fake = Pubkey::new_from_array([10; 32]);
    r.svm.inner().set_account(fake, copy).unwrap();
    let mut accounts = r.deposit_sol_accounts(&user.pubkey());
    accounts.rollup = fake;
    accounts.vault = sol_vault(&fake);
    accounts.sender = settlement::seeds::sender(&bridge::ID, &fake);
    let args = DepositArgs {
        owner: OWNER,
        amount: 9,
    };
    refused(
        r.send_bridge(accounts, args::DepositSol { args }, &user),
        ErrorCode::AccountOwnedByWrongProgram,
    );
}

#[test]
fn a_rollup_with_another_bridge_is_refused() {
    let mut other = config();
    other.bridge = Pubkey::new_from_array([9; 32]);
    let mut r = TestRollup::with(&["settlement", "bridge"], other, 1);
    let (mint, user) = with_mint(&mut r, SPL_TOKEN, &[]);
    refused(r.deposit_sol(&user, OWNER, 5), BridgeError::OtherBridge);
    refused(r.register_mint(&user, &mint), BridgeError::OtherBridge);
}

#[test]
fn deposit_token_moves_tokens_of_either_program() {
    for program in [SPL_TOKEN, TOKEN_2022] {
        let mut r = new();
        let (mint, user) = with_mint(&mut r, program, &[]);
        let sent = accepted(r.register_mint(&user, &mint));
        let registered: MintRegistered = sent.event();
        assert_eq!(registered.mint, mint.address);
        assert_eq!(registered.token_program, program);
        assert_eq!(registered.vault, token_vault(&r.address, &mint.address));

        let before = r.account();
        let sent = accepted(r.deposit_token(&user, &mint, OWNER, 400));
        let event: Deposited = sent.event();
        assert_eq!((event.mint, event.amount), (mint.address, 400));
        let vault = token_vault(&r.address, &mint.address);
        assert_eq!(balance(&r.svm, &vault), 400);
        assert_eq!(balance(&r.svm, &mint.account_of(&user.pubkey())), 600);
        assert_eq!(r.registered_mint(&mint.address).locked, 400);
        let payload = encode(&Deposit {
            owner: OWNER.to_bytes(),
            mint: mint.address.to_bytes(),
            amount: 400,
        });
        assert_eq!(
            r.account().inbox_chain,
            chain_next(&before.inbox_chain, 0, MessageKind::Deposit, &payload)
        );
        // Tokens sent to the vault without the bridge are no deposit, and harm nothing.
        mint.mint_to(&mut r.svm, &user.pubkey(), 1);
        let gift = spl_token_2022_interface::instruction::transfer_checked(
            &program,
            &mint.account_of(&user.pubkey()),
            &mint.address,
            &vault,
            &user.pubkey(),
            &[],
            100,
            assay_tests::tokens::DECIMALS,
        )
        .unwrap();
        accepted(r.svm.send(&[gift], &[&user]));
        accepted(r.deposit_token(&user, &mint, OWNER, 1));
        assert_eq!(r.registered_mint(&mint.address).locked, 401);
        assert_eq!(balance(&r.svm, &vault), 501);
    }
}

#[test]
fn a_mint_with_metadata_is_accepted() {
    let mut r = new();
    let (mint, user) = with_mint(&mut r, TOKEN_2022, &[ExtensionType::MetadataPointer]);
    mint.write_metadata(&mut r.svm);
    accepted(r.register_mint(&user, &mint));
    accepted(r.deposit_token(&user, &mint, OWNER, 10));
    assert_eq!(r.registered_mint(&mint.address).locked, 10);
}

#[test]
fn a_mint_with_any_other_extension_is_refused() {
    use BridgeError as E;
    use ExtensionType as X;
    let cases = [
        (X::TransferFeeConfig, E::MintHasTransferFee),
        (X::TransferHook, E::MintHasTransferHook),
        (X::PermanentDelegate, E::MintHasPermanentDelegate),
        (X::NonTransferable, E::MintNotTransferable),
        (X::DefaultAccountState, E::MintHasDefaultState),
        (X::ConfidentialTransferMint, E::MintHasConfidentialTransfers),
        (X::MintCloseAuthority, E::MintCanBeClosed),
        (X::InterestBearingConfig, E::MintIsScaled),
        (X::ScaledUiAmount, E::MintIsScaled),
        (X::Pausable, E::MintIsPausable),
        (X::GroupPointer, E::MintExtensionNotAllowed),
    ];
    let mut r = new();
    let user = r.svm.rich_key();
    for (extension, error) in cases {
        // Beside an extension that is allowed, too.
        for extensions in [vec![extension], vec![X::MetadataPointer, extension]] {
            let mint = TestMint::new(&mut r.svm, TOKEN_2022, &extensions);
            refused(r.register_mint(&user, &mint), error as u32 + 6_000);
            let record = registered_mint(&r.address, &mint.address);
            assert!(r.svm.account(&record).is_none());
        }
    }
}

#[test]
fn a_mint_with_an_extension_newer_than_the_bridge_is_refused() {
    let mut r = new();
    let user = r.svm.rich_key();
    let mint = TestMint::new(&mut r.svm, TOKEN_2022, &[ExtensionType::PermissionedBurn]);
    assert!(r.register_mint(&user, &mint).is_err());
    let record = registered_mint(&r.address, &mint.address);
    assert!(r.svm.account(&record).is_none());
}

#[test]
fn a_mint_that_is_not_registered_cannot_be_deposited() {
    let mut r = new();
    // What a transfer fee would do to the accounts never comes up: without a record, no deposit.
    for extensions in [&[][..], &[ExtensionType::TransferFeeConfig]] {
        let (mint, user) = with_mint(&mut r, TOKEN_2022, extensions);
        refused(
            r.deposit_token(&user, &mint, OWNER, 5),
            ErrorCode::AccountNotInitialized,
        );
    }
    assert_eq!(r.account().inbox_count, 0);
}

#[test]
fn a_mint_is_registered_once() {
    let mut r = new();
    let (mint, user) = with_mint(&mut r, SPL_TOKEN, &[]);
    accepted(r.register_mint(&user, &mint));
    assert!(r.register_mint(&user, &mint).is_err());
}

#[test]
fn wrong_accounts_of_register_mint_are_refused() {
    let mut r = new();
    let (mint, user) = with_mint(&mut r, TOKEN_2022, &[]);
    let good = r.register_mint_accounts(&user.pubkey(), &mint);
    let mut accounts = good;
    accounts.token_program = SPL_TOKEN;
    assert!(
        r.send_bridge(accounts, args::RegisterMint {}, &user)
            .is_err()
    );
    // A token account is no mint.
    let mut accounts = good;
    accounts.mint = mint.account_of(&user.pubkey());
    assert!(
        r.send_bridge(accounts, args::RegisterMint {}, &user)
            .is_err()
    );
    accepted(r.send_bridge(good, args::RegisterMint {}, &user));
}

#[test]
fn wrong_accounts_of_deposit_token_are_refused() {
    let mut r = new();
    let (mint, user) = with_mint(&mut r, TOKEN_2022, &[]);
    let (other, _) = with_mint(&mut r, TOKEN_2022, &[]);
    other.mint_to(&mut r.svm, &user.pubkey(), 1_000);
    accepted(r.register_mint(&user, &mint));
    accepted(r.register_mint(&user, &other));
    let thief = r.svm.rich_key();
    mint.mint_to(&mut r.svm, &thief.pubkey(), 1);
    let good = r.deposit_token_accounts(&user.pubkey(), &mint);
    let args = || args::DepositToken {
        args: DepositArgs {
            owner: OWNER,
            amount: 9,
        },
    };

    // Another mint's vault, the depositor's own account as the vault, another mint's record.
    for vault in [
        token_vault(&r.address, &other.address),
        mint.account_of(&thief.pubkey()),
    ] {
        let mut accounts = good;
        accounts.vault = vault;
        refused(
            r.send_bridge(accounts, args(), &user),
            BridgeError::OtherVault,
        );
    }
    let mut accounts = good;
    accounts.registered_mint = registered_mint(&r.address, &other.address);
    refused(
        r.send_bridge(accounts, args(), &user),
        ErrorCode::ConstraintSeeds,
    );
    // A worthless mint for a worthy one.
    let mut accounts = good;
    accounts.source = other.account_of(&user.pubkey());
    refused(
        r.send_bridge(accounts, args(), &user),
        ErrorCode::ConstraintTokenMint,
    );
    // The other token program.
    let mut accounts = good;
    accounts.token_program = SPL_TOKEN;
    assert!(r.send_bridge(accounts, args(), &user).is_err());
    // Another's tokens.
    let mut accounts = good;
    accounts.source = mint.account_of(&thief.pubkey());
    assert!(r.send_bridge(accounts, args(), &user).is_err());
    // Another program for the settlement, another page.
    let mut accounts = good;
    accounts.settlement_program = bridge_id();
    refused(
        r.send_bridge(accounts, args(), &user),
        ErrorCode::InvalidProgramId,
    );
    let mut accounts = good;
    accounts.inbox_page = settlement::seeds::inbox_page(&r.address, 1);
    refused(
        r.send_bridge(accounts, args(), &user),
        ErrorCode::ConstraintSeeds,
    );
    assert_eq!(r.account().inbox_count, 0);
    accepted(r.send_bridge(good, args(), &user));
}

#[test]
fn a_frozen_vault_stops_its_own_mint_alone() {
    let mut r = new();
    let (mint, user) = with_mint(&mut r, SPL_TOKEN, &[]);
    let (other, other_user) = with_mint(&mut r, SPL_TOKEN, &[]);
    accepted(r.register_mint(&user, &mint));
    accepted(r.register_mint(&user, &other));
    mint.freeze(&mut r.svm, &token_vault(&r.address, &mint.address));
    assert!(r.deposit_token(&user, &mint, OWNER, 5).is_err());
    accepted(r.deposit_token(&other_user, &other, OWNER, 5));
    accepted(r.deposit_sol(&user, OWNER, 5));
}
