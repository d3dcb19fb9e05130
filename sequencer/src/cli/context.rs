//! What the client commands share: the way to L1 and L2, the wallet, amounts.

use super::Global;
use super::config::Settings;
use super::output::Output;
use anyhow::{Context as _, Result, bail};
use assay_client::api::{Key32, OutboxProof};
use assay_client::http::{Api, ApiError};
use assay_client::l1::L1;
use assay_client::l2::L2;
use assay_client::rpc::Rpc;
use assay_client::sender::{Options, Sender};
use assay_client::wallet::Wallet;
use assay_ledger::{Key, SOL};
use solana_pubkey::Pubkey;
use std::time::Duration;

/// How long a command waits for what the network has to do.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// What the client commands share.
pub struct Context {
    /// The settings.
    pub settings: Settings,
    /// Where the result goes.
    pub out: Output,
}

impl Context {
    /// The context of a command with these flags.
    pub fn new(global: &Global) -> Result<Self> {
        Ok(Self {
            settings: Settings::load(global)?,
            out: Output::new(global.json),
        })
    }

    /// The wallet.
    pub fn wallet(&self) -> Result<Wallet> {
        let path = &self.settings.client.key;
        Wallet::read(path).with_context(|| {
            format!(
                "no key: make one with `assay key new {}`, or name one with --key",
                path.display()
            )
        })
    }

    /// The API.
    pub fn api(&self) -> Api {
        Api::new(&self.settings.client.api)
    }

    /// The rollup: the one in the settings, else the one that the sequencer serves.
    pub async fn rollup(&self) -> Result<Pubkey> {
        match &self.settings.client.rollup {
            Some(text) => Ok(parse_key(text).context("the rollup's address")?.into()),
            None => {
                let status = self.api().status().await.context(
                    "the rollup is not in the settings and the sequencer does not say it: set --rollup or --api",
                )?;
                Ok(status.rollup.into())
            }
        }
    }

    /// Sends to the node.
    pub fn sender(&self) -> Sender {
        let client = &self.settings.client;
        let options = Options {
            unit_price: client.priority_fee,
            ..Options::default()
        };
        Sender::new(Rpc::new(&client.rpc), options)
    }

    /// L1 with the wallet.
    pub async fn l1(&self) -> Result<L1> {
        Ok(L1::new(self.sender(), self.rollup().await?, self.wallet()?))
    }

    /// L2 with the wallet.
    pub async fn l2(&self) -> Result<L2> {
        Ok(L2::new(self.api(), self.rollup().await?, self.wallet()?))
    }

    /// Decimals of a mint.
    pub async fn decimals(&self, mint: &Key) -> Result<u8> {
        if *mint == SOL {
            return Ok(9);
        }
        let address = Pubkey::new_from_array(*mint);
        let account = Rpc::new(&self.settings.client.rpc)
            .account(&address)
            .await?;
        // COption<authority> (36), supply (8), decimals (1): the same in both token programs.
        account
            .and_then(|a| a.data.get(44).copied())
            .with_context(|| format!("{address} is not a mint"))
    }
}

/// A key in base58.
pub fn parse_key(text: &str) -> Result<Key32> {
    Ok(text.parse::<Key32>()?)
}

/// A mint: `SOL` or an address.
pub fn parse_mint(text: &str) -> Result<Key> {
    if text.eq_ignore_ascii_case("sol") {
        return Ok(SOL);
    }
    Ok(parse_key(text).context("a mint is SOL or an address")?.0)
}

/// An amount with up to `decimals` decimals, in base units.
pub fn parse_amount(text: &str, decimals: u8) -> Result<u64> {
    let wrong = || format!("{text:?} is not an amount with at most {decimals} decimals");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let places = usize::from(decimals);
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || part.len() > places || !digits(whole) || !digits(part) {
        bail!(wrong());
    }
    format!("{whole}{part:0<places$}")
        .parse()
        .with_context(wrong)
}

/// An amount of at least one base unit, of what is moved.
pub fn parse_positive(text: &str, decimals: u8) -> Result<u64> {
    match parse_amount(text, decimals)? {
        0 => bail!("the amount is zero: name an amount of at least one base unit"),
        amount => Ok(amount),
    }
}

/// Base units as an amount.
pub fn show_amount(units: u64, decimals: u8) -> String {
    let places = usize::from(decimals);
    let text = format!("{units:0>width$}", width = places + 1);
    let (whole, part) = text.split_at(text.len() - places);
    match part.trim_end_matches('0') {
        "" => whole.to_string(),
        part => format!("{whole}.{part}"),
    }
}

/// The proof of an outbox leaf in a final batch, waited for.
pub async fn final_proof(api: &Api, index: u64) -> Result<OutboxProof> {
    let ask = || async {
        match api.outbox(index).await {
            Ok(proof) => Ok(Some(proof)),
            // Its batch is not final yet.
            Err(ApiError::Refused {
                status: 404 | 409 | 425,
                ..
            }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    };
    Ok(assay_client::l2::wait("a final batch with it", PATIENCE, ask).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        assert_eq!(parse_amount("1", 9).unwrap(), 1_000_000_000);
        assert_eq!(parse_amount("0.000000001", 9).unwrap(), 1);
        assert_eq!(parse_amount("18446744073.709551615", 9).unwrap(), u64::MAX);
        assert_eq!(parse_amount("7", 0).unwrap(), 7);
        assert_eq!(parse_positive("0.5", 1).unwrap(), 5);
        assert_eq!(parse_amount("0.0", 9).unwrap(), 0);
        assert!(parse_positive("0.0", 9).is_err());
        for wrong in [
            "",
            ".5",
            "-1",
            "1e9",
            "1.0000000001",
            "1,5",
            "18446744073.709551616",
            "+1",
        ] {
            assert!(parse_amount(wrong, 9).is_err(), "{wrong}");
            assert!(parse_positive(wrong, 9).is_err(), "{wrong}");
        }
        for units in [0, 1, 10, 1_000_000_000, 1_500_000_000, u64::MAX] {
            assert_eq!(parse_amount(&show_amount(units, 9), 9).unwrap(), units);
        }
        assert_eq!(show_amount(1_500_000_000, 9), "1.5");
        assert_eq!(show_amount(12, 0), "12");
    }
}
