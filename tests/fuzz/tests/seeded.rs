//! Every target on its seeds, and on seeds that are changed at random: no panic, and what the targets assert.
//!
//! `ASSAY_TIMES` multiplies the number of changed seeds, `ASSAY_SEED` (0 if unset) makes others.

use fuzz_targets::{TARGETS, Target, mutate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{name} is not a number: {text}"))
    })
}

/// Runs the target; if it panics, says on what.
fn run(target: &Target, bytes: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).unwrap_or_else(|_| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{} panics on {hex}", target.name)
    })
}

/// Targets number `part`, `part + 4` and so on.
fn some(part: usize) {
    let times = setting("ASSAY_TIMES", 1);
    let first = setting("ASSAY_SEED", 0);
    for target in TARGETS.iter().skip(part).step_by(4) {
        let start = std::time::Instant::now();
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        for (number, seed) in seeds.iter().enumerate() {
            assert!(
                run(target, seed),
                "seed {number} of {} is not valid",
                target.name
            );
            run(target, &[]);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(first);
        let cases = u64::from(target.cases) * times;
        let mut valid = 0u64;
        for _ in 0..cases {
            let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
            let other = &seeds[rng.random_range(0..seeds.len())];
            mutate(&mut rng, &mut bytes, other);
            valid += u64::from(run(target, &bytes));
        }
        println!(
            "{:<12} {:>4} seeds, {cases} changed, {valid} of them valid, {:?}",
            target.name,
            seeds.len(),
            start.elapsed()
        );
    }
}

#[test]
fn changed_seeds_1() {
    some(0);
}

#[test]
fn changed_seeds_2() {
    some(1);
}

#[test]
fn changed_seeds_3() {
    some(2);
}

#[test]
fn changed_seeds_4() {
    some(3);
}

#[test]
fn names_are_targets() {
    for target in TARGETS {
        let found = fuzz_targets::target(target.name).unwrap();
        assert!(
            std::ptr::fn_addr_eq(found.run, target.run),
            "{}",
            target.name
        );
    }
}
