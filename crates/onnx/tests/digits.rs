//! The digits model in its three forms, over all held-out images, beside onnxruntime.

use assay_onnx::dataset::{self, HeldOut, Oracle};
use assay_onnx::report::Differences;
use assay_onnx::{Imported, Limits, import};
use assay_tensor::reference;
use assay_tensor::types::{DType, Tensor};

/// What a run over the held-out images came to.
struct Figures {
    accuracy: f64,
    float_accuracy: f64,
    agreement: f64,
    logits: Differences,
}

fn run(name: &str, model: &[u8], oracle: &Oracle) -> Figures {
    let held_out = HeldOut::digits().unwrap();
    let imported = import(model, &Limits::default()).unwrap();
    let input = imported.inputs[0].quantisation.unwrap();
    let mut logits = Differences::default();
    let mut classes = Vec::new();
    for (i, theirs) in oracle.logits.iter().enumerate() {
        let bytes = held_out.input(i, &input).unwrap();
        let inputs = imported.program.inputs_from_bytes(&bytes).unwrap();
        let outputs = reference::run(&imported.program, &imported.parameters, &inputs).unwrap();
        let ours = elements(&outputs[0]);
        let theirs: Vec<i32> = theirs.iter().map(|v| i32::from(*v)).collect();
        logits.add(&ours, &theirs).unwrap();
        classes.push(u8::try_from(elements(&outputs[1])[0]).unwrap());
    }
    let equal = classes.iter().zip(&oracle.classes).filter(|(a, b)| a == b);
    let figures = Figures {
        accuracy: held_out.accuracy(&classes),
        float_accuracy: held_out.accuracy(&Oracle::digits_float().unwrap().classes),
        agreement: equal.count() as f64 / classes.len() as f64,
        logits,
    };
    println!(
        "{name}: accuracy {:.2} % (float {:.2} %), top-1 as onnxruntime {:.2} %; logits: {}",
        100.0 * figures.accuracy,
        100.0 * figures.float_accuracy,
        100.0 * figures.agreement,
        figures.logits,
    );
    figures
}

fn elements(tensor: &Tensor) -> Vec<i32> {
    (0..tensor.ty().shape.elements())
        .map(|i| tensor.get(i).unwrap())
        .collect()
}

fn assert_bars(figures: &Figures) {
    assert!(figures.float_accuracy >= 0.98);
    assert!((figures.accuracy - figures.float_accuracy).abs() <= 0.005);
    assert!(figures.agreement >= 0.995);
    // A sum that lies on a half by chance is rounded up here and to even there; later layers carry it on.
    assert!(figures.logits.largest() <= 1, "{}", figures.logits);
    assert!(figures.logits.agreement() >= 0.999, "{}", figures.logits);
}

#[test]
fn qdq_per_channel_signed() {
    assert_bars(&run("int8", dataset::DIGITS, &Oracle::digits().unwrap()));
}

#[test]
fn qoperator_per_channel_signed() {
    let oracle = Oracle::digits_qoperator().unwrap();
    assert_bars(&run("qoperator", dataset::DIGITS_QOPERATOR, &oracle));
}

#[test]
fn qdq_per_tensor_unsigned() {
    let oracle = Oracle::digits_uint8().unwrap();
    assert_bars(&run("uint8", dataset::DIGITS_UINT8, &oracle));
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
