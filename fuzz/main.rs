//! Runs the target that `ASSAY_TARGET` names on libFuzzer's inputs; without a name it prints all names. With
//! `ASSAY_SEEDS` it first writes the target's seeds to that folder.
#![no_main]

use fuzz_targets::{Target, target};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("ASSAY_TARGET").unwrap_or_default();
    match target(&name) {
        Some(target) => target,
        None => panic!("ASSAY_TARGET={name:?} is none of {:?}", names()),
    }
});

fn names() -> Vec<&'static str> {
    fuzz_targets::TARGETS
        .iter()
        .map(|target| target.name)
        .collect()
}

/// Before the first input.
fn start() -> std::io::Result<()> {
    if std::env::var_os("ASSAY_TARGET").is_none() {
        fuzz_targets::TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name));
        std::process::exit(0);
    }
    let Some(folder) = std::env::var_os("ASSAY_SEEDS") else {
        return Ok(());
    };
    for (number, seed) in (TARGET.seeds)().iter().enumerate() {
        std::fs::write(Path::new(&folder).join(format!("seed-{number:03}")), seed)?;
    }
    Ok(())
}

fuzz_target!(
    init: start().expect("the folder of the seeds can be written"),
    |bytes: &[u8]| {
        (TARGET.run)(bytes);
    }
);
