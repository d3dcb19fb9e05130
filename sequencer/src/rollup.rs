//! What a rollup is created with, and whether one that is there is the one that was meant.
//!
//! The defaults are in `migrations/rollup.json`, for `assay init` and `migrations/deploy.ts` alike.

use assay_client::accounts;
use assay_client::rpc::{Rpc, RpcError};
use assay_dispute::demand::Times;
use serde::Deserialize;
use settlement::state::{Config, Params, Rollup};
use solana_pubkey::Pubkey;

const DEFAULTS: &str = include_str!("../../migrations/rollup.json");

/// The file's keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Defaults {
    window: u64,
    units_per_window_slot: u64,
    bond_slice: u64,
    max_records: u32,
    max_data: u32,
    model_delay: u64,
    sequencer_share: u16,
    clock: u64,
    extension: u64,
    dispute_bond: u64,
    unbond_windows: u64,
    inbox_grace: u64,
    inbox_batch: u32,
    inbox_fee_base: u64,
    inbox_fee_step: u64,
}

/// The configuration of a rollup for a public cluster, with this window in slots, or the usual one.
/// A longer window admits larger batches, as there is longer to check them.
pub fn defaults(window: Option<u64>) -> Result<Config, serde_json::Error> {
    let d: Defaults = serde_json::from_str(DEFAULTS)?;
    let window = window.unwrap_or(d.window);
    Ok(Config {
        bridge: bridge::ID,
        escrow: escrow::ID,
        params: Params {
            window,
            bond_slice: d.bond_slice,
            max_units: window.saturating_mul(d.units_per_window_slot),
            max_records: d.max_records,
            max_data: d.max_data,
            model_delay: d.model_delay,
            sequencer_share: d.sequencer_share,
            clock: d.clock,
            extension: d.extension,
            dispute_bond: d.dispute_bond,
        },
        unbond_delay: window.saturating_mul(d.unbond_windows),
        inbox_grace: d.inbox_grace,
        inbox_batch: d.inbox_batch,
        inbox_fee_base: d.inbox_fee_base,
        inbox_fee_step: d.inbox_fee_step,
    })
}

/// Why a rollup cannot be created like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rollup cannot have these parameters: {}", .0.join("; "))]
pub struct BadConfig(pub Vec<String>);

/// Checks that the settlement program takes a configuration, and says in words why it does not. The rules
/// are the program's; here is what they mean.
pub fn check(config: &Config) -> Result<(), BadConfig> {
    if config.validate().is_ok() {
        return Ok(());
    }
    let p = &config.params;
    const LONGEST: u64 = u32::MAX as u64;
    let rules = [
        (
            p.window >= Times::MIN_WINDOW && p.window <= LONGEST,
            format!(
                "the window is {} slots, and must be from {} to {LONGEST}",
                p.window,
                Times::MIN_WINDOW
            ),
        ),
        (
            p.clock >= 1 && p.clock <= LONGEST,
            format!(
                "the clock is {} slots, and must be from 1 to {LONGEST}",
                p.clock
            ),
        ),
        (
            p.extension >= 1 && p.extension <= p.clock,
            format!(
                "the extension is {} slots, and must be from 1 to the clock, {}",
                p.extension, p.clock
            ),
        ),
        (p.dispute_bond >= 1, "the dispute bond is nothing".into()),
        (p.bond_slice >= 1, "the bond's slice is nothing".into()),
        (p.max_units >= 1, "a batch may use no work units".into()),
        (p.model_delay >= 1, "the model delay is no batch".into()),
        (
            p.sequencer_share <= 10_000,
            format!(
                "the sequencer's share is {} basis points, and there are 10000",
                p.sequencer_share
            ),
        ),
        (
            config.unbond_delay >= p.window,
            format!(
                "the unbonding delay is {} slots, and the window is {}",
                config.unbond_delay, p.window
            ),
        ),
    ];
    let broken = rules.into_iter().filter(|(holds, _)| !holds);
    let mut broken: Vec<String> = broken.map(|(_, rule)| rule).collect();
    if broken.is_empty() {
        broken.push("the settlement program refuses them".into());
    }
    Err(BadConfig(broken))
}

/// Why the rollup at an address is not taken for the one that was to be created.
#[derive(Debug, thiserror::Error)]
pub enum OtherRollup {
    /// It cannot be read.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// Somebody created it otherwise. Its number is anybody's to take.
    #[error(
        "rollup {address} is there and is another one ({}): choose another number, or leave it as it is with --no-rollup",
        differences.join("; ")
    )]
    Differs {
        /// Its address.
        address: Pubkey,
        /// What is and what was meant, by name.
        differences: Vec<String>,
    },
}

/// Checks that the rollup at `address` is this authority's, with this configuration.
pub async fn is_as_meant(
    rpc: &Rpc,
    address: Pubkey,
    authority: &Pubkey,
    config: &Config,
) -> Result<(), OtherRollup> {
    let rollup = accounts::rollup(rpc, &address).await?;
    let differences = differences(&rollup, authority, config);
    match differences.is_empty() {
        true => Ok(()),
        false => Err(OtherRollup::Differs {
            address,
            differences,
        }),
    }
}

fn differences(rollup: &Rollup, authority: &Pubkey, config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if rollup.authority != *authority {
        let is = rollup.authority;
        found.push(format!("authority is {is}, not {authority}"));
    }
    macro_rules! compare {
        ($is:expr, $meant:expr, $($field:ident).+) => {{
            let (is, meant) = ($is.$($field).+, $meant.$($field).+);
            if is != meant {
                let name = stringify!($($field).+).replace(' ', "");
                found.push(format!("{name} is {is}, not {meant}"));
            }
        }};
    }
    // Names every field, so that a new one is not forgotten.
    macro_rules! compare_all {
        ($($field:ident),*; $($param:ident),*) => {{
            let Config { params: Params { $($param: _),* }, $($field: _),* } = config;
            $(compare!(rollup.config, config, $field);)*
            $(compare!(rollup.config, config, params.$param);)*
        }};
    }
    compare_all!(
        bridge, escrow, unbond_delay, inbox_grace, inbox_batch, inbox_fee_base, inbox_fee_step;
        window, bond_slice, max_units, max_records, max_data, model_delay, sequencer_share, clock,
        extension, dispute_bond
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use settlement::constants::MAX_PENDING;

    /// Work units a second that a verifier is expected to do, and seconds of a slot.
    const VERIFIER: f64 = 1e9;
    const SLOT: f64 = 0.4;

    #[test]
    fn a_verifier_redoes_all_pending_batches_in_a_quarter_of_the_window() {
        for window in [None, Some(216_000)] {
            let config = defaults(window).unwrap();
            config.validate().unwrap();
            let p = config.params;
            let needed = p.max_units as f64 * MAX_PENDING as f64 / VERIFIER;
            let quarter = p.window as f64 * SLOT / 4.0;
            assert!(
                needed <= quarter && needed > 0.99 * quarter,
                "{needed} {quarter}"
            );
        }
    }

    #[test]
    fn what_the_program_refuses_is_said_in_words() {
        let usual = defaults(None).unwrap();
        assert_eq!(check(&usual), Ok(()));
        let refused = |change: fn(&mut Config), word: &str| {
            let mut config = usual;
            change(&mut config);
            let BadConfig(rules) = check(&config).unwrap_err();
            let [rule] = &rules[..] else {
                panic!("{rules:?}");
            };
            assert!(rule.contains(word), "{rule}");
        };
        refused(
            |c| c.params.clock = 1_499,
            "must be from 1 to the clock, 1499",
        );
        refused(|c| c.params.extension = 0, "the extension is 0 slots");
        refused(
            |c| c.params.clock = 1 << 32,
            "the clock is 4294967296 slots",
        );
        refused(|c| c.params.dispute_bond = 0, "the dispute bond");
        refused(
            |c| c.params.window = 23,
            "the window is 23 slots, and must be from 24",
        );
        refused(|c| c.params.bond_slice = 0, "the bond's slice");
        refused(|c| c.params.max_units = 0, "no work units");
        refused(|c| c.params.model_delay = 0, "the model delay");
        refused(|c| c.params.sequencer_share = 10_001, "10001 basis points");
        refused(|c| c.unbond_delay = 1, "the unbonding delay is 1 slots");
        refused(|c| c.inbox_batch = 0, "the settlement program refuses them");
    }

    #[test]
    fn what_differs_is_named() {
        let config = defaults(None).unwrap();
        let authority = Pubkey::new_from_array([1; 32]);
        let rollup = |config| Rollup {
            version: 1,
            bump: 0,
            chain_bump: 0,
            id: 0,
            authority,
            rules: 1,
            codec: 1,
            config,
            bridge_sender: Pubkey::default(),
            escrow_sender: Pubkey::default(),
            inbox_count: 5,
            inbox_chain: [0; 32],
            inbox_fees: 0,
            inbox_cursor: 0,
        };
        assert!(differences(&rollup(config), &authority, &config).is_empty());
        let mut other = config;
        other.params.window = 7;
        other.inbox_batch += 1;
        let stranger = Pubkey::new_from_array([2; 32]);
        let found = differences(&rollup(other), &stranger, &config);
        assert_eq!(
            found,
            [
                format!("authority is {authority}, not {stranger}"),
                "inbox_batch is 257, not 256".into(),
                "params.window is 7, not 1512000".into(),
            ]
        );
    }
}
