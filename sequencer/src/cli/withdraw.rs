//! `assay withdraw`

use super::Global;
use super::context::{Context, final_proof, parse_key, parse_mint, parse_positive, show_amount};
use anyhow::Result;
use assay_client::api::Key32;
use assay_client::l2::mint_name;
use assay_ledger::inbox::Forced;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay withdraw 0.5\n  assay withdraw 10 --mint EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v --no-wait\n  assay withdraw 0.5 --force\n  assay withdraw --claim"
)]
pub struct Arguments {
    /// How much, in SOL or whole tokens.
    #[arg(required_unless_present = "claim")]
    amount: Option<String>,
    /// SOL or the mint's address.
    #[arg(long, default_value = "SOL")]
    mint: String,
    /// Who is paid on L1; the wallet if absent.
    #[arg(long)]
    to: Option<String>,
    /// Do not wait until L1 can pay; `--claim` pays it later.
    #[arg(long)]
    no_wait: bool,
    /// Withdraw nothing more; pay out on L1 what was withdrawn before and is final.
    #[arg(long, conflicts_with_all = ["amount", "no_wait"])]
    claim: bool,
    /// Ask for it through L1's inbox, which no sequencer can leave out; `--claim` pays it later.
    #[arg(long, conflicts_with_all = ["claim", "no_wait"])]
    force: bool,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let recipient: Key32 = match &self.to {
            Some(text) => parse_key(text)?,
            None => context.wallet()?.address().into(),
        };
        if let (true, Some(text)) = (self.force, &self.amount) {
            let mint = parse_mint(&self.mint)?;
            let forced = Forced::Withdraw {
                owner: context.wallet()?.address().to_bytes(),
                mint,
                recipient: recipient.0,
                amount: parse_positive(text, context.decimals(&mint).await?)?,
            };
            let landed = context.l1().await?.force(&forced).await?;
            return context.out.forced(&landed);
        }
        let api = context.api();
        let before = api.withdrawals(recipient).await?;
        let mut id = None;
        if let Some(text) = &self.amount {
            let mint = parse_mint(&self.mint)?;
            let amount = parse_positive(text, context.decimals(&mint).await?)?;
            let l2 = context.l2().await?;
            let (request, executed) = l2.withdraw(mint, &recipient.into(), amount).await?;
            context
                .out
                .note(format!("withdrawn in batch {}: {request}", executed.batch));
            id = Some(request);
        }
        let due = match (self.claim, self.no_wait) {
            (true, _) => before.into_iter().filter(|w| w.payable).collect(),
            (_, true) => Vec::new(),
            _ => {
                let mut all = api.withdrawals(recipient).await?;
                all.retain(|w| before.iter().all(|b| b.index != w.index));
                context.out.note("waiting until the batch is final");
                all
            }
        };
        let l1 = context.l1().await?;
        let mut paid = Vec::new();
        for withdrawal in due {
            let proof = final_proof(&api, withdrawal.index).await?;
            let sent = l1.withdraw(&proof).await?;
            let signature = sent.landed().map(|l| l.signature.to_string());
            if let Some(signature) = signature {
                let decimals = context.decimals(&withdrawal.mint.0).await?;
                context.out.note(format!(
                    "paid {} {} on L1: {signature}",
                    show_amount(withdrawal.amount, decimals),
                    mint_name(&withdrawal.mint)
                ));
                paid.push(json!({ "index": withdrawal.index, "signature": signature }));
            }
        }
        let value = json!({ "id": id, "paid": paid });
        context.out.result(&value, || match (&id, paid.len()) {
            (Some(_), 0) => {
                "withdrawn on L2; `assay withdraw --claim` pays it when it is final".into()
            }
            (_, n) => format!("{n} paid on L1"),
        })
    }
}
