//! Values that may have one of several JSON kinds ("a string or a list"), told apart by their first character.
//!
//! Serde's own untagged enums try each variant and forget where the attempt failed; this keeps the path and the reason.

/// Implements `Deserialize` for a type by the JSON kind of the value: `text`, `list`, `object`, `number`, `boolean`, `null`.
macro_rules! by_kind {
    ($name:ty, $expecting:literal, $($kind:ident => $to:expr),+ $(,)?) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Kinds;
                impl<'de> serde::de::Visitor<'de> for Kinds {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    $(crate::union::visit!('de, $kind, $to);)+
                }
                deserializer.deserialize_any(Kinds)
            }
        }
    };
}

/// One method of the visitor. The conversion may fail with a text.
macro_rules! visit {
    ($de:lifetime, text, $to:expr) => {
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            crate::union::infer($to)(text.to_owned()).map_err(E::custom)
        }
    };
    ($de:lifetime, list, $to:expr) => {
        fn visit_seq<A: serde::de::SeqAccess<$de>>(self, list: A) -> Result<Self::Value, A::Error> {
            let list = serde::Deserialize::deserialize(serde::de::value::SeqAccessDeserializer::new(list))?;
            crate::union::infer($to)(list).map_err(serde::de::Error::custom)
        }
    };
    ($de:lifetime, object, $to:expr) => {
        fn visit_map<A: serde::de::MapAccess<$de>>(self, object: A) -> Result<Self::Value, A::Error> {
            let object = serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(object))?;
            crate::union::infer($to)(object).map_err(serde::de::Error::custom)
        }
    };
    ($de:lifetime, number, $to:expr) => {
        fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
            crate::union::infer($to)(number).map_err(E::custom)
        }
        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
            crate::union::infer($to)(number as f64).map_err(E::custom)
        }
        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
            crate::union::infer($to)(number as f64).map_err(E::custom)
        }
    };
    ($de:lifetime, id, $to:expr) => {
        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
            crate::union::infer($to)(number).map_err(E::custom)
        }
    };
    ($de:lifetime, boolean, $to:expr) => {
        fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
            crate::union::infer($to)(value).map_err(E::custom)
        }
    };
}

pub(crate) use {by_kind, visit};

/// Fixes a conversion's types, so that closures need no annotations.
pub(crate) fn infer<I, O, F: FnOnce(I) -> Result<O, String>>(to: F) -> F {
    to
}
