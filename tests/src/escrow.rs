//! Every instruction of the escrow program on a [`TestRollup`].

use crate::outbox::OutboxTree;
use crate::rollup::{TestRollup, config};
use crate::svm::{Outcome, Wire, instruction};
use anchor_lang::{InstructionData, ToAccountMetas, system_program};
use assay_client::instructions::escrow as make;
use assay_ledger::outbox::{OutboxLeaf, trim};
use assay_tensor::commit::{output_path, outputs_root};
use assay_tensor::types::Tensor;
use escrow::state::{Client, Feed, Job, Output};
use escrow::{
    CreateJobArgs, JobResult, OutputProof, SettleJobArgs, accounts, instruction as args, seeds,
};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// A rollup with one sequencer and the escrow.
pub fn new() -> TestRollup {
    TestRollup::with(&["settlement", "escrow"], config(), 40)
}

/// `["client", rollup, client]`.
pub fn client(rollup: &Pubkey, client: &Pubkey) -> Pubkey {
    find(&[seeds::CLIENT, rollup.as_ref(), client.as_ref()])
}

/// `["job", rollup, client, nonce]`.
pub fn job(rollup: &Pubkey, client: &Pubkey, nonce: u64) -> Pubkey {
    let nonce = nonce.to_le_bytes();
    find(&[seeds::JOB, rollup.as_ref(), client.as_ref(), &nonce])
}

/// `["feed", client, name]`.
pub fn feed(client: &Pubkey, name: [u8; 32]) -> Pubkey {
    find(&[seeds::FEED, client.as_ref(), &name])
}

fn find(seeds: &[&[u8]]) -> Pubkey {
    Pubkey::find_program_address(seeds, &escrow::ID).0
}

/// The result of a job that ran.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The job.
    pub job: Pubkey,
    /// What is charged.
    pub price: u64,
    /// The sequencer's share of it.
    pub sequencer_share: u64,
    /// Who ran it.
    pub sequencer: Pubkey,
    /// Whose model it is.
    pub publisher: Pubkey,
    /// All its outputs.
    pub outputs: Vec<Tensor>,
}

impl Ran {
    /// The leaf of the outbox.
    pub fn leaf(&self) -> OutboxLeaf {
        OutboxLeaf::JobResult {
            job: self.job.to_bytes(),
            done: true,
            price: self.price,
            sequencer_share: self.sequencer_share,
            sequencer: self.sequencer.to_bytes(),
            publisher: self.publisher.to_bytes(),
            version: 3,
            output_root: outputs_root(&self.outputs),
        }
    }

    /// The arguments that settle it: leaf `index` of `outbox`, proven against batch `batch`,
    /// delivering output `output`.
    pub fn args(&self, outbox: &OutboxTree, batch: u64, index: u64, output: u32) -> SettleJobArgs {
        let tensor = &self.outputs[output as usize];
        SettleJobArgs {
            batch,
            index,
            result: JobResult {
                done: true,
                price: self.price,
                sequencer_share: self.sequencer_share,
                version: 3,
                output_root: outputs_root(&self.outputs),
            },
            siblings: siblings(outbox, index),
            output: Some(OutputProof {
                count: self.outputs.len() as u32,
                output: Output {
                    ty: tensor.ty().into(),
                    data: tensor.data().to_vec(),
                },
                siblings: output_path(&self.outputs, output).expect("an output"),
            }),
        }
    }
}

/// The leaf of a job that was declined by `sequencer`.
pub fn declined(job: Pubkey, sequencer: Pubkey) -> OutboxLeaf {
    OutboxLeaf::JobResult {
        job: job.to_bytes(),
        done: false,
        price: 0,
        sequencer_share: 0,
        sequencer: sequencer.to_bytes(),
        publisher: [0; 32],
        version: 0,
        output_root: [0; 32],
    }
}

/// The arguments that settle a job that was declined.
pub fn declined_args(outbox: &OutboxTree, batch: u64, index: u64) -> SettleJobArgs {
    SettleJobArgs {
        batch,
        index,
        result: JobResult {
            done: false,
            price: 0,
            sequencer_share: 0,
            version: 0,
            output_root: [0; 32],
        },
        siblings: siblings(outbox, index),
        output: None,
    }
}

fn siblings(outbox: &OutboxTree, index: u64) -> Vec<[u8; 32]> {
    let path = outbox.path(index);
    trim(outbox.leaves.len() as u64, &path).to_vec()
}

impl TestRollup {
    /// An instruction of the escrow, sent.
    pub fn send_escrow(
        &mut self,
        wire: Wire,
        accounts: impl ToAccountMetas,
        data: impl InstructionData,
        signers: &[&Keypair],
    ) -> Outcome {
        let instruction = instruction(escrow::ID, accounts, data);
        self.svm.send_as(wire, &[instruction], signers, &[])
    }

    /// A job.
    pub fn job(&self, address: &Pubkey) -> Job {
        self.svm.read(address)
    }

    /// A feed.
    pub fn feed(&self, address: &Pubkey) -> Feed {
        self.svm.read(address)
    }

    /// What is remembered of a client.
    pub fn client_account(&self, key: &Pubkey) -> Client {
        self.svm.read(&client(&self.address, key))
    }

    /// The arguments of a job of model 0 with room for 64 bytes, a price limit of 2,000,000
    /// lamports and the earliest deadline.
    pub fn job_args(&self, nonce: u64) -> CreateJobArgs {
        let deadline = escrow::earliest_deadline(self.svm.slot(), &self.account().config);
        CreateJobArgs {
            nonce,
            model: 0,
            program_root: [4; 32],
            input: vec![5; 64],
            max_price: 2_000_000,
            deadline: deadline.expect("small numbers"),
            output_index: 0,
            output_bytes: 64,
        }
    }

    /// Accounts of `create_job` without a feed; the client pays.
    pub fn create_job_accounts(&self, client_key: &Pubkey, nonce: u64) -> accounts::CreateJob {
        accounts::CreateJob {
            payer: *client_key,
            client: *client_key,
            client_account: client(&self.address, client_key),
            job: job(&self.address, client_key, nonce),
            feed: None,
            sender: settlement::seeds::sender(&escrow::ID, &self.address),
            rollup: self.address,
            inbox_page: settlement::seeds::inbox_page(&self.address, self.account().next_page()),
            settlement_program: settlement::ID,
            system_program: system_program::ID,
        }
    }

    /// `create_job`.
    pub fn create_job(&mut self, client: &Keypair, args: CreateJobArgs) -> Outcome {
        let accounts = self.create_job_accounts(&client.pubkey(), args.nonce);
        self.send_escrow(Wire::Legacy, accounts, args::CreateJob { args }, &[client])
    }

    /// `create_job` with a feed.
    pub fn create_job_with_feed(
        &mut self,
        client: &Keypair,
        feed: Pubkey,
        args: CreateJobArgs,
    ) -> Outcome {
        let mut accounts = self.create_job_accounts(&client.pubkey(), args.nonce);
        accounts.feed = Some(feed);
        self.send_escrow(Wire::Legacy, accounts, args::CreateJob { args }, &[client])
    }

    /// Accounts of `settle_job`; client and feed are the job's.
    pub fn settle_job_accounts(
        &self,
        address: Pubkey,
        sequencer: Pubkey,
        publisher: Option<Pubkey>,
    ) -> accounts::SettleJob {
        let job = self.job(&address);
        accounts::SettleJob {
            job: address,
            client: job.client,
            sequencer,
            publisher,
            feed: (job.feed != Pubkey::default()).then_some(job.feed),
            rollup: self.address,
            chain: self.chain(),
        }
    }

    /// `settle_job` of a job that ran.
    pub fn settle_ran(&mut self, ran: &Ran, args: SettleJobArgs) -> Outcome {
        let accounts = self.settle_job_accounts(ran.job, ran.sequencer, Some(ran.publisher));
        self.send_escrow(Wire::V1, accounts, args::SettleJob { args }, &[])
    }

    /// `settle_job` of a job that was declined.
    pub fn settle_declined(
        &mut self,
        job: Pubkey,
        sequencer: Pubkey,
        args: SettleJobArgs,
    ) -> Outcome {
        let accounts = self.settle_job_accounts(job, sequencer, None);
        self.send_escrow(Wire::Legacy, accounts, args::SettleJob { args }, &[])
    }

    /// `refund_job`.
    pub fn refund_job(&mut self, address: Pubkey) -> Outcome {
        let job = self.job(&address);
        let accounts = accounts::RefundJob {
            job: address,
            client: job.client,
            feed: (job.feed != Pubkey::default()).then_some(job.feed),
            rollup: self.address,
            chain: self.chain(),
        };
        self.send_escrow(Wire::Legacy, accounts, args::RefundJob {}, &[])
    }

    /// `claim_payment`.
    pub fn claim_payment(&mut self, job: Pubkey, recipient: Pubkey) -> Outcome {
        let claim = make::claim_payment(&job, &recipient);
        self.svm.send_as(Wire::Legacy, &[claim], &[], &[])
    }

    /// `close_job`.
    pub fn close_job(&mut self, client: &Keypair, job: Pubkey) -> Outcome {
        let accounts = accounts::CloseJob {
            job,
            client: client.pubkey(),
        };
        self.send_escrow(Wire::Legacy, accounts, args::CloseJob {}, &[client])
    }

    /// `create_feed`.
    pub fn create_feed(&mut self, client: &Keypair, name: [u8; 32], capacity: u32) -> Outcome {
        let key = client.pubkey();
        let create = make::create_feed(&self.address, &key, &key, name, capacity);
        self.svm.send_as(Wire::Legacy, &[create], &[client], &[])
    }

    /// `close_feed`.
    pub fn close_feed(&mut self, client: &Keypair, feed: Pubkey) -> Outcome {
        let close = make::close_feed(&feed, &client.pubkey());
        self.svm.send_as(Wire::Legacy, &[close], &[client], &[])
    }
}
