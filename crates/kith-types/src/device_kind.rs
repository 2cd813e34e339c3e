//! What sort of thing a paired device is.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The sort of a paired device; it decides nothing but how it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A telephone.
    Phone,
    /// A tablet.
    Tablet,
    /// A computer.
    Computer,
    /// Anything else with a browser.
    #[default]
    Other,
}

/// The word is no kind of device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of device `{0}`: use `phone`, `tablet`, `computer` or `other`")]
pub struct DeviceKindError(pub String);

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Phone, Self::Tablet, Self::Computer, Self::Other];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Tablet => "tablet",
            Self::Computer => "computer",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeviceKind {
    type Err = DeviceKindError;

    fn from_str(text: &str) -> Result<Self, DeviceKindError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| DeviceKindError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceKind;

    #[test]
    fn the_word_on_the_wire_is_the_word_in_the_database() {
        for kind in DeviceKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("fridge".parse::<DeviceKind>().is_err());
    }
}
