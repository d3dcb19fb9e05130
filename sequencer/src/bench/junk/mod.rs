//! The standing attack: transactions of strangers around every account that they can name, while a
//! sequencer posts a wrong batch. How long does a verifier take to its first move in the dispute?
//!
//! Each row is a network of its own: a chain, the programs, a sequencer that lies, and `assay
//! verifier` as a process, which knows the chain only through a slow [node stand-in](stand_in). The
//! clock runs from the moment at which the wrong batch stands on L1 to that at which the verifier's
//! dispute does.
//!
//! * [`stand_in`]: the node stand-in
//! * [`scene`]: a network with a history, and the wrong batch
//! * [`process`]: the verifier as a process, and an API that withholds blobs

mod process;
mod scene;
pub mod stand_in;

use anyhow::Result;
use clap::ValueEnum;
use scene::Scene;
use serde::Serialize;
use stand_in::Limits;
use std::fmt;

/// An account that strangers can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Account {
    /// The rollup.
    Rollup,
    /// The chain of batches.
    Chain,
    /// The data of the wrong batch.
    Data,
    /// The first page of the inbox, with messages that the wrong batch consumes.
    InboxPage,
    /// The verifier's dispute.
    Dispute,
    /// The verifier's demands: nobody but L1 gives it a model.
    Demand,
    /// The buffers of the sequencer's answers to these demands, and the verifier's own.
    Buffer,
    /// The sequencer.
    Sequencer,
    /// A job of the user.
    Job,
    /// A feed of the user.
    Feed,
    /// The vault of the bridge.
    Vault,
    /// The settlement program.
    Program,
    /// All of them at once.
    All,
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Junk transactions for each account.
    pub junk: u32,
    /// Which accounts; all of them where it is empty.
    pub accounts: Vec<Account>,
    /// How slow the node is.
    pub limits: Limits,
}

/// One attack.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which account was named.
    pub account: String,
    /// In how many transactions.
    pub junk: u32,
    /// Seconds to the first move without junk.
    pub seconds_clean: f64,
    /// Seconds to the first move with it, or until that was given up.
    pub seconds: f64,
    /// Resident memory of the verifier's process at most, in MB.
    pub rss_mb: f64,
    /// Junk that the stand-in listed, gave or had in blocks: 0 where no reader looks at the
    /// account's history.
    pub served: u64,
    /// Whether it took at most twice as long and five seconds, and 512 MB.
    pub within: bool,
}

/// All attacks.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Report(Vec<Row>);

/// What a run measures.
struct Measured {
    seconds: f64,
    rss_mb: f64,
    served: u64,
}

impl Account {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The accounts that are attacked with this one.
    fn parts(self) -> Vec<Self> {
        if self == Self::All {
            let all = Self::value_variants().iter().copied();
            return all.filter(|account| *account != Self::All).collect();
        }
        vec![self]
    }

    /// Whether the verifier must demand a model on L1 for the account to be there.
    fn is_of_demands(self) -> bool {
        matches!(self, Self::Demand | Self::Buffer | Self::All)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seconds from a wrong batch to the verifier's first move, and its memory at most\n\n{:<12} {:>8} {:>8} {:>8} {:>8} {:>8}  within",
            "account", "junk", "clean", "seconds", "MB", "served"
        )?;
        for row in &self.0 {
            writeln!(
                f,
                "{:<12} {:>8} {:>8.2} {:>8.2} {:>8.0} {:>8}  {}",
                row.account,
                row.junk,
                row.seconds_clean,
                row.seconds,
                row.rss_mb,
                row.served,
                if row.within { "yes" } else { "NO" }
            )?;
        }
        write!(
            f,
            "\nThe junk is simulated: a node stand-in merges it into what a real node lists and gives, half of it in the\nslots of the honest transactions. Served: junk that the verifier was listed or given. Within: at most twice the\nclean time and 5 s, and 512 MB."
        )
    }
}

/// Attacks each account in turn.
pub async fn junk(options: &Options) -> Result<Report> {
    let chosen = if options.accounts.is_empty() {
        Account::value_variants()
    } else {
        &options.accounts
    };
    // What is measured without junk: where the verifier demands a model, and where it does not.
    let mut clean: [Option<f64>; 2] = [None; 2];
    let mut rows = Vec::new();
    for account in chosen {
        let demands = account.is_of_demands();
        let seconds_clean = match clean[usize::from(demands)] {
            Some(seconds) => seconds,
            None => {
                let with = if demands {
                    "with demands"
                } else {
                    "without demands"
                };
                eprintln!("no junk, {with}");
                let measured = measure(&account.parts(), 0, demands, options.limits).await?;
                clean[usize::from(demands)] = Some(measured.seconds);
                measured.seconds
            }
        };
        eprintln!("{}: {} transactions", account.name(), options.junk);
        let measured = measure(&account.parts(), options.junk, demands, options.limits).await?;
        rows.push(Row {
            account: account.name(),
            junk: options.junk,
            seconds_clean,
            seconds: measured.seconds,
            rss_mb: measured.rss_mb,
            served: measured.served,
            within: measured.seconds <= 2.0 * seconds_clean + 5.0 && measured.rss_mb <= 512.0,
        });
    }
    Ok(Report(rows))
}

/// One network, and one wrong batch.
async fn measure(
    accounts: &[Account],
    junk: u32,
    demands: bool,
    limits: Limits,
) -> Result<Measured> {
    let scene = Scene::start(demands).await?;
    let measured = scene.attack(accounts, junk, limits).await;
    let stopped = scene.stop().await;
    let measured = measured?;
    stopped?;
    Ok(measured)
}
