//! `assay dispute`

use super::Global;
use super::context::{Context, parse_key, show_amount};
use super::output::table;
use crate::dispute::act::Act;
use crate::dispute::carry::Carrier;
use anyhow::{Context as _, Result, bail};
use assay_client::accounts;
use assay_client::disputes::{self, Found, Of, View, find};
use assay_client::rpc::Rpc;
use assay_dispute::Side;
use assay_dispute::game::Class;
use clap::{Args, Subcommand};
use settlement::state::Chain;
use solana_pubkey::Pubkey;
use std::sync::Arc;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay dispute list\n  assay dispute list --mine --json\n  assay dispute show 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU\n  assay dispute time-out 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU\n  assay dispute claim-payout 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU\n\nA verifier with a keypair (assay verifier --keypair) opens disputes and plays them by itself, and a sequencer answers them by itself. time-out and claim-payout are what anybody, or a party, may do by hand."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the disputes: who claims what, whose clock runs, what is at stake.
    List {
        /// Only those of the key's, on either side.
        #[arg(long)]
        mine: bool,
    },
    /// Show a dispute.
    Show {
        /// Its account.
        address: String,
    },
    /// End a dispute against the side whose clock has run out. Anybody may.
    TimeOut {
        /// The dispute's account.
        address: String,
    },
    /// Take what the key has won, or the bond back from a dispute over a dead batch.
    ClaimPayout {
        /// The dispute's account.
        address: String,
    },
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let shared = Shared::new(Context::new(&global)?).await?;
        match self.command {
            Command::List { mine } => shared.list(mine).await,
            Command::Show { address } => shared.show(&address).await,
            Command::TimeOut { address } => shared.time_out(&address).await,
            Command::ClaimPayout { address } => shared.claim_payout(&address).await,
        }
    }
}

struct Shared {
    context: Context,
    rpc: Rpc,
    rollup: Pubkey,
    chain: Box<Chain>,
    now: u64,
    slot_seconds: f64,
}

impl Shared {
    async fn new(context: Context) -> Result<Self> {
        let rollup = context.rollup().await?;
        let rpc = context.sender().rpc().clone();
        Ok(Self {
            chain: accounts::chain(&rpc, &rollup).await?,
            now: rpc.slot().await?,
            slot_seconds: rpc.slot_time().await.as_secs_f64(),
            rollup,
            rpc,
            context,
        })
    }

    fn view(&self, found: &Found) -> View {
        View::new(found, &self.chain, self.now, self.slot_seconds)
    }

    async fn found(&self, address: &str) -> Result<Found> {
        let address = Pubkey::from(parse_key(address).context("the dispute's address")?);
        let found = disputes::get(&self.rpc, &address).await?;
        found.with_context(|| format!("there is no dispute at {address} (any more)"))
    }

    async fn list(&self, mine: bool) -> Result<()> {
        let mut all = find(&self.rpc, &self.rollup, Of::Anybody).await?;
        if mine {
            let key = self.context.wallet()?.address();
            all.retain(|found| found.side(&key).is_some());
        }
        let views: Vec<View> = all.iter().map(|found| self.view(found)).collect();
        self.context.out.result(&views, || match views.is_empty() {
            true => "no disputes".into(),
            false => views.iter().map(line).collect::<Vec<_>>().join("\n"),
        })
    }

    async fn show(&self, address: &str) -> Result<()> {
        let view = self.view(&self.found(address).await?);
        self.context.out.result(&view, || show(&view))
    }

    async fn time_out(&self, address: &str) -> Result<()> {
        let found = self.found(address).await?;
        match found.class(&self.chain, self.now) {
            Class::Expired(_) => {}
            Class::Turn(turn, deadline) => bail!(
                "the {} may move up to slot {deadline}, and it is slot {} now",
                disputes::side(turn),
                self.now
            ),
            Class::Moot => {
                bail!("the batch is dead: `assay dispute claim-payout` takes the bond back")
            }
            Class::Over(_) => bail!("the dispute is decided"),
        }
        self.done(&found, &[Act::TimeOut]).await
    }

    async fn claim_payout(&self, address: &str) -> Result<()> {
        let found = self.found(address).await?;
        let key = self.context.wallet()?.address();
        let side = found.side(&key);
        let to = side.with_context(|| format!("{key} is on neither side of this dispute"))?;
        let claim = Act::ClaimPayout { to };
        let moot = found.class(&self.chain, self.now) == Class::Moot;
        match moot && found.head.bond > 0 {
            true => self.done(&found, &[Act::Resolve, claim]).await,
            false => self.done(&found, &[claim]).await,
        }
    }

    /// Does something, and shows what became of the dispute.
    async fn done(&self, found: &Found, acts: &[Act]) -> Result<()> {
        let carrier = self.carrier()?;
        let side = found.side(&carrier.key()).unwrap_or(Side::Challenger);
        carrier.carry(&found.into(), side, acts).await?;
        let context = Context {
            settings: self.context.settings.clone(),
            out: self.context.out,
        };
        let now = Self::new(context).await?;
        now.show(&found.address.to_string()).await
    }

    fn carrier(&self) -> Result<Carrier> {
        let wallet = self.context.wallet()?;
        let sender = self.context.sender();
        let key = wallet.keypair().clone();
        Ok(Carrier::new(sender, key, self.rollup, Arc::new(|_| {})))
    }
}

fn clock(view: &View) -> String {
    match (view.turn, view.deadline, view.seconds) {
        (Some(turn), Some(deadline), Some(seconds)) => {
            format!("the {turn}'s, until slot {deadline} (about {seconds:.0} s)")
        }
        (Some(turn), ..) => format!("the {turn}'s has run out"),
        _ => "none".into(),
    }
}

fn line(view: &View) -> String {
    format!(
        "{}  batch {}: {}\n    {}; clock: {}",
        view.address,
        view.batch,
        view.claim,
        view.next,
        clock(view)
    )
}

fn show(view: &View) -> String {
    let sol = |lamports| format!("{} SOL", show_amount(lamports, 9));
    table(&[
        ("dispute", view.address.to_string()),
        ("batch", view.batch.to_string()),
        ("asserter", format!("{} (made the batch)", view.asserter)),
        (
            "challenger",
            format!("{} (says it is wrong)", view.challenger),
        ),
        ("claim", view.claim.clone()),
        ("next", view.next.clone()),
        ("clock", clock(view)),
        ("moves so far", view.moves.to_string()),
        (
            "at stake",
            format!(
                "the challenger's bond of {}, the asserter's slice of {}",
                sol(view.bond),
                sol(view.slice)
            ),
        ),
        (
            "to be claimed",
            format!(
                "{} by the challenger, {} by the asserter",
                sol(view.challenger_due),
                sol(view.asserter_due)
            ),
        ),
    ])
}
