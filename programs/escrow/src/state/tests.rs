//! Where other programs find what they read: the layouts are as `docs/escrow.md` says.

use super::*;
use anchor_lang::prelude::*;

const PAGE: &str = include_str!("../../../../docs/escrow.md");

/// The offset of each field of one of the page's tables.
fn documented(heading: &str) -> Vec<(&'static str, usize)> {
    let part = PAGE.split("\n### ").find(|part| part.starts_with(heading));
    let rows = part.unwrap().lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (offset, name) = (cells.next()?.parse().ok()?, cells.next()?);
        Some((name.trim_matches('`'), offset))
    });
    rows.collect()
}

fn check<T: AccountSerialize>(heading: &str, account: &T, size: usize, fields: &[(&str, Vec<u8>)]) {
    let mut bytes = Vec::new();
    account.try_serialize(&mut bytes).unwrap();
    assert_eq!(bytes.len(), size);
    let offsets = documented(heading);
    let names = |list: Vec<&str>| list.join(" ");
    assert_eq!(
        names(offsets.iter().map(|(name, _)| *name).collect()),
        names(fields.iter().map(|(name, _)| *name).collect()),
    );
    let mut end = 8;
    for ((name, offset), (_, value)) in offsets.iter().zip(fields) {
        assert_eq!(*offset, end, "{name}");
        end += value.len();
        assert_eq!(&bytes[*offset..end], value.as_slice(), "{name}");
    }
    assert_eq!(end, size);
}

fn borsh(value: &impl AnchorSerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.serialize(&mut bytes).unwrap();
    bytes
}

fn output() -> Output {
    let ty = OutputType {
        dtype: 1,
        rank: 1,
        dims: [2, 0, 0, 0, 0, 0],
    };
    Output {
        ty,
        data: vec![1, 2, 3, 4, 5, 6, 7, 8],
    }
}

#[test]
fn a_job_is_as_documented() {
    let key = |byte| Pubkey::new_from_array([byte; 32]);
    let job = Job {
        version: Job::VERSION,
        bump: 2,
        status: JobStatus::Settled,
        rollup: key(3),
        client: key(4),
        nonce: 5,
        message: 6,
        model: 7,
        program_root: [8; 32],
        max_price: 9,
        deadline: 10,
        output_index: 11,
        output_bytes: 8,
        feed: key(12),
        done_slot: 13,
        created_at: 21,
        batch_at: 22,
        done_at: 23,
        price: 14,
        model_version: 15,
        sequencer: key(16),
        sequencer_due: 17,
        publisher: key(18),
        publisher_due: 19,
        output_root: [20; 32],
        output: output(),
    };
    let fields = [
        ("version", vec![2]),
        ("bump", borsh(&job.bump)),
        ("status", vec![1]),
        ("rollup", borsh(&job.rollup)),
        ("client", borsh(&job.client)),
        ("nonce", borsh(&job.nonce)),
        ("message", borsh(&job.message)),
        ("model", borsh(&job.model)),
        ("program_root", borsh(&job.program_root)),
        ("max_price", borsh(&job.max_price)),
        ("deadline", borsh(&job.deadline)),
        ("output_index", borsh(&job.output_index)),
        ("output_bytes", borsh(&job.output_bytes)),
        ("feed", borsh(&job.feed)),
        ("done_slot", borsh(&job.done_slot)),
        ("created_at", borsh(&job.created_at)),
        ("batch_at", borsh(&job.batch_at)),
        ("done_at", borsh(&job.done_at)),
        ("price", borsh(&job.price)),
        ("model_version", borsh(&job.model_version)),
        ("sequencer", borsh(&job.sequencer)),
        ("sequencer_due", borsh(&job.sequencer_due)),
        ("publisher", borsh(&job.publisher)),
        ("publisher_due", borsh(&job.publisher_due)),
        ("output_root", borsh(&job.output_root)),
        ("output.ty", borsh(&job.output.ty)),
        ("output.data", borsh(&job.output.data)),
    ];
    check("Job", &job, Job::size(8), &fields);
}

#[test]
fn a_feed_is_as_documented() {
    let key = |byte| Pubkey::new_from_array([byte; 32]);
    let feed = Feed {
        version: Feed::VERSION,
        bump: 2,
        client: key(3),
        rollup: key(4),
        name: [5; 32],
        capacity: 8,
        pending: 6,
        updates: 7,
        job: key(8),
        message: 9,
        model: 10,
        program_root: [11; 32],
        model_version: 12,
        slot: 13,
        requested_at: 14,
        batch_at: 15,
        settled_at: 16,
        output: output(),
    };
    let fields = [
        ("version", vec![2]),
        ("bump", borsh(&feed.bump)),
        ("client", borsh(&feed.client)),
        ("rollup", borsh(&feed.rollup)),
        ("name", borsh(&feed.name)),
        ("capacity", borsh(&feed.capacity)),
        ("pending", borsh(&feed.pending)),
        ("updates", borsh(&feed.updates)),
        ("job", borsh(&feed.job)),
        ("message", borsh(&feed.message)),
        ("model", borsh(&feed.model)),
        ("program_root", borsh(&feed.program_root)),
        ("model_version", borsh(&feed.model_version)),
        ("slot", borsh(&feed.slot)),
        ("requested_at", borsh(&feed.requested_at)),
        ("batch_at", borsh(&feed.batch_at)),
        ("settled_at", borsh(&feed.settled_at)),
        ("output.ty", borsh(&feed.output.ty)),
        ("output.data", borsh(&feed.output.data)),
    ];
    check("Feed", &feed, Feed::size(8), &fields);
}
