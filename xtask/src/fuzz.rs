//! The fuzz targets under libFuzzer: `fuzz` built with its instrumentation, which rustc has without being a
//! nightly one, and run for a while on each.

use crate::tools::{cargo_command, command, output, root, target};
use anyhow::{Context, Result, bail};

/// What libFuzzer is guided by: a counter for each edge, and the operands of comparisons.
const INSTRUMENTATION: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // One unit for each crate: the tables of several are not joined.
    "-Ccodegen-units=1",
];
/// With a target named, the flags are those of its code alone, and not of build scripts.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// Which targets, and for how long.
#[derive(clap::Args)]
pub struct Arguments {
    /// The targets, all if none is named; see `tests/fuzz`.
    targets: Vec<String>,
    /// Seconds for each.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// With the targets of the programs and the client (`accounts`, `instructions`, `bundle`, `json`), which take
    /// long to build.
    #[arg(long)]
    programs: bool,
}

/// Builds the targets and runs them, one after the other. What was found stays in `target/fuzz/corpus`, so that
/// a later run goes on from there.
pub fn start(arguments: &Arguments) -> Result<()> {
    let folder = target().join("fuzz");
    let mut build = cargo_command();
    // Not `--locked`: what the workspace has come to depend on since is added to the lock file.
    build
        .current_dir(root().join("fuzz"))
        .args(["build", "--target", HOST])
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", INSTRUMENTATION.join(" "));
    if arguments.programs {
        build.args(["--features", "programs"]);
    }
    crate::tools::run(&mut build)?;
    let binary = folder.join(HOST).join("debug/fuzz");
    let known = output(command(&binary).env_remove("ASSAY_TARGET"))?;
    let known: Vec<&str> = known.lines().collect();
    let mut wanted: Vec<&str> = arguments.targets.iter().map(String::as_str).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no target {unknown:?}: there are {}",
            known.join(", ")
        );
    }
    if wanted.is_empty() {
        wanted = known;
    }
    for name in wanted {
        eprintln!("== {name}");
        let [corpus, crashes] = ["corpus", "crashes"].map(|part| folder.join(part).join(name));
        for folder in [&corpus, &crashes] {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("could not make {}", folder.display()))?;
        }
        let mut fuzz = command(&binary);
        // The seeds each time: what was valid of an older tree may not be any more.
        fuzz.env("ASSAY_TARGET", name)
            .env("ASSAY_SEEDS", &corpus)
            .arg(&corpus)
            .arg(format!("-max_total_time={}", arguments.seconds))
            .arg(format!("-artifact_prefix={}/", crashes.display()))
            .args(["-timeout=25", "-rss_limit_mb=3000", "-malloc_limit_mb=1000"])
            .arg("-print_final_stats=1");
        crate::tools::run(&mut fuzz)
            .with_context(|| format!("{name} fails on what is in {}", crashes.display()))?;
    }
    Ok(())
}
