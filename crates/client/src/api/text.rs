//! Keys, hashes and bytes as text.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// Text that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got:?}")]
pub struct TextError {
    /// What was wanted.
    pub expected: &'static str,
    /// The beginning of what came.
    pub got: String,
}

fn wrong(expected: &'static str, got: &str) -> TextError {
    TextError {
        expected,
        got: got.chars().take(80).collect(),
    }
}

/// A key or address: base58 in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key32(pub [u8; 32]);

/// A hash: 64 lower-case hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash32(pub [u8; 32]);

/// A signature: base58 in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature64(pub [u8; 64]);

/// Bytes: base64 (standard alphabet, padded) in text.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Base64(pub Vec<u8>);

impl fmt::Display for Key32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.0).into_string())
    }
}

impl FromStr for Key32 {
    type Err = TextError;
    fn from_str(s: &str) -> Result<Self, TextError> {
        let mut key = [0; 32];
        match bs58::decode(s).onto(&mut key) {
            Ok(32) => Ok(Self(key)),
            _ => Err(wrong("a base58 key of 32 bytes", s)),
        }
    }
}

impl fmt::Display for Hash32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Hash32 {
    type Err = TextError;
    fn from_str(s: &str) -> Result<Self, TextError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(s, &mut hash).map_err(|_| wrong("64 hex digits", s))?;
        Ok(Self(hash))
    }
}

impl fmt::Display for Signature64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.0).into_string())
    }
}

impl FromStr for Signature64 {
    type Err = TextError;
    fn from_str(s: &str) -> Result<Self, TextError> {
        let mut signature = [0; 64];
        match bs58::decode(s).onto(&mut signature) {
            Ok(64) => Ok(Self(signature)),
            _ => Err(wrong("a base58 signature of 64 bytes", s)),
        }
    }
}

impl fmt::Display for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine as _;
        f.write_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl FromStr for Base64 {
    type Err = TextError;
    fn from_str(s: &str) -> Result<Self, TextError> {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD
            .decode(s)
            .map(Self)
            .map_err(|_| wrong("base64", s))
    }
}

macro_rules! text {
    ($type:ident, $example:expr, $about:expr) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(d)?
                    .parse()
                    .map_err(D::Error::custom)
            }
        }
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(SchemaType::Type(Type::String))
                    .description(Some($about))
                    .examples([$example])
                    .into()
            }
        }
        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($type))
            }
        }
    };
}

text!(
    Key32,
    "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU",
    "32 bytes in base58"
);
text!(
    Hash32,
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "32 bytes in hex"
);
text!(
    Signature64,
    "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW",
    "64 bytes in base58"
);
text!(Base64, "AAECAw==", "bytes in base64");

impl From<solana_pubkey::Pubkey> for Key32 {
    fn from(key: solana_pubkey::Pubkey) -> Self {
        Self(key.to_bytes())
    }
}

impl From<Key32> for solana_pubkey::Pubkey {
    fn from(key: Key32) -> Self {
        Self::new_from_array(key.0)
    }
}

impl From<solana_signature::Signature> for Signature64 {
    fn from(signature: solana_signature::Signature) -> Self {
        Self(*signature.as_array())
    }
}

impl From<Signature64> for solana_signature::Signature {
    fn from(signature: Signature64) -> Self {
        Self::from(signature.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_refuses_other_lengths() {
        let key = Key32([7; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert!("1111".parse::<Key32>().is_err());
        assert!(format!("{key}1").parse::<Key32>().is_err());
        let hash = Hash32([0xab; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("ab".parse::<Hash32>().is_err());
        let signature = Signature64([9; 64]);
        assert_eq!(signature.to_string().parse(), Ok(signature));
        let bytes = Base64(vec![0, 1, 254]);
        assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"AAH+\"");
        assert_eq!(serde_json::from_str::<Base64>("\"AAH+\"").unwrap(), bytes);
        assert!(serde_json::from_str::<Base64>("\"AAH\"").is_err());
    }
}
