//! `assay status`

use super::Global;
use super::context::{Context, show_amount};
use super::output::table;
use anyhow::Result;
use assay_client::l2::mint_name;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  assay status\n  assay status --json")]
pub struct Arguments {}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let api = context.api();
        let status = api.status().await?;
        // Without a key there is still something to show.
        let accounts = match context.wallet() {
            Ok(wallet) => match api.accounts(wallet.address().into()).await {
                Err(e) if e.is_not_found() => Vec::new(),
                other => other?,
            },
            Err(_) => Vec::new(),
        };
        let mut text = table(&[
            ("rollup", status.rollup.to_string()),
            ("sequencer", status.sequencer.to_string()),
            ("executor", status.executor.clone()),
            (
                "batches",
                format!(
                    "final {}, on L1 {}, building {} ({} transactions)",
                    status.finalised,
                    status.tip,
                    status.building.number,
                    status.building.transactions
                ),
            ),
            (
                "backlog",
                format!(
                    "{} closed batches wait for L1, which takes {} now",
                    status.unposted, status.l1_room
                ),
            ),
            (
                "inbox",
                format!(
                    "{} of {} consumed",
                    status.inbox.consumed, status.inbox.seen
                ),
            ),
            (
                "accepts requests",
                match &status.not_accepting {
                    None => "yes".into(),
                    Some(why) => format!("no: {why}"),
                },
            ),
            ("queue", status.queue.to_string()),
            ("inferences", status.counters.inferences.to_string()),
            (
                "spent on L1",
                format!(
                    "{} lamports, {} bytes",
                    status.counters.l1_lamports, status.counters.l1_bytes
                ),
            ),
        ]);
        for account in &accounts {
            let decimals = context.decimals(&account.mint.0).await.unwrap_or(0);
            text += &format!(
                "{} {}  nonce {}\n",
                show_amount(account.balance, decimals),
                mint_name(&account.mint),
                account.nonce
            );
        }
        let value = json!({ "status": status, "accounts": accounts });
        context.out.result(&value, || text)
    }
}
