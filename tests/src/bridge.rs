//! Every instruction of the bridge program on a [`TestRollup`].

use crate::outbox::OutboxTree;
use crate::rollup::{TestRollup, config};
use crate::svm::{Outcome, Wire, instruction};
use crate::tokens::TestMint;
use anchor_lang::{InstructionData, ToAccountMetas, system_program};
use assay_ledger::outbox::{OutboxLeaf, trim};
use bridge::state::{PaidPage, RegisteredMint, SolVault};
use bridge::{DepositArgs, WithdrawArgs, accounts, instruction as args, seeds};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// A rollup with one sequencer and the bridge.
pub fn new() -> TestRollup {
    TestRollup::with(&["settlement", "bridge"], config(), 40)
}

/// `["vault", rollup]`.
pub fn sol_vault(rollup: &Pubkey) -> Pubkey {
    find(&[seeds::SOL_VAULT, rollup.as_ref()])
}

/// `["mint", rollup, mint]`.
pub fn registered_mint(rollup: &Pubkey, mint: &Pubkey) -> Pubkey {
    find(&[seeds::REGISTERED_MINT, rollup.as_ref(), mint.as_ref()])
}

/// `["token_vault", rollup, mint]`.
pub fn token_vault(rollup: &Pubkey, mint: &Pubkey) -> Pubkey {
    find(&[seeds::TOKEN_VAULT, rollup.as_ref(), mint.as_ref()])
}

/// The page of paid withdrawals that holds leaf `index`.
pub fn paid_page(rollup: &Pubkey, index: u64) -> Pubkey {
    let page = PaidPage::number(index).to_le_bytes();
    find(&[seeds::PAID_PAGE, rollup.as_ref(), &page])
}

fn find(seeds: &[&[u8]]) -> Pubkey {
    Pubkey::find_program_address(seeds, &bridge::ID).0
}

/// The arguments of a withdrawal: leaf `index` of `outbox`, proven against batch `batch`.
///
/// # Panics
/// If the leaf is no withdrawal.
pub fn withdraw_args(outbox: &OutboxTree, batch: u64, index: u64) -> WithdrawArgs {
    let OutboxLeaf::Withdrawal { amount, .. } = outbox.leaves[index as usize] else {
        panic!("leaf {index} is no withdrawal");
    };
    let siblings = outbox.path(index);
    WithdrawArgs {
        batch,
        index,
        amount,
        siblings: trim(outbox.leaves.len() as u64, &siblings).to_vec(),
    }
}

impl TestRollup {
    /// An instruction of the bridge, sent.
    pub fn send_bridge(
        &mut self,
        accounts: impl ToAccountMetas,
        data: impl InstructionData,
        signer: &Keypair,
    ) -> Outcome {
        let instruction = instruction(bridge::ID, accounts, data);
        self.svm
            .send_as(Wire::Legacy, &[instruction], &[signer], &[])
    }

    /// The vault of lamports.
    pub fn sol_vault(&self) -> SolVault {
        self.svm.read(&sol_vault(&self.address))
    }

    /// The record of a mint.
    pub fn registered_mint(&self, mint: &Pubkey) -> RegisteredMint {
        self.svm.read(&registered_mint(&self.address, mint))
    }

    /// Whether leaf `index` of the outbox is marked as paid.
    pub fn is_paid(&self, index: u64) -> bool {
        let page = paid_page(&self.address, index);
        self.svm.account(&page).is_some() && self.svm.read::<PaidPage>(&page).is_paid(index)
    }

    /// The page of the inbox that the next message goes to.
    pub fn next_page(&self) -> Pubkey {
        settlement::seeds::inbox_page(&self.address, self.account().next_page())
    }

    /// Accounts of `register_mint`.
    pub fn register_mint_accounts(
        &self,
        payer: &Pubkey,
        mint: &TestMint,
    ) -> accounts::RegisterMint {
        accounts::RegisterMint {
            payer: *payer,
            rollup: self.address,
            mint: mint.address,
            registered_mint: registered_mint(&self.address, &mint.address),
            vault: token_vault(&self.address, &mint.address),
            token_program: mint.program,
            system_program: system_program::ID,
        }
    }

    /// `register_mint`.
    pub fn register_mint(&mut self, payer: &Keypair, mint: &TestMint) -> Outcome {
        let accounts = self.register_mint_accounts(&payer.pubkey(), mint);
        self.send_bridge(accounts, args::RegisterMint {}, payer)
    }

    /// Accounts of `deposit_sol`.
    pub fn deposit_sol_accounts(&self, depositor: &Pubkey) -> accounts::DepositSol {
        accounts::DepositSol {
            depositor: *depositor,
            vault: sol_vault(&self.address),
            sender: settlement::seeds::sender(&bridge::ID, &self.address),
            rollup: self.address,
            inbox_page: self.next_page(),
            settlement_program: settlement::ID,
            system_program: system_program::ID,
        }
    }

    /// `deposit_sol`.
    pub fn deposit_sol(&mut self, depositor: &Keypair, owner: Pubkey, amount: u64) -> Outcome {
        let accounts = self.deposit_sol_accounts(&depositor.pubkey());
        let args = DepositArgs { owner, amount };
        self.send_bridge(accounts, args::DepositSol { args }, depositor)
    }

    /// Accounts of `deposit_token` from the depositor's associated token account.
    pub fn deposit_token_accounts(
        &self,
        depositor: &Pubkey,
        mint: &TestMint,
    ) -> accounts::DepositToken {
        accounts::DepositToken {
            depositor: *depositor,
            source: mint.account_of(depositor),
            mint: mint.address,
            registered_mint: registered_mint(&self.address, &mint.address),
            vault: token_vault(&self.address, &mint.address),
            sender: settlement::seeds::sender(&bridge::ID, &self.address),
            rollup: self.address,
            inbox_page: self.next_page(),
            token_program: mint.program,
            settlement_program: settlement::ID,
            system_program: system_program::ID,
        }
    }

    /// `deposit_token`.
    pub fn deposit_token(
        &mut self,
        depositor: &Keypair,
        mint: &TestMint,
        owner: Pubkey,
        amount: u64,
    ) -> Outcome {
        let accounts = self.deposit_token_accounts(&depositor.pubkey(), mint);
        let args = DepositArgs { owner, amount };
        self.send_bridge(accounts, args::DepositToken { args }, depositor)
    }

    /// Accounts of `withdraw_sol` for leaf `index`.
    pub fn withdraw_sol_accounts(
        &self,
        payer: &Pubkey,
        recipient: Pubkey,
        index: u64,
    ) -> accounts::WithdrawSol {
        accounts::WithdrawSol {
            payer: *payer,
            recipient,
            rollup: self.address,
            chain: self.chain(),
            vault: sol_vault(&self.address),
            paid_page: paid_page(&self.address, index),
            system_program: system_program::ID,
        }
    }

    /// `withdraw_sol`.
    pub fn withdraw_sol(
        &mut self,
        payer: &Keypair,
        recipient: Pubkey,
        args: WithdrawArgs,
    ) -> Outcome {
        let accounts = self.withdraw_sol_accounts(&payer.pubkey(), recipient, args.index);
        self.send_bridge(accounts, args::WithdrawSol { args }, payer)
    }

    /// Accounts of `withdraw_token` for leaf `index`.
    pub fn withdraw_token_accounts(
        &self,
        payer: &Pubkey,
        mint: &TestMint,
        recipient: Pubkey,
        index: u64,
    ) -> accounts::WithdrawToken {
        accounts::WithdrawToken {
            payer: *payer,
            recipient,
            destination: mint.account_of(&recipient),
            mint: mint.address,
            rollup: self.address,
            chain: self.chain(),
            registered_mint: registered_mint(&self.address, &mint.address),
            vault: token_vault(&self.address, &mint.address),
            paid_page: paid_page(&self.address, index),
            token_program: mint.program,
            associated_token_program: spl_associated_token_account_interface::program::ID,
            system_program: system_program::ID,
        }
    }

    /// `withdraw_token`.
    pub fn withdraw_token(
        &mut self,
        payer: &Keypair,
        mint: &TestMint,
        recipient: Pubkey,
        args: WithdrawArgs,
    ) -> Outcome {
        let accounts = self.withdraw_token_accounts(&payer.pubkey(), mint, recipient, args.index);
        self.send_bridge(accounts, args::WithdrawToken { args }, payer)
    }
}
