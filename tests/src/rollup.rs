//! A rollup on a chain in this process, and every instruction of the settlement program.

use crate::batch::Draft;
use crate::svm::{Outcome, Sent, Svm, Wire, accepted, instruction};
use anchor_lang::AnchorSerialize;
use anchor_lang::system_program;
use assay_client::rpc::read_zero_copy;
use assay_ledger::data::CHUNK;
use assay_ledger::inbox::Forced;
use assay_ledger::state::TreeHead;
use settlement::state::{BatchData, Chain, Config, InboxPage, Params, Rollup, Sequencer};
use settlement::{accounts, instruction as args, seeds};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction as system;

/// Lamports that a pending batch locks in the tests.
pub const SLICE: u64 = 1_000_000_000;

/// A rollup with one sequencer.
pub struct TestRollup {
    /// The chain.
    pub svm: Svm,
    /// The rollup's address.
    pub address: Pubkey,
    /// Who initialised it.
    pub authority: Keypair,
    /// Its first sequencer.
    pub sequencer: Keypair,
}

/// The configuration of the tests.
pub fn config() -> Config {
    Config {
        bridge: bridge_id(),
        escrow: escrow_id(),
        params: Params {
            window: 100,
            bond_slice: SLICE,
            max_units: 1_000_000,
            max_records: 1_000,
            max_data: 1_000_000,
            model_delay: 1,
            sequencer_share: 1_000,
            clock: 150,
            extension: 20,
            dispute_bond: 50_000_000,
        },
        unbond_delay: 200,
        inbox_grace: 50,
        inbox_batch: 4,
        inbox_fee_base: 10_000,
        inbox_fee_step: 100,
    }
}

/// The bridge program's address.
pub fn bridge_id() -> Pubkey {
    Pubkey::from_str_const("CnWJ44utZcv75EMXM76z6PUwE3s9VS3nb7hNbAf6qhMq")
}

/// The escrow program's address.
pub fn escrow_id() -> Pubkey {
    Pubkey::from_str_const("DFUPtoLdJMkwH4u7HT2rDHaqP5KMzr4AM8MNwqAfyXik")
}

impl TestRollup {
    /// A rollup with [`config`] and a sequencer that bonded `slices` slices; only the settlement
    /// program is loaded.
    pub fn new(slices: u64) -> Self {
        Self::with(&["settlement"], config(), slices)
    }

    /// The same with these programs and this configuration.
    pub fn with(programs: &[&str], config: Config, slices: u64) -> Self {
        let mut rollup = Self::unregistered(programs, config);
        let bond = slices * config.params.bond_slice;
        let key = rollup.sequencer.insecure_clone();
        accepted(rollup.register(&key, bond));
        rollup
    }

    /// The same without a bond: the sequencer is a key only.
    pub fn unregistered(programs: &[&str], config: Config) -> Self {
        let loaded: Vec<_> = programs
            .iter()
            .map(|name| match *name {
                "settlement" => (*name, settlement::ID),
                "bridge" => (*name, bridge_id()),
                "escrow" => (*name, escrow_id()),
                _ => panic!("no program {name}"),
            })
            .collect();
        let mut svm = Svm::new(&loaded);
        let authority = svm.rich_key();
        let sequencer = svm.rich_key();
        let mut rollup = Self {
            svm,
            address: seeds::rollup(7),
            authority,
            sequencer,
        };
        accepted(rollup.initialize(7, config));
        rollup
    }

    // What is there

    /// The rollup's account.
    pub fn account(&self) -> Rollup {
        self.svm.read(&self.address)
    }

    /// The address of the chain account.
    pub fn chain(&self) -> Pubkey {
        seeds::chain(&self.address)
    }

    /// The chain account.
    pub fn chain_account(&self) -> Box<Chain> {
        Box::new(self.svm.read(&self.chain()))
    }

    /// The account of a sequencer.
    pub fn sequencer_account(&self, key: &Pubkey) -> Sequencer {
        self.svm.read(&seeds::sequencer(&self.address, key))
    }

    /// A page of the inbox.
    pub fn page(&self, number: u64) -> Box<InboxPage> {
        Box::new(self.svm.read(&seeds::inbox_page(&self.address, number)))
    }

    /// The header of a data account.
    pub fn data_account(&self, address: &Pubkey) -> BatchData {
        let mut account = self.svm.account(address).expect("a data account");
        *BatchData::split(&mut account.data)
            .expect("a data account")
            .0
    }

    // Instructions

    /// `initialize_rollup`.
    pub fn initialize(&mut self, id: u64, config: Config) -> Outcome {
        let rollup = seeds::rollup(id);
        let instruction = instruction(
            settlement::ID,
            accounts::InitializeRollup {
                authority: self.authority.pubkey(),
                rollup,
                chain: seeds::chain(&rollup),
                system_program: system_program::ID,
            },
            args::InitializeRollup { id, config },
        );
        self.svm.send(&[instruction], &[&self.authority])
    }

    /// `register_sequencer`, with the authority's signature.
    pub fn register(&mut self, key: &Keypair, bond: u64) -> Outcome {
        let authority = self.authority.insecure_clone();
        self.register_by(&authority, key, bond)
    }

    /// `register_sequencer`, signed by `authority`.
    pub fn register_by(&mut self, authority: &Keypair, key: &Keypair, bond: u64) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::RegisterSequencer {
                key: key.pubkey(),
                authority: authority.pubkey(),
                rollup: self.address,
                sequencer: seeds::sequencer(&self.address, &key.pubkey()),
                system_program: system_program::ID,
            },
            args::RegisterSequencer { bond },
        );
        self.svm.send(&[instruction], &[key, authority])
    }

    /// `add_bond` to the account of sequencer `of`, by `key`.
    pub fn add_bond_of(&mut self, of: &Pubkey, key: &Keypair, amount: u64) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::AddBond {
                key: key.pubkey(),
                sequencer: seeds::sequencer(&self.address, of),
                system_program: system_program::ID,
            },
            args::AddBond { amount },
        );
        self.svm.send(&[instruction], &[key])
    }

    /// `add_bond` by the sequencer `key`.
    pub fn add_bond(&mut self, key: &Keypair, amount: u64) -> Outcome {
        self.add_bond_of(&key.pubkey(), key, amount)
    }

    /// `request_unbond`.
    pub fn request_unbond(&mut self, key: &Keypair, amount: u64) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::RequestUnbond {
                key: key.pubkey(),
                rollup: self.address,
                sequencer: seeds::sequencer(&self.address, &key.pubkey()),
            },
            args::RequestUnbond { amount },
        );
        self.svm.send(&[instruction], &[key])
    }

    /// `withdraw_bond`.
    pub fn withdraw_bond(&mut self, key: &Keypair) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::WithdrawBond {
                key: key.pubkey(),
                rollup: self.address,
                chain: self.chain(),
                sequencer: seeds::sequencer(&self.address, &key.pubkey()),
            },
            args::WithdrawBond {},
        );
        self.svm.send(&[instruction], &[key])
    }

    /// `claim_fees`.
    pub fn claim_fees(&mut self, key: &Keypair) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::ClaimFees {
                key: key.pubkey(),
                sequencer: seeds::sequencer(&self.address, &key.pubkey()),
            },
            args::ClaimFees {},
        );
        self.svm.send(&[instruction], &[key])
    }

    /// `renew_lease`.
    pub fn renew_lease(
        &mut self,
        key: &Keypair,
        instance: [u8; 16],
        seconds: u32,
        take_over: bool,
    ) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::RenewLease {
                key: key.pubkey(),
                sequencer: seeds::sequencer(&self.address, &key.pubkey()),
            },
            args::RenewLease {
                instance,
                seconds,
                take_over,
            },
        );
        self.svm.send(&[instruction], &[key])
    }

    /// `close_sequencer`.
    pub fn close_sequencer(&mut self, key: &Keypair) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::CloseSequencer {
                key: key.pubkey(),
                sequencer: seeds::sequencer(&self.address, &key.pubkey()),
            },
            args::CloseSequencer {},
        );
        self.svm.send(&[instruction], &[key])
    }

    /// The creation of an account of `bytes` bytes for `poster`'s data.
    pub fn create_data_instruction(
        &self,
        poster: &Pubkey,
        seed: &str,
        bytes: usize,
    ) -> Instruction {
        system::create_account_with_seed(
            poster,
            &Pubkey::create_with_seed(poster, seed, &settlement::ID).expect("a short seed"),
            poster,
            seed,
            self.svm.rent(bytes),
            bytes as u64,
            &settlement::ID,
        )
    }

    /// `open_data`, as an instruction.
    pub fn open_data_instruction(&self, poster: &Pubkey, data: Pubkey, len: u32) -> Instruction {
        instruction(
            settlement::ID,
            accounts::OpenData {
                poster: *poster,
                rollup: self.address,
                data,
            },
            args::OpenData { len },
        )
    }

    /// Creates and opens the account `seed` of `poster` for `len` bytes.
    pub fn open_data(&mut self, poster: &Keypair, seed: &str, len: u32) -> Outcome {
        let key = poster.pubkey();
        let data = Pubkey::create_with_seed(&key, seed, &settlement::ID).expect("a short seed");
        let create = self.create_data_instruction(&key, seed, BatchData::size(len));
        let open = self.open_data_instruction(&key, data, len);
        self.svm.send(&[create, open], &[poster])
    }

    /// `write_chunks`.
    pub fn write_chunks(
        &mut self,
        wire: Wire,
        poster: &Keypair,
        data: Pubkey,
        first: u32,
        bytes: &[u8],
    ) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::WriteChunks {
                poster: poster.pubkey(),
                data,
            },
            args::WriteChunks {
                first,
                bytes: bytes.to_vec(),
            },
        );
        self.svm.send_as(wire, &[instruction], &[poster], &[])
    }

    /// `seal_data`.
    pub fn seal_data(&mut self, poster: &Keypair, data: Pubkey) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::SealData {
                poster: poster.pubkey(),
                data,
            },
            args::SealData {},
        );
        self.svm.send(&[instruction], &[poster])
    }

    /// `close_data`.
    pub fn close_data(&mut self, poster: &Keypair, data: Pubkey) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::CloseData {
                poster: poster.pubkey(),
                data,
            },
            args::CloseData {},
        );
        self.svm.send(&[instruction], &[poster])
    }

    /// Opens, writes and seals the data of a draft, in version-1 transactions.
    pub fn publish(&mut self, draft: &Draft) {
        let poster = self.sequencer.insecure_clone();
        let seed = seeds::data_seed(draft.header.number);
        accepted(self.open_data(&poster, &seed, draft.header.data_len));
        for (i, chunks) in draft.data.chunks(4 * CHUNK).enumerate() {
            let first = 4 * i as u32;
            accepted(self.write_chunks(Wire::V1, &poster, draft.data_address(), first, chunks));
        }
        accepted(self.seal_data(&poster, draft.data_address()));
    }

    /// `post_batch` by `key` with this data account, and the page of the batch's cursor if that
    /// is behind the queue's end.
    pub fn post_with(&mut self, key: &Keypair, data: Pubkey, draft: &Draft) -> Outcome {
        let cursor = draft.header.state.inbox.cursor;
        let page = (cursor < self.account().inbox_count)
            .then(|| seeds::inbox_page(&self.address, InboxPage::page_of(cursor)));
        self.post_with_page(key, data, page, draft)
    }

    /// `post_batch` with everything told.
    pub fn post_with_page(
        &mut self,
        key: &Keypair,
        data: Pubkey,
        page: Option<Pubkey>,
        draft: &Draft,
    ) -> Outcome {
        let instruction = self.post_instruction(key, data, page, draft);
        self.svm.send(&[instruction], &[key])
    }

    /// The instruction `post_batch` with everything told.
    pub fn post_instruction(
        &self,
        key: &Keypair,
        data: Pubkey,
        page: Option<Pubkey>,
        draft: &Draft,
    ) -> Instruction {
        instruction(
            settlement::ID,
            accounts::PostBatch {
                key: key.pubkey(),
                rollup: self.address,
                chain: self.chain(),
                sequencer: seeds::sequencer(&self.address, &key.pubkey()),
                data,
                page,
            },
            self.post_arguments(data, draft),
        )
    }

    /// The arguments of `post_batch` with what the accounts say.
    pub fn post_arguments(&self, data: Pubkey, draft: &Draft) -> args::PostBatch {
        let window = self.account().config.params.window;
        let account = self.svm.account(&data);
        let account = account.and_then(|a| read_zero_copy::<BatchData>(&a.data).ok());
        args::PostBatch {
            header: draft.header,
            parent_slot: self.chain_account().tip().posted_slot(window),
            writes: account.map(|data| data.write_slots()).unwrap_or_default(),
        }
    }

    /// `post_batch` of a draft whose data is published.
    pub fn post(&mut self, draft: &Draft) -> Outcome {
        let key = self.sequencer.insecure_clone();
        self.post_with(&key, draft.data_address(), draft)
    }

    /// Publishes and posts a batch, and closes its data account.
    pub fn settle(&mut self, draft: &Draft) -> Sent {
        self.publish(draft);
        let sent = accepted(self.post(draft));
        let poster = self.sequencer.insecure_clone();
        accepted(self.close_data(&poster, draft.data_address()));
        sent
    }

    /// `finalize_batch` with the account of the sequencer `key`.
    pub fn finalize_for(&mut self, key: &Pubkey) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::FinalizeBatch {
                rollup: self.address,
                chain: self.chain(),
                sequencer: seeds::sequencer(&self.address, key),
            },
            args::FinalizeBatch {},
        );
        self.svm.send(&[instruction], &[])
    }

    /// `finalize_batch`.
    pub fn finalize(&mut self) -> Outcome {
        let key = self.sequencer.pubkey();
        self.finalize_for(&key)
    }

    /// Posts a batch that consumes all messages and ends with this outbox, waits for its window
    /// and makes it final. Returns its number.
    pub fn finalize_outbox(&mut self, outbox: TreeHead) -> u64 {
        let draft = Draft::new(self, 1).outbox(outbox);
        self.settle(&draft);
        let window = self.account().config.params.window;
        self.svm.warp(window);
        while self.chain_account().pending() > 0 {
            accepted(self.finalize());
        }
        draft.header.number
    }

    /// `enqueue`, as an instruction.
    pub fn enqueue_instruction(
        &self,
        payer: &Pubkey,
        sender: &Pubkey,
        payload: Vec<u8>,
    ) -> Instruction {
        instruction(
            settlement::ID,
            accounts::Enqueue {
                payer: *payer,
                sender: *sender,
                rollup: self.address,
                page: seeds::inbox_page(&self.address, self.account().next_page()),
                system_program: system_program::ID,
            },
            args::Enqueue { payload },
        )
    }

    /// `enqueue` by anybody.
    pub fn enqueue(&mut self, sender: &Keypair, payload: Vec<u8>) -> Outcome {
        let instruction = self.enqueue_instruction(&sender.pubkey(), &sender.pubkey(), payload);
        self.svm.send(&[instruction], &[sender])
    }

    /// `enqueue` as if `program` had called it for its sender.
    pub fn enqueue_from(&mut self, payer: &Keypair, program: &Pubkey, payload: Vec<u8>) -> Outcome {
        let sender = seeds::sender(program, &self.address);
        let instruction = self.enqueue_instruction(&payer.pubkey(), &sender, payload);
        self.svm
            .send_as(Wire::V1, &[instruction], &[payer], &[sender])
    }

    /// Enqueues a forced transfer of `sender`'s.
    pub fn force(&mut self, sender: &Keypair) -> Outcome {
        self.enqueue(sender, forced(&sender.pubkey()))
    }

    /// `close_inbox_page`.
    pub fn close_page(&mut self, number: u64, payer: &Pubkey) -> Outcome {
        let instruction = instruction(
            settlement::ID,
            accounts::CloseInboxPage {
                rollup: self.address,
                chain: self.chain(),
                page: seeds::inbox_page(&self.address, number),
                payer: *payer,
            },
            args::CloseInboxPage {},
        );
        self.svm.send(&[instruction], &[])
    }
}

/// The payload of a forced transfer from the accounts of `owner`.
pub fn forced(owner: &Pubkey) -> Vec<u8> {
    encode(&Forced::Transfer {
        owner: owner.to_bytes(),
        mint: assay_ledger::SOL,
        to: [9; 32],
        amount: 5,
    })
}

/// Borsh.
pub fn encode(value: &impl AnchorSerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value
        .serialize(&mut bytes)
        .expect("writing to a vector does not fail");
    bytes
}
