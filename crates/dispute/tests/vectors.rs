//! The step proofs' bytes, pinned: `vectors/proofs.txt` has a line for each with all that it is checked
//! against, and whoever changes their format changes that file with it. `ASSAY_BLESS=1 cargo test` writes
//! it anew.

#[path = "common/run.rs"]
mod run;

use assay_dispute::Hash;
use assay_dispute::step::element::{ElementClaims, check_element};
use assay_dispute::step::program::{Leaves, check_flaw, prove_flaw};
use assay_tensor::header::ProgramHeader;
use assay_tensor::leaves::{List, OperatorLeaf};
use assay_tensor::{merkle, random};
use run::Run;
use std::collections::BTreeMap;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/proofs.txt");

/// Of each operator the shortest proof in some random programs, and a flaw of one program.
fn bless() -> String {
    let mut shortest: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for seed in 0..150 {
        let run = Run::random(random::program(seed));
        for operator in 0..run.header.operators {
            let lie = run.lie(operator, |data| data[0] ^= 1);
            let proof = run.execution().prove_element(&lie.disputed(), 0, 0);
            let proof = proof.unwrap();
            let fields = [
                &borsh::to_vec(&run.header).unwrap()[..],
                &run.parameters_root,
                &run.input_root,
                &lie.trace_root,
                &operator.to_le_bytes(),
                &lie.leaf.encode(),
                lie.chunk(0),
                &proof,
            ];
            let kind = lie.leaf.op.kind();
            let known = shortest.get(kind).map_or(usize::MAX, |(len, _)| *len);
            if proof.len() < known {
                shortest.insert(kind, (proof.len(), fields.map(hex::encode).join(" ")));
            }
        }
    }
    let program = random::program(0).program;
    let (mut header, mut leaves) = (program.header(), Leaves::of(&program));
    let last = leaves.operators.last_mut().unwrap();
    let mut leaf = OperatorLeaf::decode(last).unwrap();
    leaf.running_units += 1;
    *last = leaf.encode();
    let hashes = leaves.operators.iter();
    let hashes = hashes.map(|leaf| List::Operators.hash(leaf));
    header.operators_root = merkle::root(&hashes.collect::<Vec<_>>());
    header.units += 1;
    let proof = prove_flaw(&header, &leaves).unwrap();
    let flaw = [borsh::to_vec(&header).unwrap(), proof].map(hex::encode);

    let mut text = String::from(
        "# An element: the operator, then the program's header, the parameters root, the input root, the\n\
         # trace root, the operator's index and leaf, chunk 0 of its value, wrong in element 0, and the proof.\n\
         # A flaw: the header of what is no program, and the proof.\n",
    );
    for (kind, (_, line)) in shortest {
        text += &format!("{kind} {line}\n");
    }
    text + &format!("flaw {}\n", flaw.join(" "))
}

fn hash(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap()
}

#[test]
fn pinned_proofs_convict() {
    if std::env::var("ASSAY_BLESS").is_ok() {
        std::fs::write(PATH, bless()).unwrap();
    }
    let text = std::fs::read_to_string(PATH).unwrap();
    let mut kinds = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (kind, fields) = line.split_once(' ').unwrap();
        let fields = fields.split(' ').map(|field| hex::decode(field).unwrap());
        let fields = fields.collect::<Vec<_>>();
        let header: ProgramHeader = borsh::from_slice(&fields[0]).unwrap();
        if kind == "flaw" {
            assert_eq!(check_flaw(&header, &fields[1]), Ok(true));
            continue;
        }
        let leaf = OperatorLeaf::decode(&fields[5]).unwrap();
        assert_eq!(leaf.op.kind(), kind);
        let claims = ElementClaims {
            program: &header,
            parameters_root: &hash(&fields[1]),
            input_root: &hash(&fields[2]),
            trace_root: &hash(&fields[3]),
            operator: u32::from_le_bytes(fields[4][..].try_into().unwrap()),
            leaf: &leaf,
            chunk: 0,
            bytes: &fields[6],
        };
        assert_eq!(check_element(&claims, &fields[7]), Ok(true), "{kind}");
        kinds += 1;
    }
    assert_eq!(kinds, 9);
}
