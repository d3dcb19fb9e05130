//! `settle_job`.

use super::*;

#[test]
fn settle_job_pays_and_keeps_the_output() {
    let mut s = Scene::new();
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    let before = [ran.sequencer, ran.publisher, s.client.pubkey()].map(|k| s.r.svm.lamports(&k));
    let sent = accepted(s.r.settle_ran(&ran, args));
    let after = [ran.sequencer, ran.publisher, s.client.pubkey()].map(|k| s.r.svm.lamports(&k));
    assert_eq!(
        [0, 1, 2].map(|i| after[i] - before[i]),
        [150_000, 1_350_000, 500_000]
    );
    let job = s.r.job(&s.job);
    assert_eq!(job.status, JobStatus::Settled);
    assert_eq!((job.price, job.model_version), (1_500_000, 3));
    assert_eq!(
        (job.sequencer, job.publisher),
        (ran.sequencer, ran.publisher)
    );
    assert_eq!((job.sequencer_due, job.publisher_due), (0, 0));
    assert_eq!(job.done_slot, s.r.svm.slot());
    assert_eq!(job.output.data, outputs()[0].data());
    assert_eq!(job.output.ty, outputs()[0].ty().into());
    assert_eq!(s.r.svm.lamports(&s.job), s.r.svm.rent(Job::size(64)));
    let event: JobSettled = sent.event();
    assert_eq!((event.price, event.sequencer_share), (1_500_000, 150_000));
    assert_eq!((event.output_index, event.output), (0, job.output.data));
}

/// An old result that somebody settles late does not pass as a new one.
#[test]
fn a_result_says_when_it_was_asked_for_and_when_its_batch_was_posted() {
    let mut s = Scene::new();
    let created = s.r.job(&s.job).created_at;
    s.r.svm.warp(1_000);
    let ran = s.ran();
    let index = s.outbox.push(ran.leaf());
    let posted = s.r.svm.time();
    let batch = s.r.finalize_outbox(s.outbox.head());
    // Later batches are final too by then, and the proof may be against one of them.
    s.r.svm.warp(500);
    s.outbox.push(declined(s.r.address, ran.sequencer));
    let later = s.r.finalize_outbox(s.outbox.head());
    s.r.svm.warp(100_000);
    let args = ran.args(&s.outbox, later, index, 0);
    assert!(later > batch);
    accepted(s.r.settle_ran(&ran, args));
    let job = s.r.job(&s.job);
    assert_eq!((job.created_at, job.batch_at), (created, posted));
    assert_eq!(job.done_at, s.r.svm.time());
    assert!(job.batch_at >= job.created_at + 400 && job.done_at >= job.batch_at + 40_000);
}

#[test]
fn the_output_that_was_asked_for_is_delivered_and_no_other() {
    // Asked for 1; asked for one past the last of three.
    for (asked, delivered) in [(1, 1), (9, 2)] {
        let mut s = Scene::new();
        let mut args = s.r.job_args(1);
        args.output_index = asked;
        let client = s.client.insecure_clone();
        accepted(s.r.create_job(&client, args));
        s.job = job(&s.r.address, &client.pubkey(), 1);
        let ran = s.ran();
        let good = s.finalize(&ran, delivered);
        for other in 0..3 {
            if other != delivered {
                let wrong = ran.args(&s.outbox, good.batch, good.index, other);
                refused(s.r.settle_ran(&ran, wrong), EscrowError::WrongOutput);
            }
        }
        accepted(s.r.settle_ran(&ran, good));
        let output = s.r.job(&s.job).output;
        assert_eq!(output.data, outputs()[delivered as usize].data());
    }
}

#[test]
fn a_wrong_output_is_refused() {
    let mut s = Scene::new();
    let ran = s.ran();
    let good = s.finalize(&ran, 0);
    let edit = |f: &dyn Fn(&mut OutputProof)| {
        let mut args = good.clone();
        f(args.output.as_mut().unwrap());
        args
    };
    let wrong = [
        edit(&|p| p.output.data[3] ^= 1),
        edit(&|p| p.output.data.push(0)),
        edit(&|p| p.output.data.truncate(9)),
        edit(&|p| p.output.data.clear()),
        edit(&|p| p.output.ty.dims[0..2].copy_from_slice(&[10, 1])),
        edit(&|p| p.output.ty.dims[1] = 9),
        edit(&|p| {
            p.output.ty.dims[1] = 5;
            p.output.ty.dtype = 1;
        }),
        edit(&|p| p.siblings[0][0] ^= 1),
        edit(&|p| p.siblings.truncate(1)),
        edit(&|p| p.siblings.push([0; 32])),
        edit(&|p| p.count = 4),
        edit(&|p| p.count = 1),
        edit(&|p| p.count = 0),
    ];
    for args in wrong {
        refused(s.r.settle_ran(&ran, args), EscrowError::WrongOutput);
    }
    let no_types = [
        edit(&|p| p.output.ty.dtype = 2),
        edit(&|p| p.output.ty.rank = 7),
        edit(&|p| p.output.ty.dims[2] = 1),
        edit(&|p| p.output.ty.dims[0] = 0),
        edit(&|p| p.output.ty.rank = 3),
        edit(&|p| p.output.ty.dims = [u32::MAX; 6]),
    ];
    for args in no_types {
        refused(s.r.settle_ran(&ran, args), EscrowError::BadTensorType);
    }
    let mut args = good.clone();
    args.output = None;
    refused(s.r.settle_ran(&ran, args), EscrowError::OutputMissing);
    let args = edit(&|p| {
        p.output.data = vec![0; 65];
        p.output.ty.dims[0..2].copy_from_slice(&[5, 13]);
    });
    refused(s.r.settle_ran(&ran, args), EscrowError::OutputTooLong);
    assert_eq!(s.status(), JobStatus::Open);
    accepted(s.r.settle_ran(&ran, good));
}

#[test]
fn a_forged_result_is_refused() {
    let mut s = Scene::new();
    let ran = s.ran();
    let good = s.finalize(&ran, 0);
    type Forgery<'a> = &'a dyn Fn(&mut Ran, &mut SettleJobArgs);
    let forged: [Forgery; 9] = [
        &|_, a| a.result.price -= 1,
        &|_, a| a.result.sequencer_share += 1,
        &|_, a| a.result.version += 1,
        &|_, a| a.result.output_root[0] ^= 1,
        &|_, a| a.index += 1,
        &|_, a| a.index += 1 << 32,
        &|_, a| a.siblings.push([1; 32]),
        &|ran, _| ran.sequencer = Pubkey::new_from_array([1; 32]),
        &|ran, _| ran.publisher = Pubkey::new_from_array([1; 32]),
    ];
    for forge in forged {
        let (mut ran, mut args) = (ran.clone(), good.clone());
        forge(&mut ran, &mut args);
        refused(s.r.settle_ran(&ran, args), EscrowError::WrongProof);
    }
    // Said to be declined, so that the client is refunded.
    let mut args = good.clone();
    args.result.done = false;
    args.output = None;
    refused(s.r.settle_ran(&ran, args), EscrowError::WrongProof);
    // Without its publisher.
    refused(
        s.r.settle_declined(s.job, ran.sequencer, good.clone()),
        EscrowError::WrongProof,
    );
    // For another job of the same client.
    let client = s.client.insecure_clone();
    let args = s.r.job_args(1);
    accepted(s.r.create_job(&client, args));
    let mut other = ran.clone();
    other.job = job(&s.r.address, &client.pubkey(), 1);
    refused(
        s.r.settle_ran(&other, good.clone()),
        EscrowError::WrongProof,
    );
    assert_eq!(s.r.job(&other.job).status, JobStatus::Open);
    accepted(s.r.settle_ran(&ran, good));
}

#[test]
fn a_batch_that_is_not_final_settles_nothing() {
    let mut s = Scene::new();
    let ran = s.ran();
    let index = s.outbox.push(ran.leaf());
    let draft = Draft::new(&s.r, 1).outbox(s.outbox.head());
    s.r.settle(&draft);
    let args = ran.args(&s.outbox, draft.header.number, index, 0);
    refused(
        s.r.settle_ran(&ran, args.clone()),
        SettlementError::NotFinal,
    );
    let mut before = args.clone();
    before.batch -= 1;
    refused(s.r.settle_ran(&ran, before), EscrowError::WrongProof);
    s.r.svm.warp(100);
    accepted(s.r.finalize());
    accepted(s.r.settle_ran(&ran, args));
}

#[test]
fn a_price_over_the_limit_is_refused() {
    let mut s = Scene::new();
    for (price, sequencer_share, error) in [
        (2_000_001, 0, EscrowError::PriceOverLimit as u32),
        (u64::MAX, u64::MAX, EscrowError::PriceOverLimit as u32),
        (1_000_000, 1_000_001, EscrowError::ShareOverPrice as u32),
    ] {
        // Only a batch that breaks the ledger's rules has such a leaf.
        let mut ran = s.ran();
        (ran.price, ran.sequencer_share) = (price, sequencer_share);
        let args = s.finalize(&ran, 0);
        refused(s.r.settle_ran(&ran, args), error + 6_000);
    }
    // All of the limit is within it.
    let mut ran = s.ran();
    ran.price = 2_000_000;
    let args = s.finalize(&ran, 0);
    accepted(s.r.settle_ran(&ran, args));
}

#[test]
fn a_job_is_settled_once() {
    let mut s = Scene::new();
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    accepted(s.r.settle_ran(&ran, args.clone()));
    refused(s.r.settle_ran(&ran, args), EscrowError::JobNotOpen);
    // Nor by another leaf, declined, or refunded.
    let again = s.finalize(&ran, 0);
    refused(s.r.settle_ran(&ran, again), EscrowError::JobNotOpen);
    let no = s.finalize_declined();
    let sequencer = ran.sequencer;
    refused(
        s.r.settle_declined(s.job, sequencer, no),
        EscrowError::JobNotOpen,
    );
    s.reach_deadline();
    refused(s.r.refund_job(s.job), EscrowError::JobNotOpen);
    assert_eq!(s.status(), JobStatus::Settled);
}

#[test]
fn a_declined_job_is_refunded() {
    let mut s = Scene::new();
    let args = s.finalize_declined();
    let sequencer = s.r.sequencer.pubkey();
    let before = s.r.svm.lamports(&s.client.pubkey());
    // It has no output, whatever is passed.
    let mut with_output = args.clone();
    with_output.output = s.ran().args(&s.outbox, args.batch, args.index, 0).output;
    refused(
        s.r.settle_declined(s.job, sequencer, with_output),
        EscrowError::OutputUnexpected,
    );
    let sent = accepted(s.r.settle_declined(s.job, sequencer, args.clone()));
    let event: JobDeclined = sent.event();
    assert_eq!((event.job, event.refund), (s.job, 2_000_000));
    assert_eq!(s.r.svm.lamports(&s.client.pubkey()), before + 2_000_000);
    assert_eq!(s.status(), JobStatus::Declined);
    refused(
        s.r.settle_declined(s.job, sequencer, args),
        EscrowError::JobNotOpen,
    );
}

#[test]
fn wrong_accounts_of_settle_job_are_refused() {
    let mut s = Scene::new();
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    let good =
        s.r.settle_job_accounts(s.job, ran.sequencer, Some(ran.publisher));
    let data = || args::SettleJob { args: args.clone() };
    // Somebody else as the client: the rest of the price would go there.
    let mut accounts = good;
    accounts.client = Pubkey::new_from_array([1; 32]);
    assert!(s.r.send_escrow(Wire::V1, accounts, data(), &[]).is_err());
    // A job account of another owner, with the same bytes.
    let mut copy = s.r.svm.account(&s.job).unwrap();
    copy.owner = settlement::ID;
    let fake = Pubkey::new_from_array([13; 32]);
    s.r.svm.inner().set_account(fake, copy).unwrap();
    let mut accounts = good;
    accounts.job = fake;
    refused(
        s.r.send_escrow(Wire::V1, accounts, data(), &[]),
        ErrorCode::AccountOwnedByWrongProgram,
    );
    // Another rollup, where anybody may post anything, with its own chain.
    accepted(s.r.initialize(8, config()));
    let other = settlement::seeds::rollup(8);
    let mut accounts = good;
    accounts.rollup = other;
    accounts.chain = settlement::seeds::chain(&other);
    assert!(s.r.send_escrow(Wire::V1, accounts, data(), &[]).is_err());
    let mut accounts = good;
    accounts.chain = settlement::seeds::chain(&other);
    refused(
        s.r.send_escrow(Wire::V1, accounts, data(), &[]),
        ErrorCode::ConstraintSeeds,
    );
    assert_eq!(s.status(), JobStatus::Open);
    accepted(s.r.send_escrow(Wire::V1, good, data(), &[]));
}

/// The largest result there may be, in legacy transactions; and nothing but the very arguments, from a buffer of
/// the settlement program.
#[test]
fn the_largest_result_is_settled_from_a_buffer() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let mut args = s.r.job_args(1);
    args.output_bytes = MAX_OUTPUT;
    accepted(s.r.create_job(&client, args));
    s.job = job(&s.r.address, &client.pubkey(), 1);
    let values: Vec<i8> = (0..MAX_OUTPUT).map(|i| i as i8).collect();
    let ran = Ran {
        outputs: vec![Tensor::from_i8(&[MAX_OUTPUT], &values).unwrap()],
        ..s.ran()
    };
    let good = s.finalize(&ran, 0);
    let settler = s.r.svm.rich_key();
    let accounts =
        s.r.settle_job_accounts(ran.job, ran.sequencer, Some(ran.publisher));
    let settle = instruction(escrow::ID, accounts, args::SettleJob { args: good });
    let (from, bytes) = build::settle_job_from_buffer(&settle, &Pubkey::default());
    let with = |buffer: Pubkey| {
        let mut from = from.clone();
        from.accounts.last_mut().unwrap().pubkey = buffer;
        from
    };
    // One that is cut, one with a byte behind it, and an account of another kind.
    let cut = s.r.buffered(&settler, 1, &bytes[..bytes.len() - 1]);
    let longer = s.r.buffered(&settler, 2, &[&bytes[..], &[0]].concat());
    for buffer in [cut, longer] {
        refused(s.r.svm.send(&[with(buffer)], &[]), EscrowError::BadBuffer);
    }
    refused(
        s.r.svm.send(&[with(s.job)], &[]),
        ErrorCode::AccountOwnedByWrongProgram,
    );
    let buffer = s.r.buffered(&settler, 3, &bytes);
    accepted(s.r.svm.send(&[with(buffer)], &[]));
    let settled = s.r.job(&s.job);
    assert_eq!(settled.status, JobStatus::Settled);
    assert_eq!(settled.output.data, ran.outputs[0].data());
    refused(s.r.svm.send(&[with(buffer)], &[]), EscrowError::JobNotOpen);
}
