//! `cargo xtask`: one command for each thing a newcomer, a developer or the CI does.
//!
//! * [`setup`]: the Debian packages and the program toolchain
//! * [`programs`]: the three programs, their IDLs and TypeScript types
//! * [`tests`]: every test, counted
//! * [`bench`]: the benchmarks, and the page of their results
//! * [`fuzz`]: what strangers' bytes are decoded by, on changed bytes
//! * [`tools`]: running cargo and the other tools

mod bench;
mod fuzz;
mod programs;
mod setup;
mod tests;
mod tools;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tools::cargo;

/// Builds, demonstrates and tests Assay.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the build needs: Debian packages (as root; otherwise the one command to run is printed)
    /// and the program toolchain.
    Setup,
    /// Build everything: programs, IDLs, the `assay` binary.
    Build,
    /// Build the three programs into `target/deploy`, and the one that only the tests load.
    Programs,
    /// Generate the IDLs into `target/idl` and the TypeScript types into `target/types`.
    Idl,
    /// Run the main job on a local chain, from the deposit to the withdrawal.
    ///
    /// Examples: `cargo xtask demo`, `cargo xtask demo --executor cpu --json`.
    Demo {
        /// Passed on to `assay demo`; see `cargo xtask demo -- --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run every test.
    Test {
        /// Leave out what comes after the Rust tests: the toolchain's own tests and the TypeScript ones.
        #[arg(long)]
        rust_only: bool,
    },
    /// Check formatting and lints.
    Lint,
    /// Run a benchmark.
    Bench {
        /// Which one.
        #[arg(value_enum)]
        what: bench::Benchmark,
        /// Passed on to the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Look for bytes on which a decoder panics, guided by coverage.
    ///
    /// Examples: `cargo xtask fuzz`, `cargo xtask fuzz --seconds 600 codec state`.
    Fuzz(fuzz::Arguments),
    /// Kill a sequencer and a verifier under load, again and again, at random moments.
    ///
    /// Examples: `cargo xtask kills`, `cargo xtask kills --count 1000 --seed 7`.
    Kills {
        /// How often.
        #[arg(long, default_value_t = 200)]
        count: u64,
        /// Which moments.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Regenerate `docs/programs.md`: sizes of the programs and compute units of each instruction.
    Table,
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Setup => setup::install(),
        Task::Build => build(),
        Task::Programs => setup::install().and_then(|()| programs::build_for_tests()),
        Task::Idl => setup::install().and_then(|()| programs::idl()),
        Task::Demo { arguments } => {
            setup::install()?;
            programs::build()?;
            tools::assay(&["demo"], &arguments)
        }
        Task::Test { rust_only } => {
            setup::install()?;
            programs::build_for_tests()?;
            if !rust_only {
                programs::idl()?;
            }
            // The binary comes with the tests: built before, and so with other features, it
            // would have most dependencies compiled twice.
            tests::all(rust_only)
        }
        Task::Lint => {
            setup::install()?;
            cargo(&["fmt", "--all", "--check"])?;
            programs::build()?;
            cargo(&[
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
        }
        Task::Bench { what, arguments } => {
            setup::install()?;
            programs::build()?;
            bench::start(what, &arguments)
        }
        Task::Fuzz(arguments) => {
            setup::install()?;
            fuzz::start(&arguments)
        }
        Task::Kills { count, seed } => {
            setup::install()?;
            programs::build_for_tests()?;
            tests::kills(count, seed)
        }
        Task::Table => {
            setup::install()?;
            programs::build()?;
            programs::table()
        }
    }
}

fn build() -> Result<()> {
    setup::install()?;
    programs::build()?;
    programs::idl()?;
    cargo(&["build", "--locked", "--package", "assay"])
}
