//! Imports the digits model in its three forms, runs each over all held-out images, and says how far the
//! results are from onnxruntime's.

use assay_onnx::dataset::{self, HeldOut, Oracle};
use assay_onnx::report::ClassifierReport;
use assay_onnx::{Limits, import};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let images = HeldOut::digits()?;
    let float = images.accuracy(&Oracle::digits_float()?.classes);
    println!(
        "{} held-out images; float accuracy {:.2} %",
        images.labels.len(),
        100.0 * float
    );
    for (file, model, oracle) in [
        ("digits-int8.onnx", dataset::DIGITS, Oracle::digits()?),
        (
            "digits-qoperator.onnx",
            dataset::DIGITS_QOPERATOR,
            Oracle::digits_qoperator()?,
        ),
        (
            "digits-uint8.onnx",
            dataset::DIGITS_UINT8,
            Oracle::digits_uint8()?,
        ),
    ] {
        let model = import(model, &Limits::default())?;
        let report = ClassifierReport::make(&model, &images, &oracle)?;
        println!("{file}: {} work units; {report}", model.program.units());
    }
    Ok(())
}
