//! What a dispute about the digits model takes: transactions, compute units, lamports.

use assay_dispute::Side;
use assay_tests::digits::Digits;
use assay_tests::svm::{BASE_FEE, Wire};

/// Transactions of the batch.
const BATCH: u32 = 4_096;

/// The first, a middle and the last element of each operator's value: within the bars for every kind of
/// transaction.
#[test]
fn any_element_takes_few_transactions() {
    let digits = Digits::new(BATCH);
    let (mut r, challenger) = digits.stage();
    for (wire, bar) in [(Wire::Legacy, 32), (Wire::V1, 16)] {
        let (mut most, mut units, mut proof_units, mut bytes) = (0, 0, 0, 0);
        for (operator, (kind, elements)) in (0u32..).zip(digits.operators()) {
            let mut elements = vec![0, elements / 2, elements - 1];
            elements.dedup();
            for element in elements {
                let played = digits.dispute(&mut r, &challenger, wire, operator, element);
                let (count, proof) = (played.sent.len(), played.proof.expect("a proof").1);
                println!(
                    "{wire:?}, operator {operator} ({kind}), element {element}: {count} transactions \
                     ({} the challenger's), a proof of {proof} bytes, {} units at most, {} for the proof, \
                     {} lamports of fees",
                    played.of(Side::Challenger),
                    played.units(),
                    played.last_units(),
                    count as u64 * BASE_FEE,
                );
                most = most.max(count);
                units = units.max(played.units());
                proof_units = proof_units.max(played.last_units());
                bytes = bytes.max(proof);
            }
        }
        println!(
            "{wire:?}: {most} transactions at most, {units} units at most, {proof_units} for a proof, {bytes} bytes"
        );
        assert!(most <= bar, "{most}");
        assert!(proof_units < 700_000 && units < 1_400_000);
    }
}
