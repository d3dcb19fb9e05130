//! Moves that are refused.

use super::*;

#[test]
fn of_whoever_does_not_make_such_moves() {
    let mut game = disputed();
    let stranger = game.r.svm.rich_key();
    let dispute = game.dispute;
    for made in [transactions(), Move::Choose { child: 0 }] {
        refused(game.by_asserter(&made), E::WrongPlayer);
        refused(game.r.play(&stranger, &dispute, &made), E::WrongPlayer);
    }
    accepted(game.by_challenger(&transactions()));
    let reveal = game.answer();
    let leaf = Move::RevealLeaf {
        result: TxResult::default(),
        run: None,
    };
    let states = Move::PostStates {
        root: [1; 32],
        nodes: vec![],
    };
    let tensor = Move::RevealTensor {
        operator: vec![],
        path: vec![],
        data_root: [1; 32],
        nodes: vec![],
    };
    let chunk = Move::RevealChunk { bytes: vec![1] };
    for made in [reveal, leaf, states, tensor, chunk] {
        refused(game.by_challenger(&made), E::WrongPlayer);
        refused(game.r.play(&stranger, &dispute, &made), E::WrongPlayer);
    }
    // Another's dispute over the same batch is not this challenger's to play.
    let theirs = game.r.disputed(&stranger, 0, &game.asserter.header());
    refused(
        game.r.play(&game.challenger, &theirs, &transactions()),
        E::WrongPlayer,
    );
}

#[test]
fn out_of_turn_and_out_of_order() {
    let mut game = disputed();
    let child = Move::Choose { child: 0 };
    refused(
        game.by_asserter(&Move::RevealChunk { bytes: vec![1] }),
        E::WrongTurn,
    );
    refused(game.by_challenger(&child), E::WrongStage);
    refused(
        game.by_challenger(&Move::Claim(Claim::Execution)),
        E::WrongStage,
    );
    accepted(game.by_challenger(&transactions()));
    refused(game.by_challenger(&child), E::WrongTurn);
    refused(game.by_challenger(&transactions()), E::WrongTurn);
    refused(
        game.by_asserter(&Move::RevealChunk { bytes: vec![1] }),
        E::WrongStage,
    );
    let reveal = game.answer();
    accepted(game.by_asserter(&reveal));
    refused(game.by_asserter(&reveal), E::WrongTurn);
    refused(game.by_challenger(&transactions()), E::WrongStage);
}

/// A move that arrives a second time, or after another, is for a state that has passed.
#[test]
fn of_a_move_on_another_state() {
    let mut game = disputed();
    let dispute = game.dispute;
    let old = game.r.dispute(&dispute).2;
    let key = game.challenger.insecure_clone();
    accepted(
        game.r
            .play_on(Wire::Legacy, &key, &dispute, old, &transactions()),
    );
    refused(
        game.r
            .play_on(Wire::Legacy, &key, &dispute, old, &transactions()),
        E::OtherState,
    );
    accepted(game.by_asserter(&game.answer()));
    let state = game.r.dispute(&dispute).2;
    let choose = Move::Choose { child: 1 };
    accepted(game.r.play_on(Wire::Legacy, &key, &dispute, state, &choose));
    accepted(game.by_asserter(&game.answer()));
    // It would be taken for the choice one level further down.
    refused(
        game.r.play_on(Wire::Legacy, &key, &dispute, state, &choose),
        E::OtherState,
    );
    accepted(game.by_challenger(&choose));
}

#[test]
fn of_what_does_not_open() {
    let mut game = disputed();
    let wrong = Move::Claim(Claim::State { parent: None });
    refused(game.by_challenger(&wrong), E::NotTheParent);
    let wrong = Move::Claim(Claim::State {
        parent: Some(game.asserter.header()),
    });
    refused(game.by_challenger(&wrong), E::NotTheParent);
    accepted(game.by_challenger(&transactions()));
    let Move::Reveal { nodes } = game.answer() else {
        panic!("not a reveal");
    };
    let reveal = |nodes: &[[u8; 32]]| Move::Reveal {
        nodes: nodes.to_vec(),
    };
    refused(game.by_asserter(&reveal(&nodes[1..])), E::TreeLevels);
    refused(game.by_asserter(&reveal(&[])), E::TreeLevels);
    let mut other = nodes.clone();
    other.swap(0, 1);
    refused(game.by_asserter(&reveal(&other)), E::TreeNodes);
    accepted(game.by_asserter(&reveal(&nodes)));
    let past = nodes.len() as u8;
    refused(
        game.by_challenger(&Move::Choose { child: past }),
        E::TreeChild,
    );
    accepted(game.by_challenger(&Move::Choose { child: 0 }));
    accepted(game.by_asserter(&game.answer()));
    accepted(game.by_challenger(&Move::Choose { child: 0 }));

    let leaf = game.answer();
    let with = |change: &dyn Fn(&mut TxResult, &mut Option<RunClaim>)| {
        let mut made = leaf.clone();
        if let Move::RevealLeaf { result, run } = &mut made {
            change(result, run);
        }
        made
    };
    let made = with(&|_, run| *run = None);
    refused(game.by_asserter(&made), E::NoRun);
    let made = with(&|result, _| result.program_root = [0; 32]);
    refused(game.by_asserter(&made), E::NoRun);
    let made = with(&|result, _| result.program_root = [1; 32]);
    refused(game.by_asserter(&made), E::OtherProgram);
    let made = with(&|_, run| run.as_mut().expect("a run").outputs = [1; 32]);
    refused(game.by_asserter(&made), E::OtherOutputs);
    let made = with(&|_, run| run.as_mut().expect("a run").trace = [1; 32]);
    refused(game.by_asserter(&made), E::TreeNodes);
    accepted(game.by_asserter(&leaf));
    game.along(&[Claim::Execution]);
}

#[test]
fn of_another_value_or_chunk() {
    let mut game = disputed();
    accepted(game.by_challenger(&transactions()));
    loop {
        let state = game.r.dispute(&game.dispute).1;
        let made = match &state.stage {
            Stage::Ran(_) => Move::Claim(Claim::Execution),
            Stage::TensorRoot(_) => break,
            stage if stage.turn() == Some(Side::Challenger) => Move::Choose { child: 0 },
            _ => game.answer(),
        };
        accepted(match made.side() {
            Side::Challenger => game.by_challenger(&made),
            Side::Asserter => game.by_asserter(&made),
        });
    }
    let right = game.answer();
    let mut made = right.clone();
    if let Move::RevealTensor { operator, .. } = &mut made {
        operator.push(0);
    }
    refused(game.by_asserter(&made), E::OtherOperator);
    let mut made = right.clone();
    if let Move::RevealTensor { path, .. } = &mut made {
        path[0] = [1; 32];
    }
    refused(game.by_asserter(&made), E::OtherOperator);
    let mut made = right.clone();
    if let Move::RevealTensor { data_root, .. } = &mut made {
        *data_root = [1; 32];
    }
    refused(game.by_asserter(&made), E::OtherTensor);
    accepted(game.by_asserter(&right));
    accepted(game.by_challenger(&Move::Choose { child: 3 }));
    let Move::RevealChunk { bytes } = game.answer() else {
        panic!("not a chunk");
    };
    let chunk = |bytes: &[u8]| Move::RevealChunk {
        bytes: bytes.to_vec(),
    };
    refused(game.by_asserter(&chunk(&bytes[1..])), E::OtherChunk);
    let mut other = bytes.clone();
    other[0] ^= 1;
    refused(game.by_asserter(&chunk(&other)), E::OtherChunk);
    accepted(game.by_asserter(&chunk(&bytes)));
}
