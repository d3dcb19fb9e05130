//! Prints `docs/programs.md`: sizes of the programs, compute units of each instruction, and what a dispute
//! takes.

use assay_tests::{costs, table};

fn main() {
    let rows = [
        table::settlement(),
        costs::instructions(),
        table::bridge(),
        table::escrow(),
    ]
    .concat();
    print!(
        "{}{}",
        table::markdown(&["settlement", "bridge", "escrow"], &rows),
        costs::digits()
    );
}
