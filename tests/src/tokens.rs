//! Real mints of SPL Token and Token-2022, with any extension.

use crate::svm::{Svm, accepted};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction as system;
use spl_associated_token_account_interface::address::get_associated_token_address_with_program_id;
use spl_associated_token_account_interface::instruction::create_associated_token_account_idempotent;
use spl_token_2022_interface::extension::{
    ExtensionType, StateWithExtensions, confidential_transfer, default_account_state,
    group_pointer, interest_bearing_mint, metadata_pointer, pausable, permissioned_burn,
    scaled_ui_amount, transfer_fee, transfer_hook,
};
use spl_token_2022_interface::instruction as token;
use spl_token_2022_interface::state::{Account, AccountState, Mint};

/// SPL Token.
pub const SPL_TOKEN: Pubkey = spl_token_interface::ID;
/// Token-2022.
pub const TOKEN_2022: Pubkey = spl_token_2022_interface::ID;
/// Decimals of all mints here.
pub const DECIMALS: u8 = 6;

/// A mint.
pub struct TestMint {
    /// Its address.
    pub address: Pubkey,
    /// The program that owns it.
    pub program: Pubkey,
    /// May mint and freeze.
    pub authority: Keypair,
}

impl TestMint {
    /// A mint of `program` with `extensions`.
    pub fn new(svm: &mut Svm, program: Pubkey, extensions: &[ExtensionType]) -> Self {
        let key = svm.key();
        let mint = Self {
            address: key.pubkey(),
            program,
            authority: svm.rich_key(),
        };
        let bytes = ExtensionType::try_calculate_account_len::<Mint>(extensions)
            .expect("extensions of a fixed size");
        let authority = mint.authority.pubkey();
        let mut instructions = vec![system::create_account(
            &authority,
            &mint.address,
            svm.rent(bytes),
            bytes as u64,
            &program,
        )];
        instructions.extend(extensions.iter().map(|e| mint.extension(*e)));
        instructions.push(
            token::initialize_mint2(
                &program,
                &mint.address,
                &authority,
                Some(&authority),
                DECIMALS,
            )
            .expect("a token program"),
        );
        accepted(svm.send(&instructions, &[&mint.authority, &key]));
        mint
    }

    /// The instruction that gives the mint an extension.
    fn extension(&self, extension: ExtensionType) -> Instruction {
        let (program, mint) = (&self.program, &self.address);
        let authority = self.authority.pubkey();
        let hook = Some(Pubkey::new_from_array([8; 32]));
        match extension {
            ExtensionType::TransferFeeConfig => {
                transfer_fee::instruction::initialize_transfer_fee_config(
                    program,
                    mint,
                    Some(&authority),
                    Some(&authority),
                    100,
                    1_000_000,
                )
            }
            ExtensionType::TransferHook => {
                transfer_hook::instruction::initialize(program, mint, Some(authority), hook)
            }
            ExtensionType::PermanentDelegate => {
                token::initialize_permanent_delegate(program, mint, &authority)
            }
            ExtensionType::NonTransferable => {
                token::initialize_non_transferable_mint(program, mint)
            }
            ExtensionType::DefaultAccountState => {
                default_account_state::instruction::initialize_default_account_state(
                    program,
                    mint,
                    &AccountState::Frozen,
                )
            }
            ExtensionType::ConfidentialTransferMint => {
                confidential_transfer::instruction::initialize_mint(
                    program,
                    mint,
                    Some(authority),
                    true,
                    None,
                )
            }
            ExtensionType::MintCloseAuthority => {
                token::initialize_mint_close_authority(program, mint, Some(&authority))
            }
            ExtensionType::InterestBearingConfig => {
                interest_bearing_mint::instruction::initialize(program, mint, Some(authority), 100)
            }
            ExtensionType::ScaledUiAmount => {
                scaled_ui_amount::instruction::initialize(program, mint, Some(authority), 2.0)
            }
            ExtensionType::Pausable => pausable::instruction::initialize(program, mint, &authority),
            ExtensionType::GroupPointer => {
                group_pointer::instruction::initialize(program, mint, Some(authority), Some(*mint))
            }
            ExtensionType::PermissionedBurn => {
                permissioned_burn::instruction::initialize(program, mint, &authority)
            }
            ExtensionType::MetadataPointer => metadata_pointer::instruction::initialize(
                program,
                mint,
                Some(authority),
                Some(*mint),
            ),
            other => panic!("no test needs a mint with {other:?}"),
        }
        .expect("a token program")
    }

    /// Writes token metadata into the mint, which must have the pointer.
    pub fn write_metadata(&self, svm: &mut Svm) {
        let authority = self.authority.pubkey();
        let rent = system::transfer(&authority, &self.address, 10_000_000);
        let metadata = spl_token_metadata_interface::instruction::initialize(
            &self.program,
            &self.address,
            &authority,
            &self.address,
            &authority,
            "Assay test token".into(),
            "ATT".into(),
            "https://assay.invalid/token.json".into(),
        );
        accepted(svm.send(&[rent, metadata], &[&self.authority]));
    }

    /// The associated token account of `owner`.
    pub fn account_of(&self, owner: &Pubkey) -> Pubkey {
        get_associated_token_address_with_program_id(owner, &self.address, &self.program)
    }

    /// Creates the associated token account of `owner` and mints to it.
    pub fn mint_to(&self, svm: &mut Svm, owner: &Pubkey, amount: u64) -> Pubkey {
        let authority = self.authority.pubkey();
        let account = self.account_of(owner);
        let create = create_associated_token_account_idempotent(
            &authority,
            owner,
            &self.address,
            &self.program,
        );
        let mint = token::mint_to(
            &self.program,
            &self.address,
            &account,
            &authority,
            &[],
            amount,
        )
        .expect("a token program");
        accepted(svm.send(&[create, mint], &[&self.authority]));
        account
    }

    /// Freezes a token account.
    pub fn freeze(&self, svm: &mut Svm, account: &Pubkey) {
        let authority = self.authority.pubkey();
        let freeze = token::freeze_account(&self.program, account, &self.address, &authority, &[])
            .expect("a token program");
        accepted(svm.send(&[freeze], &[&self.authority]));
    }

    /// Thaws a token account.
    pub fn thaw(&self, svm: &mut Svm, account: &Pubkey) {
        let authority = self.authority.pubkey();
        let thaw = token::thaw_account(&self.program, account, &self.address, &authority, &[])
            .expect("a token program");
        accepted(svm.send(&[thaw], &[&self.authority]));
    }
}

/// Tokens in a token account; 0 if there is none.
pub fn balance(svm: &Svm, account: &Pubkey) -> u64 {
    svm.account(account).map_or(0, |account| {
        StateWithExtensions::<Account>::unpack(&account.data)
            .expect("a token account")
            .base
            .amount
    })
}
