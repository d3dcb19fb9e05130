//! `assay init`

use super::Global;
use super::context::{Context, parse_amount};
use super::output::table;
use crate::dev::network::{bond, create_rollup, dev_rollup};
use anyhow::{Context as _, Result};
use assay_client::pda;
use assay_client::wallet::Wallet;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay init 7 --window 1512000 --bond 100\n  assay init 7 --no-rollup --bond 50 --key keys/sequencer.json --authority keys/authority.json\n\nThe rollup belongs to its authority, who also signs when a sequencer is bonded: until turns rotate, a\nsecond sequencer's batches would fork the first one's chain."
)]
pub struct Arguments {
    /// The rollup's number; its address is derived from it.
    id: u64,
    /// Slots until a batch is final. A week is 1,512,000.
    #[arg(long, default_value_t = 1_512_000)]
    window: u64,
    /// Batches after which a deployed model is callable.
    #[arg(long, default_value_t = 10)]
    model_delay: u64,
    /// The sequencer's share of each price, in basis points.
    #[arg(long, default_value_t = 2_000)]
    sequencer_share: u16,
    /// SOL of the bond that each pending batch locks.
    #[arg(long, default_value = "1")]
    bond_slice: String,
    /// Slots after which a message from L1 is overdue.
    #[arg(long, default_value_t = 4_500)]
    inbox_grace: u64,
    /// Lamports that a message costs.
    #[arg(long, default_value_t = 5_000)]
    inbox_fee: u64,
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

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let (sender, wallet) = (context.sender(), context.wallet()?);
        let authority = match &self.authority {
            Some(path) => Wallet::read(path)
                .with_context(|| format!("the authority's key, {}", path.display()))?,
            None => wallet.clone(),
        };
        let mut config = dev_rollup();
        config.params.window = self.window;
        config.params.model_delay = self.model_delay;
        config.params.sequencer_share = self.sequencer_share;
        config.params.bond_slice = parse_amount(&self.bond_slice, 9)?;
        config.unbond_delay = self.window.saturating_mul(2);
        config.inbox_grace = self.inbox_grace;
        config.inbox_fee_base = self.inbox_fee;
        let rollup = match self.no_rollup {
            true => pda::rollup(self.id),
            false => create_rollup(&sender, &authority, self.id, config).await?,
        };
        if let Some(text) = &self.bond {
            let lamports = parse_amount(text, 9)?;
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
