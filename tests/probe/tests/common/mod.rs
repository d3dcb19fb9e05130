//! The probe program on a chain in process.
#![allow(dead_code)]

use litesvm::LiteSVM;
use probe::{Request, decide};
use solana_account::Account;
use solana_compute_budget::compute_budget::ComputeBudget;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use std::path::Path;

/// The bar for any step proof, in compute units.
pub const MOST_UNITS: u64 = 700_000;
/// The heap that a program has without asking for more.
pub const HEAP: u32 = 32 * 1024;

/// A chain on which the probe is deployed.
pub struct Chain {
    svm: LiteSVM,
    payer: Keypair,
    program: Pubkey,
    request: Pubkey,
}

/// What the program has answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// A verdict, or one of each element.
    pub verdicts: Vec<u8>,
    /// Compute units, without those of asking for more.
    pub units: u64,
    /// Bytes of heap, of the element that takes most if there are several.
    pub heap: u32,
}

impl Chain {
    /// With the limits of a transaction.
    pub fn new() -> Self {
        Self::with(LiteSVM::default())
    }

    /// Without a limit of compute units, for many elements in one transaction.
    pub fn without_limit() -> Self {
        let budget = ComputeBudget {
            compute_unit_limit: 1 << 40,
            ..ComputeBudget::new_with_defaults(false)
        };
        Self::with(LiteSVM::default().with_compute_budget(budget))
    }

    fn with(svm: LiteSVM) -> Self {
        let mut svm = svm
            .with_feature_set(LiteSVM::mainnet_feature_set())
            .with_builtins()
            .with_lamports(1_000_000_000_000_000_000)
            .with_sysvars()
            .with_feature_accounts()
            .with_default_programs()
            .with_sigverify(false)
            .with_blockhash_check(true);
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => target.into(),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        };
        let path = target.join("deploy/probe.so");
        let binary = std::fs::read(&path).unwrap_or_else(|error| {
            let path = path.display();
            panic!("could not read {path}: {error}\nbuild it with `cargo xtask programs`")
        });
        let program = Pubkey::new_from_array([7; 32]);
        svm.add_program(program, &binary).unwrap();
        let payer = Keypair::new_from_array([1; 32]);
        svm.airdrop(&payer.pubkey(), 1_000_000_000_000).unwrap();
        Self {
            svm,
            payer,
            program,
            request: Pubkey::new_from_array([8; 32]),
        }
    }

    fn call(&mut self, request: Vec<u8>) -> Answer {
        let account = Account {
            lamports: 1_000_000_000_000,
            data: request,
            owner: self.program,
            ..Account::default()
        };
        self.svm.set_account(self.request, account).unwrap();
        let instructions = [
            ComputeBudgetInstruction::set_compute_unit_limit(1_400_000),
            Instruction {
                program_id: self.program,
                accounts: vec![AccountMeta::new_readonly(self.request, false)],
                data: Vec::new(),
            },
        ];
        self.svm.expire_blockhash();
        let blockhash = self.svm.latest_blockhash();
        let payer = self.payer.pubkey();
        let message = Message::new_with_blockhash(&instructions, Some(&payer), &blockhash);
        let message = VersionedMessage::Legacy(message);
        let transaction = VersionedTransaction::try_new(message, &[&self.payer]).unwrap();
        let sent = self.svm.send_transaction(transaction);
        let meta = sent.unwrap_or_else(|failed| panic!("{:?} {:?}", failed.err, failed.meta.logs));
        let mut verdicts = meta.return_data.data;
        assert_eq!(verdicts.pop(), Some(1));
        let heap = verdicts.split_off(verdicts.len() - 4);
        Answer {
            verdicts,
            units: meta.compute_units_consumed - 150,
            heap: u32::from_le_bytes(heap.try_into().unwrap()),
        }
    }

    /// The answer, of which the verdicts are the host's too.
    pub fn decide(&mut self, request: &Request, rest: &[u8]) -> Answer {
        let mut bytes = borsh::to_vec(request).unwrap();
        bytes.extend_from_slice(rest);
        let on_host = decide(&bytes);
        let answer = self.call(bytes);
        assert_eq!(Some(&answer.verdicts), on_host.as_ref());
        answer
    }
}
