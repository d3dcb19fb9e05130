//! `open_data`, `write_chunks`, `seal_data`, `close_data`.

use anchor_lang::error::ErrorCode;
use assay_ledger::data::{CHUNK, data_root};
use assay_tests::relay;
use assay_tests::rollup::{TestRollup, config};
use assay_tests::svm::{MAX_UNITS, Wire, accepted, instruction, refused};
use settlement::constants::{MAX_CHUNKS, WRITE_SLOTS};
use settlement::errors::SettlementError as E;
use settlement::events::DataSealed;
use settlement::state::BatchData;
use settlement::{accounts, instruction as args};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

const SEED: &str = "data1";

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 255) as u8).collect()
}

/// A rollup, a poster, and the poster's account opened for `len` bytes.
fn opened(len: u32) -> (TestRollup, Keypair, Pubkey) {
    let mut r = TestRollup::unregistered(&["settlement"], config());
    let poster = r.svm.rich_key();
    accepted(r.open_data(&poster, SEED, len));
    let data = Pubkey::create_with_seed(&poster.pubkey(), SEED, &settlement::ID).unwrap();
    (r, poster, data)
}

fn write_all(r: &mut TestRollup, poster: &Keypair, data: Pubkey, content: &[u8]) {
    for (i, chunks) in content.chunks(4 * CHUNK).enumerate() {
        accepted(r.write_chunks(Wire::V1, poster, data, 4 * i as u32, chunks));
    }
}

mod open_data {
    use super::*;

    #[test]
    fn notes_poster_and_length() {
        let (r, poster, data) = opened(1_000);
        let account = r.data_account(&data);
        assert_eq!(
            (account.poster, account.rollup),
            (poster.pubkey(), r.address)
        );
        assert_eq!((account.len, account.sealed), (1_000, 0));
        let size = r.svm.account(&data).unwrap().data.len();
        assert_eq!(size, BatchData::size(1_000));
    }

    #[test]
    fn refuses_lengths_out_of_range() {
        let mut r = TestRollup::unregistered(&["settlement"], config());
        let poster = r.svm.rich_key();
        refused(r.open_data(&poster, SEED, 0), E::DataLength);
        refused(r.open_data(&poster, SEED, 1_000_001), E::DataLength);
        accepted(r.open_data(&poster, SEED, 1_000_000));
    }

    #[test]
    fn refuses_an_account_of_another_size() {
        let mut r = TestRollup::unregistered(&["settlement"], config());
        let poster = r.svm.rich_key();
        let key = poster.pubkey();
        let data = Pubkey::create_with_seed(&key, SEED, &settlement::ID).unwrap();
        let right = BatchData::size(2_000);
        for size in [8, 112, right - 1, right + 1, right + 32] {
            let create = r.create_data_instruction(&key, SEED, size);
            let open = r.open_data_instruction(&key, data, 2_000);
            let outcome = r.svm.send(&[create, open], &[&poster]);
            // Too small even for the header: Anchor's own check.
            if size < 112 {
                assert!(outcome.is_err());
            } else {
                refused(outcome, E::DataAccountSize);
            }
        }
    }

    #[test]
    fn refuses_to_open_again() {
        let (mut r, poster, data) = opened(1_000);
        let other = r.svm.rich_key();
        for who in [&poster, &other] {
            let open = r.open_data_instruction(&who.pubkey(), data, 1_000);
            refused(r.svm.send(&[open], &[who]), ErrorCode::ConstraintZero);
        }
    }

    #[test]
    fn refuses_an_account_of_another_program() {
        let (mut r, poster, _) = opened(1_000);
        let open = r.open_data_instruction(&poster.pubkey(), poster.pubkey(), 1_000);
        assert!(r.svm.send(&[open], &[&poster]).is_err());
    }
}

mod write_chunks {
    use super::*;

    #[test]
    fn in_any_order_and_repeatedly() {
        let content = bytes(5 * CHUNK + 17);
        let (mut r, poster, data) = opened(content.len() as u32);
        // Wrong content first: the last writing counts. One chunk fits a legacy transaction of
        // the poster's own.
        r.svm.payer = poster.insecure_clone();
        let wrong = vec![7; CHUNK];
        accepted(r.write_chunks(Wire::Legacy, &poster, data, 2, &wrong));
        for first in [5, 3, 0, 3, 1, 4, 2] {
            let chunk = content.chunks(CHUNK).nth(first).unwrap();
            accepted(r.write_chunks(Wire::V1, &poster, data, first as u32, chunk));
        }
        accepted(r.seal_data(&poster, data));
        assert_eq!(r.data_account(&data).root, data_root(&content));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let (mut r, poster, data) = opened(2 * CHUNK as u32 + 100);
        let long = bytes(4 * CHUNK);
        let cases: &[(u32, usize)] = &[
            (0, 0),          // nothing
            (0, CHUNK - 1),  // a short chunk that is not the last
            (0, CHUNK + 1),  // the same after a full one
            (1, CHUNK + 99), // the last one too short
            (2, 99),         // the same
            (2, 101),        // too long
            (2, CHUNK),      // too long
            (1, 2 * CHUNK),  // past the end
            (3, 1),          // after the end
            (3, CHUNK),      // after the end
            (4, CHUNK),      // beyond the list
            (u32::MAX, 1),   // far beyond
            (u32::MAX - 1, CHUNK),
        ];
        for (first, len) in cases {
            println!("chunk {first}, {len} bytes");
            refused(
                r.write_chunks(Wire::V1, &poster, data, *first, &long[..*len]),
                E::ChunkOutOfRange,
            );
        }
        accepted(r.write_chunks(Wire::V1, &poster, data, 0, &long[..2 * CHUNK + 100]));
    }

    /// Readers fetch the transactions of the slots in which something was written, and no others.
    #[test]
    fn notes_the_slots_and_ends_when_there_are_too_many() {
        let (mut r, poster, data) = opened(CHUNK as u32);
        let chunk = bytes(CHUNK);
        let opened = r.data_account(&data).write_slots();
        assert!(opened.bitmap.is_empty());
        let first = r.svm.slot();
        for warp in [0, 3, 0, WRITE_SLOTS - 1 - 3] {
            r.svm.warp(warp);
            accepted(r.write_chunks(Wire::V1, &poster, data, 0, &chunk));
        }
        let written: Vec<u64> = r.data_account(&data).write_slots().iter().collect();
        assert_eq!(written, [first, first + 3, first + WRITE_SLOTS - 1]);
        r.svm.warp(1);
        refused(
            r.write_chunks(Wire::V1, &poster, data, 0, &chunk),
            E::DataTooOld,
        );
        // What is complete can be sealed and posted at any time.
        accepted(r.seal_data(&poster, data));
    }

    /// Not every archive keeps inner instructions, and the bytes are nowhere else.
    #[test]
    fn refuses_to_be_called_by_a_program() {
        let (mut r, poster, data) = opened(100);
        relay::load(&mut r.svm);
        let write = instruction(
            settlement::ID,
            accounts::WriteChunks {
                poster: poster.pubkey(),
                data,
            },
            args::WriteChunks {
                first: 0,
                bytes: vec![0; 100],
            },
        );
        let inner = relay::through(write.clone());
        refused(r.svm.send(&[inner], &[&poster]), E::InnerInstruction);
        accepted(r.svm.send(&[write], &[&poster]));
        // Sealing carries no bytes, and may be anybody's step.
        let seal = instruction(
            settlement::ID,
            accounts::SealData {
                poster: poster.pubkey(),
                data,
            },
            args::SealData {},
        );
        accepted(r.svm.send(&[relay::through(seal)], &[&poster]));
    }

    #[test]
    fn refuses_another_poster() {
        let (mut r, _, data) = opened(100);
        let other = r.svm.rich_key();
        refused(
            r.write_chunks(Wire::V1, &other, data, 0, &[0; 100]),
            E::ForeignData,
        );
    }

    #[test]
    fn refuses_sealed_data() {
        let (mut r, poster, data) = opened(100);
        accepted(r.write_chunks(Wire::V1, &poster, data, 0, &[0; 100]));
        accepted(r.seal_data(&poster, data));
        refused(
            r.write_chunks(Wire::V1, &poster, data, 0, &[1; 100]),
            E::DataSealed,
        );
    }
}

mod seal_data {
    use super::*;

    #[test]
    fn the_root_is_the_ledgers() {
        for len in [
            1,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            2 * CHUNK,
            3 * CHUNK - 5,
            4 * CHUNK,
            7 * CHUNK + 1,
            9 * CHUNK,
        ] {
            let content = bytes(len);
            let (mut r, poster, data) = opened(len as u32);
            write_all(&mut r, &poster, data, &content);
            let sent = accepted(r.seal_data(&poster, data));
            let account = r.data_account(&data);
            assert!(account.is_sealed());
            assert_eq!(account.root, data_root(&content), "{len} bytes");
            let event: DataSealed = sent.event();
            assert_eq!((event.root, event.len), (account.root, len as u32));
            assert_eq!((event.data, event.poster), (data, poster.pubkey()));
        }
    }

    #[test]
    fn returns_the_rent_of_the_list() {
        let content = bytes(20 * CHUNK);
        let (mut r, poster, data) = opened(content.len() as u32);
        write_all(&mut r, &poster, data, &content);
        let before = r.svm.lamports(&poster.pubkey());
        accepted(r.seal_data(&poster, data));
        assert_eq!(r.svm.account(&data).unwrap().data.len(), 376);
        assert_eq!(r.svm.lamports(&data), r.svm.rent(376));
        assert_eq!(
            r.svm.lamports(&poster.pubkey()) - before,
            r.svm.rent(112 + 20 * 32) - r.svm.rent(112)
        );
    }

    #[test]
    fn refuses_while_a_chunk_is_missing() {
        let content = bytes(6 * CHUNK);
        let (mut r, poster, data) = opened(content.len() as u32);
        refused(r.seal_data(&poster, data), E::ChunkMissing);
        accepted(r.write_chunks(Wire::V1, &poster, data, 0, &content[..3 * CHUNK]));
        accepted(r.write_chunks(Wire::V1, &poster, data, 4, &content[4 * CHUNK..]));
        refused(r.seal_data(&poster, data), E::ChunkMissing);
        accepted(r.write_chunks(Wire::V1, &poster, data, 3, &content[3 * CHUNK..4 * CHUNK]));
        accepted(r.seal_data(&poster, data));
    }

    #[test]
    fn refuses_another_poster_and_a_second_time() {
        let (mut r, poster, data) = opened(100);
        accepted(r.write_chunks(Wire::V1, &poster, data, 0, &[0; 100]));
        let other = r.svm.rich_key();
        refused(r.seal_data(&other, data), E::ForeignData);
        accepted(r.seal_data(&poster, data));
        refused(r.seal_data(&poster, data), E::DataSealed);
    }

    /// The largest batch that any configuration allows fits the compute limit.
    #[test]
    fn the_largest_list_fits_a_transaction() {
        let mut largest = config();
        largest.params.max_data = MAX_CHUNKS * CHUNK as u32;
        let mut r = TestRollup::unregistered(&["settlement"], largest);
        let poster = r.svm.rich_key();
        let content = bytes(MAX_CHUNKS as usize * CHUNK);
        accepted(r.open_data(&poster, SEED, content.len() as u32));
        let data = Pubkey::create_with_seed(&poster.pubkey(), SEED, &settlement::ID).unwrap();
        write_all(&mut r, &poster, data, &content);
        let sent = accepted(r.seal_data(&poster, data));
        let units = sent.units(&settlement::ID);
        println!("{MAX_CHUNKS} chunks: {units} units");
        assert!(units < u64::from(MAX_UNITS) / 2, "{units}");
        assert_eq!(r.data_account(&data).root, data_root(&content));
    }
}

mod close_data {
    use super::*;

    #[test]
    fn returns_all_lamports_at_any_time() {
        for seal in [false, true] {
            let (mut r, poster, data) = opened(100);
            if seal {
                accepted(r.write_chunks(Wire::V1, &poster, data, 0, &[0; 100]));
                accepted(r.seal_data(&poster, data));
            }
            let held = r.svm.lamports(&data);
            let before = r.svm.lamports(&poster.pubkey());
            accepted(r.close_data(&poster, data));
            assert_eq!(r.svm.lamports(&poster.pubkey()) - before, held);
            assert!(r.svm.account(&data).is_none());
            // The same address can be used for the next attempt.
            accepted(r.open_data(&poster, SEED, 100));
        }
    }

    #[test]
    fn refuses_another_poster() {
        let (mut r, _, data) = opened(100);
        let other = r.svm.rich_key();
        refused(r.close_data(&other, data), E::ForeignData);
    }
}
