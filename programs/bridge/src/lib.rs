//! Assay's bridge program.
