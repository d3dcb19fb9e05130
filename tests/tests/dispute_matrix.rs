//! Every lie against the program as it is deployed, and every false accusation. Batches, liars and
//! players are those of the dispute crate's own tests; here each move is a transaction.

#[path = "../../crates/dispute/tests/arena/mod.rs"]
mod arena;

mod dispute_matrix {
    mod accusations;
    mod executions;
    mod largest;
    mod records;
    pub mod support;
}
