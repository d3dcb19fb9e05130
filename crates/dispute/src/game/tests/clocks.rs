//! Whose clock runs, how it ends, and how long it can take.

use super::*;

#[test]
fn a_dispute_is_classified_by_one_function() {
    let world = World::new();
    let mut dispute = after(&world, "");
    let turn = Class::Turn(Side::Challenger, CLOCK);
    for (live, now, class) in [
        (true, 0, turn),
        (true, CLOCK, turn),
        (true, CLOCK + 1, Class::Expired(Side::Challenger)),
        (false, 0, Class::Moot),
        (false, CLOCK + 1, Class::Moot),
    ] {
        assert_eq!(dispute.class(live, now), class);
        let mut after = dispute.clone();
        let played = after.play(Move::Claim(Claim::Transactions), live, now);
        let timed = dispute.clone().time_out(live, now);
        let verdict = Verdict {
            winner: Side::Asserter,
            reason: Reason::Time,
        };
        let (expected_play, expected_time) = match class {
            Class::Turn(..) => (Ok(()), Err(Refused::InTime)),
            Class::Expired(_) => (Err(Refused::Late), Ok(verdict)),
            _ => (Err(Refused::Moot), Err(Refused::Moot)),
        };
        assert_eq!((played, timed), (expected_play, expected_time));
        assert_eq!(after == dispute, expected_play.is_err());
    }
    // The other side's clock.
    dispute
        .play(Move::Claim(Claim::Transactions), true, 40)
        .unwrap();
    let deadline = 40 + CLOCK;
    assert_eq!(
        dispute.class(true, deadline),
        Class::Turn(Side::Asserter, deadline)
    );
    let late = dispute.class(true, deadline + 1);
    assert_eq!(late, Class::Expired(Side::Asserter));
    let verdict = dispute.time_out(true, deadline + 1).unwrap();
    assert_eq!(verdict.winner, Side::Challenger);
    // A verdict stands, whatever becomes of the batch and however much time passes.
    for (live, now) in [(true, 0), (false, 0), (true, u64::MAX)] {
        assert_eq!(dispute.class(live, now), Class::Over(verdict));
        assert_eq!(dispute.time_out(live, now), Err(Refused::Over));
        let made = Move::Claim(Claim::Transactions);
        assert_eq!(dispute.play(made, live, now), Err(Refused::Over));
    }
}

#[test]
fn whoever_waits_to_the_last_slot_ends_within_the_bound() {
    let world = World::new();
    let (way, _) = WAYS[0];
    let mut now = 0;
    let mut dispute = Dispute::open(world.header, [9; 32], now);
    for next in way.split_whitespace() {
        let Class::Turn(_, deadline) = dispute.class(true, now) else {
            unreachable!()
        };
        now = deadline;
        let next = made(&world, &dispute, next);
        dispute.play(next, true, now).unwrap();
    }
    let moves = way.split_whitespace().count() as u32;
    assert_eq!(dispute.moves, moves);
    // Both clocks are used up once, and every turn but each side's first has an extension.
    assert_eq!(now, 2 * CLOCK + u64::from(moves - 2) * EXTENSION);
    let Class::Turn(Side::Challenger, deadline) = dispute.class(true, now) else {
        unreachable!()
    };
    dispute.time_out(true, deadline + 1).unwrap();
    assert!(deadline < longest(&world.header.params));
}

#[test]
fn the_largest_dispute_fits_its_account() {
    let descent = |depth: u32| Descent {
        root: [1; 32],
        count: 1 << depth,
        height: 0,
        index: 0,
        node: [1; 32],
        siblings: vec![[1; 32]; depth as usize],
        revealed: vec![],
    };
    let world = World::new();
    let run = Box::new(Run {
        leaf: Box::new(Leaf {
            descent: descent(MAX_DEPTH),
            result: world.result(),
        }),
        program: world.program.header(),
        outputs: [1; 32],
        descent: descent(OPERATORS_DEPTH),
    });
    let mut dispute = Dispute::open(world.header, [9; 32], 0);
    dispute.stage = Stage::Tensor(Box::new(Value {
        run: run.clone(),
        operator: vec![1; MAX_LEAF],
        descent: Descent {
            revealed: vec![[1; 32]; 64],
            ..descent(CHUNKS_DEPTH)
        },
    }));
    let size = |dispute: &Dispute| borsh::to_vec(dispute).unwrap().len();
    assert_eq!(size(&dispute), Dispute::MAX_SIZE);
    let states = Box::new(States {
        before: [1; 32],
        leaf: Some(run.leaf.clone()),
    });
    let full = Descent {
        revealed: vec![[1; 32]; 64],
        ..descent(MAX_DEPTH)
    };
    dispute.stage = Stage::States(states, full);
    assert!(size(&dispute) <= Dispute::MAX_SIZE);
    // The operators' nodes have been revealed with the leaf, and those of the outputs now are.
    let root = |depth: u32| Descent {
        height: depth as u8,
        siblings: vec![],
        revealed: vec![[1; 32]; 64],
        ..descent(depth)
    };
    dispute.stage = Stage::Ran(Box::new(Run {
        program: ProgramHeader {
            outputs: MAX_OUTPUTS as u32,
            ..run.program
        },
        descent: root(OPERATORS_DEPTH),
        ..*run
    }));
    dispute.play(Move::Claim(Claim::Outputs), true, 0).unwrap();
    let Stage::Outputs(_, outputs) = &mut dispute.stage else {
        unreachable!()
    };
    *outputs = root(OUTPUTS_DEPTH);
    let most = size(&dispute);
    assert!(most <= Dispute::MAX_SIZE, "{most}");
    assert_eq!((MAX_MOVES, Dispute::MAX_SIZE), (41, 5_963));
}
