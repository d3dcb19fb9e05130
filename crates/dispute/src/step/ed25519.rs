//! The one signature rule ([`assay_ledger::signature`]) where a Solana program has to decide it.
//!
//! Rules 1 to 3 look at bytes. Of rule 4, SHA-512 and the reduction by the group order are computed in
//! software, the same everywhere; points are decoded and multiplied by the system calls of the curve
//! (on a host, by the library behind those).

use assay_ledger::Key;
use assay_ledger::signature::{Signature, Verify, well_formed};
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};
use solana_curve25519::edwards::{PodEdwardsPoint, multiply_edwards, multiscalar_multiply_edwards};
use solana_curve25519::scalar::PodScalar;

/// The base point's encoding.
const BASE: [u8; 32] = {
    let mut base = [0x66; 32];
    base[0] = 0x58;
    base
};

/// The encoding of the neutral point.
const IDENTITY: [u8; 32] = small(1);

/// A number below 256, little-endian.
const fn small(value: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = value;
    bytes
}

/// The encoding of a point's negative. It has the other sign bit: rule 2 leaves no point with `x = 0`,
/// which would be its own negative.
fn negative(mut encoding: [u8; 32]) -> [u8; 32] {
    encoding[31] ^= 0x80;
    encoding
}

/// Whether `signature` is `key`'s signature of `message`, decided by the system calls.
#[inline(never)]
pub fn verify(key: &Key, message: &[u8], signature: &Signature) -> bool {
    if !well_formed(key, signature) {
        return false;
    }
    let (r, s) = signature.split_at(32);
    let hash = Sha512::new()
        .chain_update(r)
        .chain_update(key)
        .chain_update(message)
        .finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into()).to_bytes();
    let (mut commitment, mut scalar) = ([0; 32], [0; 32]);
    commitment.copy_from_slice(r);
    scalar.copy_from_slice(s);
    let scalars = [scalar, k, small(1)].map(PodScalar);
    let points = [BASE, negative(*key), negative(commitment)].map(PodEdwardsPoint);
    // Fails where a point is none of the curve.
    multiscalar_multiply_edwards(&scalars, &points)
        .and_then(|sum| multiply_edwards(&PodScalar(small(8)), &sum))
        .is_some_and(|sum| sum.0 == IDENTITY)
}

/// Verifies each signature when it is asked about, by the system calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Syscalls;

impl Verify for Syscalls {
    fn verify(&mut self, key: &Key, message: &[u8], signature: &Signature) -> bool {
        verify(key, message, signature)
    }
}
