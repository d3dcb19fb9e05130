//! `assay transfer`

use super::Global;
use super::context::{Context, parse_key, parse_mint, parse_positive};
use anyhow::Result;
use assay_ledger::inbox::Forced;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay transfer 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU 0.25\n  assay transfer 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU 10 --mint EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v\n  assay transfer 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU 0.25 --force"
)]
pub struct Arguments {
    /// Who gets it on L2.
    to: String,
    /// How much, in SOL or whole tokens.
    amount: String,
    /// SOL or the mint's address.
    #[arg(long, default_value = "SOL")]
    mint: String,
    /// Send it through L1's inbox, which no sequencer can leave out. The receiver must have an account.
    #[arg(long)]
    force: bool,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let mint = parse_mint(&self.mint)?;
        let amount = parse_positive(&self.amount, context.decimals(&mint).await?)?;
        let to = parse_key(&self.to)?;
        if self.force {
            let l1 = context.l1().await?;
            let owner = context.wallet()?.address().to_bytes();
            let landed = l1
                .force(&Forced::Transfer {
                    owner,
                    mint,
                    to: to.0,
                    amount,
                })
                .await?;
            return context.out.forced(&landed);
        }
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
