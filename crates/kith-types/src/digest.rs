//! Digests: BLAKE3 names bytes inside Kith; SHA-256 names them towards model hubs and registries.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// A digest's text was not 64 hexadecimal digits (with its prefix, where one is due).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest: 64 hexadecimal digits are needed")]
pub struct DigestError(pub String);

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps 32 raw bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 raw bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// 64 lower-case hexadecimal digits, without prefix.
            pub fn hex(&self) -> String {
                hex::encode(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, ":{}"), hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            /// Reads 64 hexadecimal digits, with or without the prefix.
            fn from_str(text: &str) -> Result<Self, DigestError> {
                let digits = text.strip_prefix(concat!($prefix, ":")).unwrap_or(text);
                let mut bytes = [0; 32];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| DigestError(text.to_owned()))?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

digest!(
    /// A SHA-256 digest, written `sha256:…`.
    Sha256,
    "sha256"
);
digest!(
    /// A BLAKE3 digest, written `blake3:…`.
    Blake3,
    "blake3"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_bytes_agree(bytes in any::<[u8; 32]>()) {
            let digest = Sha256::from_bytes(bytes);
            prop_assert_eq!(digest.to_string().parse::<Sha256>(), Ok(digest));
            prop_assert_eq!(digest.hex().parse::<Sha256>(), Ok(digest));
        }

        #[test]
        fn nonsense_is_refused(text in ".{0,80}") {
            prop_assume!(text.trim_start_matches("sha256:").len() != 64);
            prop_assert!(text.parse::<Sha256>().is_err());
        }
    }
}
