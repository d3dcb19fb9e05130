//! Running other programs, with errors that name what failed.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A command in the workspace's root.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    // Mesa's device-select layer complains on standard error where there is no desktop session.
    command.current_dir(root()).env("NODEVICE_SELECT", "1");
    // What cargo says of this very crate is not for the cargo that we run: build scripts that look at
    // it would run again each time.
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        let ours = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ];
        if ours.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&key);
        }
    }
    command
}

/// Runs a command to its end; an error if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("could not start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// Runs a command and returns what it printed on standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The cargo that runs us.
pub fn cargo_command() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs cargo.
pub fn cargo(arguments: &[&str]) -> Result<()> {
    run(cargo_command().args(arguments))
}

/// Builds the `assay` binary and returns the command that runs it.
pub fn assay_command() -> Result<Command> {
    cargo(&["build", "--locked", "--package", "assay"])?;
    Ok(command(target().join("debug/assay")))
}

/// Builds and runs the `assay` binary.
pub fn assay(arguments: &[&str], more: &[String]) -> Result<()> {
    run(assay_command()?.args(arguments).args(more))
}

/// The command that builds and runs an example.
pub fn example(package: &str, name: &str) -> Command {
    let mut command = cargo_command();
    command.args([
        "run",
        "--quiet",
        "--locked",
        "--all-features",
        "--package",
        package,
        "--example",
        name,
        "--",
    ]);
    command
}

/// Where a program is on the `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}
