//! The trace of a run: what it commits to, and that instrumented programs give it.

mod common;

use assay_tensor::commit::{chunk_hash, outputs_root, parameters_root, tensor_root_of};
use assay_tensor::merkle;
use assay_tensor::program::to_blob;
use assay_tensor::random;
use assay_tensor::reference;
use assay_tensor::trace::{TensorTrees, Trace, instrumented};

#[test]
fn instrumented_programs_give_the_trace() {
    for seed in 0..common::cases(200) {
        let case = random::program(seed);
        let program = &case.program;
        let inputs = program.inputs_from_bytes(&case.inputs[0]).unwrap();
        let trace = Trace::reference(program, &case.parameters, &inputs).unwrap();
        let answers = instrumented(program)
            .iter()
            .map(|part| to_blob(&reference::run(part, &case.parameters, &inputs).unwrap()))
            .collect::<Vec<_>>();
        assert_eq!(
            Trace::from_answers(program, answers.clone()).as_ref(),
            Some(&trace)
        );
        // Answers of another size are refused.
        let mut other = answers.clone();
        other[0].push(0);
        assert_eq!(Trace::from_answers(program, other.clone()), None);
        other[0].truncate(answers[0].len() - 1);
        assert_eq!(Trace::from_answers(program, other.clone()), None);
        assert_eq!(Trace::from_answers(program, vec![]), None);
    }
}

#[test]
fn a_trace_opens_down_to_every_chunk() {
    for seed in 0..common::cases(60) {
        let case = random::program(seed);
        let program = &case.program;
        let inputs = program.inputs_from_bytes(&case.inputs[0]).unwrap();
        let trace = Trace::reference(program, &case.parameters, &inputs).unwrap();
        let header = program.header();
        let operators = u64::from(header.operators);
        for (index, (value, ty)) in (0u32..).zip(trace.values().iter().zip(program.value_types())) {
            let data = trace.trees().data(index).unwrap();
            let root = tensor_root_of(ty, &data.root());
            let path = trace.trees().roots().path(u64::from(index)).unwrap();
            assert!(merkle::verify(
                &trace.root(),
                operators,
                &root,
                u64::from(index),
                &path
            ));
            for (at, chunk) in (0u64..).zip(value.data().chunks(assay_tensor::commit::CHUNK)) {
                let path = data.path(at).unwrap();
                let hash = chunk_hash(chunk);
                assert!(merkle::verify(&data.root(), data.count(), &hash, at, &path));
            }
        }
        // The outputs are among the values, and the parameters' list has the model's root.
        let outputs = program.program().outputs.iter();
        let outputs = outputs.map(|o| trace.values()[o.value as usize].clone());
        let run = reference::run(program, &case.parameters, &inputs).unwrap();
        assert_eq!(
            outputs_root(&outputs.collect::<Vec<_>>()),
            outputs_root(&run)
        );
        assert_eq!(
            TensorTrees::new(&case.parameters).list_root(),
            parameters_root(&case.parameters)
        );
    }
}
