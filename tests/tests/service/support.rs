//! A chain with the programs and a bonded sequencer's key; sequencers in processes that can be
//! killed; a connection that can be cut.

use anyhow::{Context, Result};
use assay::config::{Config, ExecutorChoice, TxVersion};
use assay::dev::chain::{Chain, Options as ChainOptions};
use assay::dev::network::{bond, create_rollup, dev_rollup, send_options, write_programs};
use assay_client::api::{BatchStatus, BatchView, Key32};
use assay_client::deploy::airdrop;
use assay_client::http::Api;
use assay_client::instructions::bridge;
use assay_client::rpc::Rpc;
use assay_client::sender::{Order, Sender};
use assay_client::wallet::Wallet;
use assay_client::{accounts, http};
use assay_ledger::SOL;
use assay_ledger::request::{Action, SignedRequest};
use assay_onnx::dataset::DIGITS;
use assay_onnx::{Imported, Limits, import};
use serde_json::{Value, json};
use settlement::state::Config as RollupConfig;
use solana_client::rpc_request::RpcRequest;
use solana_pubkey::Pubkey;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub const SOLS: u64 = 1_000_000_000;
pub const PRICE: u64 = 1_000;
/// How long anything that is waited for may take.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// L1 with everything that a sequencer needs.
pub struct L1 {
    pub chain: Chain,
    pub sender: Sender,
    pub operator: Wallet,
    pub sequencer: Wallet,
    pub rollup: Pubkey,
    pub dir: TempDir,
    /// The form of the transactions of sequencers and verifiers.
    pub transactions: TxVersion,
}

impl L1 {
    pub async fn start() -> Result<Self> {
        Self::with(dev_rollup()).await
    }

    /// The same with another configuration of the rollup.
    pub async fn with(rollup: RollupConfig) -> Result<Self> {
        Self::at(rollup, Duration::from_millis(50)).await
    }

    /// The same with slots of this length.
    pub async fn at(rollup: RollupConfig, slot: Duration) -> Result<Self> {
        let chain = Chain::start(ChainOptions {
            slot,
            ..Default::default()
        })
        .await?;
        let sender = Sender::new(Rpc::new(chain.rpc_url()), send_options(chain.slot()));
        let (operator, sequencer) = (Wallet::random(), Wallet::random());
        airdrop(sender.rpc(), &operator.address(), 1_000 * SOLS).await?;
        airdrop(sender.rpc(), &sequencer.address(), 1_000 * SOLS).await?;
        write_programs(&sender, &operator).await?;
        let rollup = create_rollup(&sender, &operator, 0, rollup).await?;
        bond(&sender, &operator, &sequencer, &rollup, 100 * SOLS).await?;
        let dir = TempDir::new()?;
        sequencer.write_new(dir.path().join("key.json"))?;
        Ok(Self {
            chain,
            sender,
            operator,
            sequencer,
            rollup,
            dir,
            transactions: TxVersion::Auto,
        })
    }

    /// A configuration of the sequencer; its state is in `data` of this world's directory.
    pub fn config(&self) -> Config {
        let mut config = Config {
            rpc_url: self.chain.rpc_url().into(),
            keypair: self.dir.path().join("key.json"),
            rollup: Key32(self.rollup.to_bytes()),
            data_dir: self.dir.path().join("data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            executor: ExecutorChoice::Cpu,
            dev: true,
            ..Config::default()
        };
        config.batch.age_ms = 1_000;
        config.l1.poll_ms = 50;
        config.l1.transactions = self.transactions;
        config
    }

    /// Deposits lamports for `owner`.
    pub async fn deposit(&self, owner: &Wallet, amount: u64) -> Result<()> {
        let rollup = accounts::rollup(self.sender.rpc(), &self.rollup).await?;
        let deposit = bridge::deposit_sol(
            &self.rollup,
            &self.operator.address(),
            &owner.address(),
            amount,
            rollup.next_page(),
        );
        let order = Order::new("deposit", self.operator.keypair(), vec![deposit]);
        self.sender.send(&order).await?;
        Ok(())
    }

    /// Makes this the chain's slot at once, if it is not past it.
    pub async fn skip_to(&self, slot: u64) -> Result<()> {
        let rpc = self.sender.rpc();
        if rpc.slot().await? < slot {
            let method = "surfnet_timeTravel";
            let to = json!([{ "absoluteSlot": slot }]);
            let request = RpcRequest::Custom { method };
            let _: Value = rpc.client().send(request, to).await?;
        }
        until("the slot", || async {
            Ok((rpc.slot().await? >= slot).then_some(()))
        })
        .await
    }

    /// Moves the chain's clock by so many seconds.
    pub async fn travel(&self, seconds: i64) -> Result<()> {
        let rpc = self.sender.rpc();
        let target = rpc.clock().await?.unix_timestamp + seconds;
        let method = "surfnet_timeTravel";
        let to = json!([{ "absoluteTimestamp": target * 1_000 }]);
        let request = RpcRequest::Custom { method };
        let _: Value = rpc.client().send(request, to).await?;
        until("the time", || async {
            Ok((rpc.clock().await?.unix_timestamp >= target).then_some(()))
        })
        .await
    }

    /// Waits until the first `count` messages of the inbox are overdue, if nobody consumes them.
    pub async fn overdue(&self, count: u64, grace: u64) -> Result<()> {
        until("the messages to be overdue", || async {
            let rpc = self.sender.rpc();
            let page = accounts::inbox_page(rpc, &self.rollup, 0).await?;
            let entry = page.and_then(|page| page.entry(count - 1).copied());
            let entry = entry.context("the last message")?;
            Ok((rpc.slot().await? > entry.slot + grace).then_some(()))
        })
        .await
    }

    /// Deposits for `owner`, and waits until the sequencer has credited it.
    pub async fn fund(&self, api: &Api, owner: &Wallet, amount: u64) -> Result<()> {
        self.deposit(owner, amount).await?;
        until("the deposit", || async {
            let account = api.account(Key32(owner.key()), Key32(SOL)).await?;
            Ok(account.is_some_and(|a| a.balance >= amount).then_some(()))
        })
        .await
    }

    pub fn sign(&self, wallet: &Wallet, nonce: u64, action: Action) -> SignedRequest {
        wallet.sign(&self.rollup, SOL, nonce, action)
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digits model as deployed: index 0.
pub struct Model {
    pub imported: Imported,
}

impl Model {
    /// Uploads and deploys the digits model with request 0 of `publisher`, and waits until it can
    /// be called.
    pub async fn deploy(l1: &L1, api: &Api, publisher: &Wallet) -> Result<Self> {
        let imported = import(DIGITS, &Limits::default())?;
        let program = api
            .put_blob(None, imported.program.program().encode())
            .await?;
        let parameters: Vec<u8> = imported
            .parameters
            .iter()
            .flat_map(|p| p.data())
            .copied()
            .collect();
        let parameters = api.put_blob(Some(program.root), parameters).await?;
        let deploy = Action::Deploy {
            program: imported.program.header(),
            parameters_root: parameters.root.0,
            price: PRICE,
        };
        let outcomes = api.submit(&[l1.sign(publisher, 0, deploy)]).await?;
        anyhow::ensure!(outcomes[0].accepted, "{outcomes:?}");
        api.close_batch().await?;
        until("the model", || async {
            Ok(api.model(0).await?.callable.then_some(()))
        })
        .await?;
        Ok(Self { imported })
    }

    pub fn infer(&self, seed: u64) -> Action {
        let bytes = self.imported.program.input_bytes();
        Action::Infer {
            model: 0,
            program_root: self.imported.program.root(),
            price: PRICE,
            version: None,
            input: (0..bytes).map(|i| (seed * 37 + i * 11) as u8).collect(),
        }
    }
}

/// Asks again until there is something, for [`PATIENCE`] at most. A node or service that is away
/// is asked again too.
pub async fn until<T, F: Future<Output = Result<Option<T>>>>(
    what: &str,
    look: impl Fn() -> F,
) -> Result<T> {
    let mut last = String::from("not yet");
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            match look().await {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(e) => last = format!("{e:#}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    found.with_context(|| format!("waiting for {what}: {last}"))
}

/// Waits until batch `number` is final.
pub async fn until_final(api: &Api, number: u64) -> Result<BatchView> {
    until(&format!("batch {number} to be final"), || async {
        match api.batch(number).await {
            Ok(batch) => Ok((batch.status == BatchStatus::Final).then_some(batch)),
            Err(e) if is_away(&e) => Ok(None),
            Err(e) => Err(e.into()),
        }
    })
    .await
}

/// Waits until some chunks of a batch's data are on L1, and the batch is not.
pub async fn first_chunks(api: &Api, number: u64) -> Result<()> {
    until("the first chunks", || async {
        let batch = api.batch(number).await?;
        assert_eq!(
            batch.status,
            BatchStatus::Closed,
            "posted before the connection was cut"
        );
        Ok(batch.l1.iter().any(|t| t.step == "write").then_some(()))
    })
    .await
}

fn is_away(e: &http::ApiError) -> bool {
    e.is_not_found() || e.is_temporary()
}

/// A sequencer in a process of its own.
pub struct Process {
    child: Child,
    log: PathBuf,
    pub api: Api,
}

impl Process {
    /// Starts it and waits until it serves.
    pub async fn start(l1: &L1, config: &Config) -> Result<Self> {
        let mut process = Self::spawn(l1, config)?;
        let stdout = process.child.stdout.take().context("its output")?;
        let mut lines = BufReader::new(stdout).lines();
        let url = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
        let url = url.with_context(|| {
            let log = std::fs::read_to_string(&process.log).unwrap_or_default();
            format!("the sequencer ended before it served: {log}")
        })?;
        process.api = Api::new(url);
        Ok(process)
    }

    /// Starts it. Its API is where the configuration says that it listens.
    pub fn spawn(l1: &L1, config: &Config) -> Result<Self> {
        let path: PathBuf = l1.dir.path().join("config.json");
        std::fs::write(&path, serde_json::to_vec(config)?)?;
        let log = l1.dir.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_service_process"))
            .arg(&path)
            .env("RUST_LOG", "assay=info,assay_client=info,warn")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            child,
            log,
            api: Api::new(format!("http://{}", config.listen)),
        })
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// What it has logged, and its error if it has ended with one.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Waits until it has logged this.
    pub async fn logged(&self, what: &str) -> Result<()> {
        until(what, || async {
            Ok(self.log()?.contains(what).then_some(()))
        })
        .await
    }

    /// SIGKILL.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Waits until it ends by itself; what it says.
    pub async fn fails(mut self) -> Result<String> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await??;
        anyhow::ensure!(!status.success(), "the sequencer ended with {status}");
        self.log()
    }

    /// Asks it to stop, and waits.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await??;
        anyhow::ensure!(status.success(), "the sequencer ended with {status}");
        Ok(())
    }
}
