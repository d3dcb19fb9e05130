//! Finds the built programs, which the binary embeds.

use std::env;
use std::path::{Path, PathBuf};

const PROGRAMS: [&str; 3] = ["settlement", "bridge", "escrow"];

fn main() {
    println!("cargo::rerun-if-env-changed=ASSAY_PROGRAMS");
    let folders = folders();
    for program in PROGRAMS {
        let file = format!("{program}.so");
        let Some(path) = folders.iter().map(|f| f.join(&file)).find(|p| p.is_file()) else {
            // Watching a file that is not there would run this again at every build.
            let looked: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
            println!(
                "cargo::error=the built program {file} is not in {}: run `cargo xtask build` (or `cargo xtask programs`), or set ASSAY_PROGRAMS to the folder that has it",
                looked.join(" or ")
            );
            continue;
        };
        println!("cargo::rerun-if-changed={}", path.display());
        println!(
            "cargo::rustc-env=ASSAY_PROGRAM_{}={}",
            program.to_uppercase(),
            path.display()
        );
    }
}

/// Where to look: `$ASSAY_PROGRAMS` alone if it is set, else the target folder's `deploy`.
fn folders() -> Vec<PathBuf> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = manifest.parent().unwrap_or(Path::new(".")).to_path_buf();
    if let Some(folder) = env::var_os("ASSAY_PROGRAMS") {
        return vec![root.join(folder)];
    }
    // OUT_DIR is target/<profile>/build/<package>/out.
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let mut folders: Vec<PathBuf> = out
        .ancestors()
        .nth(4)
        .map(|t| t.join("deploy"))
        .into_iter()
        .collect();
    let usual = root.join("target/deploy");
    if !folders.contains(&usual) {
        folders.push(usual);
    }
    folders
}
