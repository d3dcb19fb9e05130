//! Jobs from L1: what the ledger would not run is not run, and what it runs is, whenever that shows.

use super::*;

const BARRIER: &str = "what came before is applied";

impl World {
    fn job(&self, name: u8) -> Job {
        Job {
            job: [name; 32],
            model: 0,
            program_root: self.model.program.root(),
            max_price: PRICE,
            output_bytes: 4_096,
            input: self.input(3),
        }
    }

    /// How the job of this name ended, and the batch it is in.
    fn outcome(&self, name: u8) -> (Status, u64) {
        let (_, batch, position) = self.rig.store.job(&[name; 32]).unwrap().unwrap();
        let record = self.rig.store.transaction(batch, position).unwrap();
        (record.unwrap().result.status().unwrap(), batch)
    }

    fn send_all(&mut self, messages: Vec<Message>) {
        let first = self.messages.len() as u64;
        self.messages.extend(messages.iter().cloned());
        self.rig.engine.inbox(first, messages).unwrap();
    }
}

fn message(job: &Job) -> Message {
    Message {
        kind: MessageKind::Job,
        payload: borsh::to_vec(job).unwrap(),
    }
}

#[tokio::test]
async fn no_model_runs_for_a_job_that_the_ledger_refuses() {
    let mut world = World::new().await;
    // Deployed in batch 2 and callable from batch 3 on.
    world.deploy_open().await;
    world.send(message(&world.job(100)));
    world.rig.engine.close_batch().await.expect(BARRIER);
    assert_eq!(world.outcome(100), (Status::NotCallable, 2));
    let refused = [
        (
            Job {
                output_bytes: 9,
                ..world.job(101)
            },
            Status::OutputSize,
        ),
        (
            Job {
                max_price: PRICE - 1,
                ..world.job(102)
            },
            Status::PriceLimit,
        ),
        (
            Job {
                input: vec![1; 3],
                ..world.job(103)
            },
            Status::InputSize,
        ),
        (
            Job {
                program_root: [1; 32],
                ..world.job(104)
            },
            Status::NoSuchModel,
        ),
        (
            Job {
                model: 7,
                ..world.job(105)
            },
            Status::NoSuchModel,
        ),
    ];
    world.send_all(refused.iter().map(|(job, _)| message(job)).collect());
    world.rig.engine.close_batch().await.expect(BARRIER);
    for (job, status) in refused {
        assert_eq!(world.outcome(job.job[0]), (status, 3));
    }
    assert_eq!(world.rig.metrics.runs.get(), 0);
    world.send(message(&world.job(106)));
    world.rig.engine.close_batch().await.expect(BARRIER);
    assert_eq!(world.outcome(106), (Status::Done, 4));
    assert_eq!(world.rig.metrics.runs.get(), 1);
    world.replay();
}

/// Between ordering and application a batch is closed, and the job becomes callable.
#[tokio::test]
async fn a_run_that_turns_out_to_be_needed_is_made_then() {
    let limits = BatchLimits {
        transactions: 3,
        ..Default::default()
    };
    let mut world = World::with(limits).await;
    let paid = world.one(&world.bob, 0, transfer([5; 32], 1)).await;
    assert_eq!(paid.unwrap().batch, 2);
    world.deploy_open().await;
    let (carol, message) = (Keypair::from_seed([3; 32]), message(&world.job(100)));
    world.send_all(vec![deposit(&carol, 5), message]);
    world.rig.engine.close_batch().await.expect(BARRIER);
    assert_eq!(world.outcome(100), (Status::Done, 3));
    world.replay();
}

#[tokio::test]
async fn what_is_over_this_sequencers_caps_is_refused_and_declined() {
    let world = World::new().await;
    world.deploy().await;
    let model = world.rig.store.model(0).unwrap().unwrap();
    let memory = world.model.program.bytes();
    assert!(memory > world.model.program.parameter_bytes());
    let all = ModelLimits {
        units: model.units,
        memory,
        output_bytes: model.output_bytes.into(),
        ..Default::default()
    };
    let cases = [
        ModelLimits {
            units: model.units - 1,
            ..all.clone()
        },
        ModelLimits {
            memory: memory - 1,
            ..all.clone()
        },
        ModelLimits {
            output_bytes: u64::from(model.output_bytes) - 1,
            ..all.clone()
        },
    ];
    let mut world = world;
    for (name, models) in (100..).zip(cases) {
        world = world.restart_with(models).await;
        let refused = world.one(&world.bob, 0, world.infer(world.input(3))).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "too_large", "{refused}");
        assert!(
            refused.to_string().contains("this sequencer gives"),
            "{refused}"
        );
        world.send(message(&world.job(name)));
        world.rig.engine.close_batch().await.expect(BARRIER);
        assert_eq!(world.outcome(name).0, Status::Declined);
        assert_eq!(world.rig.metrics.runs.get(), 0);
    }
    let mut world = world.restart_with(all).await;
    world
        .one(&world.bob, 0, world.infer(world.input(3)))
        .await
        .unwrap();
    world.send(message(&world.job(120)));
    world.rig.engine.close_batch().await.expect(BARRIER);
    assert_eq!(world.outcome(120).0, Status::Done);
    world.replay();
}

#[tokio::test]
async fn a_model_that_no_batch_has_room_for_is_not_deployed() {
    let units = import(DIGITS, &Limits::default()).unwrap().program.units();
    let tight = Params {
        max_units: units - 1,
        ..params()
    };
    let world = World::under(tight, BatchLimits::default()).await;
    let refused = world.one(&world.alice, 0, world.deployment()).await;
    assert_eq!(
        refused,
        Err(Refused::TooLarge {
            what: "work units",
            need: units,
            cap: units - 1
        })
    );
}

#[tokio::test]
async fn a_micro_batch_is_bounded_in_work_and_outputs() {
    let world = World::new().await;
    world.deploy().await;
    let model = world.rig.store.model(0).unwrap().unwrap();
    let two = |full: &dyn Fn(&mut BatchLimits)| {
        let mut limits = BatchLimits::default();
        full(&mut limits);
        limits
    };
    let cases = [
        two(&|l| l.micro_batch_units = model.units + 1),
        two(&|l| l.micro_batch_outputs = u64::from(model.output_bytes) + 1),
    ];
    let mut world = world;
    for (round, limits) in (0..).zip(cases) {
        world = World { limits, ..world }.restart().await;
        let requests = (5 * round..5 * round + 5)
            .map(|nonce| sign(&world.bob, nonce, world.infer(world.input(3))))
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
        let text = world.rig.metrics.encode();
        // Two, two and one.
        assert!(text.contains("assay_micro_batch_count 3"), "{text}");
        let jobs = (0..5).map(|i| message(&world.job(100 + 10 * round as u8 + i)));
        let jobs = jobs.collect();
        world.send_all(jobs);
        world.rig.engine.close_batch().await.expect(BARRIER);
        let text = world.rig.metrics.encode();
        assert!(text.contains("assay_micro_batch_count 6"), "{text}");
    }
    world.replay();
}

#[tokio::test]
async fn outputs_that_wait_for_the_rest_of_their_call_are_bounded() {
    let world = World::new().await;
    world.deploy().await;
    let output = u64::from(world.rig.store.model(0).unwrap().unwrap().output_bytes);
    let limits = BatchLimits {
        micro_batch: 1,
        // More than two wait when the fifth is ordered: the fourth is under way then.
        waiting_outputs: 2 * output,
        ..Default::default()
    };
    let world = World { limits, ..world }.restart().await;
    let call = |world: &World, first: u64| {
        let requests = (first..first + 6)
            .map(|nonce| sign(&world.bob, nonce, world.infer(world.input(3))))
            .collect();
        world
            .rig
            .admission
            .admit(requests)
            .into_iter()
            .map(|(_, a)| a.unwrap())
            .collect()
    };
    let answers = world.rig.engine.submit(call(&world, 0)).await.unwrap();
    assert!(answers[..3].iter().all(Result::is_ok), "{answers:?}");
    assert!(
        matches!(answers[4], Err(Refused::Answers(_))),
        "{answers:?}"
    );
    // They are given, and hold nobody up any more.
    let done = answers.iter().filter(|a| a.is_ok()).count() as u64;
    let answers = world.rig.engine.submit(call(&world, done)).await.unwrap();
    assert!(answers[0].is_ok(), "{answers:?}");
}
