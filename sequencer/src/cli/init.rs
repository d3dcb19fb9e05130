//! `assay init`

use super::Global;
use super::context::{Context, parse_amount, show_amount};
use super::output::table;
use crate::dev::network::{bond, create_rollup};
use crate::rollup;
use anyhow::{Context as _, Result};
use assay_client::wallet::Wallet;
use assay_client::{accounts, pda};
use clap::Args;
use serde_json::json;
use settlement::state::Config;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay init 7 --window 1512000 --bond 100\n  assay init 7 --window 216000 --clock 54000 --extension 750 --dispute-bond 0.5\n  assay init 7 --no-rollup --bond 50 --key keys/sequencer.json --authority keys/authority.json\n\nThe rollup belongs to its authority, who also signs when a sequencer is bonded: until turns rotate, a second sequencer's batches would fork the first one's chain."
)]
pub struct Arguments {
    /// The rollup's number; its address is derived from it.
    id: u64,
    #[arg(long, value_name = "SLOTS", help = usual("Slots until a batch is final", |c| c.params.window))]
    window: Option<u64>,
    /// Work units that a batch may use; if absent, so many that a verifier of 10^9 a second needs a
    /// quarter of the window for all batches that may be pending.
    #[arg(long)]
    max_units: Option<u64>,
    #[arg(long, value_name = "BATCHES", help = usual("Batches after which a deployed model is callable", |c| c.params.model_delay))]
    model_delay: Option<u64>,
    #[arg(long, value_name = "BASIS_POINTS", help = usual("The sequencer's share of each price, in basis points", |c| c.params.sequencer_share))]
    sequencer_share: Option<u16>,
    #[arg(long, value_name = "SOL", help = usual("SOL of the bond that each pending batch locks", |c| sol(c.params.bond_slice)))]
    bond_slice: Option<String>,
    #[arg(long, value_name = "SLOTS", help = usual("Slots that each side of a dispute has for all of its moves", |c| c.params.clock))]
    clock: Option<u64>,
    #[arg(long, value_name = "SLOTS", help = usual("Slots that a side of a dispute has at least for its next move, whatever is left of its clock", |c| c.params.extension))]
    extension: Option<u64>,
    #[arg(long, value_name = "SOL", help = usual("SOL that whoever opens a dispute puts up, and loses to the sequencer if it was wrong", |c| sol(c.params.dispute_bond)))]
    dispute_bond: Option<String>,
    #[arg(long, value_name = "SLOTS", help = usual("Slots after which a message from L1 is overdue", |c| c.inbox_grace))]
    inbox_grace: Option<u64>,
    #[arg(long, value_name = "LAMPORTS", help = usual("Lamports that a message costs", |c| c.inbox_fee_base))]
    inbox_fee: Option<u64>,
    /// Do not create the rollup: it is there.
    #[arg(long)]
    no_rollup: bool,
    /// Bond the wallet (`--key`) with so much SOL as a sequencer.
    #[arg(long)]
    bond: Option<String>,
    /// The key file of the rollup's authority, if it is not the wallet.
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
}

/// What a flag is for, and what holds without it.
fn usual<T: std::fmt::Display>(text: &str, value: impl Fn(&Config) -> T) -> String {
    match rollup::defaults(None) {
        Ok(config) => format!("{text}; {} if absent", value(&config)),
        Err(_) => text.into(),
    }
}

fn sol(lamports: u64) -> String {
    show_amount(lamports, 9)
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let (sender, wallet) = (context.sender(), context.wallet()?);
        let authority = match &self.authority {
            Some(path) => Wallet::read(path)
                .with_context(|| format!("the authority's key, {}", path.display()))?,
            None => wallet.clone(),
        };
        let mut config = rollup::defaults(self.window)?;
        let params = &mut config.params;
        params.max_units = self.max_units.unwrap_or(params.max_units);
        params.model_delay = self.model_delay.unwrap_or(params.model_delay);
        params.sequencer_share = self.sequencer_share.unwrap_or(params.sequencer_share);
        if let Some(sol) = &self.bond_slice {
            params.bond_slice = parse_amount(sol, 9).context("--bond-slice")?;
        }
        params.clock = self.clock.unwrap_or(params.clock);
        params.extension = self.extension.unwrap_or(params.extension);
        if let Some(sol) = &self.dispute_bond {
            params.dispute_bond = parse_amount(sol, 9).context("--dispute-bond")?;
        }
        config.inbox_grace = self.inbox_grace.unwrap_or(config.inbox_grace);
        config.inbox_fee_base = self.inbox_fee.unwrap_or(config.inbox_fee_base);
        let rollup = match self.no_rollup {
            true => pda::rollup(self.id),
            false => {
                rollup::check(&config)?;
                create_rollup(&sender, &authority, self.id, config).await?
            }
        };
        if let Some(text) = &self.bond {
            let lamports = parse_amount(text, 9)?;
            let there = accounts::sequencer(sender.rpc(), &rollup, &wallet.address()).await?;
            if let Some(there) = there {
                context.out.note(format!(
                    "{} is bonded already, with {} SOL: `assay bond add` adds to it",
                    wallet.address(),
                    show_amount(there.bond, 9)
                ));
            }
            bond(&sender, &authority, &wallet, &rollup, lamports).await?;
        }
        let sequencer = self.bond.is_some().then(|| wallet.address().to_string());
        let value = json!({ "rollup": rollup.to_string(), "sequencer": sequencer });
        context.out.result(&value, || {
            table(&[
                ("rollup", rollup.to_string()),
                (
                    "sequencer",
                    sequencer.unwrap_or_else(|| "none bonded".into()),
                ),
            ])
        })
    }
}
