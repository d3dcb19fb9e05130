//! What happens when a sequencer lies, in order.

use super::figures::{Figures, Line};
use super::moves::{self, Moves};
use super::publisher::Publisher;
use super::watch::Watch;
use super::{Options, Report};
use crate::config::{ExecutorChoice, TxVersion};
use crate::demo::digits::Digits;
use crate::demo::progress::Progress;
use crate::dev::cheat::cheater::Cheater;
use crate::dev::network::{LAMPORTS, Network, Options as NetworkOptions};
use crate::store::leaves::Spelling;
use crate::verifier::config::VerifierConfig;
use anyhow::{Context, Result, ensure};
use assay_client::api::ModelView;
use assay_client::disputes::{self, Of};
use assay_client::http::Api;
use assay_client::l1::L1;
use assay_client::l2::{self, L2};
use assay_client::sender::{Options as SendOptions, Sender};
use assay_client::wallet::Wallet;
use assay_client::wire::Wire;
use assay_client::{accounts, demands};
use assay_dispute::player::{Library, Model};
use assay_ledger::SOL;
use assay_ledger::header::Header;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long any one thing may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// A slot of the chain, as Solana's.
const SLOT: Duration = Duration::from_millis(400);
/// Slots in which a batch can be disputed.
const WINDOW: u64 = 75;
const DEPOSIT: u64 = 5 * LAMPORTS;
/// The deposit in the batch that is falsified.
const SECOND_DEPOSIT: u64 = LAMPORTS;
const TRANSFER: u64 = LAMPORTS / 2;
const PRICE: u64 = 2_000;
const INFERENCES: usize = 8;

/// Everybody.
struct Demo {
    network: Network,
    cheater: Arc<Cheater>,
    /// Says what form the verifier's transactions have.
    sender: Sender,
    api: Api,
    progress: Progress,
    options: Options,
    /// A user who publishes a model and pays for runs, and one who is paid.
    users: [Wallet; 2],
    verifier: Wallet,
}

/// What honest people have: the vault's lamports, and the users' balances on L2.
#[derive(Debug, PartialEq, Eq)]
struct Honest {
    vault: u64,
    users: [u64; 2],
}

pub async fn run(options: Options) -> Result<Report> {
    let progress = Progress::new(options.progress);
    let data = tempfile::tempdir()?;
    let digits = Digits::load(Some(INFERENCES))?;
    let mut network = NetworkOptions::new(data.path());
    network.executor = options.executor;
    network.chain.slot = SLOT;
    network.rollup.params.window = WINDOW;
    network.cheat = Some(options.cheat);
    if options.legacy {
        network.transactions = TxVersion::Legacy;
    }
    // The demo closes its batches itself.
    network.batch_age_ms = 60_000;
    let network = Network::start(network, |step| progress.network(step)).await?;
    let demo = Demo::new(network, progress, options).await?;
    let report = demo.play(&digits).await;
    demo.progress.finish("");
    let stopped = demo.network.stop().await;
    let report = report?;
    stopped?;
    Ok(report)
}

impl Demo {
    async fn new(network: Network, progress: Progress, options: Options) -> Result<Self> {
        progress.step("two users, and a verifier whom nobody appointed");
        let users = [Wallet::random(), Wallet::random()];
        let verifier = Wallet::random();
        for wallet in users.iter().chain([&verifier]) {
            network.fund(&wallet.address(), 20 * LAMPORTS).await?;
        }
        let cheater = network.cheater.clone();
        Ok(Self {
            sender: Sender::new(
                network.sender.rpc().clone(),
                SendOptions {
                    wire: options.legacy.then_some(Wire::Legacy),
                    ..*network.sender.options()
                },
            ),
            cheater: cheater.context("the network's sequencer is an honest one")?,
            api: network.api(),
            network,
            progress,
            options,
            users,
            verifier,
        })
    }

    async fn play(&self, digits: &Digits) -> Result<Report> {
        let (program, parameters) = digits.bundle.open()?;
        let mut library = Library::default();
        library.insert(Model::new(program, parameters).context("the model's parameters")?);
        let publisher = Publisher::start().await?;
        let directory = tempfile::tempdir()?;
        let key = directory.path().join("key.json");
        self.verifier.write_new(&key)?;
        let config = VerifierConfig {
            keypair: Some(key),
            data_dir: directory.path().join("data"),
            executor: ExecutorChoice::Cpu,
            transactions: match self.options.legacy {
                true => TxVersion::Legacy,
                false => TxVersion::Auto,
            },
            poll_ms: (SLOT / 2).as_millis() as u64,
            ..VerifierConfig::default()
        };
        let mirrors = [self.api.url().to_owned(), publisher.url().to_owned()];
        let (rpc, rollup) = (self.network.sender.rpc().url(), self.network.rollup);
        let mut watch = Watch::start(&config, &rpc, rollup, &mirrors).await?;

        let model = self.honest_batch(digits).await?;
        watch.until_right(PATIENCE, |_| true).await?;
        ensure!(
            watch.seen().wrong.is_none(),
            "a batch is wrong before the lie"
        );
        let (bond, held) = (self.bond().await?, self.held().await?);
        self.cheater.arm(Arc::new(library));
        self.lying_batch(digits, &model).await?;
        let before = self.honest(&self.users_on_l2().await?).await?;
        let told = self.cheater.told().context("no lie was told")?;
        if let Some((header, leaves)) = told.lie.malformed.clone() {
            let spelling = Spelling { header, leaves };
            publisher.publish(hex::encode(spelling.root()), spelling.encode());
        }
        let lie = told.lie.claims.header;
        let (reason, lines) = self.verdict(&watch, &lie).await?;
        // The verifier has taken what it has won, and the batch goes to L1 once more, as it is.
        self.settled().await?;
        let slashed = bond.saturating_sub(self.bond().await?);
        let fees = moves::fees(self.sender.rpc(), &self.verifier.address()).await?;
        let reward = (self.held().await? + fees).saturating_sub(held);
        let intact = self.again(watch, &lie, &before).await?;
        let figures = self
            .figures(reason, &lines, slashed, reward, intact)
            .await?;
        Ok(Report { figures, lines })
    }

    /// Deposits, and a model that can be called.
    async fn honest_batch(&self, digits: &Digits) -> Result<ModelView> {
        self.progress
            .step("honest: two deposits, a model deployed, the batch posted and done again");
        let [user, other] = &self.users;
        for wallet in [user, other] {
            self.l1(wallet)
                .deposit_sol(&wallet.address(), DEPOSIT)
                .await?;
            let l2 = self.l2(wallet);
            l2.wait_for_balance(SOL, DEPOSIT, PATIENCE).await?;
        }
        let publisher = self.l2(user);
        let model = publisher.deploy(&digits.bundle, SOL, PRICE).await?;
        self.api.close_batch().await?;
        let model = publisher.wait_for_model(model.index, PATIENCE).await?;
        self.tip(1).await?;
        Ok(model)
    }

    /// A transfer, inferences and a deposit, in a batch that does not go to L1 as it is.
    async fn lying_batch(&self, digits: &Digits, model: &ModelView) -> Result<()> {
        let cheat = self.options.cheat;
        self.progress.step(format!(
            "a transfer, {INFERENCES} inferences and a deposit, all with receipts; the batch that \
             goes to L1 is another: {}",
            cheat.about()
        ));
        let [user, other] = &self.users;
        let l2 = self.l2(user);
        l2.transfer(SOL, &other.address(), TRANSFER).await?;
        let inputs = digits.inputs.iter().take(INFERENCES);
        let actions = inputs.map(|input| L2::inference(model, input.clone()));
        let payer = self.l2(other);
        let requests = payer.sign(SOL, actions.collect()).await?;
        for outcome in self.api.submit(&requests).await? {
            l2::done(outcome)?;
        }
        let held = l2.account(SOL).await?.balance;
        self.l1(user)
            .deposit_sol(&user.address(), SECOND_DEPOSIT)
            .await?;
        l2.wait_for_balance(SOL, held + SECOND_DEPOSIT, PATIENCE)
            .await?;
        self.api.close_batch().await?;
        let mut seen = self.cheater.seen();
        tokio::time::timeout(PATIENCE, seen.wait_for(|seen| *seen))
            .await
            .context("the lie does not come to L1")??;
        Ok(())
    }

    /// The verifier comes upon the lie and does something about it, until L1 has reverted it: why, and the
    /// transactions up to there.
    async fn verdict(&self, watch: &Watch, lie: &Header) -> Result<(&'static str, Vec<Line>)> {
        self.progress.step("the verifier does the batch again");
        let rpc = self.network.sender.rpc().clone();
        let mut moves = Moves::new(rpc.clone(), self.network.sequencer.address(), SLOT);
        let (begun, mut found) = (Instant::now(), false);
        loop {
            let standing = watch.standing();
            let chain = accounts::chain(&rpc, &self.network.rollup).await?;
            let reverted = chain.live(lie.number, &lie.hash()).is_none();
            let seen = watch.seen();
            let lines = moves.read(seen.accounts).await?;
            if !found && !lines.is_empty() {
                found = true;
                let what = match seen.wrong {
                    Some((header, why)) => {
                        ensure!(
                            header == *lie,
                            "the verifier finds another batch wrong: {why}"
                        );
                        why
                    }
                    None => standing.trouble().unwrap_or_default(),
                };
                self.progress.finish(what);
            }
            if self.options.progress {
                lines.iter().for_each(|line| eprintln!("{line}"));
            }
            if let Some(reason) = moves.reason().filter(|_| reverted) {
                return Ok((reason, moves.lines()));
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "the verifier does nothing about the lie: {standing:?}"
            );
            tokio::time::sleep(SLOT / 2).await;
        }
    }

    /// Waits until the verifier has closed its disputes, demands and buffers.
    async fn settled(&self) -> Result<()> {
        let (rpc, rollup) = (self.network.sender.rpc(), &self.network.rollup);
        let key = self.verifier.address();
        let begun = Instant::now();
        loop {
            let disputes = disputes::find(rpc, rollup, Of::Challenger(key))
                .await?
                .len();
            let demands = demands::of(rpc, rollup, &key).await?.len();
            let buffers = disputes::buffers(rpc, &key).await?.len();
            if disputes + demands + buffers == 0 {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "{disputes} disputes, {demands} demands and {buffers} buffers are left"
            );
            tokio::time::sleep(SLOT / 2).await;
        }
    }

    /// What the verifier has.
    async fn held(&self) -> Result<u64> {
        Ok(self.sender.rpc().balance(&self.verifier.address()).await?)
    }

    /// The batch goes to L1 once more, as it is; whether everybody honest has then what its receipts
    /// said, by the verifier's account.
    async fn again(&self, mut watch: Watch, lie: &Header, before: &Honest) -> Result<bool> {
        self.progress
            .step("reverted; the batch is posted as it is, and done again");
        let honest = |header: &Header| header.number == lie.number && header != lie;
        watch.until_right(PATIENCE, honest).await?;
        let verifier = watch.stop().await?;
        let state = verifier.replica().state();
        let users = self.users.each_ref().map(|user| {
            let account = state.find(&user.key(), &SOL);
            account.map_or(0, |(_, account)| account.balance)
        });
        let after = self.honest(&users).await?;
        Ok(after == *before && u128::from(after.vault) == state.total(&SOL))
    }

    async fn figures(
        &self,
        reason: &str,
        lines: &[Line],
        slashed_lamports: u64,
        reward_lamports: u64,
        honest_balances_intact: bool,
    ) -> Result<Figures> {
        Ok(Figures {
            cheat: self.options.cheat.name(),
            caught: true,
            reason: reason.into(),
            slashed_lamports,
            reward_lamports,
            transactions: lines.len(),
            seconds: lines.last().map_or(0.0, |line| line.at),
            lamports: lines.iter().map(|line| line.lamports).sum(),
            max_compute_units: lines.iter().map(|line| line.units).max().unwrap_or(0),
            transaction_version: match self.sender.wire().await? {
                Wire::Version1 => "1",
                Wire::Legacy => "legacy",
            },
            honest_balances_intact,
        })
    }

    /// What the sequencer says that the users have.
    async fn users_on_l2(&self) -> Result<[u64; 2]> {
        let [user, other] = &self.users;
        let balance =
            async |wallet| Ok::<_, anyhow::Error>(self.l2(wallet).account(SOL).await?.balance);
        Ok([balance(user).await?, balance(other).await?])
    }

    async fn honest(&self, users: &[u64; 2]) -> Result<Honest> {
        let rpc = self.network.sender.rpc();
        let vault = accounts::sol_vault(rpc, &self.network.rollup).await?;
        Ok(Honest {
            vault: vault.map_or(0, |vault| vault.locked),
            users: *users,
        })
    }

    async fn bond(&self) -> Result<u64> {
        let rpc = self.network.sender.rpc();
        let key = self.network.sequencer.address();
        let sequencer = accounts::sequencer(rpc, &self.network.rollup, &key).await?;
        Ok(sequencer.map_or(0, |sequencer| sequencer.bond))
    }

    /// Waits until batch `number` is on L1.
    async fn tip(&self, number: u64) -> Result<()> {
        let rpc = self.network.sender.rpc();
        let begun = Instant::now();
        while accounts::chain(rpc, &self.network.rollup).await?.tip_number < number {
            ensure!(
                begun.elapsed() < PATIENCE,
                "batch {number} does not come to L1"
            );
            tokio::time::sleep(SLOT / 2).await;
        }
        Ok(())
    }

    fn l1(&self, wallet: &Wallet) -> L1 {
        L1::new(
            self.network.sender.clone(),
            self.network.rollup,
            wallet.clone(),
        )
    }

    fn l2(&self, wallet: &Wallet) -> L2 {
        L2::new(self.network.api(), self.network.rollup, wallet.clone())
    }
}
