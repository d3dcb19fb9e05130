//! Tensor programs: models as lists of integer operators whose every output element is
//! one exact function of a few ranges of its operands.
//!
//! * [`types`]: element types, shapes, tensors
//! * [`op`]: the operators, each with its semantics stated to the bit
//! * [`program`]: programs in static single assignment form, their encoding and check
//! * [`hash`], [`merkle`]: the one hash and the one list tree that all commitments use
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod hash;
pub mod header;
pub mod merkle;
pub mod op;
pub mod program;
pub mod types;
