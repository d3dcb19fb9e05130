//! What is seen while the demo runs: a line for each step, with its time.

use crate::dev::network::Step;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The steps, shown on standard error.
pub struct Progress {
    show: bool,
    current: Mutex<Option<(ProgressBar, String, Instant)>>,
}

impl Progress {
    /// Shows nothing unless `show`.
    pub fn new(show: bool) -> Self {
        Self {
            show,
            current: Mutex::new(None),
        }
    }

    /// Ends the step before and begins one.
    pub fn step(&self, text: impl Into<String>) {
        self.finish("");
        let text = text.into();
        let bar = match self.show {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.set_message(text.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        *self.current() = Some((bar, text, Instant::now()));
    }

    /// Says how far the step is.
    pub fn at(&self, what: impl std::fmt::Display) {
        if let Some((bar, text, _)) = &*self.current() {
            bar.set_message(format!("{text}: {what}"));
        }
    }

    /// Ends the step with a remark.
    pub fn finish(&self, remark: impl std::fmt::Display) {
        let Some((bar, text, begun)) = self.current().take() else {
            return;
        };
        bar.finish_and_clear();
        if self.show {
            let remark = remark.to_string();
            let colon = if remark.is_empty() { "" } else { ": " };
            let seconds = begun.elapsed().as_secs_f64();
            eprintln!("{seconds:6.1} s  {text}{colon}{remark}");
        }
    }

    /// Follows a network's start.
    pub fn network(&self, step: Step) {
        match step {
            Step::Chain => self.step("Solana chain in this process (surfpool)"),
            Step::Programs(at, of) => {
                let text = "three programs deployed through the upgradeable loader";
                // The programs are deployed side by side, and each begins.
                if self
                    .current()
                    .as_ref()
                    .is_none_or(|(_, now, _)| now != text)
                {
                    self.step(text);
                }
                self.at(format!("{} %", 100 * at / of.max(1)));
            }
            Step::Rollup => self.step("rollup initialised, sequencer bonded"),
            Step::Token => self.step("SPL token made and registered with the bridge"),
            Step::Sequencer => self.step("sequencer started"),
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<(ProgressBar, String, Instant)>> {
        self.current.lock().unwrap_or_else(|e| e.into_inner())
    }
}
