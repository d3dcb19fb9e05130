use super::*;
use crate::demo::digits::Digits;
use crate::engine::execute::output_root;
use assay_tensor::commit::parameters_root;
use assay_tensor::op::Op;
use assay_tensor::program::to_blob;
use assay_tensor::program::{CheckedProgram, Node, Operand, Output, Program};
use assay_tensor::types::{DType, Shape, Tensor, TensorType};
use gpu_kernels::{ExecutorError, PreparedModel};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;
use tempfile::TempDir;

const BYTES: usize = 16 << 10;

/// A program that gives back its input, and takes a parameter of so many bytes that it does not use.
fn copies(parameter: u32) -> CheckedProgram {
    let dims = [BYTES as u32];
    let program = Program {
        inputs: vec![TensorType::new(DType::I8, &dims).unwrap()],
        parameters: vec![TensorType::new(DType::I8, &[parameter]).unwrap()],
        nodes: vec![Node {
            op: Op::Reshape(Shape::new(&dims).unwrap()),
            operands: vec![Operand::Input(0)],
        }],
        outputs: vec![Output {
            name: "copy".into(),
            value: 0,
        }],
    };
    program.check().unwrap()
}

/// The CPU's executor, and the bytes of outputs of each call.
struct Counting {
    cpu: Box<dyn Executor>,
    calls: Arc<Mutex<Vec<usize>>>,
}

struct Counted(Box<dyn PreparedModel>, Arc<Mutex<Vec<usize>>>);

impl Executor for Counting {
    fn name(&self) -> &str {
        self.cpu.name()
    }

    fn prepare(
        &self,
        program: Arc<CheckedProgram>,
        parameters: Arc<Vec<Tensor>>,
    ) -> Result<Box<dyn PreparedModel>, ExecutorError> {
        let model = self.cpu.prepare(program, parameters)?;
        Ok(Box::new(Counted(model, self.calls.clone())))
    }
}

impl PreparedModel for Counted {
    fn run(&mut self, requests: &[&[u8]]) -> Result<Vec<Vec<u8>>, ExecutorError> {
        let outputs = self.0.run(requests)?;
        let bytes = outputs.iter().map(Vec::len).sum();
        self.1.lock().unwrap().push(bytes);
        Ok(outputs)
    }
}

struct Rig {
    models: Models,
    calls: Arc<Mutex<Vec<usize>>>,
    _dir: TempDir,
}

fn rig(caps: Caps) -> Rig {
    let dir = TempDir::new().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let calls = Arc::new(Mutex::default());
    let executor = Counting {
        cpu: gpu_kernels::open(gpu_kernels::Choice::Cpu).unwrap(),
        calls: calls.clone(),
    };
    let mirrors = Mirrors::new(&[]);
    let models = Models::on(Box::new(executor), blobs, mirrors, None, caps).unwrap();
    Rig {
        models,
        calls,
        _dir: dir,
    }
}

/// Puts the program and its parameters among the blobs; the model's roots.
fn put(rig: &Rig, program: &CheckedProgram) -> ModelKey {
    let blobs = rig.models.blobs();
    let root = blobs.put_program(&program.program().encode()).unwrap();
    let bytes = vec![3; program.parameter_bytes() as usize];
    (root, blobs.put_parameters(&root, &bytes).unwrap())
}

fn runs(models: &[ModelKey], count: u32) -> Vec<Run> {
    let run = |index: u32| {
        let (program_root, parameters_root) = models[index as usize % models.len()];
        Run {
            index,
            program_root,
            parameters_root,
            input: (0..BYTES).map(|i| (i as u32 * 7 + index) as u8).collect(),
        }
    };
    (0..count).map(run).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_in_memory_are_bounded_whatever_a_model_s_are() {
    let outputs = 50_000;
    let rig = rig(Caps {
        outputs,
        ..Caps::default()
    });
    let program = copies(8);
    let runs = runs(&[put(&rig, &program)], 40);
    let ran = tokio::task::block_in_place(|| rig.models.run_all(&runs)).unwrap();
    assert_eq!((ran.runs, ran.again), (40, 40));
    assert!(ran.failed.is_none());
    for (run, root) in runs.iter().zip(&ran.roots) {
        assert_eq!(*root, output_root(&program, &run.input));
    }
    let calls = rig.calls.lock().unwrap().clone();
    assert!(
        calls.iter().all(|bytes| *bytes as u64 <= outputs),
        "{calls:?}"
    );
    assert_eq!(calls.len(), 40usize.div_ceil(50_000 / BYTES));
    assert_eq!(together(1 << 40, outputs), 1, "one alone may have more");
    assert_eq!(together(0, outputs), TOGETHER as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_run_keeps_no_other_from_running() {
    let most = (4 * BYTES) as u64;
    let rig = rig(Caps {
        memory: most,
        ..Caps::default()
    });
    let known = put(&rig, &copies(8));
    // One whose bytes nobody has, one that takes more memory than there is, and one whose parameters
    // nobody has.
    let missing = ([1; 32], [2; 32]);
    let large = put(&rig, &copies(5 * BYTES as u32));
    let unfetched = (large.0, [3; 32]);
    let runs = runs(&[missing, known, large, unfetched], 12);
    let ran = tokio::task::block_in_place(|| rig.models.run_all(&runs)).unwrap();
    for (i, root) in ran.roots.iter().enumerate() {
        assert_eq!(root.is_some(), i % 4 == 1, "{i}");
    }
    assert_eq!((ran.runs, ran.again), (12, 3));
    assert!(ran.failed.is_some());
    let lone = Run {
        index: 0,
        ..runs[2].clone()
    };
    let ran = tokio::task::block_in_place(|| rig.models.run_all(&[lone])).unwrap();
    let why = ran.failed.unwrap().to_string();
    assert!(why.contains("bytes of memory"), "{why}");
}

/// An executor that says when it has begun, and does not end before it is told to.
struct Stuck(Mutex<Option<(Sender<()>, Receiver<()>)>>);

impl Executor for Stuck {
    fn name(&self) -> &str {
        "stuck"
    }

    fn prepare(
        &self,
        _: Arc<CheckedProgram>,
        _: Arc<Vec<Tensor>>,
    ) -> Result<Box<dyn PreparedModel>, ExecutorError> {
        let (begun, told) = self.0.lock().unwrap().take().unwrap();
        Ok(Box::new(StuckModel(begun, told)))
    }
}

struct StuckModel(Sender<()>, Receiver<()>);

impl PreparedModel for StuckModel {
    fn run(&mut self, requests: &[&[u8]]) -> Result<Vec<Vec<u8>>, ExecutorError> {
        self.0.send(()).unwrap();
        let _ = self.1.recv();
        Ok(vec![Vec::new(); requests.len()])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_a_model_runs_and_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let digits = Digits::load(Some(1)).unwrap();
    let (program, parameters) = digits.bundle.open().unwrap();
    let program_root = blobs.put_program(&program.program().encode()).unwrap();
    let parameters_root = parameters_root(&parameters);
    let put = blobs.put_parameters(&program_root, &to_blob(&parameters));
    assert_eq!(put.unwrap(), parameters_root);
    let run = Run {
        index: 0,
        program_root,
        parameters_root,
        input: digits.inputs[0].clone(),
    };
    let ((begun, running), (end, told)) = (channel(), channel());
    let stuck = Box::new(Stuck(Mutex::new(Some((begun, told)))));
    let models = Models::on(stuck, blobs, Mirrors::new(&[]), None, Caps::default());
    let models = models.unwrap();
    let models = Arc::new(models);
    let ran = std::thread::spawn({
        let models = models.clone();
        move || models.run_all(&[run])
    });
    running.recv().unwrap();
    let asked = Instant::now();
    models.halt();
    let ran = ran.join().unwrap();
    assert!(matches!(ran, Err(RunsError::Stopped)), "{ran:?}");
    drop(models);
    assert!(asked.elapsed() < Duration::from_secs(1));
    drop(end);
}

#[test]
fn a_sample_takes_its_share_and_always_the_same_runs() {
    let sample = |share, seed| Sample {
        share,
        seed: [seed; 32],
    };
    let count = |sample: Sample| (0..10_000).filter(|i| sample.takes(&[5; 32], *i)).count();
    assert_eq!(count(sample(0.0, 1)), 0);
    assert_eq!(count(sample(1.0, 1)), 10_000);
    let quarter = count(sample(0.25, 1));
    assert!((2_300..2_700).contains(&quarter), "{quarter}");
    assert_eq!(quarter, count(sample(0.25, 1)));
    let both = (0..10_000)
        .filter(|i| sample(0.25, 1).takes(&[5; 32], *i) && sample(0.25, 2).takes(&[5; 32], *i));
    assert!(both.count() < 1_000, "another seed takes other runs");
    assert!(
        sample(0.5, 3).takes(&[5; 32], 0) != sample(0.5, 3).takes(&[6; 32], 0)
            || sample(0.5, 3).takes(&[5; 32], 1) != sample(0.5, 3).takes(&[6; 32], 1)
            || sample(0.5, 3).takes(&[5; 32], 2) != sample(0.5, 3).takes(&[6; 32], 2)
    );
}
