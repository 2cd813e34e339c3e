//! Random bytes as a port, so that what depends on them is tested with known ones.

/// A source of bytes that nobody can guess. Passed in wherever randomness matters.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes` whole, or fails and leaves them unfit for use.
    ///
    /// # Errors
    /// The source has none to give. There is no lesser source to fall back on.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The source of random bytes failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes: {0}")]
pub struct EntropyError(pub String);

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|error| EntropyError(error.to_string()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fails always.
    #[derive(Debug)]
    pub(crate) struct NoEntropy;

    impl Entropy for NoEntropy {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError("none left".to_owned()))
        }
    }

    #[test]
    fn the_operating_system_never_repeats_itself() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        OsEntropy.fill(&mut one).unwrap();
        OsEntropy.fill(&mut two).unwrap();
        assert_ne!(one, two);
        assert_ne!(one, [0; 32]);
    }
}
