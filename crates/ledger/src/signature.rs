//! The one signature rule.
//!
//! A signature `(R, s)` of a message `M` under a key `A` is good if and only if
//! 1. `A` and `R` are canonical encodings: the low 255 bits are below 2^255 - 19;
//! 2. neither is a point of small order;
//! 3. `s` is below the group order `L`;
//! 4. both are points of the curve, and `8 s B = 8 R + 8 SHA-512(R || A || M) A`.
//!
//! The first three look at bytes only ([`well_formed`], any platform). The fourth is the cofactored
//! equation, which a single and a batch verification decide alike; a platform computes it in its
//! own way behind [`Verify`]. On hosts that is `ed25519-zebra` (ZIP-215).
//!
//! An encoding of `x = 0` with the sign bit set is not canonical either; its points have small
//! order, so that rule 2 refuses it.

use crate::{Hash, Key};
use assay_tensor::hash::hashv;

/// An Ed25519 signature: `R` (32 bytes), then `s` (32, little-endian).
pub type Signature = [u8; 64];

/// Decides about signatures for the state transition.
pub trait Verify {
    /// Whether `signature` is `key`'s signature of `message` under the one signature rule, or,
    /// for those that decide later or decided before, whether it is taken as such.
    fn verify(&mut self, key: &Key, message: &[u8], signature: &Signature) -> bool;
}

/// 2^255 - 19, little-endian.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// The order of the prime-order subgroup, little-endian:
/// 2^252 + 27742317777372353535851937790883648493.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The `y` coordinates of the eight points of small order: 1 (the identity), -1 (order 2),
/// 0 (order 4), and two of order 8.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = P;
        minus_one[0] -= 1;
        minus_one
    },
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
];

/// Whether `a < b`, little-endian.
fn below(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// Whether a point's encoding is canonical and not of small order (rules 1 and 2).
pub fn point_is_well_formed(encoding: &[u8; 32]) -> bool {
    let mut y = *encoding;
    y[31] &= 0x7f;
    below(&y, &P) && !SMALL_ORDER.contains(&y)
}

/// Rules 1 to 3: everything that can be said without curve arithmetic.
pub fn well_formed(key: &Key, signature: &Signature) -> bool {
    let (r, s) = split(signature);
    point_is_well_formed(key) && point_is_well_formed(&r) && below(&s, &L)
}

/// `R` and `s`.
fn split(signature: &Signature) -> ([u8; 32], [u8; 32]) {
    let (mut r, mut s) = ([0; 32], [0; 32]);
    r.copy_from_slice(&signature[..32]);
    s.copy_from_slice(&signature[32..]);
    (r, s)
}

/// Takes the one signature that somebody verified before, over the message with this hash, and
/// no other.
pub struct Known {
    /// [`crate::request::Request::id`] of the request whose signature was verified.
    pub id: Hash,
    /// The signature that was verified.
    pub signature: Signature,
}

impl Verify for Known {
    fn verify(&mut self, _key: &Key, message: &[u8], signature: &Signature) -> bool {
        // The signing bytes name the key.
        self.signature == *signature && self.id == hashv(&[message])
    }
}

#[cfg(feature = "std")]
mod host {
    use super::{Signature, Verify, well_formed};
    use crate::Key;
    use ed25519_zebra::{SigningKey, VerificationKey, VerificationKeyBytes, batch};
    use rand_core::OsRng;
    use std::vec::Vec;

    /// Whether `signature` is `key`'s signature of `message`.
    pub fn verify(key: &Key, message: &[u8], signature: &Signature) -> bool {
        well_formed(key, signature)
            && VerificationKey::try_from(*key)
                .and_then(|key| key.verify(&(*signature).into(), message))
                .is_ok()
    }

    /// Whether all of these are good, by one random linear combination of the same equation. A
    /// bad one passes with a probability of 2^-125 at most.
    pub fn verify_batch(items: &[(&Key, &[u8], &Signature)]) -> bool {
        let mut batch = batch::Verifier::new();
        for (key, message, signature) in items {
            if !well_formed(key, signature) {
                return false;
            }
            batch.queue((
                VerificationKeyBytes::from(**key),
                (**signature).into(),
                *message,
            ));
        }
        batch.verify(OsRng).is_ok()
    }

    /// Verifies each signature when it is asked about.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Each;

    impl Verify for Each {
        fn verify(&mut self, key: &Key, message: &[u8], signature: &Signature) -> bool {
            verify(key, message, signature)
        }
    }

    /// Takes every signature: for a second walk over what a first one verified, and where it does
    /// not matter.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Assumed;

    impl Verify for Assumed {
        fn verify(&mut self, _: &Key, _: &[u8], _: &Signature) -> bool {
            true
        }
    }

    /// Takes every well-formed signature and keeps it, to verify all in one batch later.
    #[derive(Clone, Debug, Default)]
    pub struct Collect(Vec<(Key, Vec<u8>, Signature)>);

    impl Verify for Collect {
        fn verify(&mut self, key: &Key, message: &[u8], signature: &Signature) -> bool {
            let good = well_formed(key, signature);
            if good {
                self.0.push((*key, message.to_vec(), *signature));
            }
            good
        }
    }

    impl Collect {
        /// Whether all that were taken are good.
        pub fn all_good(&self) -> bool {
            let items: Vec<_> = self.0.iter().map(|(k, m, s)| (k, &m[..], s)).collect();
            verify_batch(&items)
        }
    }

    /// A key that signs.
    #[derive(Clone, Copy)]
    pub struct Keypair {
        signing: SigningKey,
        public: Key,
    }

    impl Keypair {
        /// The key pair with this secret seed, as in RFC 8032 and Solana's key files.
        pub fn from_seed(seed: [u8; 32]) -> Self {
            let signing = SigningKey::from(seed);
            Self {
                public: VerificationKeyBytes::from(&signing).into(),
                signing,
            }
        }

        /// A new random key pair.
        pub fn random() -> Self {
            Self::from_seed(SigningKey::new(OsRng).to_bytes())
        }

        /// The public key.
        pub fn public(&self) -> Key {
            self.public
        }

        /// Signs `message`.
        pub fn sign(&self, message: &[u8]) -> Signature {
            self.signing.sign(message).to_bytes()
        }
    }

    impl core::fmt::Debug for Keypair {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            write!(f, "Keypair({:02x?})", &self.public[..4])
        }
    }
}

#[cfg(feature = "std")]
pub use host::{Assumed, Collect, Each, Keypair, verify, verify_batch};
