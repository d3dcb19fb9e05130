//! `assay deposit`

use super::Global;
use super::context::{Context, PATIENCE, parse_key, parse_mint, parse_positive, show_amount};
use anyhow::Result;
use assay_client::api::Key32;
use assay_ledger::SOL;
use clap::Args;
use serde_json::json;
use solana_pubkey::Pubkey;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay deposit 1.5\n  assay deposit 100 --mint EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v\n  assay deposit 0.1 --to 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU --no-wait"
)]
pub struct Arguments {
    /// How much, in SOL or whole tokens.
    amount: String,
    /// SOL or the mint's address.
    #[arg(long, default_value = "SOL")]
    mint: String,
    /// Who gets it on L2; the wallet if absent.
    #[arg(long)]
    to: Option<String>,
    /// Do not wait until it is on L2.
    #[arg(long)]
    no_wait: bool,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let mint = parse_mint(&self.mint)?;
        let decimals = context.decimals(&mint).await?;
        let amount = parse_positive(&self.amount, decimals)?;
        let l1 = context.l1().await?;
        let to: Pubkey = match &self.to {
            Some(text) => parse_key(text)?.into(),
            None => context.wallet()?.address(),
        };
        let api = context.api();
        let (owner, mint_key) = (Key32::from(to), Key32(mint));
        let balance = || async {
            let account = api.account(owner, mint_key).await?;
            Ok::<_, assay_client::l2::L2Error>(account.map_or(0, |a| a.balance))
        };
        let before = match self.no_wait {
            true => 0,
            false => balance().await?,
        };
        let landed = match mint {
            SOL => l1.deposit_sol(&to, amount).await?,
            _ => {
                l1.deposit_token(&Pubkey::new_from_array(mint), &to, amount)
                    .await?
            }
        };
        let mut on_l2 = None;
        if !self.no_wait {
            context.out.note(format!("on L1: {}", landed.signature));
            let arrived = || async {
                let now = balance().await?;
                Ok((now > before).then_some(now))
            };
            on_l2 = Some(
                assay_client::l2::wait("the deposit's arrival on L2", PATIENCE, arrived).await?,
            );
        }
        let value = json!({
            "signature": landed.signature.to_string(), "amount": amount, "mint": mint_key,
            "owner": owner, "fee": landed.lamports, "balance": on_l2,
        });
        context.out.result(&value, || match on_l2 {
            Some(balance) => format!("balance on L2: {}", show_amount(balance, decimals)),
            None => format!("deposited: {}", landed.signature),
        })
    }
}
