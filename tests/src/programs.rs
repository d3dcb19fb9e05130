//! Finds the built program binaries.

use std::path::{Path, PathBuf};

/// The directory with `settlement.so`, `bridge.so` and `escrow.so`: `$ASSAY_PROGRAMS`, or
/// `deploy` in the target directory.
pub fn directory() -> PathBuf {
    if let Some(directory) = std::env::var_os("ASSAY_PROGRAMS") {
        return directory.into();
    }
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => target.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    };
    target.join("deploy")
}

/// The binary of a program.
///
/// # Panics
/// If it was not built.
pub fn load(name: &str) -> Vec<u8> {
    let path = directory().join(format!("{name}.so"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "could not read the program {}: {error}\n\
             build the programs with `cargo xtask programs`, or point ASSAY_PROGRAMS to them",
            path.display()
        )
    })
}
