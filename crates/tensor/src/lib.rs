//! Tensor programs: types, operators, element semantics, commitments.
