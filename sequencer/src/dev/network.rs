//! A whole network in this process: chain, programs, rollup, bonded sequencer, a token.

use super::chain::{self, Chain};
use super::cheat::Cheat;
use super::cheat::cheater::Cheater;
use crate::config::{Config, ExecutorChoice, TxVersion};
use crate::l1::posting::Posting;
use crate::programs::PROGRAMS;
use crate::service::Service;
use anyhow::{Context, Result};
use assay_client::api::Key32;
use assay_client::deploy::{Deployed, airdrop, deploy};
use assay_client::http::Api;
use assay_client::instructions;
use assay_client::pda;
use assay_client::rpc::Rpc;
use assay_client::sender::{Options as SendOptions, Order, Sender};
use assay_client::wallet::Wallet;
use assay_dispute::demand::Times;
use settlement::state::{Config as RollupConfig, Params};
use solana_client::rpc_request::RpcRequest;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use spl_token_interface::state::Mint;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Lamports of one SOL.
pub const LAMPORTS: u64 = 1_000_000_000;
/// The rollup's number.
pub const ROLLUP: u64 = 0;
/// Decimals of the development token.
pub const DECIMALS: u8 = 6;

/// How the network is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The chain.
    pub chain: chain::Options,
    /// The rollup's parameters.
    pub rollup: RollupConfig,
    /// Where the sequencer keeps its state.
    pub data_dir: PathBuf,
    /// Where its API listens.
    pub listen: SocketAddr,
    /// What runs the models.
    pub executor: ExecutorChoice,
    /// Milliseconds after which a batch is closed.
    pub batch_age_ms: u64,
    /// The form of the sequencer's transactions.
    pub transactions: TxVersion,
    /// The sequencer's key; a random one if `None`.
    pub sequencer: Option<Wallet>,
    /// Has the chain have the programs in a call for each, and not by their deployment in a thousand transactions:
    /// for tests and benchmarks of something else.
    pub write_programs: bool,
    /// How the sequencer cheats once, when it is [told to](Cheater::arm); an honest one never.
    pub cheat: Option<Cheat>,
}

impl Options {
    /// A network with short times, its sequencer's state in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            chain: chain::Options {
                slot: Duration::from_millis(100),
                ..Default::default()
            },
            rollup: dev_rollup(),
            data_dir: data_dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            executor: ExecutorChoice::Auto,
            batch_age_ms: 2_000,
            transactions: TxVersion::Auto,
            sequencer: None,
            write_programs: false,
            cheat: None,
        }
    }
}

/// A rollup's configuration for development: a window of 24 slots, the shortest there is, models callable in the next
/// batch, and messages overdue after the time in which a busy machine closes and posts a batch. Its
/// work units are not bounded by what a verifier could do in so short a window.
pub fn dev_rollup() -> RollupConfig {
    RollupConfig {
        bridge: bridge::ID,
        escrow: escrow::ID,
        params: Params {
            window: Times::MIN_WINDOW,
            bond_slice: LAMPORTS,
            max_units: 1 << 42,
            max_records: 16_384,
            max_data: settlement::constants::MAX_DATA,
            model_delay: 1,
            sequencer_share: 2_000,
            clock: 150,
            extension: 20,
            dispute_bond: 50_000_000,
        },
        unbond_delay: 100,
        inbox_grace: 300,
        inbox_batch: 16,
        inbox_fee_base: 5_000,
        inbox_fee_step: 100,
    }
}

/// What is being done while a network starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The chain is started.
    Chain,
    /// A program is deployed: bytes written of bytes in all, over all programs.
    Programs(usize, usize),
    /// The rollup is initialised, the sequencer bonded.
    Rollup,
    /// The sequencer is started.
    Sequencer,
    /// The token is made.
    Token,
}

/// A running network. It ends when this is dropped; [`Network::stop`] waits.
pub struct Network {
    /// Sends transactions to the chain.
    pub sender: Sender,
    /// Pays for the programs and the rollup, and mints the token.
    pub operator: Wallet,
    /// The sequencer's key.
    pub sequencer: Wallet,
    /// The rollup.
    pub rollup: Pubkey,
    /// The development token.
    pub mint: Pubkey,
    /// The sequencer's other half, if it is one that cheats.
    pub cheater: Option<Arc<Cheater>>,
    service: Service,
    chain: Chain,
}

impl Network {
    /// Starts a network; `progress` is told what is being done.
    pub async fn start(options: Options, progress: impl Fn(Step) + Sync) -> Result<Self> {
        progress(Step::Chain);
        let chain = Chain::start(options.chain.clone()).await?;
        let rpc = Rpc::new(chain.rpc_url());
        let sender = Sender::new(rpc.clone(), send_options(chain.slot()));
        let operator = Wallet::random();
        let sequencer = options.sequencer.clone().unwrap_or_else(Wallet::random);
        airdrop(&rpc, &operator.address(), 1_000 * LAMPORTS).await?;
        airdrop(&rpc, &sequencer.address(), 1_000 * LAMPORTS).await?;

        if options.write_programs {
            write_programs(&sender, &operator).await?;
        } else {
            deploy_programs(&sender, &operator, |done, all| {
                progress(Step::Programs(done, all))
            })
            .await?;
        }
        progress(Step::Rollup);
        let rollup = create_rollup(&sender, &operator, ROLLUP, options.rollup).await?;
        bond(&sender, &operator, &sequencer, &rollup, 100 * LAMPORTS).await?;

        progress(Step::Token);
        let mint = create_mint(&sender, &operator, DECIMALS).await?;
        register_mint(&sender, &operator, &rollup, &mint).await?;

        progress(Step::Sequencer);
        let mut config = Config {
            rpc_url: chain.rpc_url().into(),
            ws_url: Some(chain.ws_url().into()),
            rollup: Key32(rollup.to_bytes()),
            data_dir: options.data_dir,
            listen: options.listen,
            executor: options.executor,
            dev: true,
            ..Config::default()
        };
        config.batch.age_ms = options.batch_age_ms;
        config.l1.transactions = options.transactions;
        config.l1.poll_ms = u64::try_from(chain.slot().as_millis())?.clamp(20, 400);
        let key = sequencer.keypair().clone();
        let cheater = options
            .cheat
            .map(|cheat| Arc::new(Cheater::new(cheat, key.clone())));
        let posting = cheater.clone().map_or(Posting::Honest, Posting::Cheating);
        let service = Service::start_posting(config, key, posting)
            .await
            .context("the sequencer does not start")?;
        Ok(Self {
            sender,
            operator,
            sequencer,
            rollup,
            mint,
            cheater,
            service,
            chain,
        })
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The sequencer.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// A client of the sequencer's API.
    pub fn api(&self) -> Api {
        Api::new(self.service.url())
    }

    /// Gives `to` lamports.
    pub async fn fund(&self, to: &Pubkey, lamports: u64) -> Result<()> {
        Ok(airdrop(self.sender.rpc(), to, lamports).await?)
    }

    /// Gives `to` base units of the development token.
    pub async fn mint_to(&self, to: &Pubkey, amount: u64) -> Result<()> {
        mint_to(&self.sender, &self.operator, &self.mint, to, amount).await
    }

    /// Waits until the sequencer fails, or `shutdown` resolves; then stops everything.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let outcome = self.service.run_until(shutdown).await;
        self.chain.stop().await?;
        outcome
    }

    /// Stops everything.
    pub async fn stop(self) -> Result<()> {
        self.service.stop().await?;
        self.chain.stop().await
    }
}

/// How to send to a chain with slots of this length.
pub fn send_options(slot: Duration) -> SendOptions {
    SendOptions {
        poll: (slot / 2).clamp(Duration::from_millis(10), Duration::from_millis(200)),
        ..SendOptions::default()
    }
}

/// Has a development chain have the three programs as if `authority` had deployed them, by a call for each.
pub async fn write_programs(sender: &Sender, authority: &Wallet) -> Result<()> {
    for program in PROGRAMS {
        let method = "surfnet_writeProgram";
        let authority = authority.address().to_string();
        let bytes = hex::encode(program.bytes);
        let params = serde_json::json!([program.id.to_string(), bytes, 0, authority]);
        let client = sender.rpc().client();
        let written = client.send(RpcRequest::Custom { method }, params);
        let _: serde_json::Value = written.await.context(program.name)?;
    }
    Ok(())
}

/// Deploys the three programs with their development keys; `progress` is told bytes done and
/// bytes in all.
pub async fn deploy_programs(
    sender: &Sender,
    payer: &Wallet,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<[Deployed; 3]> {
    let all = PROGRAMS.iter().map(|p| p.bytes.len()).sum();
    let done = std::sync::Mutex::new([0; 3]);
    let one = |i: usize| {
        let (done, progress) = (&done, &progress);
        async move {
            let program = PROGRAMS[i];
            deploy(
                sender,
                payer.keypair(),
                &program.dev_keypair()?,
                program.bytes,
                |bytes, _| {
                    let mut done = done.lock().unwrap_or_else(|e| e.into_inner());
                    done[i] = bytes;
                    progress(done.iter().sum(), all);
                },
            )
            .await
            .with_context(|| format!("deploying {}", program.name))
        }
    };
    let (a, b, c) = futures::try_join!(one(0), one(1), one(2))?;
    Ok([a, b, c])
}

/// Initialises rollup number `id`; its address. Done already is done, but only by this authority
/// with this configuration: anybody may take a number.
pub async fn create_rollup(
    sender: &Sender,
    authority: &Wallet,
    id: u64,
    config: RollupConfig,
) -> Result<Pubkey> {
    let address = pda::rollup(id);
    let create = instructions::settlement::initialize_rollup(&authority.address(), id, config);
    let order = Order::new("initialise rollup", authority.keypair(), vec![create]);
    let exists = || async { Ok(sender.rpc().account(&address).await?.is_some()) };
    sender.send_unless(&order, exists).await?;
    crate::rollup::is_as_meant(sender.rpc(), address, &authority.address(), &config).await?;
    Ok(address)
}

/// Makes a sequencer of `key`, which pays the bond; the rollup's `authority` signs too. Done already
/// is done.
pub async fn bond(
    sender: &Sender,
    authority: &Wallet,
    key: &Wallet,
    rollup: &Pubkey,
    lamports: u64,
) -> Result<()> {
    let register = instructions::settlement::register_sequencer(
        rollup,
        &key.address(),
        &authority.address(),
        lamports,
    );
    let mut order = Order::new("bond", key.keypair(), vec![register]);
    if authority.address() != key.address() {
        order = order.signer(authority.keypair());
    }
    let account = pda::sequencer(rollup, &key.address());
    let exists = || async { Ok(sender.rpc().account(&account).await?.is_some()) };
    sender.send_unless(&order, exists).await?;
    Ok(())
}

/// Makes an SPL token whose supply `authority` controls.
pub async fn create_mint(sender: &Sender, authority: &Wallet, decimals: u8) -> Result<Pubkey> {
    use solana_program_pack::Pack;
    let mint = Arc::new(Keypair::new());
    let address = mint.pubkey();
    let rent = sender.rpc().rent(Mint::LEN).await?;
    let instructions = vec![
        solana_system_interface::instruction::create_account(
            &authority.address(),
            &address,
            rent,
            Mint::LEN as u64,
            &spl_token_interface::ID,
        ),
        spl_token_interface::instruction::initialize_mint2(
            &spl_token_interface::ID,
            &address,
            &authority.address(),
            None,
            decimals,
        )?,
    ];
    let order = Order::new("create token", authority.keypair(), instructions).signer(&mint);
    let exists = || async { Ok(sender.rpc().account(&address).await?.is_some()) };
    sender.send_unless(&order, exists).await?;
    Ok(address)
}

/// Makes a mint of SPL Token depositable. Done already is done.
pub async fn register_mint(
    sender: &Sender,
    payer: &Wallet,
    rollup: &Pubkey,
    mint: &Pubkey,
) -> Result<()> {
    let rpc = sender.rpc();
    let account = rpc.account(mint).await?.context("there is no such mint")?;
    let register =
        instructions::bridge::register_mint(rollup, &payer.address(), mint, &account.owner);
    let order = Order::new("register mint", payer.keypair(), vec![register]);
    let record = pda::registered_mint(rollup, mint);
    let exists = || async { Ok(rpc.account(&record).await?.is_some()) };
    sender.send_unless(&order, exists).await?;
    Ok(())
}

/// Mints base units to the associated token account of `to`.
pub async fn mint_to(
    sender: &Sender,
    authority: &Wallet,
    mint: &Pubkey,
    to: &Pubkey,
    amount: u64,
) -> Result<()> {
    let program = spl_token_interface::ID;
    let account = pda::token_account(to, mint, &program);
    let instructions = vec![
        spl_associated_token_account_interface::instruction::create_associated_token_account_idempotent(
            &authority.address(),
            to,
            mint,
            &program,
        ),
        spl_token_interface::instruction::mint_to(
            &program,
            mint,
            &account,
            &authority.address(),
            &[],
            amount,
        )?,
    ];
    let order = Order::new("mint tokens", authority.keypair(), instructions);
    sender.send(&order).await?;
    Ok(())
}
