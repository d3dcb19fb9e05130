//! The engine against a temporary directory: requests of every kind, refusals, restarts.

mod backlog;
mod blobs;
mod jobs;
mod rebuild;
mod world;

use super::refusal::Refused;
use super::rig::{Options, Rig};
use super::{EngineError, Placed};
use crate::config::{BatchLimits, ExecutorChoice, ModelLimits};
use assay_ledger::header::Params;
use assay_ledger::inbox::{Job, Message, MessageKind};
use assay_ledger::outbox::{self, OutboxLeaf};
use assay_ledger::request::{Action, SignedRequest};
use assay_ledger::result::Status;
use assay_ledger::signature::Keypair;
use assay_ledger::transition::Env;
use assay_ledger::{Hash, Key, SOL};
use assay_onnx::dataset::DIGITS;
use assay_onnx::{Limits, import};
use std::collections::HashMap;
use tempfile::TempDir;
use world::*;

#[tokio::test]
async fn inferences_are_paid_and_their_outputs_are_the_references() {
    let world = World::new().await;
    world.deploy().await;
    let mut placed: Vec<Placed> = Vec::new();
    for i in 0..3 {
        let answer = world
            .one(&world.bob, i, world.infer(world.input(i as u8)))
            .await;
        placed.push(answer.unwrap());
    }
    for (i, placed) in placed.iter().enumerate() {
        assert_eq!((placed.batch, placed.position), (3, i as u32));
        assert_eq!(placed.result.fee, PRICE);
        let input = world
            .model
            .program
            .split_inputs(&world.input(i as u8))
            .unwrap()
            .concat();
        let ty = world.model.program.program().inputs[0];
        let tensor = assay_tensor::types::Tensor::new(ty, input).unwrap();
        let expected =
            assay_tensor::reference::run(&world.model.program, &world.model.parameters, &[tensor])
                .unwrap();
        let bytes: Vec<u8> = expected.iter().flat_map(|t| t.data()).copied().collect();
        assert_eq!(placed.outputs.as_ref(), Some(&bytes));
        assert_eq!(
            placed.result.output_root,
            assay_tensor::commit::outputs_root(&expected)
        );
    }
    assert_eq!(world.balance(&world.bob.public()), 1_000 - 3 * PRICE);
    assert_eq!(world.balance(&SEQUENCER), 3 * PRICE / 10);
    assert_eq!(
        world.balance(&world.alice.public()),
        10_000 + 3 * PRICE - 3 * PRICE / 10
    );
    world.rig.engine.close_batch().await.unwrap();
    world.replay();
}

#[tokio::test]
async fn every_refusal_says_what_to_do_and_spoils_no_other() {
    let world = World::new().await;
    world.deploy().await;
    let bob = world.bob.public();
    let mut foreign = sign(&world.bob, 0, transfer([5; 32], 1));
    foreign.request.rollup = [9; 32];
    foreign.signature = world.bob.sign(&foreign.request.signing_bytes());
    let mut forged = sign(&world.bob, 0, transfer([5; 32], 1));
    forged.signature[3] ^= 1;
    let stranger = Keypair::from_seed([9; 32]);
    let mut other_program = world.infer(world.input(0));
    if let Action::Infer { program_root, .. } = &mut other_program {
        *program_root = [3; 32];
    }
    let mut other_price = world.infer(world.input(0));
    if let Action::Infer { price, .. } = &mut other_price {
        *price += 1;
    }
    let mut other_version = world.infer(world.input(0));
    if let Action::Infer { version, .. } = &mut other_version {
        *version = Some(2);
    }
    let mut no_model = world.infer(world.input(0));
    if let Action::Infer { model, .. } = &mut no_model {
        *model = 7;
    }
    let unknown_blob = Action::Deploy {
        program: world.model.program.header(),
        parameters_root: [4; 32],
        price: 1,
    };
    let update = Action::Update {
        model: 0,
        program_root: world.model.program.root(),
        parameters_root: world.rig.store.model(0).unwrap().unwrap().parameters_root,
        price: 1,
    };
    let nothing = Action::Withdraw {
        recipient: [5; 32],
        amount: 0,
    };
    let cases = [
        (foreign, "rollup"),
        (forged, "signature"),
        (sign(&stranger, 0, transfer(bob, 1)), "account"),
        (sign(&world.bob, 5, transfer([5; 32], 1)), "nonce"),
        (sign(&world.bob, 0, transfer([5; 32], 1_001)), "balance"),
        (sign(&world.bob, 0, transfer([5; 32], 0)), "amount"),
        (sign(&world.bob, 0, nothing), "amount"),
        (sign(&world.bob, 0, no_model), "model"),
        (sign(&world.bob, 0, other_program), "model"),
        (sign(&world.bob, 0, other_price), "price"),
        (sign(&world.bob, 0, other_version), "version"),
        (sign(&world.bob, 0, world.infer(vec![0; 3])), "input"),
        (sign(&world.bob, 0, world.infer(vec![0; 20_000])), "input"),
        (sign(&world.bob, 0, unknown_blob), "blob"),
        (sign(&world.bob, 0, update), "publisher"),
    ];
    let good = sign(&world.bob, 0, transfer([5; 32], 1_000));
    let codes: Vec<&str> = cases.iter().map(|(_, code)| *code).collect();
    let mut requests: Vec<SignedRequest> = cases.into_iter().map(|(r, _)| r).collect();
    requests.push(good);
    let mut answers = world.submit(requests).await;
    assert!(answers.pop().unwrap().is_ok());
    for (answer, code) in answers.into_iter().zip(codes) {
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.to_string().len() > 30, "{refused}");
    }
    assert_eq!(world.balance(&bob), 0);
    let text = world.rig.metrics.encode();
    assert!(text.contains("assay_transactions_total"), "{text}");
}

#[tokio::test]
async fn a_model_is_callable_after_its_delay_only() {
    let world = World::new().await;
    world.deploy_open().await;
    let early = world.one(&world.bob, 0, world.infer(world.input(1))).await;
    assert!(
        matches!(
            early,
            Err(Refused::NotCallable {
                from: 3,
                now: 2,
                ..
            })
        ),
        "{early:?}"
    );
    world.rig.engine.close_batch().await.unwrap();
    world
        .one(&world.bob, 0, world.infer(world.input(1)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_repeated_request_gets_its_answer_again_and_is_done_once() {
    let world = World::new().await;
    let request = sign(&world.bob, 0, transfer([5; 32], 10));
    let first = world.submit(vec![request.clone()]).await;
    let world = world.restart().await;
    let again = world.submit(vec![request]).await;
    assert_eq!(first, again);
    assert_eq!(world.balance(&[5; 32]), 10);
    let other = world.one(&world.bob, 0, transfer([6; 32], 10)).await;
    assert!(matches!(
        other,
        Err(Refused::Nonce {
            got: 0,
            expected: 1
        })
    ));
}

#[tokio::test]
async fn nonces_count_requests_on_their_way() {
    let world = World::new().await;
    let requests: Vec<SignedRequest> = (0..200)
        .map(|i| sign(&world.bob, i, transfer([5; 32], 5)))
        .collect();
    let admitted = world
        .rig
        .admission
        .admit(requests)
        .into_iter()
        .map(|(_, a)| a.unwrap())
        .collect();
    let answers = world.rig.engine.submit(admitted).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    // One too many for the balance: refused before it is run, counting the others.
    let last = world.one(&world.bob, 200, transfer([5; 32], 1)).await;
    assert!(
        matches!(last, Err(Refused::Balance { need: 1, have: 0 })),
        "{last:?}"
    );
    assert_eq!(world.balance(&[5; 32]), 1_000);
}

#[tokio::test]
async fn a_restart_goes_on_in_the_open_batch() {
    let world = World::new().await;
    world.deploy().await;
    let before = world
        .one(&world.bob, 0, world.infer(world.input(1)))
        .await
        .unwrap();
    let progress = world.rig.store.progress().unwrap().unwrap();
    let world = world.restart().await;
    assert_eq!(world.rig.store.progress().unwrap().unwrap(), progress);
    let after = world
        .one(&world.bob, 1, world.infer(world.input(1)))
        .await
        .unwrap();
    assert_eq!(
        (after.batch, after.position),
        (before.batch, before.position + 1)
    );
    assert_eq!(after.outputs, before.outputs);
    world.rig.engine.close_batch().await.unwrap();
    world.replay();
}

#[tokio::test]
async fn batches_are_closed_by_count_and_by_bytes() {
    for limits in [
        BatchLimits {
            transactions: 3,
            ..Default::default()
        },
        BatchLimits {
            bytes: 1_500,
            ..Default::default()
        },
    ] {
        let by_bytes = limits.bytes == 1_500;
        let world = World::with(limits).await;
        for i in 0..10 {
            world
                .one(&world.bob, i, transfer([i as u8 + 20; 32], 1))
                .await
                .unwrap();
        }
        assert!(world.rig.engine.building().number > 3);
        world.rig.engine.close_batch().await.unwrap();
        for record in world.rig.store.batches(u64::MAX, 100).unwrap() {
            assert!(record.header.tx_count <= 3 || by_bytes);
            assert!(record.header.data_len <= 1_500 || !by_bytes);
        }
        world.replay();
    }
}

#[tokio::test]
async fn a_batch_is_closed_by_age() {
    let limits = BatchLimits {
        age_ms: 50,
        ..Default::default()
    };
    let world = World::with(limits).await;
    world
        .one(&world.bob, 0, transfer([5; 32], 1))
        .await
        .unwrap();
    let mut closed = world.rig.closed.clone();
    tokio::time::timeout(
        std::time::Duration::from_secs(20),
        closed.wait_for(|n| *n == 2),
    )
    .await
    .unwrap()
    .unwrap();
}

#[tokio::test]
async fn jobs_from_l1_run_or_are_declined() {
    let mut world = World::new().await;
    world.deploy().await;
    let job = |world: &World, name: u8, max_price: u64| {
        let job = Job {
            job: [name; 32],
            model: 0,
            program_root: world.model.program.root(),
            max_price,
            output_bytes: 4_096,
            input: world.input(3),
        };
        Message {
            kind: MessageKind::Job,
            payload: borsh::to_vec(&job).unwrap(),
        }
    };
    let (good, poor) = (job(&world, 100, PRICE), job(&world, 101, PRICE - 1));
    world.send(good);
    world.send(poor);
    world.rig.engine.close_batch().await.unwrap();
    let same = world
        .one(&world.bob, 0, world.infer(world.input(3)))
        .await
        .unwrap();

    let (index, batch, position) = world.rig.store.job(&[100; 32]).unwrap().unwrap();
    let record = world
        .rig
        .store
        .transaction(batch, position)
        .unwrap()
        .unwrap();
    assert_eq!(record.outputs, same.outputs);
    let (_, leaf) = world.rig.store.outbox_leaf(index).unwrap().unwrap();
    assert!(matches!(
        leaf,
        OutboxLeaf::JobResult { done: true, price: PRICE, output_root, .. } if output_root == same.result.output_root
    ));
    let (index, batch, position) = world.rig.store.job(&[101; 32]).unwrap().unwrap();
    let record = world
        .rig
        .store
        .transaction(batch, position)
        .unwrap()
        .unwrap();
    assert_eq!(record.result.status(), Some(Status::PriceLimit));
    let (_, leaf) = world.rig.store.outbox_leaf(index).unwrap().unwrap();
    assert!(matches!(leaf, OutboxLeaf::JobResult { done: false, .. }));

    let header = world.rig.store.batch(batch).unwrap().unwrap().header;
    let tree = header.state.outbox;
    let path = world
        .rig
        .engine
        .outbox_path(index, tree.count)
        .await
        .unwrap()
        .unwrap();
    assert!(outbox::verify(tree.count, &tree.root, &leaf, index, &path));
    world.rig.engine.close_batch().await.unwrap();
    world.replay();
}

#[tokio::test]
async fn a_job_whose_blobs_are_gone_is_declined_and_an_inference_is_refused() {
    let mut world = World::new().await;
    world.deploy().await;
    let root = world.model.program.root();
    std::fs::remove_file(world.dir.path().join("blobs").join(hex::encode(root))).unwrap();
    let refused = world.one(&world.bob, 0, world.infer(world.input(3))).await;
    assert!(matches!(refused, Err(Refused::Execution(_))), "{refused:?}");
    let job = Job {
        job: [100; 32],
        model: 0,
        program_root: root,
        max_price: PRICE,
        output_bytes: 4_096,
        input: world.input(3),
    };
    world.send(Message {
        kind: MessageKind::Job,
        payload: borsh::to_vec(&job).unwrap(),
    });
    world.rig.engine.close_batch().await.unwrap();
    let (_, batch, position) = world.rig.store.job(&[100; 32]).unwrap().unwrap();
    let record = world
        .rig
        .store
        .transaction(batch, position)
        .unwrap()
        .unwrap();
    assert_eq!(record.result.status(), Some(Status::Declined));
    world.replay();
}

#[tokio::test]
async fn messages_that_are_told_twice_are_consumed_once() {
    let world = World::new().await;
    world.rig.engine.inbox(0, world.messages.clone()).unwrap();
    // A gap is not taken either.
    let beyond = deposit(&world.bob, 5);
    world.rig.engine.inbox(9, vec![beyond]).unwrap();
    assert_eq!(world.rig.engine.close_batch().await, Ok(None));
    assert_eq!(world.balance(&world.bob.public()), 1_000);
}

#[tokio::test]
async fn a_full_queue_and_a_stopped_engine_say_so() {
    let world = World::new().await;
    let admitted: Vec<_> = world
        .rig
        .admission
        .admit(
            (0..1_001)
                .map(|i| sign(&world.bob, i, transfer([5; 32], 1)))
                .collect(),
        )
        .into_iter()
        .map(|(_, a)| a.unwrap())
        .collect();
    let busy = world.rig.engine.submit(admitted.clone()).await;
    assert!(matches!(busy, Err(EngineError::Busy(_))), "{busy:?}");
    let engine = world.rig.engine.clone();
    world.rig.stop().await.unwrap();
    let stopped = engine.submit(admitted[..1].to_vec()).await;
    assert_eq!(stopped, Err(EngineError::Stopped));
}

#[tokio::test]
async fn a_store_serves_one_process_one_rollup_and_one_key() {
    let world = World::new().await;
    let again = Rig::start(
        world.dir.path(),
        Options {
            env: env(),
            limits: BatchLimits::default(),
            executor: ExecutorChoice::Cpu,
            models: ModelLimits::default(),
            queue: 1,
            gate: Default::default(),
        },
    );
    assert!(again.unwrap_err().to_string().contains("in use"));
    let World { dir, rig, .. } = world;
    rig.stop().await.unwrap();
    let other = Options {
        env: Env {
            rollup: [1; 32],
            ..env()
        },
        limits: BatchLimits::default(),
        executor: ExecutorChoice::Cpu,
        models: ModelLimits::default(),
        queue: 1,
        gate: Default::default(),
    };
    let other = Rig::start(dir.path(), other);
    assert!(other.unwrap_err().to_string().contains("rollup"));
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let options = Options {
        env: env(),
        limits: BatchLimits::default(),
        executor: ExecutorChoice::Cpu,
        models: ModelLimits::default(),
        queue: 1,
        gate: Default::default(),
    };
    let error = Rig::start(&file.join("below"), options).unwrap_err();
    assert!(error.to_string().contains("data_dir"), "{error}");
}
