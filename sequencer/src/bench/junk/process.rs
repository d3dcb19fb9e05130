//! The verifier as a process, and an API that withholds blobs from it.

use super::stand_in::StandIn;
use anyhow::{Context, Result};
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::{Router, routing};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::task::AbortOnDropHandle;

/// `assay verifier` as a process. Dropping it kills it.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it with the key in `dir`, where it keeps everything; `api` is a sequencer's.
    pub async fn start(dir: &Path, node: &StandIn, api: &str, rollup: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["verifier", "--json", "--executor", "cpu"])
            .args(["--rpc", node.url(), "--api", api, "--rollup", rollup])
            .args(["--keypair", "key.json", "--data-dir", "data"])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.join("log"))?)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start `assay verifier`")?;
        let stdout = child.stdout.take().context("its output")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
        })
    }

    /// Waits until it says something about batch `number`.
    pub async fn has_read(&mut self, number: u64, patience: Duration) -> Result<()> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event["batch"].as_u64() == Some(number) {
                    return Ok(());
                }
            }
            anyhow::bail!("the verifier has ended")
        };
        let read = tokio::time::timeout(patience, read).await;
        read.with_context(|| format!("the verifier does not read batch {number}"))?
    }

    /// The most memory that it had, in MB.
    pub fn peak_mb(&self) -> Result<f64> {
        let id = self.child.id().context("the verifier has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes: f64 = kilobytes.context("its memory")?.parse()?;
        Ok(kilobytes * 1_024.0 / 1e6)
    }
}

/// An API that gives what another one gives, but for blobs. Dropping it ends it.
pub struct Withholding {
    url: String,
    _task: AbortOnDropHandle<()>,
}

impl Withholding {
    /// In front of the API at `target`.
    pub async fn before(target: String) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let get = move |uri: Uri| async move {
            if uri.path().contains("/blobs/") {
                return StatusCode::NOT_FOUND.into_response();
            }
            match reqwest::get(format!("{target}{uri}")).await {
                Ok(answer) => {
                    let status = answer.status();
                    (status, answer.bytes().await.unwrap_or_default()).into_response()
                }
                Err(_) => StatusCode::BAD_GATEWAY.into_response(),
            }
        };
        let router = Router::new().fallback(routing::get(get));
        let task = tokio::spawn(async move {
            // It serves until it is dropped.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }
}
