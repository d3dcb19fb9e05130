//! Prints `docs/programs.md`: sizes of the programs and compute units of each instruction.

use assay_tests::table;

fn main() {
    let rows = [table::settlement(), table::bridge(), table::escrow()].concat();
    print!(
        "{}",
        table::markdown(&["settlement", "bridge", "escrow"], &rows)
    );
}
