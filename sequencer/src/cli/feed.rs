//! `assay feed`

use super::Global;
use super::context::{Context, parse_key};
use super::output::table;
use anyhow::{Result, ensure};
use assay_client::api::Base64;
use assay_client::pda;
use clap::{Args, Subcommand};
use escrow::constants::NAME;
use escrow::state::Feed;
use serde_json::json;
use solana_pubkey::Pubkey;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  assay feed create weather --bytes 64\n  assay feed show weather\n  assay feed show 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU\n  assay job create 0 --bytes input.bin --max-price 0.00001 --output-bytes 64 --feed 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU\n  assay feed close weather"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a feed of the wallet. Jobs of the wallet that name it write their output to it.
    Create {
        /// Its name, at most 32 bytes.
        name: String,
        /// Bytes of room for an output, 1 to 2,048.
        #[arg(long)]
        bytes: u32,
    },
    /// Show a feed.
    Show {
        /// Its address, or its name among the wallet's.
        feed: String,
    },
    /// Close a feed of the wallet for its rent. No open job may name it.
    Close {
        /// Its address or its name.
        feed: String,
    },
}

impl Arguments {
    pub async fn run(self, global: Global) -> Result<()> {
        let context = Context::new(&global)?;
        let l1 = context.l1().await?;
        let me = context.wallet()?.address();
        let address = match self.command {
            Command::Create { name, bytes } => l1.create_feed(named(&name)?, bytes).await?,
            Command::Show { feed } => find(&feed, &me)?,
            Command::Close { feed } => {
                let address = find(&feed, &me)?;
                l1.close_feed(&address).await?;
                let closed = json!({ "closed": address.to_string() });
                return (context.out).result(&closed, || format!("closed {address}"));
            }
        };
        let feed = l1.feed(&address).await?;
        context
            .out
            .result(&value(&address, &feed), || show(&address, &feed))
    }
}

/// A feed by its address or by its name among the feeds of `client`.
fn find(text: &str, client: &Pubkey) -> Result<Pubkey> {
    match parse_key(text) {
        Ok(address) => Ok(address.into()),
        Err(_) => Ok(pda::feed(client, &named(text)?)),
    }
}

/// A name as the program has it: zeros after the text.
fn named(text: &str) -> Result<[u8; NAME]> {
    ensure!(
        !text.is_empty() && text.len() <= NAME,
        "a feed's name has 1 to {NAME} bytes, {text:?} has {}",
        text.len()
    );
    let mut name = [0; NAME];
    name[..text.len()].copy_from_slice(text.as_bytes());
    Ok(name)
}

fn name_of(feed: &Feed) -> String {
    let end = feed.name.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    String::from_utf8_lossy(&feed.name[..end]).into_owned()
}

fn value(address: &Pubkey, feed: &Feed) -> serde_json::Value {
    json!({
        "feed": address.to_string(), "name": name_of(feed),
        "client": feed.client.to_string(), "capacity": feed.capacity,
        "open_jobs": feed.pending, "updates": feed.updates, "job": feed.job.to_string(),
        "model": feed.model, "model_version": feed.model_version, "slot": feed.slot,
        "requested_at": feed.requested_at, "batch_at": feed.batch_at, "settled_at": feed.settled_at,
        "output": Base64(feed.output.data.clone()),
    })
}

/// A time of L1, and how long ago that is by this machine's clock.
pub fn age(at: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    format!("{at} ({} s ago)", now.saturating_sub(at))
}

fn show(address: &Pubkey, feed: &Feed) -> String {
    let mut rows = vec![
        ("feed", address.to_string()),
        ("name", name_of(feed)),
        ("client", feed.client.to_string()),
        ("room", format!("{} bytes", feed.capacity)),
        ("open jobs", feed.pending.to_string()),
        ("updates", feed.updates.to_string()),
    ];
    if feed.updates > 0 {
        rows.extend([
            ("job", feed.job.to_string()),
            (
                "model",
                format!("{} version {}", feed.model, feed.model_version),
            ),
            ("slot", feed.slot.to_string()),
            ("requested", age(feed.requested_at)),
            ("batch posted", age(feed.batch_at)),
            ("settled", age(feed.settled_at)),
            ("output", hex::encode(&feed.output.data)),
        ]);
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_found_by_its_address_and_by_its_name() {
        let me = Pubkey::new_from_array([7; 32]);
        let address = find("weather", &me).unwrap();
        assert_eq!(address, pda::feed(&me, &named("weather").unwrap()));
        assert_eq!(find(&address.to_string(), &me).unwrap(), address);
        assert!(find("", &me).is_err());
        let error = find(&"a".repeat(33), &me).unwrap_err().to_string();
        assert!(error.contains("1 to 32 bytes"), "{error}");
    }
}
