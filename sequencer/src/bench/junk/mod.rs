//! The standing attack: transactions of strangers around every account that they can name, while a sequencer
//! posts a wrong batch. How long does a verifier take to its first move in the dispute?
//!
//! Each row is a network of its own: a chain, the programs, a sequencer that lies, and `assay verifier` as a
//! process, which knows the chain only through a slow [node stand-in](stand_in). The clock runs from the moment
//! at which the wrong batch stands on L1 to that at which the verifier's dispute does.

pub mod stand_in;

use crate::dev::cheat::Cheat;
use crate::dev::network::{LAMPORTS, Network, Options as NetworkOptions};
use anyhow::{Context, Result, ensure};
use assay_client::disputes::{self, Of};
use assay_client::l1::L1;
use assay_client::l2::L2;
use assay_client::pda;
use assay_client::wallet::Wallet;
use assay_dispute::player::Library;
use assay_ledger::SOL;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;
use solana_pubkey::Pubkey;
use stand_in::{Limits, StandIn};
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long any one thing may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Slots in which a batch can be disputed: far more than the attack takes.
const WINDOW: u64 = 20_000;

/// An account that strangers can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Account {
    /// The rollup.
    Rollup,
    /// The chain of batches.
    Chain,
    /// The data of the wrong batch.
    Data,
    /// The first page of the inbox.
    InboxPage,
    /// The verifier's dispute.
    Dispute,
    /// A demand of the verifier.
    Demand,
    /// A buffer of the verifier.
    Buffer,
    /// The sequencer.
    Sequencer,
    /// A job of the user.
    Job,
    /// A feed of the user.
    Feed,
    /// The vault of the bridge.
    Vault,
    /// The settlement program.
    Program,
    /// All of them at once.
    All,
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Junk transactions for each account.
    pub junk: u32,
    /// Which accounts; all of them where it is empty.
    pub accounts: Vec<Account>,
    /// How slow the node is.
    pub limits: Limits,
}

/// One attack.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which account was named.
    pub account: String,
    /// In how many transactions.
    pub junk: u32,
    /// Seconds to the first move without junk.
    pub seconds_clean: f64,
    /// Seconds to the first move with it.
    pub seconds: f64,
    /// Resident memory of the verifier's process at most, in MB.
    pub rss_mb: f64,
    /// Whether it took at most twice as long and five seconds, and 512 MB.
    pub within: bool,
}

/// All attacks.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Report(Vec<Row>);

/// What a run measures.
struct Measured {
    seconds: f64,
    rss_mb: f64,
}

impl Account {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seconds from a wrong batch to the verifier's first move, and its memory at most\n\n{:<12} {:>8} {:>8} {:>8} {:>8}  within",
            "account", "junk", "clean", "seconds", "MB"
        )?;
        for row in &self.0 {
            writeln!(
                f,
                "{:<12} {:>8} {:>8.2} {:>8.2} {:>8.0}  {}",
                row.account,
                row.junk,
                row.seconds_clean,
                row.seconds,
                row.rss_mb,
                if row.within { "yes" } else { "NO" }
            )?;
        }
        write!(
            f,
            "\nThe junk is simulated: a node stand-in merges it into what a real node lists and gives, half of it in the\nslots of the honest transactions. Within: at most twice the clean time and 5 s, and 512 MB."
        )
    }
}

/// Attacks each account in turn.
pub async fn junk(options: &Options) -> Result<Report> {
    let chosen = if options.accounts.is_empty() {
        Account::value_variants()
    } else {
        &options.accounts
    };
    eprintln!("without junk");
    let clean = measure(None, options).await?;
    let mut rows = Vec::new();
    for account in chosen {
        eprintln!("{}: {} transactions", account.name(), options.junk);
        let measured = measure(Some(*account), options).await?;
        rows.push(Row {
            account: account.name(),
            junk: options.junk,
            seconds_clean: clean.seconds,
            seconds: measured.seconds,
            rss_mb: measured.rss_mb,
            within: measured.seconds <= 2.0 * clean.seconds + 5.0 && measured.rss_mb <= 512.0,
        });
    }
    Ok(Report(rows))
}

/// One network, and one wrong batch.
async fn measure(attacked: Option<Account>, options: &Options) -> Result<Measured> {
    let data = tempfile::tempdir()?;
    let mut network = NetworkOptions::new(data.path());
    network.rollup.params.window = WINDOW;
    network.rollup.params.clock = WINDOW / 2;
    network.rollup.params.extension = WINDOW / 10;
    network.rollup.unbond_delay = WINDOW;
    network.cheat = Some(Cheat::WrongBalance);
    network.batch_age_ms = 600_000;
    network.write_programs = true;
    let network = Network::start(network, |_| ()).await?;
    let measured = attack(&network, attacked, options).await;
    let stopped = network.stop().await;
    let measured = measured?;
    stopped?;
    Ok(measured)
}

async fn attack(
    network: &Network,
    attacked: Option<Account>,
    options: &Options,
) -> Result<Measured> {
    let rpc = network.sender.rpc();
    let (user, verifier) = (Wallet::random(), Wallet::random());
    for wallet in [&user, &verifier] {
        network.fund(&wallet.address(), 20 * LAMPORTS).await?;
    }
    let l1 = L1::new(network.sender.clone(), network.rollup, user.clone());
    let l2 = L2::new(network.api(), network.rollup, user.clone());
    l1.deposit_sol(&user.address(), LAMPORTS).await?;
    l2.wait_for_balance(SOL, LAMPORTS, PATIENCE).await?;
    network.api().close_batch().await?;

    let node = StandIn::start(&rpc.url(), options.limits).await?;
    let dir = tempfile::tempdir()?;
    let key = dir.path().join("key.json");
    verifier.write_new(&key)?;
    let mut process = Process::start(dir.path(), &key, &node, network).await?;
    process.has_read(1).await?;

    let cheater = network.cheater.clone().context("a sequencer that lies")?;
    cheater.arm(Arc::new(Library::default()));
    let accounts = match attacked {
        None => Vec::new(),
        Some(Account::All) => {
            let all = Account::value_variants().iter();
            all.filter(|account| **account != Account::All).collect()
        }
        Some(ref one) => vec![one],
    };
    // All but the dispute, whose address follows from the wrong batch.
    for account in accounts.iter().filter(|a| ***a != Account::Dispute) {
        let address = address(**account, network, &user, &verifier, 0);
        node.attack(&address, options.junk).await?;
    }
    l2.transfer(SOL, &verifier.address(), 1).await?;
    let mut seen = cheater.seen();
    network.api().close_batch().await?;
    tokio::time::timeout(PATIENCE, seen.wait_for(|seen| *seen))
        .await
        .context("the wrong batch does not come to L1")??;
    let begun = Instant::now();
    if accounts.contains(&&Account::Dispute) {
        let told = cheater.told().context("a wrong batch")?;
        let [a, b, c, d, e, f, g, h, ..] = told.lie.claims.header.hash();
        let id = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let address = address(Account::Dispute, network, &user, &verifier, id);
        node.attack(&address, options.junk).await?;
    }
    loop {
        let of = Of::Challenger(verifier.address());
        let found = disputes::find(rpc, &network.rollup, of).await?;
        if !found.is_empty() {
            break;
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "the verifier has not disputed the wrong batch after {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let rss_mb = process.peak_mb()?;
    process.child.kill().await?;
    Ok(Measured { seconds, rss_mb })
}

/// The address of an account; `id` is that of the verifier's dispute.
fn address(
    account: Account,
    network: &Network,
    user: &Wallet,
    verifier: &Wallet,
    id: u64,
) -> Pubkey {
    let (rollup, verifier) = (&network.rollup, &verifier.address());
    match account {
        Account::Rollup | Account::All => *rollup,
        Account::Chain => pda::chain(rollup),
        // Batch 2 is the wrong one.
        Account::Data => pda::batch_data(&network.sequencer.address(), 2),
        Account::InboxPage => pda::inbox_page(rollup, 0),
        Account::Dispute => pda::dispute(rollup, verifier, id),
        Account::Demand => pda::demand(rollup, verifier, id),
        Account::Buffer => pda::buffer(verifier, id),
        Account::Sequencer => pda::sequencer(rollup, &network.sequencer.address()),
        Account::Job => pda::job(rollup, &user.address(), 0),
        Account::Feed => pda::feed(&user.address(), &[0; escrow::constants::NAME]),
        Account::Vault => pda::sol_vault(rollup),
        Account::Program => settlement::ID,
    }
}

/// `assay verifier` as a process.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    async fn start(dir: &Path, key: &Path, node: &StandIn, network: &Network) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["verifier", "--json", "--executor", "cpu"])
            .args([
                "--rpc",
                node.url(),
                "--api",
                network.service().url().as_str(),
            ])
            .args(["--rollup", &network.rollup.to_string()])
            .arg("--keypair")
            .arg(key)
            .arg("--data-dir")
            .arg(dir.join("data"))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.join("log"))?)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start `assay verifier`")?;
        let stdout = child.stdout.take().context("its output")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
        })
    }

    /// Waits until it says something about batch `number`.
    async fn has_read(&mut self, number: u64) -> Result<()> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event["batch"].as_u64() == Some(number) {
                    return Ok(());
                }
            }
            anyhow::bail!("the verifier has ended")
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .context("the verifier reads no batch")?
    }

    /// The most memory that it had, in MB.
    fn peak_mb(&self) -> Result<f64> {
        let id = self.child.id().context("the verifier has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes: f64 = kilobytes.context("its memory")?.parse()?;
        Ok(kilobytes * 1_024.0 / 1e6)
    }
}
