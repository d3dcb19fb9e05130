//! The programs: building them, their interface descriptions, their table of sizes and costs.

use crate::setup::{Toolchain, programs_toolchain};
use crate::tools::{cargo_command, command, output, root, run, target};
use anyhow::{Context, Result, bail};

/// The programs' packages.
pub const PROGRAMS: [&str; 3] = ["settlement", "bridge", "escrow"];

/// Builds the programs into `target/deploy`, with the development keypairs beside them unless
/// others are there.
pub fn build() -> Result<()> {
    let toolchain =
        programs_toolchain().context("no program toolchain: run `cargo xtask setup`")?;
    let deploy = target().join("deploy");
    std::fs::create_dir_all(&deploy)?;
    // One at a time: together, the features that one program asks of another (`no-entrypoint`)
    // would be switched on in that other's own binary.
    for program in PROGRAMS {
        match &toolchain {
            Toolchain::Assay(path) => {
                // Quiet unless something is compiled.
                let out =
                    output(command(path).args(["--quiet", "--locked", "--package", program]))?;
                for line in out.lines() {
                    eprintln!("   Program {}", line.rsplit('/').next().unwrap_or(line));
                }
            }
            Toolchain::Solana(path) => {
                let manifest = root().join("programs").join(program).join("Cargo.toml");
                run(command(path)
                    .args(["--arch", "v3", "--manifest-path"])
                    .arg(manifest)
                    .args(["--", "--locked"]))?;
            }
        }
        if !deploy.join(format!("{program}.so")).is_file() {
            bail!(
                "{program}.so is not in {} after its build",
                deploy.display()
            );
        }
        let keypair = deploy.join(format!("{program}-keypair.json"));
        let dev = root().join(format!("migrations/dev-keys/{program}.json"));
        if !keypair.exists() {
            std::fs::copy(&dev, &keypair)
                .with_context(|| format!("could not copy {}", dev.display()))?;
        }
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
    std::fs::write(&path, table).with_context(|| format!("could not write {}", path.display()))?;
    eprintln!("wrote docs/programs.md");
    Ok(())
}
