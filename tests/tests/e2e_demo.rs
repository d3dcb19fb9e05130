//! The demo with small numbers: deposits, a model, inferences, an L1 job, withdrawals, everything
//! final and paid, and every balance adding up.

use assay::config::ExecutorChoice;
use assay::demo::{self, Options};

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_from_the_deposit_to_the_withdrawal_adds_up() {
    let report = demo::run(Options {
        executor: ExecutorChoice::Cpu,
        images: Some(60),
        rounds: 2,
        progress: false,
    })
    .await
    .unwrap();
    report.check().unwrap();
    let figures = &report.figures;
    assert!(figures.balances_conserved);
    assert!(report.checks.len() >= 12, "{:?}", report.checks);
    assert_eq!(figures.inferences, 121);
    assert_eq!(figures.withdrawals_paid, 2);
    assert_eq!(figures.l1_jobs_settled, 1);
    assert!(figures.batches >= 2);
    assert_eq!(figures.batches_final, figures.batches);
    assert!(figures.onnxruntime_agreement >= 0.995);
    assert!(figures.accuracy >= figures.float_accuracy - 0.005);
    assert_eq!(figures.transaction_version, "1");
    // The whole of a small batch is spread over few inferences here; legacy costs more.
    assert!(figures.l1_lamports_per_inference < 5_000.0);
    assert!(figures.l1_lamports_per_inference <= figures.l1_lamports_per_inference_legacy);
    assert!(figures.l1_fees > 0);

    let json = serde_json::to_value(figures).unwrap();
    for key in [
        "accuracy",
        "float_accuracy",
        "onnxruntime_agreement",
        "inferences",
        "inferences_per_second",
        "executor",
        "l1_lamports_per_inference",
        "l1_saving",
        "batches_final",
        "withdrawals_paid",
        "l1_jobs_settled",
        "balances_conserved",
        "seconds",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
}
