//! Each way through a dispute.

use super::*;

/// Every move fits a legacy transaction, and its event tells what is needed to follow the
/// game and to make the next one.
fn check(game: &Disputed, sent: &[Sent]) {
    let opened: DisputeOpened = game.opened.event();
    let mut turn = Party::Challenger;
    let mut names = vec![opened.state];
    for (i, sent) in sent.iter().enumerate() {
        let event: DisputeMoved = sent.event();
        assert_eq!((event.dispute, event.number), (game.dispute, 2));
        assert_eq!((event.moves, event.side), (i as u32 + 1, turn));
        assert_eq!(event.deadline, game.r.svm.slot() + CLOCK);
        assert_eq!(event.buffer, None);
        turn = event.turn;
        assert!(!names.contains(&event.state));
        names.push(event.state);
    }
    let (_, state, name) = game.r.dispute(&game.dispute);
    assert_eq!(names.last(), Some(&name));
    assert_eq!(state.moves as usize, sent.len());
    assert_eq!(
        turn == Party::Challenger,
        state.stage.turn() == Some(Side::Challenger)
    );
    let last: DisputeMoved = sent.last().expect("moves").event();
    assert_eq!(last.stage, StageKind::from(&state.stage));
}

#[test]
fn to_an_element() {
    let mut game = disputed();
    let sent = game.along(&[Claim::Transactions, Claim::Execution]);
    // A claim; two reveals and choices down 6 levels; the leaf with 4 of its run's 6 levels;
    // a claim; a choice, a reveal, a choice; the value with its 2 levels; a choice; the chunk.
    assert_eq!(sent.len(), 1 + 4 + 1 + 1 + 3 + 1 + 1 + 1);
    check(&game, &sent);
    let Stage::Element(value, bytes) = game.stage() else {
        panic!("{:?}", game.stage());
    };
    assert_eq!(value.run.leaf.descent.index, 39);
    assert_eq!((value.run.descent.index, value.descent.index), (39, 3));
    assert_eq!(bytes.len(), 1_600 - 3 * 512);
}

#[test]
fn to_an_output() {
    let mut game = disputed();
    let sent = game.along(&[Claim::Transactions, Claim::Outputs]);
    check(&game, &sent);
    assert!(matches!(game.stage(), Stage::Output(..)));
}

#[test]
fn to_a_state() {
    let mut game = disputed();
    let claim = game.state_claim();
    let sent = game.along(&[claim]);
    check(&game, &sent);
    let Stage::StateStep(states, descent) = game.stage() else {
        panic!("{:?}", game.stage());
    };
    assert_eq!((states.leaf, descent.index), (None, 40));
    let before = game.parent.state.next_batch().root();
    assert_eq!(states.before, before);
}

#[test]
fn to_the_state_after_a_leaf() {
    let mut game = disputed();
    let claim = game.state_claim();
    let sent = game.along(&[Claim::Transactions, claim]);
    check(&game, &sent);
    let Stage::StateStep(states, _) = game.stage() else {
        panic!("{:?}", game.stage());
    };
    assert_eq!(states.leaf.expect("a leaf").descent.index, 39);
}
