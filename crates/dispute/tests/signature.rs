//! The signature rule by the curve's system calls, against the ledger's own verification.

use assay_dispute::step::ed25519::{Syscalls, verify};
use assay_ledger::Signature;
use assay_ledger::signature::{self, Keypair, Verify, verify_batch};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha512};

/// One verdict, however it is found.
#[track_caller]
fn agreed(key: &[u8; 32], message: &[u8], signature: &Signature) -> bool {
    let verdict = verify(key, message, signature);
    assert_eq!(verdict, signature::verify(key, message, signature));
    assert_eq!(verdict, verify_batch(&[(key, message, signature)]));
    assert_eq!(verdict, Syscalls.verify(key, message, signature));
    verdict
}

#[test]
fn published_edge_cases() {
    let mut seen = 0;
    let vectors = include_str!("../../ledger/tests/vectors/ed25519.txt");
    for line in vectors.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split(" | ").collect();
        let [name, verdict, message, key, signature, why] = parts[..] else {
            panic!("{line}");
        };
        let message = hex::decode(message).unwrap();
        let key = hex::decode(key).unwrap().try_into().unwrap();
        let signature = hex::decode(signature).unwrap().try_into().unwrap();
        let accept = verdict == "accept";
        assert_eq!(agreed(&key, &message, &signature), accept, "{name}: {why}");
        seen += 1;
    }
    assert_eq!(seen, 12);
}

/// A signature whose `A` and `R` have any torsion: good by the cofactored equation alone.
fn torsioned(a: u64, r: u64, ta: usize, tr: usize, message: &[u8]) -> ([u8; 32], Signature) {
    let (a, r) = (Scalar::from(a), Scalar::from(r));
    let point = |scalar, torsion: usize| {
        let point = EdwardsPoint::mul_base(scalar) + EIGHT_TORSION[torsion];
        point.compress().0
    };
    let (key, commitment) = (point(&a, ta), point(&r, tr));
    let hash = Sha512::new()
        .chain_update(commitment)
        .chain_update(key)
        .chain_update(message)
        .finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&commitment);
    signature[32..].copy_from_slice(&(r + k * a).to_bytes());
    (key, signature)
}

#[test]
fn every_torsion_is_taken_and_nothing_else() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for case in 0..256 {
        let (ta, tr) = (case % 8, case / 8 % 8);
        let mut message = vec![0; rng.random_range(0..300)];
        rng.fill(&mut message[..]);
        let (a, r) = (rng.random_range(1..u64::MAX), rng.random_range(1..u64::MAX));
        let (mut key, mut signature) = torsioned(a, r, ta, tr, &message);
        assert!(agreed(&key, &message, &signature));
        let bit = rng.random_range(0..512);
        signature[bit / 8] ^= 1 << (bit % 8);
        assert!(!agreed(&key, &message, &signature));
        signature[bit / 8] ^= 1 << (bit % 8);
        message.push(0);
        assert!(!agreed(&key, &message, &signature));
        message.pop();
        key[rng.random_range(0..32)] ^= 1 << rng.random_range(0..8);
        assert!(!agreed(&key, &message, &signature));
    }
}

/// Encodings at every border of the rules, in every place.
#[test]
fn the_borders_are_the_ledgers() {
    let mut points: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|p| p.compress().0).collect();
    for low in 0xe9..=0xffu8 {
        for high in [0x7f, 0xff] {
            let mut y = [0xff; 32];
            (y[0], y[31]) = (low, high);
            points.push(y);
        }
    }
    for low in 0..6 {
        for high in [0, 0x80] {
            let mut y = [0; 32];
            (y[0], y[31]) = (low, high);
            points.push(y);
        }
    }
    let pair = Keypair::from_seed([1; 32]);
    let good = pair.sign(b"m");
    let order = (-Scalar::ONE).to_bytes();
    let mut past = order;
    past[0] += 1;
    for point in &points {
        agreed(point, b"m", &good);
        for s in [[0; 32], order, past, [0xff; 32]] {
            for r in [point, &points[0], &pair.public()] {
                let mut signature = good;
                signature[..32].copy_from_slice(r);
                signature[32..].copy_from_slice(&s);
                agreed(point, b"m", &signature);
                agreed(&pair.public(), b"m", &signature);
            }
        }
    }
}
