//! Printing: for people, or one JSON value for programs.

use anyhow::Result;
use assay_client::sender::Landed;
use serde::Serialize;
use serde_json::json;
use std::io::Write;

/// Where a command's result goes.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// For programs if `json`.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints the result: `value` for programs, `text` for people.
    pub fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let text = match self.json {
            true => serde_json::to_string(value)?,
            false => text(),
        };
        match writeln!(std::io::stdout(), "{}", text.trim_end()) {
            // The reader of a pipe has had enough.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Prints where a transaction went that was forced through L1's inbox.
    pub fn forced(&self, landed: &Landed) -> Result<()> {
        let signature = landed.signature.to_string();
        let value = json!({ "forced": true, "signature": signature, "slot": landed.slot });
        self.result(&value, || {
            format!("in the inbox of L1: {signature}; the sequencer has to do it, at the latest when it is overdue")
        })
    }

    /// Says for people what is going on; nothing for programs.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.json {
            eprintln!("{}", text.as_ref());
        }
    }
}

/// Lines of `name  value`, the names of one width.
pub fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, value)| format!("{name:width$}  {value}\n"))
        .collect()
}
