//! `refund_job` and `close_job`.

use super::*;

#[test]
fn refund_job_needs_the_deadline_and_an_unconsumed_message() {
    let mut s = Scene::new();
    refused(s.r.refund_job(s.job), EscrowError::TooEarly);
    let deadline = s.r.job(&s.job).deadline;
    let slot = s.r.svm.slot();
    s.r.svm.warp(deadline - slot);
    // The deadline itself is the last slot before.
    refused(s.r.refund_job(s.job), EscrowError::TooEarly);
    s.r.svm.warp(1);
    let before = s.r.svm.lamports(&s.client.pubkey());
    let sent = accepted(s.r.refund_job(s.job));
    let event: JobRefunded = sent.event();
    assert_eq!((event.job, event.refund), (s.job, 2_000_000));
    assert_eq!(s.r.svm.lamports(&s.client.pubkey()), before + 2_000_000);
    assert_eq!(s.status(), JobStatus::Refunded);
    refused(s.r.refund_job(s.job), EscrowError::JobNotOpen);

    // A batch that runs it afterwards is not paid, nor can it decline.
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    refused(s.r.settle_ran(&ran, args), EscrowError::JobNotOpen);
    let args = s.finalize_declined();
    refused(
        s.r.settle_declined(s.job, ran.sequencer, args),
        EscrowError::JobNotOpen,
    );
}

#[test]
fn a_job_that_a_batch_has_consumed_is_not_refunded() {
    let mut s = Scene::new();
    let ran = s.ran();
    let index = s.outbox.push(ran.leaf());
    let draft = Draft::new(&s.r, 1).outbox(s.outbox.head());
    s.reach_deadline();
    // Consumed by a pending batch, and by a final one.
    let number =
        s.r.settle(&draft)
            .event::<settlement::events::BatchPosted>();
    refused(s.r.refund_job(s.job), EscrowError::Consumed);
    s.r.svm.warp(100);
    accepted(s.r.finalize());
    refused(s.r.refund_job(s.job), EscrowError::Consumed);
    let args = ran.args(&s.outbox, number.header.number, index, 0);
    accepted(s.r.settle_ran(&ran, args));
}

/// The result is final and its output withheld by all who have it: the money is not locked for ever.
#[test]
fn a_job_that_nobody_settles_is_refunded_at_last() {
    let mut s = Scene::new();
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    s.reach_deadline();
    s.r.svm.warp(CLAIM_SLOTS - 1);
    refused(s.r.refund_job(s.job), EscrowError::Consumed);
    s.r.svm.warp(1);
    let before = s.r.svm.lamports(&s.client.pubkey());
    accepted(s.r.refund_job(s.job));
    assert_eq!(s.r.svm.lamports(&s.client.pubkey()), before + 2_000_000);
    assert_eq!(s.status(), JobStatus::Refunded);
    // Who kept it to himself comes too late.
    refused(s.r.settle_ran(&ran, args), EscrowError::JobNotOpen);
}

#[test]
fn the_latest_deadline_is_reached() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let mut args = s.r.job_args(1);
    args.deadline += DEADLINE_SLOTS;
    accepted(s.r.create_job(&client, args));
    s.r.finalize_outbox(s.outbox.head());
    let late = job(&s.r.address, &client.pubkey(), 1);
    let left = s.r.job(&late).deadline - s.r.svm.slot();
    s.r.svm.warp(left);
    refused(s.r.refund_job(late), EscrowError::TooEarly);
    s.r.svm.warp(1);
    refused(s.r.refund_job(late), EscrowError::Consumed);
    s.r.svm.warp(CLAIM_SLOTS);
    accepted(s.r.refund_job(late));
}

#[test]
fn a_batch_that_stops_before_the_job_does_not_hold_the_refund() {
    let mut s = Scene::new();
    // A job behind the first one, and a batch that consumes the first alone.
    let other = s.r.svm.rich_key();
    let chain = s.r.account().inbox_chain;
    let args = s.r.job_args(0);
    accepted(s.r.create_job(&other, args));
    let second = job(&s.r.address, &other.pubkey(), 0);
    let draft = Draft::new(&s.r, 1).inbox(1, chain);
    s.r.settle(&draft);
    s.reach_deadline();
    refused(s.r.refund_job(s.job), EscrowError::Consumed);
    accepted(s.r.refund_job(second));
}

#[test]
fn close_job_returns_the_rent_when_the_job_is_done() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    refused(s.r.close_job(&client, s.job), EscrowError::JobOpen);
    let ran = s.ran();
    let args = s.finalize(&ran, 0);
    accepted(s.r.settle_ran(&ran, args.clone()));
    let stranger = s.r.svm.rich_key();
    assert!(s.r.close_job(&stranger, s.job).is_err());
    let before = s.r.svm.lamports(&client.pubkey());
    let rent = s.r.svm.rent(Job::size(64));
    let sent = accepted(s.r.close_job(&client, s.job));
    assert_eq!(sent.event::<JobClosed>().lamports, rent);
    assert_eq!(s.r.svm.lamports(&client.pubkey()), before + rent);
    assert!(s.r.svm.account(&s.job).is_none());
}
