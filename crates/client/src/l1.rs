//! What a user does on L1: deposits, withdrawals, jobs. Each is sent until it is on chain.

use crate::accounts;
use crate::api::{JobView, OutboxProof, OutboxView};
use crate::instructions::escrow::SettleError;
use crate::instructions::{bridge, disputes, escrow, settlement};
use crate::pda;
use crate::rpc::{Rpc, RpcError, Severity};
use crate::sender::{Landed, Order, SendError, Sender, Sent};
use crate::wallet::Wallet;
use crate::wire::{self, Budget};
use ::escrow::CreateJobArgs;
use ::escrow::constants::DEADLINE_MARGIN;
use ::escrow::constants::NAME;
use ::settlement::state::Buffer;
use assay_ledger::inbox::Forced;
use assay_ledger::{Hash, Key, SOL};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Compute units that a message to L2 may need, its sender's own work included.
const MESSAGE_UNITS: u32 = 200_000;
/// Compute units of a payment by proof.
const PROOF_UNITS: u32 = 300_000;
/// How often a message is tried when others move the inbox on to its next page meanwhile.
const PAGE_TRIES: usize = 5;

/// Why something on L1 failed.
#[derive(Debug, thiserror::Error)]
pub enum L1Error {
    /// A transaction.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A read.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// What is to be settled does not fit.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// A proof of something else.
    #[error("outbox leaf {0} is no withdrawal")]
    NoWithdrawal(u64),
}

impl L1Error {
    /// Whether to try again.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Send(e) => e.severity(),
            Self::Rpc(e) => e.severity(),
            Self::Settle(_) | Self::NoWithdrawal(_) => Severity::Permanent,
        }
    }
}

/// A job to be paid on L1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOrder {
    /// Index of the model.
    pub model: u32,
    /// The model's program: nothing else runs, whatever is at the index by then.
    pub program_root: Hash,
    /// The model's inputs one after the other, at most 512 bytes.
    pub input: Vec<u8>,
    /// The most that may be charged, in lamports; all of it is locked.
    pub max_price: u64,
    /// Which output is delivered.
    pub output_index: u32,
    /// Bytes of room for the output; the model's outputs together must fit.
    pub output_bytes: u32,
    /// A feed of the client that gets the output too.
    pub feed: Option<Pubkey>,
    /// Slots before a refund is possible; the least that the escrow takes if `None`.
    pub deadline: Option<u64>,
}

/// A rollup on L1, used by one wallet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct L1 {
    sender: Sender,
    rollup: Pubkey,
    wallet: Wallet,
}

impl L1 {
    /// `wallet` pays and signs.
    pub fn new(sender: Sender, rollup: Pubkey, wallet: Wallet) -> Self {
        Self {
            sender,
            rollup,
            wallet,
        }
    }

    /// The node.
    pub fn rpc(&self) -> &Rpc {
        self.sender.rpc()
    }

    /// The sender.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The rollup.
    pub fn rollup(&self) -> &Pubkey {
        &self.rollup
    }

    /// Locks lamports, which `owner` gets on L2.
    pub async fn deposit_sol(&self, owner: &Pubkey, lamports: u64) -> Result<Landed, L1Error> {
        let me = self.wallet.address();
        self.message("deposit", |page| {
            bridge::deposit_sol(&self.rollup, &me, owner, lamports, page)
        })
        .await
    }

    /// Locks tokens of the wallet's associated token account, which `owner` gets on L2.
    pub async fn deposit_token(
        &self,
        mint: &Pubkey,
        owner: &Pubkey,
        amount: u64,
    ) -> Result<Landed, L1Error> {
        let me = self.wallet.address();
        let program = self.token_program(mint).await?;
        let source = pda::token_account(&me, mint, &program);
        self.message("deposit", |page| {
            bridge::deposit_token(
                &self.rollup,
                &me,
                &source,
                mint,
                &program,
                owner,
                amount,
                page,
            )
        })
        .await
    }

    /// Forces a transfer or withdrawal of the wallet's L2 account, past the sequencer's will.
    pub async fn force(&self, forced: &Forced) -> Result<Landed, L1Error> {
        let me = self.wallet.address();
        self.message("force", |page| {
            settlement::force(&self.rollup, &me, &me, page, forced)
        })
        .await
    }

    /// Pays a withdrawal out to its recipient. Anybody may; paid already is
    /// [`Sent::AlreadyDone`].
    pub async fn withdraw(&self, proof: &OutboxProof) -> Result<Sent, L1Error> {
        let OutboxView::Withdrawal { mint, .. } = &proof.leaf else {
            return Err(L1Error::NoWithdrawal(proof.index));
        };
        let program = if mint.0 == SOL {
            Pubkey::default()
        } else {
            self.token_program(&Pubkey::from(*mint)).await?
        };
        let me = self.wallet.address();
        let pay = bridge::withdraw(&self.rollup, &me, proof, &program)
            .ok_or(L1Error::NoWithdrawal(proof.index))?;
        if accounts::is_paid(self.rpc(), &self.rollup, proof.index).await? {
            return Ok(Sent::AlreadyDone);
        }
        let order = Order::new("withdraw", self.wallet.keypair(), vec![pay]).units(PROOF_UNITS);
        let paid = || accounts::is_paid(self.rpc(), &self.rollup, proof.index);
        Ok(self.sender.send_unless(&order, paid).await?)
    }

    /// Locks a payment for a run of a model; the job's address.
    pub async fn create_job(&self, job: &JobOrder) -> Result<(Pubkey, Landed), L1Error> {
        let me = self.wallet.address();
        let rollup = accounts::rollup(self.rpc(), &self.rollup).await?;
        let nonce = accounts::next_job_nonce(self.rpc(), &self.rollup, &me).await?;
        let least = rollup
            .config
            .inbox_grace
            .saturating_add(rollup.config.params.window)
            .saturating_add(DEADLINE_MARGIN);
        // The transaction lands some slots later than this; slots are cheap.
        let wait = job.deadline.unwrap_or(least.saturating_mul(2));
        let args = CreateJobArgs {
            nonce,
            model: job.model,
            program_root: job.program_root,
            input: job.input.clone(),
            max_price: job.max_price,
            deadline: self.rpc().slot().await?.saturating_add(wait),
            output_index: job.output_index,
            output_bytes: job.output_bytes,
        };
        let landed = self
            .message("create job", |page| {
                escrow::create_job(&self.rollup, &me, &me, job.feed, args.clone(), page)
            })
            .await?;
        Ok((pda::job(&self.rollup, &me, nonce), landed))
    }

    /// Settles a job by what the API says of it and the proof of its outbox leaf. Anybody may;
    /// settled already is [`Sent::AlreadyDone`].
    pub async fn settle_job(
        &self,
        address: &Pubkey,
        view: &JobView,
        proof: &OutboxProof,
    ) -> Result<Sent, L1Error> {
        let job = self.job(address).await?;
        let settle = escrow::settle_job(address, &job, view, proof)?;
        let instructions = self.whole(address, settle).await?;
        let order =
            Order::new("settle job", self.wallet.keypair(), instructions).units(PROOF_UNITS);
        self.unless_finished(&order, address).await
    }

    /// A settlement, or the same through a buffer, which is written first and closed with it, if it does not fit
    /// a transaction.
    async fn whole(&self, job: &Pubkey, settle: Instruction) -> Result<Vec<Instruction>, L1Error> {
        let (key, wire) = (self.wallet.address(), self.sender.wire().await?);
        let budget = Budget {
            units: PROOF_UNITS,
            // Retries may offer a price, which takes some room.
            unit_price: 1,
            ..Budget::default()
        };
        let inline = std::slice::from_ref(&settle);
        let message = wire::message(wire, &key, inline, &budget, Default::default());
        if message.is_ok_and(|message| wire::bytes_of(&message) <= wire.limit()) {
            return Ok(vec![settle]);
        }
        // Made for the job: found again after a crash.
        let [a, b, c, d, e, f, g, h, ..] = job.to_bytes();
        let id = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let buffer = pda::buffer(&key, id);
        let (from, bytes) = escrow::settle_job_from_buffer(&settle, &buffer);
        let size = Buffer::size(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let there = self.rpc().account(&buffer).await?;
        let mut open = Vec::new();
        if there.is_some_and(|account| account.owner == ::settlement::ID) {
            open.push(disputes::close_buffer(&key, &buffer));
        }
        let rent = self.rpc().rent(size).await?;
        open.extend(disputes::open_buffer(&key, id, bytes.len() as u32, rent));
        let order = Order::new("open buffer", self.wallet.keypair(), open);
        self.sender.send(&order).await?;
        let write = |n| vec![disputes::write_buffer(&key, &buffer, 0, vec![0; n])];
        let each = wire::room(wire, &key, &budget, write).unwrap_or(1).max(1);
        for (at, part) in (0u32..).step_by(each).zip(bytes.chunks(each)) {
            let write = disputes::write_buffer(&key, &buffer, at, part.to_vec());
            let order = Order::new("write buffer", self.wallet.keypair(), vec![write]);
            self.sender.send(&order).await?;
        }
        Ok(vec![from, disputes::close_buffer(&key, &buffer)])
    }

    /// Takes a job's payment back after its deadline.
    pub async fn refund_job(&self, address: &Pubkey) -> Result<Sent, L1Error> {
        let job = self.job(address).await?;
        let refund = escrow::refund_job(address, &job);
        let order = Order::new("refund job", self.wallet.keypair(), vec![refund]);
        self.unless_finished(&order, address).await
    }

    /// Closes a finished job of this wallet for its rent.
    pub async fn close_job(&self, address: &Pubkey) -> Result<Sent, L1Error> {
        let close = escrow::close_job(address, &self.wallet.address());
        let order = Order::new("close job", self.wallet.keypair(), vec![close]);
        let gone = || async { Ok(self.rpc().account(address).await?.is_none()) };
        Ok(self.sender.send_unless(&order, gone).await?)
    }

    /// Pays the sequencer or the publisher of a settled job what waits for it. Anybody may; paid
    /// already is [`Sent::AlreadyDone`].
    pub async fn claim_payment(
        &self,
        address: &Pubkey,
        recipient: &Pubkey,
    ) -> Result<Sent, L1Error> {
        let claim = escrow::claim_payment(address, recipient);
        let order = Order::new("claim payment", self.wallet.keypair(), vec![claim]);
        let paid = || async {
            let job = accounts::job(self.rpc(), address).await?;
            Ok(job.is_none_or(|job| waiting_for(&job, recipient) == 0))
        };
        Ok(self.sender.send_unless(&order, paid).await?)
    }

    /// Creates a feed of this wallet with room for an output of `capacity` bytes; its address.
    /// Done already is done.
    pub async fn create_feed(&self, name: [u8; NAME], capacity: u32) -> Result<Pubkey, L1Error> {
        let me = self.wallet.address();
        let address = pda::feed(&me, &name);
        let create = escrow::create_feed(&self.rollup, &me, &me, name, capacity);
        let order = Order::new("create feed", self.wallet.keypair(), vec![create]);
        let there = || async { Ok(self.rpc().account(&address).await?.is_some()) };
        self.sender.send_unless(&order, there).await?;
        Ok(address)
    }

    /// Closes a feed of this wallet for its rent.
    pub async fn close_feed(&self, address: &Pubkey) -> Result<Sent, L1Error> {
        let close = escrow::close_feed(address, &self.wallet.address());
        let order = Order::new("close feed", self.wallet.keypair(), vec![close]);
        let gone = || async { Ok(self.rpc().account(address).await?.is_none()) };
        Ok(self.sender.send_unless(&order, gone).await?)
    }

    /// A feed.
    pub async fn feed(&self, address: &Pubkey) -> Result<::escrow::state::Feed, L1Error> {
        Ok(accounts::feed(self.rpc(), address)
            .await?
            .ok_or(RpcError::Missing {
                address: *address,
                expected: "feed",
            })?)
    }

    /// A job.
    pub async fn job(&self, address: &Pubkey) -> Result<::escrow::state::Job, L1Error> {
        Ok(accounts::job(self.rpc(), address)
            .await?
            .ok_or(RpcError::Missing {
                address: *address,
                expected: "job",
            })?)
    }

    /// Base units in the associated token account of `owner`, 0 where there is none; lamports for
    /// [`SOL`].
    pub async fn balance(&self, owner: &Pubkey, mint: &Key) -> Result<u64, L1Error> {
        if *mint == SOL {
            return Ok(self.rpc().balance(owner).await?);
        }
        let mint = Pubkey::new_from_array(*mint);
        let program = self.token_program(&mint).await?;
        let account = pda::token_account(owner, &mint, &program);
        token_balance(self.rpc(), &account)
            .await
            .map_err(Into::into)
    }

    /// The program that owns a mint.
    pub async fn token_program(&self, mint: &Pubkey) -> Result<Pubkey, RpcError> {
        let account = self.rpc().account(mint).await?;
        account.map(|a| a.owner).ok_or(RpcError::Missing {
            address: *mint,
            expected: "mint",
        })
    }

    async fn unless_finished(&self, order: &Order, address: &Pubkey) -> Result<Sent, L1Error> {
        let finished = || async {
            let job = accounts::job(self.rpc(), address).await?;
            Ok(job.is_none_or(|j| j.status != ::escrow::state::JobStatus::Open))
        };
        if finished().await? {
            return Ok(Sent::AlreadyDone);
        }
        Ok(self.sender.send_unless(order, finished).await?)
    }

    /// Sends a message to L2. Which page it goes to is known when it lands; until then others can
    /// fill the page, and then the chain refuses it and it is made again.
    async fn message(
        &self,
        label: &'static str,
        make: impl Fn(u64) -> Instruction,
    ) -> Result<Landed, L1Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let page = accounts::rollup(self.rpc(), &self.rollup)
                .await?
                .next_page();
            let order =
                Order::new(label, self.wallet.keypair(), vec![make(page)]).units(MESSAGE_UNITS);
            let error = match self.sender.send(&order).await {
                Ok(landed) => return Ok(landed),
                Err(error) => error,
            };
            let refused = matches!(error, SendError::Refused { .. });
            let moved = refused
                && accounts::rollup(self.rpc(), &self.rollup)
                    .await?
                    .next_page()
                    != page;
            if !moved || tries == PAGE_TRIES {
                return Err(error.into());
            }
        }
    }
}

/// Lamports of a settled job that wait for `recipient`.
pub fn waiting_for(job: &::escrow::state::Job, recipient: &Pubkey) -> u64 {
    let parts = [
        (job.sequencer, job.sequencer_due),
        (job.publisher, job.publisher_due),
    ];
    let theirs = parts.iter().filter(|(key, _)| key == recipient);
    theirs.fold(0, |sum, (_, due)| sum.saturating_add(*due))
}

/// Base units in a token account of either token program, 0 where there is none.
pub async fn token_balance(rpc: &Rpc, account: &Pubkey) -> Result<u64, RpcError> {
    let Some(found) = rpc.account(account).await? else {
        return Ok(0);
    };
    // Mint (32), owner (32), amount (8), ...: the same in both programs.
    found
        .data
        .get(64..72)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_le_bytes)
        .ok_or(RpcError::Account {
            address: *account,
            expected: "token account",
            reason: "it is too short".into(),
        })
}
