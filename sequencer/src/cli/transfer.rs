//! `assay transfer`

use super::Global;
use super::context::{Context, parse_amount, parse_key, parse_mint};
use anyhow::Result;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay transfer 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU 0.25\n  assay transfer 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU 10 --mint EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
)]
pub struct Arguments {
    /// Who gets it on L2.
    to: String,
    /// How much, in SOL or whole tokens.
    amount: String,
    /// SOL or the mint's address.
    #[arg(long, default_value = "SOL")]
    mint: String,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let mint = parse_mint(&self.mint)?;
        let amount = parse_amount(&self.amount, context.decimals(&mint).await?)?;
        let to = parse_key(&self.to)?;
        let (id, executed) = context
            .l2()
            .await?
            .transfer(mint, &to.into(), amount)
            .await?;
        context
            .out
            .result(&json!({ "id": id, "executed": executed }), || {
                format!("transferred in batch {}: {id}", executed.batch)
            })
    }
}
