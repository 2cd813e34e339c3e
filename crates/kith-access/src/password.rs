//! Password hashes: Argon2id, off the threads that serve requests, two at once.

use crate::AccessError;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version, password_hash};
use kith_keys::Entropy;
use std::sync::Arc;
use tokio::{sync::Semaphore, task::spawn_blocking};
use zeroize::Zeroizing;

/// The shortest password, in characters.
pub(crate) const MIN_CHARS: usize = 8;
/// The longest password, in characters.
pub(crate) const MAX_CHARS: usize = 256;

/// The least that OWASP's password storage cheat sheet asks of Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash of `password` under a random salt, as a PHC string. The caller has looked to the password's length.
pub(crate) async fn hash(password: &str, entropy: &dyn Entropy, hashes: &Arc<Semaphore>) -> Result<String, AccessError> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt)?;
    let password = Zeroizing::new(password.to_owned());
    heavy(hashes, move || {
        let salt = password_hash::SaltString::encode_b64(&salt)?;
        Ok(argon2id()?.hash_password(password.as_bytes(), &salt)?.to_string())
    })
    .await
}

/// Whether `password` is the one whose hash is `phc`.
pub(crate) async fn verify(password: &str, phc: String, hashes: &Arc<Semaphore>) -> Result<bool, AccessError> {
    // Nothing so long was ever set, and hashing it would cost in proportion.
    if password.chars().nth(MAX_CHARS).is_some() {
        return Ok(false);
    }
    let password = Zeroizing::new(password.to_owned());
    heavy(hashes, move || match argon2id()?.verify_password(password.as_bytes(), &PasswordHash::new(&phc)?) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::Password) => Ok(false),
        Err(error) => Err(error),
    })
    .await
}

fn argon2id() -> Result<Argon2<'static>, password_hash::Error> {
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY_KIB, PASSES, LANES, None)?))
}

/// The permit goes with the work, which goes on when its caller has gone.
async fn heavy<T: Send + 'static>(
    hashes: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, password_hash::Error> + Send + 'static,
) -> Result<T, AccessError> {
    let failed = |error: &dyn std::fmt::Display| AccessError::Hash(error.to_string());
    let permit = Arc::clone(hashes).acquire_owned().await.map_err(|error| failed(&error))?;
    spawn_blocking(move || {
        let _permit = permit;
        work()
    })
    .await
    .map_err(|error| failed(&error))?
    .map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_keys::OsEntropy;

    #[tokio::test]
    async fn the_hash_names_its_parameters_and_is_salted() {
        let hashes = Arc::new(Semaphore::new(2));
        let one = hash("correct horse", &OsEntropy, &hashes).await.unwrap();
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, hash("correct horse", &OsEntropy, &hashes).await.unwrap());
        assert!(verify("correct horse", one.clone(), &hashes).await.unwrap());
        assert!(!verify("correct horse ", one.clone(), &hashes).await.unwrap());
        assert!(!verify(&"x".repeat(10_000_000), one, &hashes).await.unwrap());
    }

    #[tokio::test]
    async fn a_damaged_hash_is_a_fault_and_no_match() {
        let hashes = Arc::new(Semaphore::new(2));
        for phc in ["", "$argon2id$", "password"] {
            assert!(matches!(verify("password", phc.to_owned(), &hashes).await, Err(AccessError::Hash(_))));
        }
    }

    #[tokio::test]
    async fn two_hashes_at_most_are_computed_at_once() {
        let hashes = Arc::new(Semaphore::new(2));
        let (gate, waiting) = std::sync::mpsc::sync_channel::<()>(1);
        let waiting = Arc::new(std::sync::Mutex::new(waiting));
        let jobs: Vec<_> = (0..3)
            .map(|_| {
                let (hashes, waiting) = (Arc::clone(&hashes), Arc::clone(&waiting));
                tokio::spawn(async move {
                    heavy(&hashes, move || {
                        waiting.lock().unwrap().recv().unwrap();
                        Ok(())
                    })
                    .await
                })
            })
            .collect();
        while hashes.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(jobs.iter().all(|job| !job.is_finished()));
        for _ in 0..3 {
            gate.send(()).unwrap();
        }
        for job in jobs {
            job.await.unwrap().unwrap();
        }
        assert_eq!(hashes.available_permits(), 2);
    }
}
