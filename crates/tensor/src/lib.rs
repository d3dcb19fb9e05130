//! Tensor programs: models as lists of integer operators whose every output element is
//! one exact function of a few ranges of its operands.
//!
//! * [`types`]: element types, shapes, tensors
//! * [`op`]: the operators, each with its semantics stated to the bit
//! * [`check`]: the one local check: is an operator well-formed, and what does it cost
//! * [`reads`], [`eval`]: which ranges of its operands one element is made of, and how
//! * [`ops`]: the rules behind these, one file a kind of operator
//! * [`program`]: programs in static single assignment form, and the check of a whole one
//! * [`codec`]: the encoding of programs, operators and types
//! * [`reference`]: the executor made of `reads` and `eval` alone
//! * [`overflow`]: which accumulators may leave `i32`, for importers
//! * [`hash`], [`merkle`]: the one hash and the one list tree that all commitments use
//! * [`commit`], [`header`], [`leaves`]: roots of tensors, lists of tensors and programs
//! * [`trace`]: the values of a run's operators with their trees, for disputes
//! * `random` (feature `testing`): seeded random programs
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod check;
pub mod codec;
pub mod commit;
pub mod eval;
pub mod hash;
pub mod header;
pub mod leaves;
pub mod merkle;
pub mod op;
pub mod ops;
pub mod overflow;
pub mod program;
#[cfg(feature = "testing")]
pub mod random;
pub mod reads;
pub mod reference;
pub mod trace;
pub mod types;
