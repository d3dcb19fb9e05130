//! The lease: which of the processes that have the key is at work.
//!
//! Two processes of one key with two data folders would answer requests on two chains of batches, of which
//! L1 takes one. So each writes on L1, into the sequencer's account, that it is at work, before its
//! first answer, and the program takes one at a time. A process accepts no requests while it cannot be sure
//! that the lease is its own still. Who comes back to the same data folder holds the same lease.

use super::L1;
use super::error::{L1Error, Severity};
use super::pace::Pace;
use crate::engine::gate::{Gate, Moment};
use assay_client::accounts;
use assay_client::instructions::settlement as make;
use assay_client::sender::Order;
use settlement::errors::SettlementError;
use settlement::state::Sequencer;
use solana_signer::Signer;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Seconds that a lease runs on L1.
const RUNS: u32 = 600;
/// How long it is relied on: L1's clock may be faster by a quarter.
const HELD: Duration = Duration::from_secs(400);
/// When it is renewed: so much of [`HELD`] is left for troubles with L1.
const RENEWED_WITH: Duration = Duration::from_secs(250);
/// How often it is looked whether it is time to renew it.
const TICK: Duration = Duration::from_secs(5);
/// How long giving it up may take when the service stops.
const GIVING_UP: Duration = Duration::from_secs(5);
/// The file in the data folder.
const FILE: &str = "instance";

/// A process of the key, or rather its data folder: a random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance(pub [u8; 16]);

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Instance {
    /// The instance of the data folder `dir`, drawn where it has none. A copy of a folder is another one: the file
    /// says in which inode it is.
    pub fn of(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        if let Some(there) = Self::read(&dir.join(FILE)) {
            return Ok(there);
        }
        let drawn = Self(rand::random());
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        let inode = inode(&file.as_file().metadata()?);
        writeln!(file, "{drawn} {inode}")?;
        file.as_file().sync_all()?;
        file.persist(dir.join(FILE)).map_err(|e| e.error)?;
        Ok(drawn)
    }

    fn read(path: &Path) -> Option<Self> {
        let (text, metadata) = (std::fs::read_to_string(path).ok()?, path.metadata().ok()?);
        let (number, place) = text.trim_end().split_once(' ')?;
        let mut bytes = [0; 16];
        hex::decode_to_slice(number, &mut bytes).ok()?;
        (place == inode(&metadata).to_string()).then_some(Self(bytes))
    }
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

/// The lease of this process.
#[derive(Clone)]
pub struct Lease {
    l1: L1,
    instance: Instance,
    gate: Gate,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.instance).finish()
    }
}

impl Lease {
    /// Takes the lease for `instance`; an error says who has it, unless `take_over`. Requests are accepted at `gate`
    /// while it is held.
    pub async fn take(
        l1: &L1,
        instance: Instance,
        gate: Gate,
        take_over: bool,
    ) -> Result<Self, L1Error> {
        let lease = Self {
            l1: l1.clone(),
            instance,
            gate,
        };
        lease.renew(take_over).await?;
        tracing::info!(%instance, "this process has the lease on L1");
        Ok(lease)
    }

    /// Whose it is.
    pub fn instance(&self) -> Instance {
        self.instance
    }

    /// Renews the lease in time until `stop`, or until another process has taken it.
    pub async fn keep(&self, stop: CancellationToken) -> Result<(), L1Error> {
        let mut pace = Pace::new(TICK);
        let mut wait = TICK;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return Ok(()),
            }
            if self.gate.lease_left() > Some(RENEWED_WITH) {
                wait = pace.good();
                continue;
            }
            let renewed = tokio::select! {
                renewed = self.renew(false) => renewed,
                () = stop.cancelled() => return Ok(()),
            };
            wait = match renewed {
                Ok(()) => pace.good(),
                Err(error) if error.severity() == Severity::Critical => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "renewing the lease: trying again");
                    pace.failed()
                }
            };
        }
    }

    /// Checks that no other process has taken the lease since, where `stake` was just read.
    pub async fn check(&self, stake: &Sequencer) -> Result<(), L1Error> {
        if stake.lease_instance == self.instance.0 || stake.lease_until == 0 {
            return Ok(());
        }
        // What was read may be older than the own lease: the program knows.
        self.renew(false).await
    }

    /// Gives the lease up, so that another process may begin at once.
    pub async fn give_up(&self) {
        let given = tokio::time::timeout(GIVING_UP, self.send(0, false)).await;
        let given = given.map_err(|_| "no answer in time".to_string());
        if let Err(error) = given.and_then(|sent| sent.map_err(|e| e.to_string())) {
            tracing::warn!(
                error,
                "the lease is not given up: with another data folder a process has to wait until it has run out"
            );
        }
    }

    async fn renew(&self, take_over: bool) -> Result<(), L1Error> {
        let since = Moment::now();
        self.send(RUNS, take_over).await?;
        self.gate.set_lease(since, HELD);
        Ok(())
    }

    async fn send(&self, seconds: u32, take_over: bool) -> Result<(), L1Error> {
        let (rollup, key) = (&self.l1.rollup, self.l1.key.pubkey());
        let renew = make::renew_lease(rollup, &key, self.instance.0, seconds, take_over);
        let order = Order::new("lease", &self.l1.key, vec![renew]);
        match self.l1.sender.send(&order).await {
            Ok(_) => Ok(()),
            Err(e) if e.code() == Some(SettlementError::Leased.into()) => Err(self.taken().await?),
            Err(e) => Err(e.into()),
        }
    }

    /// The error that says whose it is.
    async fn taken(&self) -> Result<L1Error, L1Error> {
        let rpc = self.l1.rpc();
        let stake = accounts::sequencer(rpc, &self.l1.rollup, &self.l1.key.pubkey()).await?;
        let now = rpc.clock().await?.unix_timestamp;
        let (by, until) = stake.map_or(([0; 16], now), |s| (s.lease_instance, s.lease_until));
        Ok(L1Error::Leased {
            by: Instance(by),
            seconds: until.saturating_sub(now).max(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_instance_and_a_copy_is_another() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = first.path().join("data");
        let instance = Instance::of(&dir).unwrap();
        assert_eq!(Instance::of(&dir).unwrap(), instance);
        std::fs::copy(dir.join(FILE), second.path().join(FILE)).unwrap();
        let copy = Instance::of(second.path()).unwrap();
        assert_ne!(copy, instance);
        assert_eq!(Instance::of(second.path()).unwrap(), copy);
        // Cut off in the middle, or somebody's note.
        std::fs::write(dir.join(FILE), &instance.to_string()[..9]).unwrap();
        assert_ne!(Instance::of(&dir).unwrap(), instance);
    }
}
