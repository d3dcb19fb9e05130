//! A Solana chain in this process: LiteSVM with mainnet's features.
//!
//! LiteSVM does not look at a transaction's size on the wire; this does. Everything is
//! deterministic: keys are numbered, and the clock moves only when told to.

use crate::programs;
use agave_feature_set::enable_tx_v1;
use anchor_lang::{AccountDeserialize, AnchorDeserialize, Discriminator, Event};
use anchor_lang::{InstructionData, ToAccountMetas};
use base64::Engine;
use litesvm::LiteSVM;
use litesvm::types::TransactionMetadata;
use solana_account::Account;
use solana_clock::Clock;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::Instruction;
use solana_instruction_error::InstructionError;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage, v1};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;

/// Bytes of a legacy transaction.
pub const LEGACY_BYTES: usize = 1_232;
/// Bytes of a version-1 transaction.
pub const V1_BYTES: usize = 4_096;
/// Compute units that a transaction may use.
pub const MAX_UNITS: u32 = 1_400_000;
/// Lamports per signature.
pub const BASE_FEE: u64 = 5_000;

/// How a transaction travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// As every cluster takes it.
    Legacy,
    /// Version 1.
    V1,
}

impl Wire {
    /// Bytes of such a transaction, at most.
    pub fn limit(self) -> usize {
        match self {
            Self::Legacy => LEGACY_BYTES,
            Self::V1 => V1_BYTES,
        }
    }
}

/// Bytes on the wire of a transaction with this message.
fn length(wire: Wire, message: &VersionedMessage) -> usize {
    let count = usize::from(message.header().num_required_signatures);
    message.serialize().len() + 64 * count + usize::from(wire == Wire::Legacy)
}

/// What a transaction that succeeded left behind.
#[derive(Debug)]
pub struct Sent {
    /// LiteSVM's report.
    pub meta: TransactionMetadata,
    /// Bytes on the wire.
    pub bytes: usize,
}

/// Why a transaction failed.
#[derive(Debug)]
pub struct Refusal {
    /// The runtime's reason.
    pub error: TransactionError,
    /// The programs' words.
    pub logs: Vec<String>,
}

/// What came of a transaction.
pub type Outcome = Result<Sent, Box<Refusal>>;

/// The chain.
pub struct Svm {
    inner: LiteSVM,
    keys: u64,
    /// Pays the fees of every transaction, and nothing else unless told to.
    pub payer: Keypair,
    /// Bytes of heap that every transaction asks for, if not the default.
    pub heap: Option<u32>,
}

impl Svm {
    /// A chain at slot 1,000 with these programs, given by name and address.
    pub fn new(loaded: &[(&str, Pubkey)]) -> Self {
        let mut features = LiteSVM::mainnet_feature_set();
        features.activate(&enable_tx_v1::id(), 0);
        let mut inner = LiteSVM::default()
            .with_feature_set(features)
            .with_builtins()
            .with_lamports(1_000_000_000_000_000_000)
            .with_sysvars()
            .with_feature_accounts()
            .with_default_programs()
            // `send` checks the signatures, except those of programs that it impersonates.
            .with_sigverify(false)
            .with_blockhash_check(true)
            .with_log_bytes_limit(None)
            .with_precompiles();
        for (name, address) in loaded {
            inner
                .add_program(*address, &programs::load(name))
                .unwrap_or_else(|error| panic!("{name}.so does not load: {error:?}"));
        }
        inner.warp_to_slot(1_000);
        let mut svm = Self {
            inner,
            keys: 0,
            payer: Keypair::new_from_array([1; 32]),
            heap: None,
        };
        let payer = svm.payer.pubkey();
        svm.airdrop(&payer, 1_000_000_000_000);
        svm
    }

    /// A fresh key, the same ones in every run.
    pub fn key(&mut self) -> Keypair {
        self.keys += 1;
        let mut secret = [2; 32];
        secret[..8].copy_from_slice(&self.keys.to_le_bytes());
        Keypair::new_from_array(secret)
    }

    /// A fresh key with 100 SOL.
    pub fn rich_key(&mut self) -> Keypair {
        let key = self.key();
        self.airdrop(&key.pubkey(), 100_000_000_000);
        key
    }

    /// Gives lamports.
    pub fn airdrop(&mut self, to: &Pubkey, lamports: u64) {
        self.inner
            .airdrop(to, lamports)
            .unwrap_or_else(|failed| panic!("airdrop: {:?}", failed.err));
    }

    /// The chain itself.
    pub fn inner(&mut self) -> &mut LiteSVM {
        &mut self.inner
    }

    /// The current slot.
    pub fn slot(&self) -> u64 {
        self.inner.get_sysvar::<Clock>().slot
    }

    /// `Clock::unix_timestamp`.
    pub fn time(&self) -> i64 {
        self.inner.get_sysvar::<Clock>().unix_timestamp
    }

    /// Moves the clock by this many slots of 400 ms.
    pub fn warp(&mut self, slots: u64) {
        let mut clock = self.inner.get_sysvar::<Clock>();
        clock.unix_timestamp += (slots * 2 / 5) as i64;
        self.inner.set_sysvar(&clock);
        self.inner.warp_to_slot(clock.slot + slots);
    }

    /// An account, if it exists.
    pub fn account(&self, address: &Pubkey) -> Option<Account> {
        self.inner
            .get_account(address)
            .filter(|account| account.lamports > 0)
    }

    /// An account's lamports.
    pub fn lamports(&self, address: &Pubkey) -> u64 {
        self.account(address).map_or(0, |account| account.lamports)
    }

    /// Lamports that make an account of this size rent-exempt.
    pub fn rent(&self, bytes: usize) -> u64 {
        self.inner.minimum_balance_for_rent_exemption(bytes)
    }

    /// An account of an Anchor program, decoded.
    ///
    /// # Panics
    /// If it does not exist or is another kind of account.
    pub fn read<T: AccountDeserialize>(&self, address: &Pubkey) -> T {
        let account = self
            .account(address)
            .unwrap_or_else(|| panic!("no account {address}"));
        T::try_deserialize(&mut account.data.as_slice())
            .unwrap_or_else(|error| panic!("account {address}: {error}"))
    }

    /// Sends instructions in a legacy transaction paid by [`Svm::payer`], with the highest
    /// compute limit.
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Outcome {
        self.send_as(Wire::Legacy, instructions, signers, &[])
    }

    /// Bytes on the wire of a transaction of these instructions.
    pub fn bytes(&self, wire: Wire, instructions: &[Instruction]) -> usize {
        length(wire, &self.message(wire, instructions))
    }

    /// The message of these instructions, with the highest limits of compute units and heap.
    fn message(&self, wire: Wire, instructions: &[Instruction]) -> VersionedMessage {
        let blockhash = self.inner.latest_blockhash();
        let payer = self.payer.pubkey();
        match wire {
            Wire::Legacy => {
                let mut all = vec![ComputeBudgetInstruction::set_compute_unit_limit(MAX_UNITS)];
                if let Some(bytes) = self.heap {
                    all.push(ComputeBudgetInstruction::request_heap_frame(bytes));
                }
                all.extend_from_slice(instructions);
                let message = Message::new_with_blockhash(&all, Some(&payer), &blockhash);
                VersionedMessage::Legacy(message)
            }
            Wire::V1 => {
                let mut config = v1::TransactionConfig::empty()
                    .with_compute_unit_limit(MAX_UNITS)
                    .with_loaded_accounts_data_size_limit(4 << 20);
                if let Some(bytes) = self.heap {
                    config = config.with_heap_size(bytes);
                }
                let message =
                    v1::Message::try_compile_with_config(&payer, instructions, blockhash, config)
                        .expect("the message compiles");
                VersionedMessage::V1(message)
            }
        }
    }

    /// Sends instructions. The keys in `programs` sign without a signature, as a program's
    /// derived address does in a call of another program.
    ///
    /// # Panics
    /// If the transaction is not well-formed: too long, or a signature is missing.
    pub fn send_as(
        &mut self,
        wire: Wire,
        instructions: &[Instruction],
        signers: &[&Keypair],
        programs: &[Pubkey],
    ) -> Outcome {
        // The same instructions again are another transaction.
        self.inner.expire_blockhash();
        let message = self.message(wire, instructions);
        let limit = wire.limit();
        let bytes = message.serialize();
        let count = usize::from(message.header().num_required_signatures);
        let signatures = message.static_account_keys()[..count]
            .iter()
            .map(|key| {
                if programs.contains(key) {
                    return Signature::default();
                }
                std::iter::once(&self.payer)
                    .chain(signers.iter().copied())
                    .find(|signer| signer.pubkey() == *key)
                    .unwrap_or_else(|| panic!("{key} must sign"))
                    .sign_message(&bytes)
            })
            .collect();
        let length = length(wire, &message);
        assert!(
            length <= limit,
            "{length} bytes do not fit a {wire:?} transaction of {limit}"
        );
        let transaction = VersionedTransaction {
            signatures,
            message,
        };
        match self.inner.send_transaction(transaction) {
            Ok(meta) => Ok(Sent {
                meta,
                bytes: length,
            }),
            Err(failed) => Err(Box::new(Refusal {
                error: failed.err,
                logs: failed.meta.logs,
            })),
        }
    }
}

impl Sent {
    /// Compute units of the last outermost call of `program`.
    pub fn units(&self, program: &Pubkey) -> u64 {
        let prefix = format!("Program {program} consumed ");
        self.meta
            .logs
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix(&prefix)?.split(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{program} was not called"))
    }

    /// The events of kind `T`.
    pub fn events<T: Event + Discriminator + AnchorDeserialize>(&self) -> Vec<T> {
        self.meta
            .logs
            .iter()
            .filter_map(|line| {
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(line.strip_prefix("Program data: ")?)
                    .ok()?;
                T::try_from_slice(bytes.strip_prefix(T::DISCRIMINATOR)?).ok()
            })
            .collect()
    }

    /// The one event of kind `T`.
    pub fn event<T: Event + Discriminator + AnchorDeserialize>(&self) -> T {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "events in {:#?}", self.meta.logs);
        events.remove(0)
    }
}

impl Refusal {
    /// The program's error number, if a program refused.
    pub fn code(&self) -> Option<u32> {
        match self.error {
            TransactionError::InstructionError(_, InstructionError::Custom(code)) => Some(code),
            _ => None,
        }
    }
}

/// An instruction of an Anchor program.
pub fn instruction(
    program: Pubkey,
    accounts: impl ToAccountMetas,
    data: impl InstructionData,
) -> Instruction {
    Instruction {
        program_id: program,
        accounts: accounts.to_account_metas(None),
        data: data.data(),
    }
}

/// Asserts that a transaction succeeded.
#[track_caller]
pub fn accepted(outcome: Outcome) -> Sent {
    outcome.unwrap_or_else(|refusal| panic!("{:?}\n{:#?}", refusal.error, refusal.logs))
}

/// Asserts that a program refused a transaction with this error.
#[track_caller]
pub fn refused(outcome: Outcome, error: impl Into<u32>) {
    let code = error.into();
    match outcome {
        Ok(sent) => panic!("accepted, not refused: {:#?}", sent.meta.logs),
        Err(refusal) => assert_eq!(
            refusal.code(),
            Some(code),
            "{:?}\n{:#?}",
            refusal.error,
            refusal.logs
        ),
    }
}
