//! The one signature rule: published edge cases, its border seen from both sides, and batch
//! verification against single verification.

mod common;

use assay_ledger::Signature;
use assay_ledger::signature::{Keypair, verify, verify_batch, well_formed};
use common::cases;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_zebra::VerificationKey;
use proptest::prelude::*;
use sha2::{Digest, Sha512};

/// ZIP-215, which does without the rules on encodings and orders.
fn zip215(key: &[u8; 32], message: &[u8], signature: &Signature) -> bool {
    VerificationKey::try_from(*key)
        .and_then(|key| key.verify(&(*signature).into(), message))
        .is_ok()
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

#[test]
fn published_edge_cases() {
    let mut seen = 0;
    for line in include_str!("vectors/ed25519.txt").lines() {
        if line.starts_with('#') {
            continue;
        }
        let parts: Vec<&str> = line.split(" | ").collect();
        let [name, verdict, message, key, signature, why] = parts[..] else {
            panic!("{line}");
        };
        let (message, key) = (hex::decode(message).unwrap(), array(key));
        let signature = array(signature);
        let accept = verdict == "accept";
        assert_eq!(verify(&key, &message, &signature), accept, "{name}: {why}");
        let batch = [(&key, &message[..], &signature)];
        assert_eq!(verify_batch(&batch), accept, "{name} in a batch: {why}");
        // All but these fulfil the bare equation over the bytes as they are: what refuses
        // six of those is the rules on encodings and orders, not a slip in the vectors.
        let equation = matches!(seen, 0..=5 | 9..=11);
        assert_eq!(zip215(&key, &message, &signature), equation, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 12);
}

/// Every encoding of a point of small order that decoders take: eight canonical ones, and six in
/// which `y` is not reduced or `x = 0` has a sign.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut all: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|p| p.compress().0).collect();
    for low in [0xed, 0xee] {
        for high in [0x7f, 0xff] {
            let mut y = [0xff; 32];
            (y[0], y[31]) = (low, high);
            all.push(y);
        }
    }
    let mut identity = [0; 32];
    (identity[0], identity[31]) = (1, 0x80);
    let mut order_two = [0xff; 32];
    order_two[0] = 0xec;
    all.extend([identity, order_two]);
    all
}

#[test]
fn no_point_of_small_order_signs_anything() {
    let points = small_order_encodings();
    assert_eq!(points.len(), 14);
    let good = Keypair::from_seed([1; 32]);
    for a in &points {
        for r in &points {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(r);
            assert!(zip215(a, b"Zcash", &signature));
            assert!(!well_formed(a, &signature));
            assert!(!verify(a, b"Zcash", &signature));
        }
        let mut signature = good.sign(b"m");
        assert!(well_formed(&good.public(), &signature));
        assert!(!well_formed(a, &signature));
        signature[..32].copy_from_slice(a);
        assert!(!well_formed(&good.public(), &signature));
    }
}

#[test]
fn unreduced_y_is_refused_even_where_it_has_large_order() {
    // y from p to 2^255 - 1: nineteen values.
    for low in 0xedu8..=0xff {
        let mut y = [0xff; 32];
        (y[0], y[31]) = (low, 0x7f);
        assert!(!assay_ledger::signature::point_is_well_formed(&y));
    }
    // p - 2 is the largest that is neither unreduced nor of small order.
    let mut y = [0xff; 32];
    (y[0], y[31]) = (0xeb, 0x7f);
    assert!(assay_ledger::signature::point_is_well_formed(&y));
}

#[test]
fn s_ends_below_the_group_order() {
    let pair = Keypair::from_seed([2; 32]);
    let mut signature = pair.sign(b"m");
    let order_minus_one = (-Scalar::ONE).to_bytes();
    signature[32..].copy_from_slice(&order_minus_one);
    assert!(well_formed(&pair.public(), &signature));
    signature[32] += 1;
    assert!(!well_formed(&pair.public(), &signature));
}

/// A signature whose `A` and `R` have any torsion: good by the cofactored equation alone.
fn torsioned(a: u64, r: u64, ta: usize, tr: usize, message: &[u8]) -> ([u8; 32], Signature) {
    let (a, r) = (Scalar::from(a), Scalar::from(r));
    let key = (EdwardsPoint::mul_base(&a) + EIGHT_TORSION[ta])
        .compress()
        .0;
    let commitment = (EdwardsPoint::mul_base(&r) + EIGHT_TORSION[tr])
        .compress()
        .0;
    let mut h = Sha512::new();
    h.update(commitment);
    h.update(key);
    h.update(message);
    let k = Scalar::from_bytes_mod_order_wide(&h.finalize().into());
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&commitment);
    signature[32..].copy_from_slice(&(r + k * a).to_bytes());
    (key, signature)
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn single_and_batch_decide_alike(
        items in prop::collection::vec((1..u64::MAX, 1..u64::MAX, 0..8usize, 0..8usize, 0..600usize), 1..12),
    ) {
        let message = b"the same for all";
        let mut signed = Vec::new();
        for (a, r, ta, tr, flip) in items {
            let (mut key, mut signature) = torsioned(a, r, ta, tr, message);
            prop_assert!(verify(&key, message, &signature));
            // Up to 512 a bit of the signature, up to 520 some of the key, else nothing.
            match flip {
                0..512 if flip % 5 == 0 => signature[flip / 8] ^= 1 << (flip % 8),
                512..520 => key[flip % 32] ^= 1,
                _ => {}
            }
            signed.push((key, signature));
        }
        let good = |(key, signature): &([u8; 32], Signature)| verify(key, message, signature);
        let batch: Vec<_> = signed.iter().map(|(k, s)| (k, &message[..], s)).collect();
        prop_assert_eq!(verify_batch(&batch), signed.iter().all(good));
    }

    #[test]
    fn a_flipped_bit_is_a_bad_signature(seed in any::<[u8; 32]>(), message in any::<Vec<u8>>(), bit in 0..512usize) {
        let pair = Keypair::from_seed(seed);
        let mut signature = pair.sign(&message);
        prop_assert!(verify(&pair.public(), &message, &signature));
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify(&pair.public(), &message, &signature));
    }
}

#[test]
fn an_empty_batch_is_good() {
    assert!(verify_batch(&[]));
}
