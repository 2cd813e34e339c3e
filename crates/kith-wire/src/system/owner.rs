//! The owner's profile, contacts and settings, and folders to choose from.

use kith_types::{NodeId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

/// Tells `null`, which takes away, from a field that is not there, which leaves.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// `GET /api/v1/profile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Profile)]
pub struct ProfileBody {
    /// This node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// The name shown to others; may be empty.
    pub display_name: String,
    /// The picture shown to others, as a `data:` URL; null without one.
    pub avatar: Option<String>,
    /// Where pushes go; null if nowhere.
    pub push_endpoint: Option<String>,
    /// Whether the connection is paid by volume.
    pub metered: bool,
    /// When it was last changed, in milliseconds since 1970; 0 if never.
    #[schema(value_type = i64)]
    pub updated_at_ms: Timestamp,
}

/// `PUT /api/v1/profile`. What is left out stays as it is; null takes away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileUpdate {
    /// At most 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A PNG, JPEG or WebP picture of at most 64 KiB, in base64 or as a `data:` URL.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub avatar: Option<Option<String>>,
    /// Begins with `https://`, or with `http://` on this machine.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub push_endpoint: Option<Option<String>>,
    /// Whether the connection is paid by volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metered: Option<bool>,
}

/// `POST /api/v1/profile/push-test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PushTest {
    /// Whether the endpoint took the push.
    pub delivered: bool,
    /// The status the endpoint answered with; null without an answer.
    pub status: Option<u16>,
    /// Milliseconds until it answered, or until it was given up.
    pub latency_ms: u64,
    /// Why it was not taken; null if it was.
    pub error: Option<String>,
}

/// `GET /api/v1/contacts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ContactList {
    /// The contacts, by name.
    pub contacts: Vec<ContactBody>,
}

/// A node the owner wants to find again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Contact)]
pub struct ContactBody {
    /// The node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// What the owner calls it.
    pub name: String,
    /// The owner's notes.
    pub notes: String,
    /// When it became a contact, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub added_at_ms: Timestamp,
    /// When it was last changed, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub updated_at_ms: Timestamp,
}

/// `POST /api/v1/contacts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NewContact {
    /// The node, `12D3Koo…`.
    pub node_id: String,
    /// 1 to 64 characters.
    pub name: String,
    /// At most 1000 characters.
    #[serde(default)]
    pub notes: String,
}

/// `PUT /api/v1/contacts/{node_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ContactUpdate {
    /// If given, the same as in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// 1 to 64 characters.
    pub name: String,
    /// At most 1000 characters.
    #[serde(default)]
    pub notes: String,
}

/// `GET /api/v1/settings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Settings)]
pub struct SettingsBody {
    /// Whether the folder browser shows hidden folders unless told otherwise.
    pub browse_show_hidden: bool,
    /// Whether reports of problems have the log in them.
    pub diagnostics_include_logs: bool,
    /// Hours of measures that are kept.
    pub metrics_history_hours: u8,
    /// The token that is sent to the push endpoint.
    pub push_token: SecretState,
}

/// Whether a secret is set. The secret itself is never told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SecretState {
    /// Whether it is set.
    pub set: bool,
}

/// `PUT /api/v1/settings`. What is left out stays as it is; null takes away.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsUpdate {
    /// Whether the folder browser shows hidden folders unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browse_show_hidden: Option<bool>,
    /// Whether reports of problems have the log in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnostics_include_logs: Option<bool>,
    /// Hours of measures that are kept, 1 to 24.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_history_hours: Option<u8>,
    /// The token that is sent to the push endpoint as a bearer: 1 to 1024 visible ASCII characters.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "password")]
    pub push_token: Option<Option<String>>,
}

impl std::fmt::Debug for SettingsUpdate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SettingsUpdate").finish_non_exhaustive()
    }
}

/// `GET /api/v1/system/browse`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FolderListing {
    /// The folder, with every link followed; null for the list of roots.
    pub path: Option<String>,
    /// The folder above; null where it may not be looked at.
    pub parent: Option<String>,
    /// Its folders, by name.
    pub entries: Vec<FolderEntry>,
    /// Whether there are more than are told.
    pub truncated: bool,
    /// What could not be told, at most 20.
    pub errors: Vec<FolderFault>,
}

/// A folder in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FolderEntry {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Whether the system's own dialogues would not show it.
    pub hidden: bool,
}

/// Something in a folder that could not be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FolderFault {
    /// Its name.
    pub name: String,
    /// Why.
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn null_takes_away_and_what_is_left_out_stays() {
        let update: ProfileUpdate = from_value(json!({"avatar": null, "display_name": "Ann"})).unwrap();
        assert_eq!((update.avatar, update.push_endpoint), (Some(None), None));
        let update: SettingsUpdate = from_value(json!({"push_token": "x"})).unwrap();
        assert_eq!(update.push_token, Some(Some("x".to_owned())));
        assert!(!format!("{update:?}").contains("\"x\""));
    }

    #[test]
    fn a_setting_that_does_not_exist_is_an_error() {
        assert!(from_value::<SettingsUpdate>(json!({"metrics_history_houres": 3})).is_err());
        assert!(from_value::<ProfileUpdate>(json!({"name": "Ann"})).is_err());
    }
}
