//! Broken and hostile files: an error, within bounded time and memory, and never a panic.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use assay_onnx::proto::AttributeProto;
use assay_onnx::{ImportError, Limits, dataset, import};
use assay_tensor::reference;
use proptest::prelude::*;
use prost::Message;
use support::*;

/// Counts what is allocated, and the most that was at once.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One at a time: the counters are the process's.
static ALONE: Mutex<()> = Mutex::new(());

/// The error that `bytes` end in, after checking what it took to find it.
fn refused(what: &str, bytes: &[u8]) -> ImportError {
    let limits = Limits::default();
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let start = Instant::now();
    let error = import(bytes, &limits).expect_err(what);
    let (took, most) = (start.elapsed(), MOST.load(Ordering::Relaxed) - before);
    println!(
        "{what}: {} bytes, {took:?}, {most} bytes at most: {error}",
        bytes.len()
    );
    assert!(took < Duration::from_secs(10), "{what} took {took:?}");
    // Numbers grow to eight bytes for one, and a vector to twice its length while it grows; the rest is
    // counted by the limits.
    let fixed = 128 << 20;
    assert!(most < 16 * bytes.len() + fixed, "{what}: {most} bytes");
    assert!(error.to_string().len() < 1000, "{what}");
    error
}

/// A field with a length: its key, `length`, and `body`.
fn field(tag: u32, length: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(length, &mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

fn whole(tag: u32, body: &[u8]) -> Vec<u8> {
    field(tag, body.len() as u64, body)
}

#[test]
fn bytes_that_are_no_model() {
    let _alone = ALONE.lock();
    refused("empty", &[]);
    refused("64 bytes of 0xff", &[0xff; 64]);
    for byte in [0x00, 0x0a, 0x3a, 0x7f, 0x80] {
        refused("one byte over and over", &vec![byte; 1 << 16]);
    }
    refused("text", b"this is not an ONNX file");
    for length in [
        u64::MAX,
        u64::MAX >> 1,
        1 << 62,
        1 << 40,
        u64::from(u32::MAX),
        1 << 31,
    ] {
        refused("a length beyond the end", &field(7, length, b"abc"));
        refused("one within", &whole(7, &field(5, length, b"abc")));
        refused(
            "one further within",
            &whole(7, &whole(5, &field(9, length, b"abc"))),
        );
    }
    assert!(matches!(
        refused("too long a file", &vec![0; (64 << 20) + 1]),
        ImportError::FileTooLarge { .. }
    ));
}

#[test]
fn deep_nesting() {
    let _alone = ALONE.lock();
    let mut groups = vec![0x0b; 1 << 20];
    refused("a million groups", &groups);
    groups = whole(7, &vec![0x0b; 1 << 20]);
    refused("a million groups in a graph", &groups);
    // Graphs in attributes of nodes in graphs in attributes.
    let mut graph = Vec::new();
    for _ in 0..20_000 {
        graph = whole(1, &whole(5, &whole(6, &graph)));
    }
    let error = refused("subgraphs in subgraphs", &whole(7, &graph));
    assert!(error.to_string().contains("subgraph"), "{error}");
}

#[test]
fn many_small_messages() {
    let _alone = ALONE.lock();
    // 32 million of each of the messages that take two bytes in a file and many in memory.
    let many = |inner: &[u8]| inner.repeat((60 << 20) / inner.len());
    refused("nodes", &whole(7, &many(&[0x0a, 0x00])));
    refused("constants", &whole(7, &many(&[0x2a, 0x00])));
    refused("inputs", &whole(7, &many(&[0x5a, 0x00])));
    refused("outputs", &whole(7, &many(&[0x62, 0x00])));
    refused("operator sets", &many(&[0x42, 0x00]));
    refused(
        "operands of a node",
        &whole(7, &whole(1, &many(&[0x0a, 0x00]))),
    );
    refused(
        "attributes of a node",
        &whole(7, &whole(1, &many(&[0x2a, 0x00]))),
    );
    refused(
        "numbers of an attribute",
        &whole(7, &whole(1, &whole(5, &many(&[0x40, 0x01])))),
    );
    refused(
        "packed numbers",
        &whole(7, &whole(1, &whole(5, &whole(8, &many(&[0x01]))))),
    );
    refused(
        "dimensions of a tensor",
        &whole(7, &whole(5, &many(&[0x08, 0x01]))),
    );
    refused(
        "packed dimensions",
        &whole(7, &whole(5, &whole(1, &many(&[0x01])))),
    );
    refused(
        "dimensions of an input",
        &whole(
            7,
            &whole(11, &whole(2, &whole(1, &whole(2, &many(&[0x0a, 0x00]))))),
        ),
    );
}

#[test]
fn tensors_that_are_not_there() {
    let _alone = ALONE.lock();
    for dims in [
        &[1_000, 1_000, 1_000][..],
        &[1_000_000_000],
        &[1 << 40],
        &[i64::MAX, i64::MAX],
        &[-1],
        &[1; 100],
        &[1 << 31, 1 << 31, 1 << 31],
    ] {
        for wrong in [
            int8("w", dims, &[1, 2, 3]),
            float("w", dims, &[1.0]),
            int64("w", dims, &[]),
        ] {
            let mut graph = graph(&[1, 4]);
            graph.initializer.push(wrong);
            let error = refused("a huge tensor", &file(ending_in(graph, "dx")));
            assert!(matches!(error, ImportError::Tensor { .. }), "{error}");
        }
    }
    let mut external = int8("w", &[2], &[]);
    external.data_location = 1;
    let mut graph_with = graph(&[1, 4]);
    graph_with.initializer.push(external);
    let error = refused(
        "elements in another file",
        &file(ending_in(graph_with, "dx")),
    );
    assert_eq!(
        error.to_string(),
        "tensor \"w\": its elements are in another file"
    );
}

#[test]
fn one_constant_in_many_operators() {
    let _alone = ALONE.lock();
    // A product with one matrix of a megabyte, a thousand times.
    let side = 1024;
    let mut graph = graph(&[1, side]);
    graph
        .initializer
        .push(int8("w", &[side, side], &vec![1; (side * side) as usize]));
    graph.initializer.push(int8("zw", &[], &[0]));
    graph
        .node
        .push(node("DequantizeLinear", &["w", "s", "zw"], "dw"));
    for i in 0..1000 {
        graph
            .node
            .push(node("MatMul", &["dx", "dw"], &format!("m{i}")));
        graph.node.push(node(
            "QuantizeLinear",
            &[&format!("m{i}"), "s2", "z2"],
            &format!("q{i}"),
        ));
    }
    let limits = Limits::default();
    MOST.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
    let before = NOW.load(Ordering::Relaxed);
    let error = import(&file(ending_in(graph, "m0")), &limits).unwrap_err();
    let most = MOST.load(Ordering::Relaxed) - before;
    assert!(matches!(error, ImportError::TooLarge { .. }), "{error}");
    assert!(most < limits.memory_bytes as usize + (64 << 20), "{most}");
}

#[test]
fn an_attribute_with_a_tensor_that_lies() {
    let _alone = ALONE.lock();
    let mut constant = node("Constant", &[], "c");
    constant.attribute.push(AttributeProto {
        name: "value".into(),
        t: Some(float("", &[1_000_000_000], &[1.0])),
        r#type: assay_onnx::proto::attribute_type::TENSOR,
        ..AttributeProto::default()
    });
    let mut graph = graph(&[1, 4]);
    graph.node.push(constant);
    refused("a huge constant", &file(ending_in(graph, "dx")));
}

#[test]
fn every_cut_of_the_digits_model_is_refused() {
    let _alone = ALONE.lock();
    let model = dataset::DIGITS;
    let steps = (0..2048).chain((2048..model.len()).step_by(13));
    for end in steps {
        // Operator sets come last in the file: without them it is no model.
        assert!(import(&model[..end], &Limits::default()).is_err(), "{end}");
    }
}

/// The files that are mutated: small ones, in which a change hits structure, and the digits.
fn corpus() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "onnx"))
        .collect();
    paths.sort();
    let mut files: Vec<_> = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
    files.extend(
        [
            dataset::DIGITS,
            dataset::DIGITS_QOPERATOR,
            dataset::DIGITS_UINT8,
        ]
        .map(<[u8]>::to_vec),
    );
    files
}

/// One change to a file: at a place (as a share of its length), of a kind, with a byte or a length.
type Change = (f64, u8, u8);

fn mutated(file: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for (place, kind, value) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = ((bytes.len() as f64 * place) as usize).min(bytes.len() - 1);
        let end = (at + usize::from(*value)).min(bytes.len());
        match kind % 6 {
            0 => bytes[at] = *value,
            1 => bytes[at] ^= 1 << (value % 8),
            2 => bytes.insert(at, *value),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => bytes[at] = [0x00, 0x01, 0x7f, 0x80, 0xff][usize::from(*value) % 5],
        }
    }
    bytes
}

/// One change to a graph: of a kind, at two places (each taken modulo what there is), with a number.
type Rewiring = (u8, u16, u16, i64);

/// The numbers that break arithmetic.
const ODD: [i64; 12] = [
    0,
    1,
    -1,
    2,
    3,
    7,
    64,
    1 << 16,
    1 << 31,
    1 << 32,
    i64::MAX,
    i64::MIN,
];

fn rewired(file: &[u8], changes: &[Rewiring]) -> Vec<u8> {
    let mut model = ModelProto::decode(file).unwrap();
    let Some(graph) = &mut model.graph else {
        return Vec::new();
    };
    let names: Vec<String> = graph
        .node
        .iter()
        .flat_map(|n| n.input.iter().chain(&n.output).cloned())
        .chain(["".into()])
        .collect();
    let ops = [
        "Conv",
        "Add",
        "Relu",
        "MaxPool",
        "Reshape",
        "Transpose",
        "ArgMax",
        "Gemm",
        "MatMul",
        "Mul",
    ];
    for (kind, a, b, number) in changes {
        let (a, b) = (usize::from(*a), usize::from(*b));
        let name = names[b % names.len()].clone();
        let odd = ODD[number.unsigned_abs() as usize % ODD.len()];
        let count = graph.node.len().max(1);
        let constants = graph.initializer.len().max(1);
        match (
            graph.node.get_mut(a % count),
            graph.initializer.get_mut(a % constants),
            kind % 10,
        ) {
            (Some(node), _, 0) => {
                let count = node.input.len().max(1);
                node.input
                    .iter_mut()
                    .skip(b % count)
                    .take(1)
                    .for_each(|i| *i = name.clone());
            }
            (Some(node), _, 1) => node.input.push(name),
            (Some(node), _, 2) => node.op_type = ops[b % ops.len()].into(),
            (Some(node), _, 3) => {
                for attribute in &mut node.attribute {
                    attribute.i = odd;
                    let count = attribute.ints.len().max(1);
                    attribute
                        .ints
                        .iter_mut()
                        .skip(b % count)
                        .take(1)
                        .for_each(|i| *i = odd);
                }
            }
            (Some(_), _, 4) => drop(graph.node.remove(a % count)),
            (_, Some(constant), 5) => {
                // Other dimensions of as many elements.
                constant.dims.reverse();
                if b % 2 == 0 {
                    constant.dims.insert(0, 1);
                }
            }
            (_, Some(constant), 6) => {
                let byte = number.to_le_bytes()[0];
                constant
                    .raw_data
                    .iter_mut()
                    .skip(b % 64)
                    .take(8)
                    .for_each(|v| *v = byte);
                constant
                    .float_data
                    .iter_mut()
                    .for_each(|v| *v = f32::from_bits(*number as u32));
                constant
                    .int32_data
                    .iter_mut()
                    .for_each(|v| *v = *number as i32);
            }
            (_, Some(constant), 7) => {
                let count = constant.int64_data.len().max(1);
                constant
                    .int64_data
                    .iter_mut()
                    .skip(b % count)
                    .take(1)
                    .for_each(|v| *v = odd);
                constant
                    .raw_data
                    .iter_mut()
                    .take(8)
                    .zip(odd.to_le_bytes())
                    .for_each(|(v, o)| *v = o);
            }
            (_, _, 8) => {
                let dims = graph
                    .input
                    .iter_mut()
                    .filter_map(|i| i.r#type.as_mut()?.tensor_type.as_mut()?.shape.as_mut());
                for shape in dims {
                    let count = shape.dim.len().max(1);
                    let small = 1 + number.unsigned_abs() % 40;
                    shape
                        .dim
                        .iter_mut()
                        .skip(b % count)
                        .take(1)
                        .for_each(|d| d.dim_value = Some(small as i64));
                }
                // So that shapes further on may change with it.
                graph
                    .output
                    .iter_mut()
                    .filter_map(|o| o.r#type.as_mut())
                    .for_each(|t| t.tensor_type = None);
            }
            _ => graph
                .output
                .extend(names.get(a % names.len()).map(|n| open(n))),
        }
    }
    model.encode_to_vec()
}

/// Imports; what is imported must be a program that runs, unless that would take long.
fn import_and_run(bytes: &[u8]) -> Result<(), TestCaseError> {
    let limits = Limits {
        memory_bytes: 1 << 22,
        ..Limits::default()
    };
    let Ok(model) = import(bytes, &limits) else {
        return Ok(());
    };
    let program = &model.program;
    prop_assert_eq!(model.inputs.len(), program.program().inputs.len());
    prop_assert_eq!(model.outputs.len(), program.program().outputs.len());
    if program.units() < 1 << 18 {
        let input = vec![7; program.input_bytes() as usize];
        let inputs = program.inputs_from_bytes(&input).unwrap();
        prop_assert!(reference::run(program, &model.parameters, &inputs).is_ok());
    }
    Ok(())
}

/// 512 cases, or as many as `ASSAY_ONNX_CASES` says.
fn cases() -> u32 {
    let asked = std::env::var("ASSAY_ONNX_CASES").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(512)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// A file with a few bytes changed is refused, or is a program that runs.
    #[test]
    fn mutated_files_never_panic(
        file in prop::sample::select(corpus()),
        changes in prop::collection::vec((0.0..1.0f64, any::<u8>(), any::<u8>()), 1..4),
    ) {
        import_and_run(&mutated(&file, &changes))?;
    }

    /// A well-formed file whose graph was changed is refused, or is a program that runs.
    #[test]
    fn rewired_graphs_never_panic(
        file in prop::sample::select(corpus()),
        changes in prop::collection::vec(any::<Rewiring>(), 1..4),
    ) {
        import_and_run(&rewired(&file, &changes))?;
    }

    /// Bytes without any structure.
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(import(&bytes, &Limits::default()).is_err());
    }
}
