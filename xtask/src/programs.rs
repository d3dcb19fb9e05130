//! The programs: building them, their interface descriptions, their table of sizes and costs.

use crate::setup::{Toolchain, programs_toolchain};
use crate::tools::{cargo_command, command, output, root, run, target};
use anyhow::{Context, Result, bail};
use std::fs;

/// The programs' packages.
pub const PROGRAMS: [&str; 3] = ["settlement", "bridge", "escrow"];
/// The program that only the tests load.
const PROBE: &str = "probe";

/// Builds the programs into `target/deploy`, with the development keypairs beside them unless
/// others are there.
pub fn build() -> Result<()> {
    let toolchain =
        programs_toolchain().context("no program toolchain: run `cargo xtask setup`")?;
    let deploy = target().join("deploy");
    fs::create_dir_all(&deploy)?;
    // One at a time: together, the features that one program asks of another (`no-entrypoint`)
    // would be switched on in that other's own binary.
    for program in PROGRAMS {
        build_one(&toolchain, program, &format!("programs/{program}"))?;
        let keypair = deploy.join(format!("{program}-keypair.json"));
        let dev = root().join(format!("migrations/dev-keys/{program}.json"));
        if !keypair.exists() {
            fs::copy(&dev, &keypair)
                .with_context(|| format!("could not copy {}", dev.display()))?;
        }
    }
    Ok(())
}

/// The same, and the program that only the tests load.
pub fn build_for_tests() -> Result<()> {
    build()?;
    let toolchain = programs_toolchain().context("the program toolchain is gone")?;
    build_one(&toolchain, PROBE, "tests/probe")
}

/// Builds a package in a directory of the workspace.
fn build_one(toolchain: &Toolchain, package: &str, directory: &str) -> Result<()> {
    let built = target().join("deploy").join(format!("{package}.so"));
    let before = fs::read(&built).ok();
    let modified = fs::metadata(&built).and_then(|file| file.modified());
    match toolchain {
        Toolchain::Assay(path) => {
            // Quiet unless something is compiled.
            let out = output(command(path).args(["--quiet", "--locked", "--package", package]))?;
            for line in out.lines() {
                eprintln!("   Program {}", line.rsplit('/').next().unwrap_or(line));
            }
        }
        Toolchain::Solana(path) => {
            let manifest = root().join(directory).join("Cargo.toml");
            run(command(path)
                .args(["--arch", "v3", "--manifest-path"])
                .arg(manifest)
                .args(["--", "--locked"]))?;
        }
    }
    let Ok(now) = fs::read(&built) else {
        bail!("{} is not there after its build", built.display());
    };
    // The sequencer embeds it, and would be compiled again for the same bytes.
    if let Ok(modified) = modified
        && before == Some(now)
    {
        fs::File::options()
            .write(true)
            .open(&built)?
            .set_modified(modified)?;
    }
    Ok(())
}

/// Generates `target/idl/*.json` and `target/types/*.ts`.
pub fn idl() -> Result<()> {
    run(cargo_command()
        .args(["run", "--quiet", "--locked", "--package", "xtask-idl", "--"])
        .args(PROGRAMS))
}

/// Regenerates `docs/programs.md`.
pub fn table() -> Result<()> {
    // Built as the tests are, whose harness it uses, so that nothing is compiled twice.
    run(cargo_command().args([
        "test",
        "--quiet",
        "--locked",
        "--workspace",
        "--all-features",
        "--no-run",
    ]))?;
    let table = output(&mut command(target().join("debug/program_table")))?;
    let path = root().join("docs/programs.md");
    fs::write(&path, table).with_context(|| format!("could not write {}", path.display()))?;
    eprintln!("wrote docs/programs.md");
    Ok(())
}
