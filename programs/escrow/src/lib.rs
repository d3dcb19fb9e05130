//! Assay's escrow program.
