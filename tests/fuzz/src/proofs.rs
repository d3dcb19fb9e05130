//! The step proofs: whatever is in one, it does not convict who is right.

/// A signature by the library, by the system calls and in a batch.
pub mod signature {
    use crate::batch::user;
    use crate::input::front;
    use assay_dispute::step::ed25519;
    use assay_ledger::signature::{verify, verify_batch};

    pub fn run(mut bytes: &[u8]) -> bool {
        let Some((key, signature)) = front::<([u8; 32], [u8; 64])>(&mut bytes) else {
            return false;
        };
        let good = verify(&key, bytes, &signature);
        assert_eq!(good, ed25519::verify(&key, bytes, &signature));
        assert_eq!(good, verify_batch(&[(&key, bytes, &signature)]));
        good
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let one = |i: u8| {
            let message = vec![i; usize::from(i) * 9];
            let signature = user(i).sign(&message);
            [&user(i).public()[..], &signature, &message].concat()
        };
        (0..8).map(one).collect()
    }
}

/// The state after a transaction, of an asserter who is right, or says that it is another.
pub mod state {
    use crate::batch::Batch;
    use crate::input::{byte, with};
    use crate::ledger::transaction::BATCH;
    use assay_dispute::Hash;
    use assay_dispute::step::ed25519::Syscalls;
    use assay_dispute::step::state::check_state;
    use assay_ledger::signature::Each;

    /// The state roots of an asserter who is wrong after transaction `index`.
    pub fn wrong(batch: &Batch, index: u32) -> Vec<Hash> {
        let mut roots = batch.roots.clone();
        roots[index as usize + 1] = [9; 32];
        roots
    }

    pub fn run(mut bytes: &[u8]) -> bool {
        let choice = u32::from(byte(&mut bytes));
        let (index, honest) = (choice % 128 % BATCH.header.tx_count, choice < 128);
        let claims = match honest {
            true => BATCH.claims(&BATCH.roots, index),
            false => BATCH.claims(&wrong(&BATCH, index), index),
        };
        let chain = |index| BATCH.message_chain(index);
        let verdict = check_state(&claims, bytes, &chain, &mut Syscalls);
        assert_eq!(verdict, check_state(&claims, bytes, &chain, &mut Each));
        assert!(verdict.is_err() || verdict == Ok(!honest));
        verdict.is_ok()
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let all = 0..BATCH.header.tx_count;
        let one = |index: u32| {
            let honest = BATCH.prove(&BATCH.roots, index);
            let lied = BATCH.prove(&wrong(&BATCH, index), index);
            let at = index as usize;
            [with(at, &honest), with(at + 128, &lied)]
        };
        all.flat_map(one).collect()
    }
}

/// The same where the batch's data shows the transaction.
pub mod record {
    use super::state::wrong;
    use crate::batch::Batch;
    use crate::input::{byte, with};
    use crate::ledger::transaction::BATCH;
    use assay_dispute::Hash;
    use assay_dispute::descent::Descent;
    use assay_dispute::step::data::prove_data;
    use assay_dispute::step::ed25519::Syscalls;
    use assay_dispute::step::record::{Recorded, check_record, prove_record};
    use assay_ledger::signature::Each;
    use assay_tensor::merkle::Levels;
    use std::sync::LazyLock;

    /// To the state after each transaction, of an asserter who is right and of one who is wrong there.
    static DESCENTS: LazyLock<Vec<[Descent; 2]>> = LazyLock::new(|| {
        let all = 0..BATCH.header.tx_count;
        let both = |index| [&BATCH.roots, &wrong(&BATCH, index)].map(|roots| descent(roots, index));
        all.map(both).collect()
    });

    fn descent(roots: &[Hash], index: u32) -> Descent {
        let (tree, leaf) = (Levels::new(roots.to_vec()), u64::from(index) + 1);
        let mut descent = Descent::new(tree.root(), tree.count()).unwrap();
        while !descent.done() {
            let levels = descent.step(6);
            let level = u32::from(descent.height) - levels;
            let first = descent.index << levels;
            let inside = 0..descent.inside(levels) as u64;
            let nodes: Vec<Hash> = inside.map(|at| tree.node(level, first + at)).collect();
            descent.reveal(&nodes).unwrap();
            descent.choose(((leaf >> level) - first) as u8).unwrap();
        }
        descent
    }

    pub fn run(mut bytes: &[u8]) -> bool {
        let choice = u32::from(byte(&mut bytes));
        let (index, honest) = (choice % 128 % BATCH.header.tx_count, choice < 128);
        let descent = &DESCENTS[index as usize][usize::from(!honest)];
        let chain = |index| BATCH.message_chain(index);
        let verdict = check_record(&BATCH.header, descent, bytes, &chain, &mut Syscalls);
        assert_eq!(
            verdict,
            check_record(&BATCH.header, descent, bytes, &chain, &mut Each)
        );
        assert!(verdict.is_err() || verdict == Ok(!honest));
        verdict.is_ok()
    }

    fn proof(batch: &Batch, roots: &[Hash], index: u32) -> Vec<u8> {
        prove_record(&Recorded {
            before: &roots[index as usize],
            path: &Levels::new(roots.to_vec()).path(index.into()).unwrap(),
            data: &prove_data(&batch.header, &batch.data, index).unwrap(),
            witness: &batch.witness(index).unwrap(),
        })
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        // The outputs of a job are not in the data.
        let shown = |index: &u32| {
            let (tx, result) = &BATCH.records[*index as usize];
            !tx.consumes_message() || result.program_root == [0; 32]
        };
        let one = |index: u32| {
            let honest = proof(&BATCH, &BATCH.roots, index);
            let lied = proof(&BATCH, &wrong(&BATCH, index), index);
            let at = index as usize;
            [with(at, &honest), with(at + 128, &lied)]
        };
        let all = (0..BATCH.header.tx_count).filter(shown);
        all.flat_map(one).collect()
    }
}

/// A record of the data, and a leaf that is made of it.
pub mod data {
    use crate::batch::Batch;
    use crate::input::{byte, with};
    use crate::ledger::transaction::BATCH;
    use assay_dispute::step::data::{check_data, prove_data};
    use assay_ledger::batch::tx_leaf;

    fn proof(batch: &Batch, index: u32) -> Vec<u8> {
        prove_data(&batch.header, &batch.data, index).unwrap()
    }

    pub fn run(mut bytes: &[u8]) -> bool {
        let choice = u32::from(byte(&mut bytes));
        let index = choice % 64 % BATCH.header.tx_count;
        let (tx, result) = &BATCH.records[index as usize];
        let leaf = tx_leaf(tx, result);
        let (claimed, wrong) = match choice / 64 {
            0 | 1 => (None, false),
            2 => (Some((result, &leaf)), false),
            _ => (Some((result, &[7; 32])), true),
        };
        let verdict = check_data(&BATCH.header, index, claimed, bytes);
        assert!(verdict.is_err() || verdict == Ok(wrong));
        verdict.is_ok()
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let all = 0..BATCH.header.tx_count;
        let one = |index: u32| {
            let proof = proof(&BATCH, index);
            let at = index as usize;
            [0, 128, 192].map(|claimed| with(at + claimed, &proof))
        };
        all.flat_map(one).collect()
    }
}

/// An element of a run, of an asserter who is right.
pub mod element {
    use crate::input::{byte, one_of};
    use crate::run::{Lie, Run, place};
    use assay_tensor::random;
    use std::sync::LazyLock;

    /// Runs, with what an honest asserter says of each operator.
    pub static RUNS: LazyLock<Vec<(Run, Vec<Lie>)>> = LazyLock::new(|| {
        let small = |case: &random::RandomCase| case.program.units() < 20_000;
        let cases = (0..).map(random::program).filter(small).take(16);
        let run = |case| {
            let run = Run::random(case);
            let honest = (0..run.header.operators).map(|operator| run.lie(operator, |_| {}));
            let honest = honest.collect();
            (run, honest)
        };
        cases.map(run).collect()
    });

    pub fn run(mut bytes: &[u8]) -> bool {
        let (run, all) = one_of(&RUNS, &mut bytes);
        let honest = one_of(all, &mut bytes);
        let chunk = u64::from(byte(&mut bytes));
        let count = honest.data.len().div_ceil(assay_tensor::commit::CHUNK) as u64;
        let verdict = honest.check(run, chunk % count, bytes);
        assert_ne!(verdict, Ok(true));
        verdict.is_ok()
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for (number, (run, operators)) in RUNS.iter().enumerate() {
            for honest in operators {
                let last = honest.leaf.result.shape.elements() - 1;
                for element in [0, last / 2, last] {
                    let (chunk, at) = place(honest.leaf.result.dtype, element);
                    let execution = run.execution();
                    let proof = execution.prove_element(&honest.disputed(), chunk, at);
                    let head = [number as u8, honest.operator as u8, chunk as u8];
                    all.push([&head[..], &proof.unwrap()].concat());
                }
            }
        }
        all
    }
}

/// An element with claims that no game leads to.
pub mod any_element {
    use super::element::RUNS;
    use crate::input::{front, one_of};
    use crate::run::place;
    use assay_dispute::step::element::{ElementClaims, check_element};
    use assay_ledger::ProgramHeader;
    use assay_tensor::leaves::OperatorLeaf;

    type Claims = (ProgramHeader, u32, Vec<u8>, u64, Vec<u8>);

    pub fn run(mut bytes: &[u8]) -> bool {
        let (run, all) = one_of(&RUNS, &mut bytes);
        let honest = one_of(all, &mut bytes);
        let Some((program, operator, leaf, chunk, claimed)) = front::<Claims>(&mut bytes) else {
            return false;
        };
        let Ok(leaf) = OperatorLeaf::decode(&leaf) else {
            return false;
        };
        let claims = ElementClaims {
            program: &program,
            parameters_root: &run.parameters_root,
            input_root: &run.input_root,
            trace_root: &honest.trace_root,
            operator,
            leaf: &leaf,
            chunk,
            bytes: &claimed,
        };
        check_element(&claims, bytes).is_ok()
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for (number, (run, operators)) in RUNS.iter().enumerate() {
            for honest in operators {
                let element = honest.leaf.result.shape.elements() - 1;
                let (chunk, at) = place(honest.leaf.result.dtype, element);
                let execution = run.execution();
                let proof = execution.prove_element(&honest.disputed(), chunk, at);
                let claims: Claims = (
                    run.header,
                    honest.operator,
                    honest.leaf.encode(),
                    chunk,
                    honest.chunk(chunk).to_vec(),
                );
                let claims = borsh::to_vec(&claims).unwrap();
                let head = [number as u8, honest.operator as u8];
                all.push([&head, &claims[..], &proof.unwrap()].concat());
            }
        }
        all
    }
}

/// The flaw of a program that has none.
pub mod flaw {
    use super::element::RUNS;
    use crate::input::{one_of, with};
    use assay_dispute::step::program::check_flaw;
    use assay_tensor::leaves::List;
    use assay_tensor::merkle;

    pub fn run(mut bytes: &[u8]) -> bool {
        let (run, _) = one_of(&RUNS, &mut bytes);
        let verdict = check_flaw(&run.header, bytes);
        assert_ne!(verdict, Ok(true));
        verdict.is_ok()
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut all = vec![vec![0]];
        for (number, (run, operators)) in RUNS.iter().enumerate() {
            // An operator, and the first input or the operator before it.
            let hashes = run.program.leaf_hashes(List::Operators);
            let mut before = Vec::new();
            for honest in operators {
                let (index, bytes) = (honest.operator, honest.leaf.encode());
                let mut leaf = vec![List::Operators as u8];
                leaf.extend(index.to_le_bytes());
                leaf.extend((bytes.len() as u32).to_le_bytes());
                leaf.extend(bytes);
                let path = merkle::path(&hashes, index.into()).unwrap();
                leaf.extend(path.iter().flatten());
                all.push(with(number, &leaf));
                all.push(with(number, &[&before[..], &leaf].concat()));
                before = leaf;
            }
        }
        all
    }
}

/// The flaw of any program.
pub mod any_flaw {
    use crate::arena::world::{Batch, mixed_malformed};
    use crate::input::front;
    use assay_dispute::player::Models;
    use assay_dispute::step::program::{Leaves, check_flaw, prove_flaw};
    use assay_ledger::ProgramHeader;
    use assay_ledger::transaction::Transaction;
    use std::sync::LazyLock;

    /// Batches that deploy programs with flaws.
    pub static FLAWED: LazyLock<Vec<Batch>> =
        LazyLock::new(|| (1..9).map(|seed| mixed_malformed(seed, 6)).collect());

    /// The deployments of a batch that have a flaw.
    pub fn flawed(batch: &Batch) -> impl Iterator<Item = (u32, ProgramHeader, Leaves)> + '_ {
        (0u32..)
            .zip(&batch.records)
            .filter_map(|(index, (tx, _))| match tx {
                Transaction::Deploy { program, .. } => {
                    let leaves = batch.library.malformed(&program.root())?;
                    Some((index, *program, leaves))
                }
                _ => None,
            })
    }

    pub fn run(mut bytes: &[u8]) -> bool {
        let Some(header) = front::<ProgramHeader>(&mut bytes) else {
            return false;
        };
        check_flaw(&header, bytes) == Ok(true)
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let all = FLAWED.iter().flat_map(flawed);
        all.map(|(_, header, leaves)| {
            let mut bytes = borsh::to_vec(&header).unwrap();
            bytes.extend(prove_flaw(&header, &leaves).unwrap());
            bytes
        })
        .collect()
    }
}

/// The deployment of a malformed program: only batches that have one fall to it, and the others of these, to none.
pub mod deploy {
    use super::any_flaw::{FLAWED, flawed};
    use crate::arena::world::{Batch, mixed};
    use crate::input::{byte, with};
    use assay_dispute::step::deploy::{check_deploy, prove_deploy};
    use assay_dispute::step::program::prove_flaw;
    use assay_ledger::batch::tx_leaf;
    use assay_ledger::transaction::Transaction;
    use assay_tensor::merkle;
    use std::sync::LazyLock;

    static HONEST: LazyLock<Vec<Batch>> =
        LazyLock::new(|| (1..4).map(|seed| mixed(seed, 2, 12)).collect());

    pub fn run(mut bytes: &[u8]) -> bool {
        let choice = usize::from(byte(&mut bytes));
        let honest = choice < 128;
        let batches: &[Batch] = if honest { &HONEST } else { &FLAWED };
        let batch = &batches[choice % 128 % batches.len()];
        let verdict = check_deploy(&batch.header, bytes);
        assert!(!honest || verdict != Ok(true));
        verdict.is_ok()
    }

    /// The proof of a deployment with this `flaw`.
    fn proof(batch: &Batch, index: u32, flaw: &[u8]) -> Vec<u8> {
        let leaves: Vec<_> = batch.records.iter().map(|(tx, r)| tx_leaf(tx, r)).collect();
        let path = merkle::path(&leaves, index.into()).unwrap();
        let (tx, result) = &batch.records[index as usize];
        prove_deploy(index, tx, result, &path, flaw)
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for (number, batch) in HONEST.iter().enumerate() {
            for (index, (tx, result)) in (0u32..).zip(&batch.records) {
                if matches!(tx, Transaction::Deploy { .. }) && result.done() {
                    all.push(with(number, &proof(batch, index, &[])));
                }
            }
        }
        for (number, batch) in FLAWED.iter().enumerate() {
            for (index, header, leaves) in flawed(batch) {
                if batch.records[index as usize].1.done() {
                    let flaw = prove_flaw(&header, &leaves).unwrap();
                    all.push(with(128 + number, &proof(batch, index, &flaw)));
                }
            }
        }
        all
    }
}
