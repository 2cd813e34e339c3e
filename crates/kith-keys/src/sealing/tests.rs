//! What a folder's sealing key promises on every kind of machine, with keyrings that work, lie, fail and hang.

use super::{keyring_port::bounded_by, *};
use crate::{OsEntropy, Sealer};
use std::{
    collections::HashMap,
    fs,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Works,
    Forgets,
    Locked,
    Panics,
    Hangs,
}

struct FakeKeyring {
    mood: Mutex<Mood>,
    kept: Mutex<HashMap<String, Vec<u8>>>,
}

impl FakeKeyring {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self { mood: Mutex::new(mood), kept: Mutex::default() })
    }

    fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn answer(&self) -> Result<(), KeyringError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Works | Mood::Forgets => Ok(()),
            Mood::Locked => Err(KeyringError("locked".to_owned())),
            Mood::Panics => panic!("as a broken bus does"),
            Mood::Hangs => loop {
                thread::park();
            },
        }
    }
}

impl Keyring for FakeKeyring {
    fn get(&self, account: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError> {
        self.answer()?;
        Ok(self.kept.lock().unwrap().get(account).cloned().map(Zeroizing::new))
    }

    fn put(&self, account: &str, secret: &[u8]) -> Result<(), KeyringError> {
        self.answer()?;
        if *self.mood.lock().unwrap() != Mood::Forgets {
            self.kept.lock().unwrap().insert(account.to_owned(), secret.to_vec());
        }
        Ok(())
    }

    fn delete(&self, account: &str) -> Result<(), KeyringError> {
        self.answer()?;
        self.kept.lock().unwrap().remove(account);
        Ok(())
    }
}

fn start(dir: &Path, wanted: KeyProvider, keyring: Option<&Arc<FakeKeyring>>) -> Result<(Key, SealedBy), KeyError> {
    load_or_create(dir, wanted, &OsEntropy, keyring.map(|keyring| Arc::clone(keyring) as Arc<dyn Keyring>))
}

#[test]
fn with_a_keyring_the_key_lies_there_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = FakeKeyring::new(Mood::Works);
    let (key, by) = start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap();
    assert_eq!(by, SealedBy::Keyring);
    assert!(!folder.path().join(KEY_FILE).exists());
    let record: serde_json::Value = serde_json::from_slice(&fs::read(folder.path().join(RECORD)).unwrap()).unwrap();
    assert_eq!(record["provider"], "keyring");
    assert_eq!(keyring.kept.lock().unwrap()[record["id"].as_str().unwrap()], key.as_slice());
    assert_eq!(start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap(), (key, SealedBy::Keyring));
}

#[test]
fn two_folders_have_two_keys_in_one_keyring() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keyring = FakeKeyring::new(Mood::Works);
    let first = start(one.path(), KeyProvider::Auto, Some(&keyring)).unwrap();
    assert_ne!(first, start(two.path(), KeyProvider::Auto, Some(&keyring)).unwrap());
    assert_eq!(keyring.kept.lock().unwrap().len(), 2);
}

#[test]
fn without_a_session_the_key_lies_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path(), KeyProvider::Auto, None).unwrap();
    assert_eq!(first.1, SealedBy::File);
    assert_eq!(fs::read(folder.path().join(KEY_FILE)).unwrap(), first.0.as_slice());
    // A keyring that appears later does not matter: the record decides.
    assert_eq!(start(folder.path(), KeyProvider::Auto, Some(&FakeKeyring::new(Mood::Works))).unwrap(), first);
}

#[test]
fn a_keyring_that_fails_at_the_first_start_means_a_file() {
    for mood in [Mood::Locked, Mood::Forgets, Mood::Panics] {
        let folder = tempfile::tempdir().unwrap();
        let keyring = FakeKeyring::new(mood);
        let first = start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap();
        assert_eq!(first.1, SealedBy::File);
        keyring.turn(Mood::Works);
        assert_eq!(start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap(), first);
    }
}

#[test]
fn a_keyring_that_hangs_costs_two_seconds_once() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = FakeKeyring::new(Mood::Hangs);
    let before = Instant::now();
    assert_eq!(start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap().1, SealedBy::File);
    assert!((1.9..4.0).contains(&before.elapsed().as_secs_f64()), "{:?}", before.elapsed());
    let again = Instant::now();
    start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap();
    assert!(again.elapsed() < Duration::from_millis(200), "{:?}", again.elapsed());
}

#[test]
fn a_keyring_that_answers_late_is_not_waited_for() {
    let keyring = FakeKeyring::new(Mood::Hangs) as Arc<dyn Keyring>;
    let error = bounded_by(Duration::from_millis(20), keyring, |keyring| keyring.get("any").map(drop)).unwrap_err();
    assert_eq!(error.to_string(), "no answer in 20 ms");
}

#[test]
fn a_keyring_locked_or_absent_later_is_a_clear_error_and_not_a_new_key() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = FakeKeyring::new(Mood::Works);
    let first = start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap();
    for mood in [Mood::Locked, Mood::Panics] {
        keyring.turn(mood);
        let error = start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap_err();
        assert!(error.to_string().starts_with("the key is in the desktop keyring, which is locked or absent ("), "{error}");
    }
    let error = start(folder.path(), KeyProvider::Auto, None).unwrap_err();
    assert!(matches!(error, KeyError::KeyringUnavailable { .. }), "{error}");
    assert!(!folder.path().join(KEY_FILE).exists());
    keyring.turn(Mood::Works);
    assert_eq!(start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap(), first);
}

#[test]
fn an_entry_gone_from_the_keyring_or_cut_short_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = FakeKeyring::new(Mood::Works);
    start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap();
    keyring.kept.lock().unwrap().values_mut().for_each(|secret| secret.truncate(31));
    assert!(matches!(start(folder.path(), KeyProvider::Auto, Some(&keyring)), Err(KeyError::Damaged { .. })));
    keyring.kept.lock().unwrap().clear();
    assert!(matches!(start(folder.path(), KeyProvider::Auto, Some(&keyring)), Err(KeyError::KeyringEntryMissing { .. })));
}

#[test]
fn forcing_a_file_leaves_the_keyring_alone_at_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = FakeKeyring::new(Mood::Panics);
    assert_eq!(start(folder.path(), KeyProvider::File, Some(&keyring)).unwrap().1, SealedBy::File);
}

#[test]
fn forcing_a_file_later_moves_the_same_key_there() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = FakeKeyring::new(Mood::Works);
    let (key, _) = start(folder.path(), KeyProvider::Auto, Some(&keyring)).unwrap();
    keyring.turn(Mood::Locked);
    assert!(matches!(start(folder.path(), KeyProvider::File, Some(&keyring)), Err(KeyError::KeyringUnavailable { .. })));
    keyring.turn(Mood::Works);
    let moved = start(folder.path(), KeyProvider::File, Some(&keyring)).unwrap();
    assert_eq!(moved, (key, SealedBy::File));
    assert!(keyring.kept.lock().unwrap().is_empty());
    assert_eq!(start(folder.path(), KeyProvider::Auto, None).unwrap(), moved);
}

#[test]
fn a_first_start_cut_off_before_its_record_goes_on_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path(), KeyProvider::File, None).unwrap();
    fs::remove_file(folder.path().join(RECORD)).unwrap();
    assert_eq!(start(folder.path(), KeyProvider::Auto, Some(&FakeKeyring::new(Mood::Works))).unwrap(), first);
}

#[test]
fn a_lost_file_is_named_and_never_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Sealer::load_or_create(folder.path(), KeyProvider::File, Arc::new(OsEntropy)).unwrap();
    Identity::load_or_create(folder.path(), &sealer).unwrap();
    fs::remove_file(folder.path().join(KEY_FILE)).unwrap();
    let error = start(folder.path(), KeyProvider::File, None).unwrap_err();
    assert!(matches!(&error, KeyError::Missing { path } if path.ends_with(KEY_FILE)), "{error}");
    fs::remove_file(folder.path().join(RECORD)).unwrap();
    let error = start(folder.path(), KeyProvider::File, None).unwrap_err();
    assert!(matches!(&error, KeyError::Missing { path } if path.ends_with(RECORD)), "{error}");
    assert!(!folder.path().join(KEY_FILE).exists());
}

#[test]
fn a_damaged_key_or_record_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path(), KeyProvider::File, None).unwrap();
    for (file, content) in
        [(KEY_FILE, &b"short"[..]), (KEY_FILE, b""), (RECORD, b""), (RECORD, b"{\"provider\":\"cloud\",\"id\":\"1\"}")]
    {
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let error = start(folder.path(), KeyProvider::File, None).unwrap_err();
        assert!(matches!(&error, KeyError::Damaged { path, .. } if path.ends_with(file)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
        fs::write(&path, whole).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn wrong_permissions_are_put_right() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    start(folder.path(), KeyProvider::File, None).unwrap();
    for file in [KEY_FILE, RECORD] {
        let path = folder.path().join(file);
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        start(folder.path(), KeyProvider::File, None).unwrap();
        assert_eq!(mode(), 0o600);
    }
}

#[test]
fn the_provider_is_chosen_by_name() {
    assert_eq!("auto".parse(), Ok(KeyProvider::Auto));
    assert_eq!("file".parse(), Ok(KeyProvider::File));
    assert!("File ".parse::<KeyProvider>().is_err());
}
