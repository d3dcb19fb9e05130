//! A network with a history, and the wrong batch in it.

use super::process::{Process, Withholding};
use super::stand_in::{Limits, StandIn};
use super::{Account, Measured};
use crate::config::{ExecutorChoice, TxVersion};
use crate::demo::digits::Digits;
use crate::dev::cheat::Cheat;
use crate::dev::network::{LAMPORTS, Network, Options as NetworkOptions};
use anyhow::{Context, Result, ensure};
use assay_client::disputes::{self, Of};
use assay_client::l1::{JobOrder, L1};
use assay_client::l2::L2;
use assay_client::wallet::Wallet;
use assay_client::{accounts, demands, pda};
use assay_dispute::player::{Library, Model};
use assay_ledger::SOL;
use assay_ledger::request::Action;
use serde_json::{Value, json};
use solana_client::rpc_request::RpcRequest;
use solana_pubkey::Pubkey;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long any one thing of the set-up may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the verifier's first move is waited for.
const LIMIT: Duration = Duration::from_secs(120);
/// Slots in which a batch can be disputed: far more than the attack takes.
const WINDOW: u64 = 40_000;
/// A pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);
const PRICE: u64 = 1_000;
/// Transfers of the wrong batch: its data takes several transactions.
const TRANSFERS: usize = 300;
/// The wrong batch's number.
const WRONG: u64 = 2;
/// The user's feed.
const FEED: [u8; escrow::constants::NAME] = [0; escrow::constants::NAME];

/// A network with a batch that deploys a model, a user with a feed, and a verifier's key.
pub struct Scene {
    network: Network,
    user: Wallet,
    verifier: Wallet,
    digits: Digits,
    /// Keeps blobs from the verifier, where it is to demand them on L1.
    withholding: Option<Withholding>,
    /// The sequencer's state, and the verifier's.
    dirs: [TempDir; 2],
}

impl Scene {
    /// Starts a network. With `demands` nobody but L1 gives the verifier the model.
    pub async fn start(demands: bool) -> Result<Self> {
        let dirs = [tempfile::tempdir()?, tempfile::tempdir()?];
        let mut options = NetworkOptions::new(dirs[0].path());
        options.rollup.params.window = WINDOW;
        options.rollup.params.clock = WINDOW / 2;
        options.rollup.params.extension = WINDOW / 10;
        options.rollup.unbond_delay = WINDOW;
        options.cheat = Some(Cheat::WrongBalance);
        options.executor = ExecutorChoice::Cpu;
        options.batch_age_ms = 600_000;
        options.write_programs = true;
        if demands {
            // Answers go through buffers.
            options.transactions = TxVersion::Legacy;
        }
        let network = Network::start(options, |_| ()).await?;
        let withholding = match demands {
            true => Some(Withholding::before(network.service().url()).await?),
            false => None,
        };
        let scene = Self {
            network,
            user: Wallet::random(),
            verifier: Wallet::random(),
            digits: Digits::load(Some(1))?,
            withholding,
            dirs,
        };
        scene
            .verifier
            .write_new(scene.dirs[1].path().join("key.json"))?;
        scene.prepare().await?;
        Ok(scene)
    }

    /// Stops the network.
    pub async fn stop(self) -> Result<()> {
        self.network.stop().await
    }

    /// The first batch.
    async fn prepare(&self) -> Result<()> {
        for wallet in [&self.user, &self.verifier] {
            self.network.fund(&wallet.address(), 20 * LAMPORTS).await?;
        }
        let (l1, l2) = (self.l1(), self.l2());
        l1.create_feed(FEED, self.digits.output_bytes()).await?;
        l1.deposit_sol(&self.user.address(), LAMPORTS).await?;
        l2.wait_for_balance(SOL, LAMPORTS, PATIENCE).await?;
        let model = l2.deploy(&self.digits.bundle, SOL, PRICE).await?;
        self.network.api().close_batch().await?;
        l2.wait_for_model(model.index, PATIENCE).await?;
        self.until("the first batch", async || {
            let chain = accounts::chain(l1.rpc(), &self.network.rollup).await?;
            Ok(chain.tip_number >= 1)
        })
        .await
    }

    /// Has strangers name these accounts in `junk` transactions each, and a wrong batch posted.
    pub async fn attack(&self, targets: &[Account], junk: u32, limits: Limits) -> Result<Measured> {
        let rpc = self.network.sender.rpc();
        let node = StandIn::start(&rpc.url(), limits).await?;
        let api = match &self.withholding {
            Some(withholding) => withholding.url().to_owned(),
            None => self.network.service().url(),
        };
        let rollup = self.network.rollup.to_string();
        let mut process = Process::start(self.dirs[1].path(), &node, &api, &rollup).await?;
        process.has_read(1, PATIENCE).await?;
        for target in targets {
            if let Some((address, slots)) = self.place(*target) {
                node.attack(&address, junk, slots).await?;
            }
        }
        node.ready().await?;
        if self.withholding.is_some() {
            self.demanded(&node, targets, junk).await?;
        }
        let begun = self.wrong_batch(&node, targets, junk).await?;
        node.end().await?;
        let of = Of::Challenger(self.verifier.address());
        while disputes::find(rpc, &self.network.rollup, of)
            .await?
            .is_empty()
            && begun.elapsed() < LIMIT
        {
            self.follow(&node, targets, junk).await?;
            tokio::time::sleep(PAUSE).await;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let rss_mb = process.peak_mb()?;
        Ok(Measured {
            seconds,
            rss_mb,
            served: node.served(),
        })
    }

    /// Where an account is that can be named from the start, and in how many slots of the wrong
    /// batch's time it has honest transactions.
    fn place(&self, target: Account) -> Option<(Pubkey, u32)> {
        let (rollup, user) = (&self.network.rollup, &self.user.address());
        let sequencer = &self.network.sequencer.address();
        Some(match target {
            Account::Rollup => (*rollup, 4),
            Account::Chain => (pda::chain(rollup), 1),
            Account::Data => (pda::batch_data(sequencer, WRONG), 2),
            Account::InboxPage => (pda::inbox_page(rollup, 0), 2),
            Account::Sequencer => (pda::sequencer(rollup, sequencer), 1),
            Account::Job => (pda::job(rollup, user, 0), 1),
            Account::Feed => (pda::feed(user, &FEED), 1),
            Account::Vault => (pda::sol_vault(rollup), 1),
            Account::Program => (settlement::ID, 4),
            Account::Dispute | Account::Demand | Account::Buffer | Account::All => return None,
        })
    }

    /// Attacks the demands and buffers that there are now.
    async fn follow(&self, node: &StandIn, targets: &[Account], junk: u32) -> Result<()> {
        let rpc = self.network.sender.rpc();
        if targets.contains(&Account::Demand) {
            let key = self.verifier.address();
            for found in demands::of(rpc, &self.network.rollup, &key).await? {
                node.attack(&found.address, junk, 1).await?;
            }
        }
        if targets.contains(&Account::Buffer) {
            for owner in [&self.network.sequencer, &self.verifier] {
                for buffer in disputes::buffers(rpc, &owner.address()).await? {
                    node.attack(&buffer, junk, 1).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits until the verifier has demanded the model and the sequencer has answered something.
    async fn demanded(&self, node: &StandIn, targets: &[Account], junk: u32) -> Result<()> {
        let rpc = self.network.sender.rpc();
        // A verifier leaves this part of the window to whoever gives the bytes otherwise.
        let slot = rpc.slot().await? + WINDOW / 12;
        let method = "surfnet_timeTravel";
        let to = json!([{ "absoluteSlot": slot }]);
        let _: Value = rpc.client().send(RpcRequest::Custom { method }, to).await?;
        let key = self.verifier.address();
        self.until("an answer to a demand", async || {
            self.follow(node, targets, junk).await?;
            let found = demands::of(rpc, &self.network.rollup, &key).await?;
            Ok(found
                .iter()
                .any(|found| found.demand.over || !found.pieces.is_empty()))
        })
        .await
    }

    /// The sequencer posts the wrong batch, with a job, a deposit and transfers: since when it is
    /// on L1.
    async fn wrong_batch(&self, node: &StandIn, targets: &[Account], junk: u32) -> Result<Instant> {
        let (l1, l2) = (self.l1(), self.l2());
        let (program, parameters) = self.digits.bundle.open()?;
        let mut library = Library::default();
        let root = program.root();
        library.insert(Model::new(program, parameters).context("the model's parameters")?);
        let cheater = self
            .network
            .cheater
            .clone()
            .context("a sequencer that lies")?;
        cheater.arm(Arc::new(library));
        let job = JobOrder {
            model: 0,
            program_root: root,
            input: self.digits.inputs.first().context("an image")?.clone(),
            max_price: PRICE,
            output_index: self.digits.class_output as u32,
            output_bytes: self.digits.output_bytes(),
            feed: Some(pda::feed(&self.user.address(), &FEED)),
            deadline: None,
        };
        l1.create_job(&job).await?;
        let other = Wallet::random();
        l1.deposit_sol(&other.address(), LAMPORTS).await?;
        let others = L2::new(self.network.api(), self.network.rollup, other.clone());
        others.wait_for_balance(SOL, LAMPORTS, PATIENCE).await?;
        let transfers = (0..TRANSFERS).map(|i| Action::Transfer {
            to: [i as u8; 32],
            amount: i as u64 + 1,
        });
        let requests = l2.sign(SOL, transfers.collect()).await?;
        let outcomes = self.network.api().submit(&requests).await?;
        ensure!(
            outcomes.iter().all(|outcome| outcome.accepted),
            "{outcomes:?}"
        );
        self.network.api().close_batch().await?;
        let mut seen = cheater.seen();
        let seen = seen.wait_for(|seen| *seen);
        tokio::time::timeout(PATIENCE, seen)
            .await
            .context("the wrong batch does not come to L1")??;
        let begun = Instant::now();
        if targets.contains(&Account::Dispute) {
            let told = cheater.told().context("a wrong batch")?;
            let [a, b, c, d, e, f, g, h, ..] = told.lie.claims.header.hash();
            let id = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let address = pda::dispute(&self.network.rollup, &self.verifier.address(), id);
            node.attack(&address, junk, 1).await?;
        }
        Ok(begun)
    }

    async fn until(&self, what: &str, look: impl AsyncFn() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !look().await? {
            ensure!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    fn l1(&self) -> L1 {
        L1::new(
            self.network.sender.clone(),
            self.network.rollup,
            self.user.clone(),
        )
    }

    fn l2(&self) -> L2 {
        L2::new(self.network.api(), self.network.rollup, self.user.clone())
    }
}
