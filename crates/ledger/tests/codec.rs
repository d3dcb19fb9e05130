//! The batch codec: what goes in comes out, hostile bytes are malformed or canonical, and a
//! record is decoded from a bounded part of the data.

mod common;

use assay_ledger::codec::{
    BLOCK_RECORDS, Chunks, DecodeError, Encoder, HEADER, Malformed, NotSupplied, Source, VERSION,
    block, check, count, decode, decode_all, decode_from, encode,
};
use assay_ledger::data::{CHUNK, chunk_count};
use assay_ledger::request::MAX_INPUT;
use assay_ledger::transaction::{Destination, Transaction};
use common::*;
use proptest::prelude::*;
use std::cell::RefCell;

fn signature() -> impl Strategy<Value = [u8; 64]> {
    any::<([u8; 32], [u8; 32])>().prop_map(|(a, b)| {
        let mut s = [0; 64];
        s[..32].copy_from_slice(&a);
        s[32..].copy_from_slice(&b);
        s
    })
}

/// Numbers of all sizes.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64u32).prop_map(|(v, shift)| v >> shift)
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    // Of few bits around some value, or of all.
    let narrow = (any::<u8>(), 0..8u32).prop_flat_map(|(base, bits)| {
        prop::collection::vec(
            (0..1u16 << bits).prop_map(move |v| base.wrapping_add(v as u8)),
            0..90,
        )
    });
    prop_oneof![narrow, prop::collection::vec(any::<u8>(), 0..90)]
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let index = || number().prop_map(|v| v as u32);
    let destination = prop_oneof![
        index().prop_map(Destination::Account),
        any::<[u8; 32]>().prop_map(Destination::New),
    ];
    prop_oneof![
        1 => Just(Transaction::Inbox),
        1 => Just(Transaction::DeclineJob),
        2 => (index(), destination, number(), signature()).prop_map(|(from, to, amount, signature)| {
            Transaction::Transfer { from, to, amount, signature }
        }),
        1 => (index(), any::<[u8; 32]>(), number(), signature()).prop_map(
            |(from, recipient, amount, signature)| Transaction::Withdraw { from, recipient, amount, signature }
        ),
        1 => (index(), number(), any::<[u8; 32]>(), number(), signature()).prop_map(
            |(from, units, parameters_root, price, signature)| Transaction::Deploy {
                from,
                program: program(units, units / 2, 7),
                parameters_root,
                price,
                signature,
            }
        ),
        1 => (index(), any::<[u8; 32]>(), number(), signature()).prop_map(
            |(model, parameters_root, price, signature)| Transaction::Update { model, parameters_root, price, signature }
        ),
        5 => (index(), index(), any::<bool>(), input(), signature()).prop_map(
            |(from, model, pinned, input, signature)| Transaction::Infer { from, model, pinned, input, signature }
        ),
    ]
}

/// All records one by one, or the first refusal.
fn one_by_one(data: &[u8]) -> Result<Vec<Transaction>, Malformed> {
    let count = count(&data).map_err(|_| Malformed)?;
    check(&data, count).map_err(|_| Malformed)?;
    (0..count).map(|i| decode(data, i)).collect()
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn what_goes_in_comes_out(transactions in prop::collection::vec(transaction(), 0..70)) {
        let data = encode(&transactions);
        prop_assert_eq!(decode_all(&data), Ok(transactions.clone()));
        prop_assert_eq!(one_by_one(&data), Ok(transactions.clone()));
        let mut encoder = Encoder::default();
        for (i, tx) in transactions.iter().enumerate() {
            encoder.push(tx.clone());
            prop_assert_eq!(encoder.count() as usize, i + 1);
        }
        prop_assert_eq!(encoder.size(), data.len());
        prop_assert_eq!(encoder.finish(), data.clone());
        prop_assert_eq!(decode(&data, transactions.len() as u32), Err(Malformed));
        let count = transactions.len() as u32;
        prop_assert_eq!(
            decode_from(&&data[..], count + 1, 0),
            Err(DecodeError::Malformed(Malformed))
        );
    }

    #[test]
    fn changed_bytes_are_malformed_or_canonical(
        transactions in prop::collection::vec(transaction(), 1..40),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        more in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut data = encode(&transactions);
        for (at, value) in changes {
            let at = at.index(data.len());
            data[at] = value;
        }
        if let Some(cut) = cut {
            data.truncate(cut.index(data.len()));
        }
        data.extend(more);
        let all = decode_all(&data);
        prop_assert_eq!(&all, &one_by_one(&data));
        if let Ok(all) = all {
            let again = encode(&all);
            if again != data {
                // The one freedom: the inputs of a block packed wider, or from a lower minimum.
                let infer = |t: &Transaction| matches!(t, Transaction::Infer { .. });
                prop_assert!(all.iter().any(infer));
                prop_assert!(again.len() <= data.len());
            }
        }
    }

    #[test]
    fn any_bytes_are_total(data in prop::collection::vec(any::<u8>(), 0..400), index in 0..40u32) {
        let all = decode_all(&data);
        prop_assert_eq!(&all, &one_by_one(&data));
        let one = decode(&data, index);
        if let (Ok(all), Ok(one)) = (&all, &one) {
            prop_assert_eq!(all.get(index as usize), Some(one));
        }
    }

    #[test]
    fn a_plausible_head_with_any_block_is_total(
        records in 1..40u32,
        ends in prop::collection::vec(0..300u32, 3),
        bytes in prop::collection::vec(prop_oneof![0..12u8, any::<u8>()], 0..300),
    ) {
        let mut data = vec![VERSION];
        data.extend(records.to_le_bytes());
        let blocks = records.div_ceil(BLOCK_RECORDS as u32) as usize;
        for end in &ends[..blocks - 1] {
            data.extend(end.to_le_bytes());
        }
        data.extend((bytes.len() as u32).to_le_bytes());
        data.extend(&bytes);
        prop_assert_eq!(decode_all(&data), one_by_one(&data));
    }

    #[test]
    fn a_record_needs_few_bytes(
        transactions in prop::collection::vec(transaction(), 1..70),
        pick in any::<prop::sample::Index>(),
    ) {
        let data = encode(&transactions);
        let index = pick.index(transactions.len());
        let source = Recording { data: &data, read: RefCell::new(Vec::new()) };
        let record = decode_from(&source, transactions.len() as u32, index as u32);
        prop_assert_eq!(record.as_ref(), Ok(&transactions[index]));
        let read = source.read.into_inner();
        let bytes: usize = read.iter().map(|(_, n)| n).sum();
        let own = match &transactions[index] {
            Transaction::Infer { input, .. } => input.len() + 64,
            Transaction::Deploy { .. } => 300,
            _ => 128,
        };
        // Header, two ends, the columns of one block, the packing, the record's own.
        let bound = HEADER as usize + 8 + 7 * (1 + 10 + BLOCK_RECORDS * 8) + 2 + own;
        prop_assert!(bytes <= bound, "{bytes} of {bound}");

        // The chunks that hold these bytes are enough, and none of them can be missing.
        let mut needed: Vec<u32> = read
            .iter()
            .filter(|(_, n)| *n > 0)
            .flat_map(|(at, n)| (at / CHUNK) as u32..=((at + n - 1) / CHUNK) as u32)
            .collect();
        needed.sort_unstable();
        needed.dedup();
        let chunk = |i: &u32| (*i, data.chunks(CHUNK).nth(*i as usize).unwrap());
        let supplied: Vec<_> = needed.iter().map(chunk).collect();
        let len = data.len() as u32;
        let chunks = Chunks { len, chunks: &supplied };
        prop_assert_eq!(decode_from(&chunks, transactions.len() as u32, index as u32), record);
        let chunks = Chunks { len, chunks: &supplied[1..] };
        prop_assert_eq!(
            decode_from(&chunks, transactions.len() as u32, index as u32),
            Err(DecodeError::NotSupplied(NotSupplied))
        );
        prop_assert!(needed.len() as u32 <= chunk_count(len));
    }
}

/// Data that notes what is read of it.
struct Recording<'a> {
    data: &'a [u8],
    read: RefCell<Vec<(usize, usize)>>,
}

impl Source for Recording<'_> {
    fn len(&self) -> u32 {
        self.data.len() as u32
    }

    fn read(&self, at: u32, into: &mut [u8]) -> Result<(), NotSupplied> {
        self.read.borrow_mut().push((at as usize, into.len()));
        self.data.read(at, into)
    }
}

/// Inferences of the digits model as a sequencer sees them: pixels of 0..=16, payers anywhere
/// among ten thousand.
fn digits(n: u32) -> Vec<Transaction> {
    (0..n)
        .map(|i| Transaction::Infer {
            from: i.wrapping_mul(2_654_435_761) % 10_000,
            model: 3,
            pinned: false,
            input: (0..DIGITS as u32)
                .map(|p| ((i * 7 + p * 5) % 17) as u8)
                .collect(),
            signature: [i as u8; 64],
        })
        .collect()
}

#[test]
fn an_inference_of_a_digit_takes_107_bytes() {
    let n = 1_600;
    let data = encode(&digits(n));
    let each = data.len() as f64 / f64::from(n);
    assert!((104.0..108.0).contains(&each), "{each}");
}

#[test]
fn the_largest_block_is_bounded() {
    let largest: Vec<_> = (0..BLOCK_RECORDS as u32)
        .map(|i| Transaction::Infer {
            from: u32::MAX * (i % 2),
            model: u32::MAX * (i % 2),
            pinned: i % 2 == 0,
            input: (0..MAX_INPUT).map(|b| (b + i as usize) as u8).collect(),
            signature: [0xff; 64],
        })
        .collect();
    let data = encode(&largest);
    assert_eq!(decode_all(&data), Ok(largest.clone()));
    assert!(data.len() - 9 <= block::MAX_BLOCK);
    let mut longer = largest;
    if let Transaction::Infer { input, .. } = &mut longer[3] {
        input.push(0);
    }
    assert_eq!(decode_all(&encode(&longer)), Err(Malformed));
}

#[test]
fn what_is_not_canonical_is_malformed() {
    let transfer = |amount| Transaction::Transfer {
        from: 5,
        to: Destination::Account(6),
        amount,
        signature: [1; 64],
    };
    let good = encode(&[transfer(100)]);
    // version, count, end; kind, from, to and amount: a width of 0 and the value, each.
    assert_eq!(
        good[..9 + 8],
        [1, 1, 0, 0, 0, 72, 0, 0, 0, 0, 2, 0, 5, 0, 6, 0, 100]
    );
    let with = |at: usize, value: u8| {
        let mut data = good.clone();
        data[at] = value;
        decode_all(&data)
    };
    assert_eq!(with(0, 2), Err(Malformed), "another version");
    assert_eq!(with(1, 2), Err(Malformed), "another count");
    assert_eq!(with(5, 71), Err(Malformed), "another end");
    assert_eq!(with(9, 1), Err(Malformed), "a width that is not needed");
    assert_eq!(with(10, 9), Err(Malformed), "a kind that is not there");
    assert_eq!(
        with(16, 0x80 | 100),
        Err(Malformed),
        "a varint that goes on"
    );
    assert_eq!(with(16, 101), Ok(vec![transfer(101)]));
    let spliced = |at: usize, old: usize, new: &[u8]| {
        let mut data = good.clone();
        data.splice(at..at + old, new.iter().copied());
        data[5] = (data.len() - 9) as u8;
        decode_all(&data)
    };
    assert_eq!(
        spliced(16, 1, &[0xe4, 0x00]),
        Err(Malformed),
        "a varint too long"
    );
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(spliced(16, 1, &most), Ok(vec![transfer(u64::MAX)]));
    let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(
        spliced(16, 1, &over),
        Err(Malformed),
        "a varint past 64 bits"
    );
    let wide = [0x80, 0x80, 0x80, 0x80, 0x10];
    assert_eq!(
        spliced(12, 1, &wide),
        Err(Malformed),
        "an index past 32 bits"
    );
    assert_eq!(
        spliced(good.len(), 0, &[0]),
        Err(Malformed),
        "bytes left over"
    );

    // Two amounts of one bit's difference: 0b10 in the last column byte.
    let two = encode(&[transfer(7), transfer(8)]);
    let at = 9 + 2 + 2 + 2;
    assert_eq!(two[at..at + 3], [1, 7, 0b10]);
    let with = |value: u8| {
        let mut data = two.clone();
        data[at + 2] = value;
        decode_all(&data)
    };
    assert_eq!(with(0b01), Ok(vec![transfer(8), transfer(7)]));
    assert_eq!(with(0b110), Err(Malformed), "bits left over");
    assert_eq!(with(0b11), Err(Malformed), "a minimum that nothing has");
    assert_eq!(with(0b00), Err(Malformed), "a width that nothing needs");

    assert_eq!(decode_all(&[1, 0, 0, 0, 0]), Ok(vec![]));
    assert_eq!(
        decode_all(&[1, 0, 0, 0, 0, 0]),
        Err(Malformed),
        "bytes after nothing"
    );
    assert_eq!(decode_all(&[]), Err(Malformed));
    assert_eq!(
        decode_all(&[1, 0xff, 0xff, 0xff, 0xff, 0]),
        Err(Malformed),
        "a table past the end"
    );
}

fn run(input: &[u8]) -> Transaction {
    Transaction::Infer {
        from: 0,
        model: 0,
        pinned: false,
        input: input.to_vec(),
        signature: [1; 64],
    }
}

/// Otherwise 266 KB could stand for 64 MiB of inputs, which whoever follows the chain would have to
/// hold.
#[test]
fn every_byte_of_an_input_takes_a_bit() {
    let inputs = vec![run(&[7; MAX_INPUT]); 4_096];
    let data = encode(&inputs);
    assert!(data.len() >= inputs.len() * MAX_INPUT / 8);
    assert_eq!(decode_all(&data), Ok(inputs));

    // Minimum 5, width 1, differences 0, 0, 0; and the same without differences.
    let data = encode(&[run(&[5; 3])]);
    assert_eq!(data[data.len() - 3..], [5, 1, 0]);
    let mut packed = data.clone();
    packed.pop();
    *packed.last_mut().unwrap() = 0;
    packed[5] -= 1;
    assert_eq!(
        decode_all(&packed),
        Err(Malformed),
        "no bits for three bytes"
    );

    // Without bytes there is nothing to pack.
    let data = encode(&[run(&[])]);
    assert_eq!(data[data.len() - 2..], [0, 0]);
    assert_eq!(decode_all(&data), Ok(vec![run(&[])]));
    for tail in [[1, 0], [0, 1]] {
        let mut changed = data.clone();
        let at = changed.len() - 2;
        changed[at..].copy_from_slice(&tail);
        assert_eq!(decode_all(&changed), Err(Malformed));
    }
}

#[test]
fn packed_inputs_leave_no_bits_over() {
    let data = encode(&[run(&[1, 2, 3])]);
    // Minimum 1, width 2, differences 0, 1, 2.
    assert_eq!(data[data.len() - 3..], [1, 2, 0b10_01_00]);
    let with = |value: [u8; 3]| {
        let mut changed = data[..data.len() - 3].to_vec();
        changed.extend(value);
        decode_all(&changed)
    };
    assert_eq!(with([1, 2, 0b01_01_00]), Ok(vec![run(&[1, 2, 2])]));
    assert_eq!(with([1, 2, 0b1_10_01_00]), Err(Malformed), "bits left over");
    assert_eq!(
        with([127, 2, 0b10_01_00]),
        Err(Malformed),
        "past the last i8"
    );
    assert_eq!(with([125, 2, 0b10_01_00]), Ok(vec![run(&[125, 126, 127])]));
    assert_eq!(with([1, 9, 0]), Err(Malformed), "a width past eight bits");
    assert_eq!(with([1, 1, 0b010]), Ok(vec![run(&[1, 2, 1])]));
    // Signed bytes around zero are as narrow as others.
    let around = run(&[0xff, 0x00, 0x01]);
    let data = encode(std::slice::from_ref(&around));
    assert_eq!(data[data.len() - 3..], [0xff, 2, 0b10_01_00]);
    assert_eq!(decode_all(&data), Ok(vec![around]));
}
