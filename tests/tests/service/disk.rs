//! A full disk: a clear error, and what was answered is there when there is space again.

use crate::support::{L1, PATIENCE, Process, SOLS, until_final};
use anyhow::{Context, Result, ensure};
use assay_client::api::{Key32, Outcome};
use assay_client::wallet::Wallet;
use assay_ledger::SOL;
use assay_ledger::request::Action;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::time::timeout;

/// Bytes of the disk.
const SIZE: &str = "48m";

/// A small disk of its own.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts it at `path`; why not, where this system does not let us.
    fn mount(path: PathBuf) -> Result<Self, String> {
        std::fs::create_dir(&path).map_err(|e| e.to_string())?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "tmpfs"])
            .arg(&path)
            .output()
            .map_err(|e| e.to_string())?;
        match mounted.status.success() {
            true => Ok(Self { path }),
            false => Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Fills what is left.
    fn fill(&self) -> Result<()> {
        let mut ballast = File::options()
            .create(true)
            .append(true)
            .open(self.ballast())?;
        for size in [1 << 16, 1 << 12, 1] {
            loop {
                match ballast.write(&vec![7; size]) {
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::StorageFull => break,
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(())
    }

    fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.ballast())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nothing can be done where it fails; the folder is in a temporary one.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
    }
}

fn is_full(path: &Path) -> bool {
    let probe = path.join("probe");
    let written = std::fs::write(&probe, [7; 4096]);
    let _ = std::fs::remove_file(probe);
    written.is_err_and(|e| e.kind() == ErrorKind::StorageFull)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_loses_nothing() -> Result<()> {
    let l1 = L1::start().await?;
    let disk = match Disk::mount(l1.dir.path().join("disk")) {
        Ok(disk) => disk,
        Err(why) => {
            println!("skipped: a disk of {SIZE} cannot be mounted here: {why}");
            return l1.chain.stop().await;
        }
    };
    let mut config = l1.config();
    config.data_dir = disk.path.join("data");
    config.batch.age_ms = 600_000;
    let mut process = Process::start(&l1, &config).await?;
    let client = Wallet::random();
    l1.fund(&process.api, &client, SOLS).await?;
    let mut answered: Vec<Outcome> = Vec::new();

    for round in 0..2 {
        // Space runs out while requests come in.
        disk.fill()?;
        ensure!(is_full(&config.data_dir), "the disk is not full");
        if round == 0 {
            let refused = process.api.put_blob(None, blob()?).await.unwrap_err();
            ensure!(refused.to_string().contains("disk"), "{refused}");
        }
        let error = timeout(PATIENCE, async {
            loop {
                let from = answered.len() as u64;
                let requests: Vec<_> = (from..from + 200)
                    .map(|nonce| {
                        let to = [(nonce % 250) as u8 + 1; 32];
                        l1.sign(&client, nonce, Action::Transfer { to, amount: 1 })
                    })
                    .collect();
                match process.api.submit(&requests).await {
                    Ok(outcomes) => answered.extend(outcomes),
                    Err(error) => break error,
                }
            }
        })
        .await
        .context("requests are answered for ever on a full disk")?;
        ensure!(answered.iter().all(|o| o.accepted), "an answer refuses");
        ensure!(error.is_temporary(), "{error}");
        let said = process.fails().await?;
        ensure!(said.contains("No space left on device"), "{said}");
        ensure!(
            said.contains("the disk is neither full nor broken"),
            "{said}"
        );

        // It does not start on a full disk, or it starts and serves what it has.
        disk.free()?;
        process = Process::start(&l1, &config).await?;
        for outcome in &answered {
            let found = process.api.transaction(outcome.id).await?;
            assert_eq!(Some(&found.executed), outcome.executed.as_ref());
        }
        let account = process.api.account(Key32(client.key()), Key32(SOL)).await?;
        let nonce = account.context("the client's account")?.nonce;
        // A call without an answer is in the ledger as a whole or not at all.
        let unanswered = nonce - answered.len() as u64;
        ensure!(unanswered == 0 || unanswered == 200, "{unanswered}");
        for nonce in answered.len() as u64..nonce {
            let to = [(nonce % 250) as u8 + 1; 32];
            let again = l1.sign(&client, nonce, Action::Transfer { to, amount: 1 });
            answered.extend(process.api.submit(&[again]).await?);
        }
    }
    process.api.close_batch().await?;
    let last = process.api.status().await?.building.number - 1;
    until_final(&process.api, last).await?;
    let account = process.api.account(Key32(client.key()), Key32(SOL)).await?;
    let balance = account.context("the client's account")?.balance;
    assert_eq!(balance, SOLS - answered.len() as u64);
    process.stop().await?;
    l1.chain.stop().await
}

/// The program of a model that the service does not have yet.
fn blob() -> Result<Vec<u8>> {
    use assay_onnx::{Limits, dataset::DIGITS, import};
    Ok(import(DIGITS, &Limits::default())?
        .program
        .program()
        .encode())
}
