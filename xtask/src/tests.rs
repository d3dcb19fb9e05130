//! Every test, and how many passed, failed and were skipped.

use crate::tools::{cargo_command, command, root, run, target, which};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Counts over all runners.
#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Runs the Rust tests, the toolchain's own tests and the TypeScript tests; fails if any of them
/// fails, after all have run.
pub fn all(rust_only: bool) -> Result<()> {
    let mut counts = Counts::default();
    let mut broken = Vec::new();
    step("Rust tests", &mut broken, || {
        let mut command = cargo_command();
        command.args([
            "test",
            "--locked",
            "--workspace",
            "--all-features",
            "--no-fail-fast",
            "--",
            "--show-output",
        ]);
        cargo_test(&mut command, &mut counts)
    });
    if !rust_only {
        step("types of the TypeScript clients", &mut broken, || {
            let npm = which("npm").context("npm is not installed")?;
            run(command(npm).args(["ci", "--no-audit", "--no-fund", "--silent"]))?;
            run(command(root().join("node_modules/.bin/tsc")).arg("--noEmit"))
        });
        step("TypeScript tests", &mut broken, || {
            let mut node = command("node");
            node.env("ASSAY_BIN", target().join("debug/assay"))
                .env("ASSAY_TARGET", target())
                .args(["--import", "tsx", "--test", "--test-reporter", "tap"])
                .args(typescript_tests()?);
            node_test(&mut node, &mut counts)
        });
    }
    println!();
    for failure in &broken {
        println!("FAILED: {failure}");
    }
    let Counts {
        passed,
        failed,
        skipped,
    } = counts;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if !broken.is_empty() || failed > 0 {
        bail!("not all tests passed");
    }
    Ok(())
}

/// Runs the test of kills at random moments, `count` times; it prints what it has found.
pub fn kills(count: u64, seed: u64) -> Result<()> {
    let mut command = cargo_command();
    command
        .args(["test", "--locked", "--package", "assay-tests"])
        .args(["--all-features", "--test", "service", "kills::"])
        .args(["--", "--nocapture"])
        .env("ASSAY_KILLS", count.to_string())
        .env("ASSAY_KILLS_SEED", seed.to_string());
    run(&mut command)
}

fn step(name: &str, broken: &mut Vec<String>, work: impl FnOnce() -> Result<()>) {
    println!("== {name}");
    if let Err(error) = work() {
        broken.push(format!("{name}: {error:#}"));
    }
}

/// The files `tests/*.test.ts`: `node --test` of version 20 takes files, not patterns.
fn typescript_tests() -> Result<Vec<String>> {
    let mut files: Vec<String> = std::fs::read_dir(root().join("tests"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
        .map(|name| format!("tests/{}", name.to_string_lossy()))
        .filter(|name| name.ends_with(".test.ts"))
        .collect();
    files.sort();
    Ok(files)
}

/// Hands each line of a runner's output to `read` as it comes, and shows those for which it
/// says so.
fn watch(command: &mut Command, mut read: impl FnMut(&str) -> bool) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {command:?}"))?;
    let stdout = child.stdout.take().context("no standard output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("the runner's output is not text")?;
        if read(&line) {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; ...`, once per binary. A test that lacks what it needs
/// prints `skipped: ...` and is counted as such: with `--show-output` those lines are between
/// `successes:` and the result, where nothing else is shown to the reader.
fn cargo_test(command: &mut Command, counts: &mut Counts) -> Result<()> {
    let mut hidden = false;
    let mut skipped = 0;
    watch(command, |line| {
        if line == "successes:" {
            hidden = true;
        }
        if line == "failures:" {
            hidden = false;
        }
        if let Some(rest) = line.strip_prefix("test result:") {
            hidden = false;
            let count = |word: &str| -> u64 {
                rest.split([';', '.'])
                    .filter_map(|part| part.trim().strip_suffix(word))
                    .filter_map(|number| number.trim().parse::<u64>().ok())
                    .sum()
            };
            counts.passed += count("passed").saturating_sub(skipped);
            counts.failed += count("failed");
            counts.skipped += count("ignored") + skipped;
            skipped = 0;
        }
        if hidden && line.starts_with("skipped:") {
            skipped += 1;
            return true;
        }
        !hidden && !line.is_empty()
    })
}

/// TAP's closing lines: `# pass 3`, `# fail 0`, `# skipped 0`.
fn node_test(command: &mut Command, counts: &mut Counts) -> Result<()> {
    watch(command, |line| {
        let count = |word: &str| {
            line.strip_prefix(word)
                .and_then(|n| n.trim().parse::<u64>().ok())
                .unwrap_or(0)
        };
        counts.passed += count("# pass ");
        counts.failed += count("# fail ");
        counts.skipped += count("# skipped ");
        true
    })
}
