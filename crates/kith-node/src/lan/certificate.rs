//! The certificate of the listener for paired devices: made here, signed by itself, kept with its key in one private file.
//!
//! A device remembers the certificate it was shown, so it is made anew only when it must be: when it nears its end, or when it does not
//! name an address of this machine. A new one keeps the key, and the latest of the names before: a laptop that comes home is known.

use base64::{Engine, engine::general_purpose::STANDARD};
use kith_keys::{KeyError, private_file};
use kith_types::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, path::Path, sync::Arc};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use zeroize::Zeroizing;

/// Its file in the node's folder.
const FILE: &str = "lan-certificate.json";
/// How long one is good for. Phones take none that is good for more than 825 days.
const LIFE_MS: i64 = 397 * DAY_MS;
/// So long before its end a new one is made.
const RENEW_MS: i64 = 30 * DAY_MS;
const DAY_MS: i64 = 24 * 3_600_000;
/// The most names in one; the oldest that are no longer this machine's are left out.
const MAX_NAMES: usize = 16;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] KeyError),
    /// It could not be made.
    #[error("the certificate of the listener for devices could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// It cannot be used.
    #[error("the certificate of the listener for devices cannot be used: {0}")]
    Use(#[from] tokio_rustls::rustls::Error),
    /// The clock stands where no certificate can be dated.
    #[error("the certificate of the listener for devices cannot be dated by this machine's clock")]
    Clock,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    certificate: String,
    names: Vec<String>,
    expires_ms: i64,
}

/// A certificate and its key.
pub(super) struct Certificate {
    key: Zeroizing<Vec<u8>>,
    der: Vec<u8>,
    names: Vec<String>,
    expires: Timestamp,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("names", &self.names).field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Certificate {
    /// The certificate kept in `dir`, or a new one where there is none that names all of `names` for a while to come. Blocks.
    pub fn load_or_make(dir: &Path, names: &[String], now: Timestamp) -> Result<Self, CertificateError> {
        let path = dir.join(FILE);
        let old = private_file::read(&path)?.and_then(|bytes| Self::parse(&bytes));
        if let Some(old) = &old
            && old.serves(names, now)
        {
            return Ok(Self { key: old.key.clone(), der: old.der.clone(), names: old.names.clone(), expires: old.expires });
        }
        let made = Self::make(old.as_ref(), names, now)?;
        private_file::replace(&path, &made.to_json())?;
        Ok(made)
    }

    /// Whether it names all of `names`, and does so for a while to come.
    pub fn serves(&self, names: &[String], now: Timestamp) -> bool {
        let left = self.expires.ms() - now.ms();
        names.iter().all(|name| self.names.contains(name)) && (RENEW_MS..=LIFE_MS + DAY_MS).contains(&left)
    }

    /// What people compare: the SHA-256 of the whole certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// TLS with it, by the provider that the node's clients use.
    pub fn server(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.to_vec()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(self.der.clone())], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn make(old: Option<&Self>, names: &[String], now: Timestamp) -> Result<Self, CertificateError> {
        let key = match old {
            Some(old) => {
                KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(old.key.as_slice()), &PKCS_ECDSA_P256_SHA256)?
            }
            None => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        };
        let mut all = names.to_vec();
        all.extend(old.into_iter().flat_map(|old| &old.names).filter(|name| !names.contains(name)).cloned());
        all.truncate(MAX_NAMES.max(names.len()));
        let mut params = CertificateParams::new(all.clone())?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, "Kith");
        params.distinguished_name = subject;
        params.is_ca = IsCa::NoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // From the day before: the other machine's clock may be behind.
        let (year, month, day) = date(now.plus_ms(-DAY_MS))?;
        params.not_before = date_time_ymd(year, month, day);
        let (year, month, day) = date(now.plus_ms(LIFE_MS))?;
        params.not_after = date_time_ymd(year, month, day);
        let end = now.plus_ms(LIFE_MS);
        let expires = Timestamp::from_ms(end.ms() - end.ms().rem_euclid(DAY_MS));
        let der = params.self_signed(&key)?.der().to_vec();
        Ok(Self { key: Zeroizing::new(key.serialize_der()), der, names: all, expires })
    }

    /// `None` for a file that does not hold a certificate of ours: devices that know it are shown a new one.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        let stored_key = Zeroizing::new(stored.key);
        let key = Zeroizing::new(STANDARD.decode(stored_key.as_bytes()).ok()?);
        let der = STANDARD.decode(stored.certificate).ok()?;
        let this = Self { key, der, names: stored.names, expires: Timestamp::from_ms(stored.expires_ms) };
        // Key and certificate must be of each other.
        this.server().is_ok().then_some(this)
    }

    fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let stored = Stored {
            key: STANDARD.encode(self.key.as_slice()),
            certificate: STANDARD.encode(&self.der),
            names: self.names.clone(),
            expires_ms: self.expires.ms(),
        };
        let json = Zeroizing::new(serde_json::to_vec(&stored).unwrap_or_default());
        drop(Zeroizing::new(stored.key));
        json
    }
}

/// Year, month and day in UTC.
fn date(at: Timestamp) -> Result<(i32, u8, u8), CertificateError> {
    let at = jiff::Timestamp::from_millisecond(at.ms()).map_err(|_| CertificateError::Clock)?;
    let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
    let small = |number: i8| u8::try_from(number).map_err(|_| CertificateError::Clock);
    Ok((i32::from(date.year()), small(date.month())?, small(date.day())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn it_is_kept_as_long_as_it_serves() {
        let dir = tempfile::tempdir().unwrap();
        let home = names(&["192.168.1.5", "box.local"]);
        let first = Certificate::load_or_make(dir.path(), &home, NOW).unwrap();
        let again = Certificate::load_or_make(dir.path(), &home, NOW.plus_ms(300 * DAY_MS)).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert!(first.server().is_ok());
    }

    #[test]
    fn a_new_address_and_a_near_end_make_a_new_one_of_the_same_key_that_knows_the_old_names() {
        let dir = tempfile::tempdir().unwrap();
        let home = names(&["192.168.1.5", "box.local"]);
        let first = Certificate::load_or_make(dir.path(), &home, NOW).unwrap();
        let away = Certificate::load_or_make(dir.path(), &names(&["10.0.0.7", "box.local"]), NOW).unwrap();
        assert_ne!(first.fingerprint(), away.fingerprint());
        assert_eq!(first.key, away.key);
        let home_again = Certificate::load_or_make(dir.path(), &home, NOW).unwrap();
        assert_eq!(away.fingerprint(), home_again.fingerprint(), "at home it is known");
        let later = Certificate::load_or_make(dir.path(), &home, NOW.plus_ms(LIFE_MS - RENEW_MS)).unwrap();
        assert_ne!(later.fingerprint(), away.fingerprint());
        assert!(later.serves(&home, NOW.plus_ms(LIFE_MS + 100 * DAY_MS)));
    }

    #[test]
    fn only_so_many_old_names_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for last in 0..30 {
            let made = Certificate::load_or_make(dir.path(), &[format!("10.0.0.{last}")], NOW).unwrap();
            assert!(made.names.len() <= MAX_NAMES);
            assert_eq!(made.names[0], format!("10.0.0.{last}"));
        }
    }

    #[test]
    fn a_damaged_file_is_replaced_and_the_clock_set_back_makes_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let home = names(&["192.168.1.5"]);
        for damage in ["", "{}", "nonsense", r#"{"key":"AAAA","certificate":"AAAA","names":[],"expires_ms":9000000000000}"#] {
            std::fs::write(dir.path().join(FILE), damage).unwrap();
            Certificate::load_or_make(dir.path(), &home, NOW).unwrap();
        }
        let now = Certificate::load_or_make(dir.path(), &home, NOW).unwrap();
        let before = Certificate::load_or_make(dir.path(), &home, NOW.plus_ms(-1000 * DAY_MS)).unwrap();
        assert_ne!(now.fingerprint(), before.fingerprint());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_its_key_and_it_is_never_printed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let made = Certificate::load_or_make(dir.path(), &names(&["10.0.0.1"]), NOW).unwrap();
        assert_eq!(std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{made:?}").contains("key"));
    }
}
