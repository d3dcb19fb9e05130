//! The `assay` binary.

use assay::cli::{Cli, exit_code};
use clap::Parser;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log(&cli);
    match cli.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The log goes to standard error: results are on standard output.
fn log(cli: &Cli) {
    let level = match (cli.verbosity(), cli.serves()) {
        (0, false) => "error",
        (0, true) => "assay=info,assay_client=info,warn",
        (1, _) => "assay=debug,assay_client=debug,gpu_kernels=debug,info",
        _ => "assay=trace,assay_client=trace,gpu_kernels=trace,debug",
    };
    let filter = EnvFilter::try_from_env("ASSAY_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
