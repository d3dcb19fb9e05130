//! Moves through buffers, and who may do what with those.

use super::*;

#[test]
fn a_move_from_a_buffer_is_the_same_move() {
    let mut game = disputed();
    let (key, other) = (
        game.sequencer.insecure_clone(),
        game.challenger.insecure_clone(),
    );
    accepted(game.by_challenger(&transactions()));
    // More nodes than a legacy transaction holds.
    let made = game.asserter.answer(&game.r.dispute(&game.dispute).1, 6);
    let buffer = game.r.buffered_move(&key, 0, &made);
    let dispute = game.dispute;
    refused(
        game.r.play_from_buffer(&other, &dispute, &buffer),
        E::ForeignBuffer,
    );
    let theirs = game.r.buffered_move(&other, 0, &made);
    refused(
        game.r.play_from_buffer(&other, &dispute, &theirs),
        E::WrongPlayer,
    );
    let sent = accepted(game.r.play_from_buffer(&key, &dispute, &buffer));
    let event: DisputeMoved = sent.event();
    assert_eq!((event.kind, event.buffer), (MoveKind::Reveal, Some(buffer)));
    let Stage::Transactions(descent) = game.stage() else {
        panic!("{:?}", game.stage());
    };
    assert_eq!(
        Move::Reveal {
            nodes: descent.revealed
        },
        made
    );
    // The same once more is no move for the challenger's turn.
    refused(
        game.r.play_from_buffer(&key, &dispute, &buffer),
        E::WrongTurn,
    );
    accepted(game.r.close_buffer(&key, &buffer));
    refused(
        game.r.play_from_buffer(&key, &dispute, &buffer),
        ErrorCode::AccountOwnedByWrongProgram,
    );
}

#[test]
fn what_is_not_a_move_is_refused() {
    let mut game = disputed();
    let key = game.challenger.insecure_clone();
    let mut bytes = encode(&transactions());
    bytes.push(0);
    for (id, bytes) in [bytes, vec![99], vec![1, 255, 255, 255, 255]]
        .iter()
        .enumerate()
    {
        let buffer = game.r.buffered(&key, id as u64, bytes);
        let dispute = game.dispute;
        refused(
            game.r.play_from_buffer(&key, &dispute, &buffer),
            E::NotAMove,
        );
    }
}

#[test]
fn belong_to_who_opened_them() {
    let mut r = TestRollup::new(1);
    let (owner, stranger) = (r.svm.rich_key(), r.svm.rich_key());
    let before = r.svm.lamports(&owner.pubkey());
    let buffer = r.buffered(&owner, 7, &[5; 2_000]);
    assert_eq!(buffer, pda::buffer(&owner.pubkey(), 7));
    let account = r.svm.account(&buffer).expect("a buffer");
    let head: Buffer = bytemuck::pod_read_unaligned(&account.data[8..Buffer::head_size()]);
    assert_eq!((head.owner, head.len), (owner.pubkey(), 2_000));
    assert_eq!(Buffer::bytes(&account.data).expect("bytes"), [5; 2_000]);
    refused(
        r.write_buffer(&stranger, &buffer, 0, &[1]),
        E::ForeignBuffer,
    );
    refused(r.close_buffer(&stranger, &buffer), E::ForeignBuffer);
    refused(r.write_buffer(&owner, &buffer, 2_000, &[1]), E::BufferRange);
    refused(
        r.write_buffer(&owner, &buffer, 1_999, &[1, 2]),
        E::BufferRange,
    );
    refused(
        r.write_buffer(&owner, &buffer, u32::MAX, &[1]),
        E::BufferRange,
    );
    accepted(r.write_buffer(&owner, &buffer, 1_999, &[1]));
    accepted(r.close_buffer(&owner, &buffer));
    assert_eq!(r.svm.lamports(&owner.pubkey()), before);
    assert!(r.svm.account(&buffer).is_none());
}

#[test]
fn hold_up_to_160_kib() {
    let mut r = TestRollup::new(1);
    let owner = r.svm.rich_key();
    accepted(r.open_buffer(&owner, 0, MAX_BUFFER));
    refused(r.open_buffer(&owner, 1, MAX_BUFFER + 1), E::BufferSize);
    refused(r.open_buffer(&owner, 1, 0), E::BufferSize);
    let buffer = pda::buffer(&owner.pubkey(), 0);
    accepted(r.write_buffer(&owner, &buffer, MAX_BUFFER - 3, &[1, 2, 3]));
    // Opened once.
    let open = assay_client::instructions::disputes::open_buffer(&owner.pubkey(), 0, MAX_BUFFER, 0);
    refused(r.svm.send(&open[2..], &[&owner]), ErrorCode::ConstraintZero);
    // Of another size than its account.
    let mut open =
        assay_client::instructions::disputes::open_buffer(&owner.pubkey(), 1, 5, r.svm.rent(100));
    open[2] =
        assay_client::instructions::disputes::open_buffer(&owner.pubkey(), 1, 6, 0)[2].clone();
    refused(r.svm.send(&open, &[&owner]), E::BufferSize);
}

/// Where the next buffer will be, anybody can know, and send lamports to: its owner opens it all the
/// same.
#[test]
fn cannot_be_kept_from_being_opened() {
    let mut r = TestRollup::new(1);
    let (owner, stranger) = (r.svm.rich_key(), r.svm.rich_key());
    let buffer = pda::buffer(&owner.pubkey(), 3);
    let rent = r.svm.rent(0);
    let gift = system::transfer(&stranger.pubkey(), &buffer, rent);
    r.svm.send(&[gift], &[&stranger]).expect("a gift");
    accepted(r.open_buffer(&owner, 3, 100));
    accepted(r.write_buffer(&owner, &buffer, 97, &[1, 2, 3]));
    accepted(r.close_buffer(&owner, &buffer));
}
