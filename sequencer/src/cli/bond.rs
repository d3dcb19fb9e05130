//! `assay bond`

use super::Global;
use super::context::{Context, parse_amount, parse_key, show_amount};
use super::output::table;
use anyhow::{Context as _, Result};
use assay_client::instructions::settlement as instructions;
use assay_client::sender::Order;
use assay_client::wallet::Wallet;
use assay_client::{accounts, pda};
use clap::{Args, Subcommand};
use serde_json::json;
use settlement::state::Sequencer;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay bond show\n  assay bond show --sequencer 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU --json\n  assay bond add 50 --key sequencer.json\n  assay bond request 20 --key sequencer.json\n  assay bond withdraw --key sequencer.json\n  assay bond claim-fees --key sequencer.json\n\n`assay init ID --no-rollup --bond SOL` makes a sequencer of a key. Each batch that is not final yet locks a slice of its bond; what a request has asked for backs no new batch, and can be withdrawn after the rollup's delay."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a sequencer's bond: how much is locked, free, being withdrawn, and what it has earned.
    Show {
        /// The sequencer's key; the wallet if absent.
        #[arg(long, value_name = "KEY")]
        sequencer: Option<String>,
    },
    /// Add to the wallet's bond.
    Add {
        /// How much, in SOL.
        amount: String,
    },
    /// Ask for a part of the wallet's bond back. A request replaces the one before it; 0 cancels.
    Request {
        /// How much, in SOL.
        amount: String,
    },
    /// Withdraw what was asked for, when its delay has passed.
    Withdraw,
    /// Take the inbox fees that the wallet's final batches have earned.
    ClaimFees,
    /// Close the account of a sequencer without a bond, for its rent.
    Close,
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let rollup = context.rollup().await?;
        // Whoever only looks at somebody's bond needs no key.
        let wallet = match &self.command {
            Command::Show { sequencer: Some(_) } => None,
            _ => Some(context.wallet()?),
        };
        let me = wallet.as_ref().map(Wallet::address).unwrap_or_default();
        let sol = |text: &str| parse_amount(text, 9);
        let of = |sequencer: Option<String>| match sequencer {
            Some(text) => Ok::<_, anyhow::Error>(Pubkey::from(parse_key(&text)?)),
            None => Ok(me),
        };
        let (key, order): (Pubkey, Option<(&'static str, Instruction)>) = match self.command {
            Command::Show { sequencer } => (of(sequencer)?, None),
            Command::Add { amount } => {
                let add = instructions::add_bond(&rollup, &me, sol(&amount)?);
                (me, Some(("add bond", add)))
            }
            Command::Request { amount } => {
                let request = instructions::request_unbond(&rollup, &me, sol(&amount)?);
                (me, Some(("request bond", request)))
            }
            Command::Withdraw => {
                let withdraw = instructions::withdraw_bond(&rollup, &me);
                (me, Some(("withdraw bond", withdraw)))
            }
            Command::ClaimFees => {
                let claim = instructions::claim_fees(&rollup, &me);
                (me, Some(("claim fees", claim)))
            }
            Command::Close => {
                let close = instructions::close_sequencer(&rollup, &me);
                (me, Some(("close sequencer", close)))
            }
        };
        let sender = context.sender();
        let rpc = sender.rpc();
        // Asked first, so that whoever is no sequencer hears that and not a program's error.
        bonded(accounts::sequencer(rpc, &rollup, &key).await?, &key)?;
        let mut landed = None;
        if let (Some((label, instruction)), Some(wallet)) = (order, &wallet) {
            let order = Order::new(label, wallet.keypair(), vec![instruction]);
            landed = Some(sender.send(&order).await?.signature.to_string());
        }
        let (chain, bond) = accounts::chain_and_bond(rpc, &rollup, &key).await?;
        let Some(bond) = bond else {
            let closed =
                json!({ "sequencer": key.to_string(), "closed": true, "signature": landed });
            return (context.out).result(&closed, || format!("closed {key}"));
        };
        let locked =
            (chain.locked_bond(&key)).context("the rollup's chain of batches is damaged")?;
        let free = bond.free_bond(locked);
        let value = json!({
            "sequencer": key.to_string(), "account": pda::sequencer(&rollup, &key).to_string(),
            "bond": bond.bond, "locked": locked, "free": free,
            "unbonding": bond.unbonding, "unbond_slot": bond.unbond_slot,
            "earned": bond.earned, "signature": landed,
        });
        let amount = |lamports| format!("{} SOL", show_amount(lamports, 9));
        context.out.result(&value, || {
            let mut rows = vec![
                ("sequencer", key.to_string()),
                ("bond", amount(bond.bond)),
                ("locked by pending batches", amount(locked)),
                ("free for new ones", amount(free)),
            ];
            if bond.unbonding > 0 {
                let when = format!("{} from slot {}", amount(bond.unbonding), bond.unbond_slot);
                rows.push(("being withdrawn", when));
            }
            rows.push(("earned, to be claimed", amount(bond.earned)));
            table(&rows)
        })
    }
}

fn bonded(found: Option<Sequencer>, key: &Pubkey) -> Result<Sequencer> {
    found.with_context(|| {
        format!(
            "{key} is no sequencer of this rollup: `assay init ID --no-rollup --bond SOL` makes it one"
        )
    })
}
