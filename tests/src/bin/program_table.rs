//! Prints `docs/programs.md`: sizes of the programs and compute units of each instruction.

use assay_tests::table;

fn main() {
    print!("{}", table::markdown(&["settlement"], &table::settlement()));
}
