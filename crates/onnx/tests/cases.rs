//! Small graphs, one for each rule of the importer, beside onnxruntime: `cases/make.py` makes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use assay_onnx::report::Differences;
use assay_onnx::{Limits, import};
use assay_tensor::reference;

/// Inputs and onnxruntime's outputs of a case, integers in the program's domain.
struct Runs {
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<i32>>,
}

fn read(path: &Path) -> Runs {
    let bytes = fs::read(path).unwrap();
    let number =
        |i: usize| u32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap()) as usize;
    let (count, input, output, index) = (number(0), number(1), number(2), number(3) == 1);
    let (inputs, outputs) = bytes[16..].split_at(count * input);
    assert_eq!(outputs.len(), count * output);
    let elements = |bytes: &[u8]| -> Vec<i32> {
        if index {
            let words = bytes.as_chunks::<4>().0;
            words.iter().map(|w| i32::from_le_bytes(*w)).collect()
        } else {
            bytes.iter().map(|b| i32::from(*b as i8)).collect()
        }
    };
    Runs {
        inputs: inputs.chunks(input).map(<[u8]>::to_vec).collect(),
        outputs: outputs.chunks(output).map(elements).collect(),
    }
}

/// The share of elements that may differ by one: sums that lie on a half by chance. The scales of the cases
/// are round numbers, so that halves are commoner than in a model.
fn allowed(name: &str) -> f64 {
    match name {
        // Scales in ratios like 7 : 10, so that one sum in ten or twenty lies on a half.
        "qlinear_add" | "sub_repeated_value" => 0.04,
        // A float bias is rounded to units of the accumulator, 400 of which make a step of the result.
        name if name.contains("conv") => 0.005,
        _ => 0.0,
    }
}

#[test]
fn every_case_is_as_onnxruntime_has_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut report = BTreeMap::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "onnx") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let model = import(&fs::read(&path).unwrap(), &Limits::default())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let runs = read(&path.with_extension("bin"));
        let mut differences = Differences::default();
        for (input, theirs) in runs.inputs.iter().zip(&runs.outputs) {
            let inputs = model.program.inputs_from_bytes(input).unwrap();
            let outputs = reference::run(&model.program, &model.parameters, &inputs).unwrap();
            let ours: Vec<i32> = (0..outputs[0].ty().shape.elements())
                .map(|i| outputs[0].get(i).unwrap())
                .collect();
            differences.add(&ours, theirs).unwrap();
        }
        println!("{name}: {differences}");
        report.insert(name, differences);
    }
    assert_eq!(report.len(), 81);
    for (name, differences) in &report {
        assert!(differences.largest() <= 1, "{name}: {differences}");
        assert!(
            1.0 - differences.agreement() <= allowed(name),
            "{name}: {differences}"
        );
    }
}
