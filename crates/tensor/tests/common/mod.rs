//! What several tests share.
#![allow(dead_code)]

/// How many seeds or cases a test takes: `ASSAY_CASES`, or else `default`.
pub fn cases(default: u64) -> u64 {
    std::env::var("ASSAY_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(default)
}
