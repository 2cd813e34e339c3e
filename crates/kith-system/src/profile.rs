//! How the owner shows themselves to others, and where they want to be told of things.

mod picture;

pub use picture::{MAX_AVATAR, Picture};

use crate::{SystemError, contacts::words, push};
use kith_events::Events;
use kith_store::{ProfileRow, Store};
use kith_types::{Clock, Timestamp};
use serde_json::json;
use std::sync::Arc;

/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// The owner's profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The name shown to others; may be empty.
    pub display_name: String,
    /// The picture shown to others.
    pub avatar: Option<Picture>,
    /// Where pushes go.
    pub push_endpoint: Option<String>,
    /// Whether the connection is paid by volume.
    pub metered: bool,
    /// When it was last changed; 1970 if never.
    pub updated: Timestamp,
}

/// What is to be changed; what is `None` stays, and `Some(None)` takes away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileChange {
    /// See [`Profile::display_name`].
    pub display_name: Option<String>,
    /// The picture's bytes.
    pub avatar: Option<Option<Vec<u8>>>,
    /// See [`Profile::push_endpoint`].
    pub push_endpoint: Option<Option<String>>,
    /// See [`Profile::metered`].
    pub metered: Option<bool>,
}

/// Keeps the profile.
pub struct Profiles {
    store: Store,
    clock: Arc<dyn Clock>,
    events: Events,
    changing: tokio::sync::Mutex<()>,
}

impl Profiles {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, events: Events) -> Self {
        Self { store, clock, events, changing: tokio::sync::Mutex::default() }
    }

    /// The profile as it is.
    ///
    /// # Errors
    /// [`SystemError::Store`].
    pub async fn get(&self) -> Result<Profile, SystemError> {
        let Some(row) = self.store.profile().await? else { return Ok(Profile::default()) };
        // A picture was looked at when it came in.
        let avatar = row.avatar.map(Picture::new).transpose().ok().flatten();
        Ok(Profile {
            display_name: row.display_name,
            avatar,
            push_endpoint: row.push_endpoint,
            metered: row.metered,
            updated: row.updated,
        })
    }

    /// Changes what is given, all of it or nothing, and gives the profile then in force. Tells which fields changed as
    /// `profile.changed`.
    ///
    /// # Errors
    /// [`SystemError::Invalid`] for a name over 64 characters, a picture over 64 KiB or of another kind than PNG, JPEG or WebP, an
    /// endpoint that is neither `https` nor on this machine; [`SystemError::Store`].
    pub async fn change(&self, change: ProfileChange) -> Result<Profile, SystemError> {
        let _changing = self.changing.lock().await;
        let before = self.get().await?;
        let mut next = before.clone();
        if let Some(name) = change.display_name {
            next.display_name = words("display_name", &name, MAX_NAME, false)?;
        }
        if let Some(avatar) = change.avatar {
            next.avatar = avatar.map(Picture::new).transpose()?;
        }
        if let Some(endpoint) = change.push_endpoint {
            next.push_endpoint = endpoint.map(|text| push::check(&text).map(|url| url.to_string())).transpose()?;
        }
        if let Some(metered) = change.metered {
            next.metered = metered;
        }
        let fields: Vec<&str> = [
            ("display_name", next.display_name != before.display_name),
            ("avatar", next.avatar != before.avatar),
            ("push_endpoint", next.push_endpoint != before.push_endpoint),
            ("metered", next.metered != before.metered),
        ]
        .into_iter()
        .filter_map(|(field, changed)| changed.then_some(field))
        .collect();
        if fields.is_empty() {
            return Ok(before);
        }
        next.updated = self.clock.now();
        self.store
            .profile_put(&ProfileRow {
                display_name: next.display_name.clone(),
                avatar: next.avatar.as_ref().map(|avatar| avatar.bytes().to_vec()),
                push_endpoint: next.push_endpoint.clone(),
                metered: next.metered,
                updated: next.updated,
            })
            .await?;
        self.events.publish("profile.changed", json!({"fields": fields}));
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tests::{House, START};

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01";

    #[tokio::test]
    async fn what_is_given_changes_what_is_not_stays_and_all_of_it_outlasts_a_restart() {
        let house = House::new().await;
        let profiles = &house.system.profiles;
        assert_eq!(profiles.get().await.unwrap(), Profile::default());
        let change = ProfileChange {
            display_name: Some(" Ann ".into()),
            avatar: Some(Some(PNG.to_vec())),
            push_endpoint: Some(Some("https://push.example/secret".into())),
            metered: None,
        };
        profiles.change(change).await.unwrap();
        let changed = profiles.change(ProfileChange { metered: Some(true), ..Default::default() }).await.unwrap();
        assert_eq!((changed.display_name.as_str(), changed.metered), ("Ann", true));
        assert_eq!(changed.avatar.as_ref().unwrap().media_type(), "image/png");
        let told: Vec<_> = house.events.recent().iter().map(|event| event.data.to_string()).collect();
        assert_eq!(told, [r#"{"fields":["display_name","avatar","push_endpoint"]}"#, r#"{"fields":["metered"]}"#]);
        let again = House::on(house.close().await, START, |_, _| {}).await;
        assert_eq!(again.system.profiles.get().await.unwrap(), changed);
        let without = ProfileChange { avatar: Some(None), push_endpoint: Some(None), ..Default::default() };
        let without = again.system.profiles.change(without).await.unwrap();
        assert_eq!((without.avatar, without.push_endpoint, without.display_name.as_str()), (None, None, "Ann"));
    }

    #[tokio::test]
    async fn a_change_with_one_bad_value_changes_nothing() {
        let house = House::new().await;
        let changes = [
            ProfileChange { display_name: Some("x".repeat(65)), ..Default::default() },
            ProfileChange { display_name: Some("a\u{7}b".into()), ..Default::default() },
            ProfileChange { avatar: Some(Some(b"<svg/>".to_vec())), ..Default::default() },
            ProfileChange { push_endpoint: Some(Some("http://push.example/x".into())), ..Default::default() },
        ];
        for change in changes {
            let change = ProfileChange { metered: Some(true), ..change };
            assert!(matches!(house.system.profiles.change(change).await, Err(SystemError::Invalid { .. })));
        }
        assert_eq!(house.system.profiles.get().await.unwrap(), Profile::default());
        assert!(house.events.recent().is_empty());
    }
}
