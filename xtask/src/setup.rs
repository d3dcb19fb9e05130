//! What the build needs from the system. A second run does nothing, in a few milliseconds.

use crate::tools::{command, run, target, which};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Debian packages, each with what it is for.
const PACKAGES: &[(&str, &str)] = &[
    ("build-essential", "the C compiler and linker"),
    ("clang", "C dependencies' bindings"),
    ("libclang-dev", "C dependencies' bindings"),
    ("cmake", "C dependencies"),
    ("pkg-config", "C dependencies"),
    ("protobuf-compiler", "the chain's interfaces"),
    ("libprotobuf-dev", "the chain's interfaces"),
    ("libudev-dev", "the chain's client"),
    ("libssl-dev", "OpenSSL, not built from source"),
    ("zlib1g-dev", "compression"),
    ("libvulkan1", "the Vulkan loader"),
    ("mesa-vulkan-drivers", "Vulkan without a GPU"),
];

/// What the program toolchain needs where Solana's own is not installed; its `setup.sh` says why.
const TOOLCHAIN_PACKAGES: &[(&str, &str)] = &[
    ("rustc-web", "compiles the programs"),
    ("cargo-web", "compiles the programs"),
    ("rust-web-src", "the programs' standard library"),
    ("llvm-22", "the BPF code generator"),
    ("llvm-22-dev", "the BPF code generator"),
    ("python3", "the toolchain's scripts"),
];

/// Installs what is missing.
pub fn install() -> Result<()> {
    packages()?;
    if programs_toolchain().is_none() {
        bail!("the program toolchain is not there after its set-up; see toolchain/sbf/README.md");
    }
    Ok(())
}

/// The command that builds programs: Solana's own `cargo build-sbf` if it is installed, else ours.
/// `None` before [`install`].
pub fn programs_toolchain() -> Option<Toolchain> {
    if let Some(path) = which("cargo-build-sbf").filter(|path| !ours(path)) {
        return Some(Toolchain::Solana(path));
    }
    let ours = Path::new(PREFIX).join("bin/sbf-build");
    ours.is_file().then_some(Toolchain::Assay(ours))
}

/// A program toolchain.
pub enum Toolchain {
    /// Solana's `cargo-build-sbf`.
    Solana(std::path::PathBuf),
    /// The one in `toolchain/sbf`.
    Assay(std::path::PathBuf),
}

const PREFIX: &str = "/opt/sbf-toolchain";

fn ours(path: &Path) -> bool {
    path.canonicalize()
        .is_ok_and(|path| path.starts_with(PREFIX))
}

fn packages() -> Result<()> {
    let solana = which("cargo-build-sbf").is_some_and(|path| !ours(&path));
    let mut wanted: Vec<&str> = PACKAGES.iter().map(|(name, _)| *name).collect();
    if !solana {
        wanted.extend(TOOLCHAIN_PACKAGES.iter().map(|(name, _)| *name));
    }
    if which("node").is_none() {
        wanted.push("nodejs");
    }
    if which("npm").is_none() {
        wanted.push("npm");
    }
    let installed = installed(&wanted)?;
    let missing: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|name| !installed.contains(*name))
        .collect();
    if !missing.is_empty() {
        let root = Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|out| out.stdout.starts_with(b"0\n"));
        let list = missing.join(" ");
        if !root {
            bail!(
                "these Debian packages are missing; install them with this one command and try again:\n\n    \
                 sudo apt-get update && sudo apt-get install -y --no-install-recommends {list}\n"
            );
        }
        eprintln!("== installing {list}");
        run(command("apt-get").arg("update").stdout(Stdio::null()))?;
        run(command("apt-get")
            .args(["install", "-y", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null()))?;
    }
    if !solana {
        // Does nothing when the toolchain of these sources and compilers is there already.
        let script = "toolchain/sbf/setup.sh";
        let status = command("bash")
            .arg(script)
            .arg(PREFIX)
            .env_remove("CARGO_TARGET_DIR")
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("could not start {script}"))?;
        if !status.success() {
            bail!(
                "{script} failed. It writes to {PREFIX}: where that needs root, run this once:\n\n    \
                 sudo mkdir -p {PREFIX} && sudo chown $(id -u) {PREFIX}\n"
            );
        }
    }
    std::fs::create_dir_all(target()).context("could not create the target directory")
}

/// Which of these packages are installed.
fn installed<'a>(names: &[&'a str]) -> Result<BTreeSet<&'a str>> {
    if which("dpkg-query").is_none() {
        bail!(
            "this set-up knows Debian 12 only. Elsewhere install the equivalents of these packages yourself \
             (and Solana's `cargo build-sbf`), then use cargo directly: {}",
            names.join(" ")
        );
    }
    let out = Command::new("dpkg-query")
        .args(["-W", "-f", "${Package} ${db:Status-Status}\n"])
        .args(names)
        .stderr(Stdio::null())
        .output()
        .context("could not ask dpkg which packages are installed")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let have: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    Ok(names
        .iter()
        .copied()
        .filter(|name| have.contains(name))
        .collect())
}
