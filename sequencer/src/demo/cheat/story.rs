//! What happens when a sequencer lies, in order.

use super::desk::{self, Desk, Played};
use super::figures::{Figures, Line};
use super::verifier::{Found, Verifier};
use super::{Options, Report, demand, play};
use crate::config::TxVersion;
use crate::demo::digits::Digits;
use crate::demo::progress::Progress;
use crate::dev::cheat::cheater::Cheater;
use crate::dev::network::{LAMPORTS, Network, Options as NetworkOptions};
use crate::replica::mirrors::Mirrors;
use crate::store::blobs::Blobs;
use anyhow::{Context, Result, ensure};
use assay_client::accounts;
use assay_client::api::ModelView;
use assay_client::http::Api;
use assay_client::l1::L1;
use assay_client::l2::{self, L2};
use assay_client::sender::{Options as SendOptions, Sender};
use assay_client::wallet::Wallet;
use assay_client::wire::Wire;
use assay_dispute::player::{Library, Model};
use assay_ledger::SOL;
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
    /// Sends the dispute's transactions.
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
        let rpc = self.network.sender.rpc().clone();
        let directory = tempfile::tempdir()?;
        let mirrors = Mirrors::new(&[self.api.url().to_owned()]);
        let blobs = Blobs::open(directory.path()).context("the verifier's blobs")?;
        let mut verifier = Verifier::new(rpc, self.network.rollup, mirrors, blobs);

        let model = self.honest_batch(digits).await?;
        ensure!(
            verifier.catch_up().await?.is_none(),
            "a batch is wrong before the lie"
        );
        self.cheater.arm(Arc::new(library));
        self.lying_batch(digits, &model).await?;
        let before = self.honest(&self.users_on_l2().await?).await?;
        let found = self.found(&mut verifier).await?;
        let (bond, held) = (self.bond().await?, self.held().await?);
        let played = self.respond(found).await?;
        let slashed = bond.saturating_sub(self.bond().await?);
        let reward = self.pay_out(&played, held).await?;
        let intact = played.won && self.again(&mut verifier, &before).await?;
        Ok(Report {
            figures: self.figures(&played, slashed, reward, intact).await?,
            lines: played.lines,
        })
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

    /// The verifier comes upon the lie.
    async fn found(&self, verifier: &mut Verifier) -> Result<Found> {
        self.progress.step("the verifier does the batch again");
        let told = self.cheater.told().context("no lie was told")?;
        if let Some((root, leaves)) = told.lie.malformed.clone() {
            // The model's publisher serves its bytes, as it must for the model to be callable.
            verifier.learn_malformed(root, leaves);
        }
        let found = verifier.catch_up().await?;
        let found = found.context("the verifier finds nothing wrong with the lie")?;
        let (header, what) = match &found {
            Found::Wrong(caught) => (caught.header, caught.wrong.to_string()),
            Found::Withheld(withheld) => (withheld.header, withheld.why.clone()),
        };
        ensure!(
            header == told.lie.claims.header,
            "the verifier finds something about another batch: {what}"
        );
        self.progress.finish(what);
        Ok(found)
    }

    /// The dispute or the demand, to its end.
    async fn respond(&self, found: Found) -> Result<Played> {
        let told = self.cheater.told().context("no lie was told")?;
        let show = self.options.progress;
        let line = move |line: &Line| {
            if show {
                eprintln!("{line}");
            }
        };
        let header = told.lie.claims.header;
        let desk = Desk::new(&self.sender, &self.verifier, header, SLOT / 2, &line).await?;
        match found {
            Found::Wrong(mut caught) => play::play(desk, &mut caught.challenger).await,
            Found::Withheld(withheld) => demand::demand(desk, &withheld).await,
        }
    }

    /// Pays the challenger, who had `held` before; what it has got beside its own.
    async fn pay_out(&self, played: &Played, held: u64) -> Result<u64> {
        let instructions = played.pay_out.clone();
        let landed = desk::send(&self.sender, &self.verifier, instructions).await?;
        let own = played.lines.iter().filter(|line| line.who == "verifier");
        let fees: u64 = own.map(|line| line.lamports).sum();
        Ok((self.held().await? + fees + landed.lamports).saturating_sub(held))
    }

    /// What the verifier has.
    async fn held(&self) -> Result<u64> {
        Ok(self.sender.rpc().balance(&self.verifier.address()).await?)
    }

    /// The batch goes to L1 once more, as it is; whether everybody honest has then what its receipts
    /// said, by the verifier's account.
    async fn again(&self, verifier: &mut Verifier, before: &Honest) -> Result<bool> {
        self.progress
            .step("reverted; the batch is posted as it is, and done again");
        let begun = Instant::now();
        let head = verifier.head();
        while verifier.head() == head {
            ensure!(
                begun.elapsed() < PATIENCE,
                "the honest batch does not come to L1"
            );
            if let Some(found) = verifier.catch_up().await? {
                anyhow::bail!("it is wrong again: {found:?}");
            }
            tokio::time::sleep(SLOT).await;
        }
        let users = self.users.each_ref().map(|user| {
            let account = verifier.state().find(&user.key(), &SOL);
            account.map_or(0, |(_, account)| account.balance)
        });
        let after = self.honest(&users).await?;
        let owed = verifier.state().total(&SOL);
        Ok(after == *before && u128::from(after.vault) == owed)
    }

    async fn figures(
        &self,
        played: &Played,
        slashed_lamports: u64,
        reward_lamports: u64,
        honest_balances_intact: bool,
    ) -> Result<Figures> {
        let lines = &played.lines;
        Ok(Figures {
            cheat: self.options.cheat.name(),
            caught: played.won,
            reason: played.reason.clone(),
            slashed_lamports,
            reward_lamports,
            transactions: lines.len(),
            seconds: played.seconds,
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
