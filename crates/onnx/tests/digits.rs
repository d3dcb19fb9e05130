//! The digits model in its three forms, over all held-out images, beside onnxruntime.

use assay_onnx::dataset::{self, HeldOut, Oracle};
use assay_onnx::report::ClassifierReport;
use assay_onnx::{Imported, Limits, import};
use assay_tensor::types::DType;

fn assert_bars(name: &str, model: &[u8], oracle: &Oracle) {
    let model = import(model, &Limits::default()).unwrap();
    let images = HeldOut::digits().unwrap();
    let float = images.accuracy(&Oracle::digits_float().unwrap().classes);
    let report = ClassifierReport::make(&model, &images, oracle).unwrap();
    println!("{name}: {report}; float accuracy {:.2} %", 100.0 * float);
    assert!(float >= 0.98);
    assert!((report.accuracy - float).abs() <= 0.005, "{report}");
    assert!(report.agreement >= 0.995, "{report}");
    // A sum that lies on a half by chance is rounded up here and to even there; later layers carry it on.
    assert!(report.logits.largest() <= 1, "{report}");
    assert!(report.logits.agreement() >= 0.999, "{report}");
}

#[test]
fn qdq_per_channel_signed() {
    assert_bars("int8", dataset::DIGITS, &Oracle::digits().unwrap());
}

#[test]
fn qoperator_per_channel_signed() {
    let oracle = Oracle::digits_qoperator().unwrap();
    assert_bars("qoperator", dataset::DIGITS_QOPERATOR, &oracle);
}

#[test]
fn qdq_per_tensor_unsigned() {
    let oracle = Oracle::digits_uint8().unwrap();
    assert_bars("uint8", dataset::DIGITS_UINT8, &oracle);
}

#[test]
fn ports_are_the_graphs() {
    for model in [
        dataset::DIGITS,
        dataset::DIGITS_QOPERATOR,
        dataset::DIGITS_UINT8,
    ] {
        let Imported {
            program,
            parameters,
            inputs,
            outputs,
        } = import(model, &Limits::default()).unwrap();
        assert_eq!((program.input_bytes(), program.output_bytes()), (64, 14));
        assert_eq!(inputs[0].name, "image");
        assert_eq!(inputs[0].ty.shape.dims(), [1, 1, 8, 8]);
        // Pixels 0..=16 over the whole range of i8, also where the graph has uint8.
        let image = inputs[0].quantisation.unwrap();
        assert_eq!(image.zero_point, -128);
        assert_eq!((image.quantise(0.0), image.quantise(16.0)), (-128, 127));
        assert_eq!(
            (outputs[0].name.as_str(), outputs[1].name.as_str()),
            ("logits", "class")
        );
        assert_eq!(
            (outputs[0].ty.dtype, outputs[0].ty.shape.dims()),
            (DType::I8, &[1, 10][..])
        );
        assert_eq!(
            (outputs[1].ty.dtype, outputs[1].ty.shape.dims()),
            (DType::I32, &[1][..])
        );
        assert!(outputs[0].quantisation.is_some() && outputs[1].quantisation.is_none());
        let types: Vec<_> = parameters.iter().map(|p| *p.ty()).collect();
        assert_eq!(types, program.program().parameters);
        let kinds: Vec<_> = program
            .program()
            .nodes
            .iter()
            .map(|n| n.op.kind())
            .collect();
        assert_eq!(
            kinds.join(" "),
            "Reshape Conv2d Conv2d Add MaxPool2d Conv2d Lookup Conv2d Conv2d Add AvgPool2d \
             Transpose Reshape MatMul MatMul ArgMax"
        );
    }
}

#[test]
fn the_float_original_is_refused_by_name() {
    let error = import(dataset::DIGITS_FLOAT, &Limits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node 0 \"stem_node\" (Conv) is not supported: an input of the graph is read before it is quantised"
    );
}

#[test]
fn a_report_about_other_images_is_refused() {
    let model = import(dataset::DIGITS, &Limits::default()).unwrap();
    let images = HeldOut::digits().unwrap();
    for oracle in [
        Oracle::digits_float().unwrap(),
        Oracle {
            logits: Vec::new(),
            classes: Vec::new(),
        },
    ] {
        assert!(ClassifierReport::make(&model, &images, &oracle).is_err());
    }
    let mut narrow = Oracle::digits().unwrap();
    narrow.logits[0].pop();
    assert!(ClassifierReport::make(&model, &images, &narrow).is_err());
}
