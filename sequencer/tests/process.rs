//! The `assay` binary as a process: Ctrl-C at any time, and a start after it; feeds, bonds and forced transactions from the
//! command line.
#![allow(missing_docs)]

use anyhow::{Context, Result, ensure};
use assay::dev::chain::{Chain, Options};
use assay::dev::network::{bond, create_rollup, deploy_programs, dev_rollup, send_options};
use assay_client::api::{Key32, Outcome};
use assay_client::deploy::airdrop;
use assay_client::http::Api;
use assay_client::instructions::bridge;
use assay_client::rpc::Rpc;
use assay_client::sender::{Order, Sender};
use assay_client::wallet::Wallet;
use assay_client::{accounts, api::Building};
use assay_ledger::SOL;
use assay_ledger::request::{Action, SignedRequest};
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

const SOLS: u64 = 1_000_000_000;
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long the binary may take to end when it is told to.
const END: Duration = Duration::from_secs(15);

/// `assay` with these arguments, its output to be read.
fn assay(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
    command
        .args(arguments)
        .arg("--json")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A command that serves.
struct Serving {
    child: Child,
    /// What it says when it serves.
    said: Value,
}

impl Serving {
    async fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = assay(arguments).stderr(Stdio::inherit()).spawn()?;
        let stdout = child.stdout.take().context("its output")?;
        let mut line = String::new();
        timeout(PATIENCE, BufReader::new(stdout).read_line(&mut line)).await??;
        let said = serde_json::from_str(&line).with_context(|| format!("it says {line:?}"))?;
        Ok(Self { child, said })
    }

    fn text(&self, field: &str) -> Result<&str> {
        self.said[field].as_str().context("a field of what it says")
    }

    /// Ctrl-C; it must end well, and soon.
    async fn interrupt(mut self) -> Result<()> {
        interrupt(&self.child).await?;
        ended(&mut self.child).await
    }
}

/// Sends SIGINT.
async fn interrupt(child: &Child) -> Result<()> {
    let id = child.id().context("it has ended already")?.to_string();
    let sent = Command::new("sh")
        .args(["-c", "kill -INT \"$1\"", "sh", &id])
        .status()
        .await?;
    ensure!(sent.success(), "kill: {sent}");
    Ok(())
}

async fn ended(child: &mut Child) -> Result<()> {
    let status = timeout(END, child.wait())
        .await
        .context("it does not end")??;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

/// A command's result.
async fn result(arguments: &[&str]) -> Result<Value> {
    let output = timeout(PATIENCE, assay(arguments).output()).await??;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&said).with_context(|| format!("{arguments:?} says {said:?}"))
}

/// Asks again until there is something.
async fn until<T, F: Future<Output = Result<Option<T>>>>(look: impl Fn() -> F) -> Result<T> {
    timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await?
}

/// A chain with the programs, a rollup and a bonded sequencer's key.
struct L1 {
    chain: Chain,
    sender: Sender,
    operator: Wallet,
    rollup: Pubkey,
    dir: TempDir,
}

impl L1 {
    async fn start() -> Result<Self> {
        let slot = Duration::from_millis(50);
        let chain = Chain::start(Options {
            slot,
            ..Default::default()
        })
        .await?;
        let sender = Sender::new(Rpc::new(chain.rpc_url()), send_options(slot));
        let (operator, sequencer) = (Wallet::random(), Wallet::random());
        for wallet in [&operator, &sequencer] {
            airdrop(sender.rpc(), &wallet.address(), 1_000 * SOLS).await?;
        }
        deploy_programs(&sender, &operator, |_, _| {}).await?;
        let rollup = create_rollup(&sender, &operator, 0, dev_rollup()).await?;
        bond(&sender, &operator, &sequencer, &rollup, 100 * SOLS).await?;
        let dir = TempDir::new()?;
        sequencer.write_new(dir.path().join("key.json"))?;
        // No settings: not those of whoever runs this.
        std::fs::write(dir.path().join("none.toml"), "")?;
        Ok(Self {
            chain,
            sender,
            operator,
            rollup,
            dir,
        })
    }

    async fn sequencer(&self) -> Result<(Serving, Api)> {
        let key = self.dir.path().join("key.json");
        let data = self.dir.path().join("data");
        let serving = Serving::start(&[
            "sequencer",
            "--rpc",
            self.chain.rpc_url(),
            "--key",
            &key.to_string_lossy(),
            "--rollup",
            &self.rollup.to_string(),
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &data.to_string_lossy(),
            "--executor",
            "cpu",
            "--config",
            &self.dir.path().join("none.toml").to_string_lossy(),
        ])
        .await?;
        let api = Api::new(serving.text("url")?);
        Ok((serving, api))
    }

    async fn fund(&self, api: &Api, owner: &Wallet) -> Result<()> {
        let rollup = accounts::rollup(self.sender.rpc(), &self.rollup).await?;
        let deposit = bridge::deposit_sol(
            &self.rollup,
            &self.operator.address(),
            &owner.address(),
            SOLS,
            rollup.next_page(),
        );
        let order = Order::new("deposit", self.operator.keypair(), vec![deposit]);
        self.sender.send(&order).await?;
        until(|| async { Ok(api.account(Key32(owner.key()), Key32(SOL)).await?) }).await?;
        Ok(())
    }

    fn transfers(&self, owner: &Wallet, from: u64, count: u64) -> Vec<SignedRequest> {
        (from..from + count)
            .map(|nonce| {
                let to = [(nonce % 250) as u8 + 1; 32];
                owner.sign(&self.rollup, SOL, nonce, Action::Transfer { to, amount: 1 })
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequencer_ends_at_ctrl_c_and_goes_on_where_it_was() -> Result<()> {
    let l1 = L1::start().await?;
    let (serving, api) = l1.sequencer().await?;
    let client = Wallet::random();
    l1.fund(&api, &client).await?;

    // Connections that nothing more comes over: an idle one, and one with half of a request.
    let address = api.url().trim_start_matches("http://").to_owned();
    let mut idle = TcpStream::connect(&address).await?;
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
        .await?;
    idle.read_u8().await?;
    let mut half = TcpStream::connect(&address).await?;
    half.write_all(b"POST /v1/transactions HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nabc")
        .await?;

    let requests = l1.transfers(&client, 0, 50_000);
    let (sender, mut answers) = mpsc::unbounded_channel();
    let calls = api.clone();
    let submit = tokio::spawn(async move {
        for part in requests.chunks(200) {
            let Ok(outcomes) = calls.submit(part).await else {
                return true;
            };
            let _ = sender.send(outcomes);
        }
        false
    });
    let mut answered: Vec<Outcome> = Vec::new();
    for _ in 0..5 {
        answered.extend(answers.recv().await.context("an answer")?);
    }
    serving.interrupt().await?;
    while let Some(some) = answers.recv().await {
        answered.extend(some);
    }
    ensure!(submit.await?, "everything was answered: nothing was tried");
    ensure!(answered.iter().all(|o| o.accepted), "an answer refuses");

    let (serving, api) = l1.sequencer().await?;
    for outcome in &answered {
        let found = api.transaction(outcome.id).await?;
        assert_eq!(Some(&found.executed), outcome.executed.as_ref());
    }
    let account = api.account(Key32(client.key()), Key32(SOL)).await?;
    let account = account.context("the client's account")?;
    // What was stored and not answered counts too.
    ensure!(account.nonce as usize >= answered.len(), "{account:?}");
    assert_eq!(account.balance, SOLS - account.nonce);
    let Building {
        number,
        transactions,
        ..
    } = api.status().await?.building;
    let next = api.submit(&l1.transfers(&client, account.nonce, 1)).await?;
    let next = next[0].executed.as_ref().context("accepted")?;
    // In the same batch, unless its age has closed it meanwhile.
    ensure!(
        (next.batch, next.position) == (number, transactions) || next.batch > number,
        "{next:?}"
    );
    serving.interrupt().await?;
    l1.chain.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bond_is_kept_and_a_withdrawal_forced_from_the_command_line() -> Result<()> {
    let l1 = L1::start().await?;
    let file = |name: &str| l1.dir.path().join(name).to_string_lossy().into_owned();
    let (settings, sequencer, user) = (file("none.toml"), file("key.json"), file("user.json"));
    l1.operator.write_new(&user)?;
    let rollup = l1.rollup.to_string();
    let with = |key: &str, arguments: &[&str]| {
        let common = [
            "--config",
            &settings,
            "--rpc",
            l1.chain.rpc_url(),
            "--rollup",
            &rollup,
            "--key",
            key,
        ];
        let all = arguments.iter().chain(&common);
        all.map(|word| word.to_string()).collect::<Vec<_>>()
    };
    let run = async |key: &str, arguments: &[&str]| {
        let words = with(key, arguments);
        result(&words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };

    let shown = run(&sequencer, &["bond", "show"]).await?;
    assert_eq!(
        (&shown["bond"], &shown["locked"]),
        (&json!(100 * SOLS), &json!(0))
    );
    let added = run(&sequencer, &["bond", "add", "5"]).await?;
    assert_eq!(
        (&added["bond"], &added["free"]),
        (&json!(105 * SOLS), &json!(105 * SOLS))
    );
    let asked = run(&sequencer, &["bond", "request", "20"]).await?;
    assert_eq!(
        (&asked["unbonding"], &asked["free"]),
        (&json!(20 * SOLS), &json!(85 * SOLS))
    );
    let cancelled = run(&sequencer, &["bond", "request", "0"]).await?;
    assert_eq!(
        (&cancelled["unbonding"], &cancelled["free"]),
        (&json!(0), &json!(105 * SOLS))
    );
    let stranger = with(&user, &["bond", "claim-fees"]);
    let words: Vec<&str> = stranger.iter().map(String::as_str).collect();
    let refused = assay(&words).output().await?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        !refused.status.success() && said.contains("is no sequencer"),
        "{said}"
    );

    // The inbox does it: nothing is sent to the sequencer.
    let (serving, api) = l1.sequencer().await?;
    l1.fund(&api, &l1.operator).await?;
    let forced = run(&user, &["withdraw", "0.25", "--force"]).await?;
    assert_eq!(forced["forced"], true);
    let receiver = Wallet::random();
    l1.fund(&api, &receiver).await?;
    let to = receiver.address().to_string();
    run(&user, &["transfer", &to, "0.5", "--force"]).await?;
    let balance = async |owner: &Wallet| {
        let account = api.account(Key32(owner.key()), Key32(SOL)).await?;
        Ok::<_, anyhow::Error>(account.map(|account| account.balance))
    };
    until(|| async { Ok((balance(&receiver).await? == Some(SOLS + SOLS / 2)).then_some(())) })
        .await?;
    assert_eq!(balance(&l1.operator).await?, Some(SOLS / 4));
    let due = api.withdrawals(l1.operator.address().into()).await?;
    assert_eq!(due.iter().map(|w| w.amount).collect::<Vec<_>>(), [SOLS / 4]);
    serving.interrupt().await?;
    l1.chain.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_network_ends_at_ctrl_c_and_starts_again() -> Result<()> {
    let dir = TempDir::new()?;
    let folder = dir.path().join("dev");
    let folder_text = folder.to_string_lossy();
    let arguments = [
        "dev",
        "--dir",
        &folder_text,
        "--rpc-port",
        "0",
        "--ws-port",
        "0",
        "--port",
        "0",
        "--slot-ms",
        "50",
        "--executor",
        "cpu",
    ];
    // While it starts: as soon as it has its folder.
    let mut starting = assay(&arguments).stderr(Stdio::inherit()).spawn()?;
    until(|| async { Ok((leftovers(&folder) > 0).then_some(())) }).await?;
    interrupt(&starting).await?;
    ended(&mut starting).await?;
    assert_eq!(leftovers(&folder), 0);

    // In the midst of a client's work.
    let serving = Serving::start(&arguments).await?;
    let user = serving.text("user")?.to_owned();
    let settings = serving.text("settings")?.to_owned();
    feeds(&settings).await?;
    let deposit = assay(&["deposit", "1", "--config", &settings]).spawn()?;
    serving.interrupt().await?;
    assert_eq!(leftovers(&folder), 0);
    drop(deposit);

    let serving = Serving::start(&arguments).await?;
    assert_eq!(serving.text("user")?, user);
    let done = result(&["deposit", "1", "--config", &settings]).await?;
    ensure!(done.is_object(), "{done}");
    serving.interrupt().await
}

/// State folders of the sequencer that are there.
fn leftovers(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let names = entries.filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()));
    names.filter(|name| name.starts_with("sequencer-")).count()
}

/// A feed is made, shown and closed.
async fn feeds(settings: &str) -> Result<()> {
    let made = result(&[
        "feed", "create", "weather", "--bytes", "64", "--config", settings,
    ])
    .await?;
    let address = made["feed"].as_str().context("the feed's address")?;
    assert_eq!(
        (&made["name"], &made["capacity"]),
        (&"weather".into(), &64.into())
    );
    for by in [address, "weather"] {
        assert_eq!(
            result(&["feed", "show", by, "--config", settings]).await?,
            made
        );
    }
    let closed = result(&["feed", "close", "weather", "--config", settings]).await?;
    assert_eq!(closed["closed"], address);
    let gone = assay(&["feed", "show", "weather", "--config", settings])
        .output()
        .await?;
    let said = String::from_utf8_lossy(&gone.stderr);
    ensure!(said.contains("there is no feed at"), "{said}");
    Ok(())
}
