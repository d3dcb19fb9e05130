//! What the demo prints at its end.

use super::balances::Balances;
use serde::Serialize;

/// The figures. The names are what `assay demo --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Share of the images whose class is the label.
    pub accuracy: f64,
    /// The same of the float original.
    pub float_accuracy: f64,
    /// Share of the images whose class is onnxruntime's.
    pub onnxruntime_agreement: f64,
    /// Inferences on L2, each a signed transaction.
    pub inferences: usize,
    /// Of those that were sent together: from the call to the last answer.
    pub inferences_per_second: f64,
    /// Milliseconds of the first inference, sent alone.
    pub first_inference_ms: f64,
    /// What ran the model.
    pub executor: String,
    /// `1` or `legacy`: the transactions that carried the batches.
    pub transaction_version: &'static str,
    /// Lamports that all batches cost on L1, for each inference; from the fees paid.
    pub l1_lamports_per_inference: f64,
    /// The same in legacy transactions, computed from the same batches.
    pub l1_lamports_per_inference_legacy: f64,
    /// Lamports of one Solana transaction each.
    pub l1_lamports_one_each: f64,
    /// How many times less that is: one base fee each over `l1_lamports_per_inference`.
    pub l1_saving: f64,
    /// The same for legacy transactions.
    pub l1_saving_legacy: f64,
    /// Bytes on L1 of all batches, for each inference.
    pub l1_bytes_per_inference: f64,
    /// The same in legacy transactions, computed.
    pub l1_bytes_per_inference_legacy: f64,
    /// Bytes of one Solana transaction each.
    pub l1_bytes_one_each: f64,
    /// Batches on L1.
    pub batches: usize,
    /// Batches whose window has passed.
    pub batches_final: usize,
    /// Withdrawals paid on L1.
    pub withdrawals_paid: usize,
    /// L1 jobs settled, their outputs readable on L1.
    pub l1_jobs_settled: usize,
    /// Whether every balance adds up, to the lamport.
    pub balances_conserved: bool,
    /// All fees on L1 of everybody, lamports.
    pub l1_fees: u64,
    /// Seconds in all.
    pub seconds: f64,
    /// Who had what before and after.
    pub balances: Balances,
}

impl Figures {
    /// For people.
    pub fn summary(&self) -> String {
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        let rows = [
            ("accuracy", percent(self.accuracy)),
            (
                "accuracy of the float original",
                percent(self.float_accuracy),
            ),
            (
                "agreement with onnxruntime",
                percent(self.onnxruntime_agreement),
            ),
            (
                "inferences",
                format!(
                    "{}, {:.0} a second on {}; the first alone took {:.1} ms",
                    self.inferences,
                    self.inferences_per_second,
                    self.executor,
                    self.first_inference_ms
                ),
            ),
            (
                "on L1, per inference",
                format!(
                    "{:.1} lamports, {:.1} bytes (paid; version {} transactions)",
                    self.l1_lamports_per_inference,
                    self.l1_bytes_per_inference,
                    self.transaction_version
                ),
            ),
            (
                "  in legacy transactions",
                format!(
                    "{:.1} lamports, {:.1} bytes (computed from the same batches)",
                    self.l1_lamports_per_inference_legacy, self.l1_bytes_per_inference_legacy
                ),
            ),
            (
                "  one Solana transaction each",
                format!(
                    "{:.0} lamports, {:.0} bytes: {:.1} times as much ({:.1} times the legacy figure)",
                    self.l1_lamports_one_each,
                    self.l1_bytes_one_each,
                    self.l1_saving,
                    self.l1_saving_legacy
                ),
            ),
            (
                "batches final",
                format!("{} of {}", self.batches_final, self.batches),
            ),
            ("withdrawals paid", self.withdrawals_paid.to_string()),
            ("L1 jobs settled", self.l1_jobs_settled.to_string()),
            (
                "balances",
                match self.balances_conserved {
                    true => format!(
                        "add up, to the lamport, with {} lamports of fees",
                        self.l1_fees
                    ),
                    false => "DO NOT add up".into(),
                },
            ),
            ("seconds", format!("{:.1}", self.seconds)),
        ];
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        rows.iter()
            .map(|(name, value)| format!("{name:width$}  {value}\n"))
            .collect()
    }
}
