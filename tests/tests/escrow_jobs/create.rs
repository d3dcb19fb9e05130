//! `create_job`.

use super::*;

#[test]
fn create_job_locks_the_limit_and_tells_l2() {
    let mut r = new();
    let client = r.svm.rich_key();
    let before = r.svm.lamports(&client.pubkey());
    let args = r.job_args(3);
    let slot = r.svm.slot();
    assert_eq!(args.deadline, slot + 50 + 100 + DEADLINE_MARGIN);
    let fee = r.account().next_fee().unwrap();
    let sent = accepted(r.create_job(&client, args.clone()));
    let address = job(&r.address, &client.pubkey(), 3);
    let state = r.job(&address);
    assert_eq!(
        (state.version, state.status),
        (Job::VERSION, JobStatus::Open)
    );
    assert_eq!((state.client, state.rollup), (client.pubkey(), r.address));
    assert_eq!((state.nonce, state.message, state.model), (3, 0, 0));
    assert_eq!(state.program_root, [4; 32]);
    assert_eq!((state.max_price, state.output_bytes), (2_000_000, 64));
    let account = r.svm.account(&address).unwrap();
    assert_eq!(account.data.len(), Job::size(64));
    let rent = r.svm.rent(Job::size(64));
    assert_eq!(account.lamports, rent + 2_000_000);
    let page = r.svm.rent(settlement::state::InboxPage::size());
    let counter = r.svm.rent(escrow::state::Client::size());
    assert_eq!(
        r.svm.lamports(&client.pubkey()),
        before - rent - 2_000_000 - fee - page - counter
    );

    let payload = encode(&inbox::Job {
        job: address.to_bytes(),
        model: 0,
        program_root: [4; 32],
        max_price: 2_000_000,
        output_bytes: 64,
        input: args.input,
    });
    assert_eq!(
        r.account().inbox_chain,
        chain_next(&inbox::GENESIS, 0, MessageKind::Job, &payload)
    );
    let event: JobCreated = sent.event();
    assert_eq!((event.job, event.message, event.nonce), (address, 0, 3));
    assert_eq!(r.client_account(&client.pubkey()).next_nonce, 4);
}

#[test]
fn a_nonce_is_never_used_twice() {
    let mut s = Scene::new();
    let client = s.client.insecure_clone();
    let args = s.r.job_args(0);
    // The account is there.
    assert!(s.r.create_job(&client, args.clone()).is_err());
    // Even when it is gone: an old result would settle the new job.
    s.reach_deadline();
    accepted(s.r.refund_job(s.job));
    accepted(s.r.close_job(&client, s.job));
    let mut args = s.r.job_args(0);
    args.max_price = 1_999_999;
    refused(s.r.create_job(&client, args), EscrowError::NonceUsed);
    let args = s.r.job_args(7);
    accepted(s.r.create_job(&client, args));
    let args = s.r.job_args(6);
    refused(s.r.create_job(&client, args), EscrowError::NonceUsed);
    let args = s.r.job_args(u64::MAX);
    refused(s.r.create_job(&client, args), EscrowError::Overflow);
    // Other clients have their own.
    let other = s.r.svm.rich_key();
    let args = s.r.job_args(0);
    accepted(s.r.create_job(&other, args));
}

#[test]
fn a_job_out_of_bounds_is_refused() {
    let mut r = new();
    let client = r.svm.rich_key();
    let good = r.job_args(0);

    let mut args = good.clone();
    args.deadline -= 1;
    refused(r.create_job(&client, args), EscrowError::DeadlineTooEarly);
    for late in [1, 1 << 40, u64::MAX - good.deadline - DEADLINE_SLOTS] {
        let mut args = good.clone();
        args.deadline += DEADLINE_SLOTS + late;
        refused(r.create_job(&client, args), EscrowError::DeadlineTooLate);
    }
    for output_bytes in [0, MAX_OUTPUT + 1, u32::MAX] {
        let mut args = good.clone();
        args.output_bytes = output_bytes;
        refused(r.create_job(&client, args), EscrowError::BadOutputBytes);
    }
    let mut args = good.clone();
    args.input = vec![0; inbox::MAX_JOB_INPUT + 1];
    refused(r.create_job(&client, args), EscrowError::InputTooLong);
    let mut args = good.clone();
    args.max_price = r.svm.lamports(&client.pubkey());
    assert!(r.create_job(&client, args).is_err());
    assert_eq!(r.account().inbox_count, 0);

    // The largest of everything.
    let mut args = good;
    args.input = vec![7; inbox::MAX_JOB_INPUT];
    args.output_bytes = MAX_OUTPUT;
    accepted(r.create_job(&client, args));
}

#[test]
fn wrong_accounts_of_create_job_are_refused() {
    let mut r = new();
    let client = r.svm.rich_key();
    let other = r.svm.rich_key();
    let data = |r: &TestRollup| args::CreateJob {
        args: r.job_args(0),
    };
    let good = r.create_job_accounts(&client.pubkey(), 0);
    let both = [&client, &other];

    let mut accounts = good;
    accounts.settlement_program = escrow::ID;
    let copy = data(&r);
    refused(
        r.send_escrow(Wire::Legacy, accounts, copy, &both),
        ErrorCode::InvalidProgramId,
    );
    for wrong in 0..4 {
        let mut accounts = good;
        match wrong {
            0 => accounts.client = other.pubkey(),
            1 => accounts.sender = other.pubkey(),
            2 => accounts.job = job(&r.address, &client.pubkey(), 1),
            _ => accounts.inbox_page = settlement::seeds::inbox_page(&r.address, 1),
        }
        let copy = data(&r);
        refused(
            r.send_escrow(Wire::Legacy, accounts, copy, &both),
            ErrorCode::ConstraintSeeds,
        );
    }
    let mut accounts = good;
    accounts.rollup = r.chain();
    let copy = data(&r);
    assert!(r.send_escrow(Wire::Legacy, accounts, copy, &both).is_err());

    // Another pays for the client.
    let mut accounts = good;
    accounts.payer = other.pubkey();
    let before = r.svm.lamports(&client.pubkey());
    let copy = data(&r);
    accepted(r.send_escrow(Wire::Legacy, accounts, copy, &both));
    assert_eq!(r.svm.lamports(&client.pubkey()), before);
}

#[test]
fn a_rollup_with_another_escrow_is_refused() {
    let mut other = config();
    other.escrow = Pubkey::new_from_array([9; 32]);
    let mut r = TestRollup::with(&["settlement", "escrow"], other, 1);
    let client = r.svm.rich_key();
    let args = r.job_args(0);
    refused(r.create_job(&client, args), EscrowError::OtherEscrow);
    refused(
        r.create_feed(&client, [1; 32], 64),
        EscrowError::OtherEscrow,
    );
}
