//! Assay's settlement program.
