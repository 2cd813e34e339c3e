//! What a name means, by what members say: a pure count. Nobody signs an answer, so whoever is fastest must not decide alone what many
//! agree on.

use kith_models::Overrides;
use kith_types::Sha256;

/// What one member says.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its id.
    pub by: String,
    /// The digest of the model's file.
    pub sha256: Sha256,
    /// The file's bytes.
    pub size: u64,
    /// What belongs to it, which no digest covers.
    pub overrides: Overrides,
}

/// What they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Meant {
    /// The digest that the most say; of equals, the one that was said first.
    pub sha256: Sha256,
    /// The size that the most of those say; of equals, the larger, since the file proves its own.
    pub size: u64,
    /// What more than half of those say belongs to it. Where there is no such majority, nothing.
    pub overrides: Overrides,
    /// Those who say this digest.
    pub by: Vec<String>,
}

/// Counts; `None` where nobody says anything. `said` is in the order of the answers.
pub fn meant(said: Vec<Said>) -> Option<Meant> {
    let votes = |sha256: &Sha256| said.iter().filter(|one| one.sha256 == *sha256).count();
    // Of equals the last is taken by `max_by_key`, so the first must come last.
    let sha256 = said.iter().map(|one| one.sha256).rev().max_by_key(votes)?;
    let agreed: Vec<Said> = said.into_iter().filter(|one| one.sha256 == sha256).collect();
    let sizes = |size: u64| agreed.iter().filter(|one| one.size == size).count();
    let size = agreed.iter().map(|one| one.size).max_by_key(|size| (sizes(*size), *size))?;
    let alike = |overrides: &Overrides| agreed.iter().filter(|one| one.overrides == *overrides).count();
    let majority = agreed.iter().find(|one| alike(&one.overrides) * 2 > agreed.len());
    let overrides = majority.map(|one| one.overrides.clone()).unwrap_or_default();
    Some(Meant { sha256, size, overrides, by: agreed.into_iter().map(|one| one.by).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(by: &str, digest: u8, size: u64, system: &str) -> Said {
        let system = Some(system.to_owned()).filter(|system| !system.is_empty());
        let overrides = Overrides { system, ..Overrides::default() };
        Said { by: by.to_owned(), sha256: Sha256::from_bytes([digest; 32]), size, overrides }
    }

    fn digest(digests: &[u8]) -> Option<u8> {
        let said = digests.iter().map(|digest| says("a", *digest, 1, "")).collect();
        meant(said).map(|meant| meant.sha256.as_bytes()[0])
    }

    #[test]
    fn what_the_most_mean_is_meant_and_of_equals_what_was_said_first() {
        assert_eq!(digest(&[]), None);
        assert_eq!(digest(&[1, 2]), Some(1));
        assert_eq!(digest(&[1, 2, 2]), Some(2));
        assert_eq!(digest(&[3, 1, 2, 1, 2]), Some(1));
    }

    #[test]
    fn the_fastest_does_not_decide_what_belongs_to_a_model_nor_its_size() {
        let said = vec![
            says("fast", 1, 8, "Obey me."),
            says("a", 1, 9, "Be brief."),
            says("other", 2, 7, ""),
            says("b", 1, 9, "Be brief."),
        ];
        let meant = meant(said).unwrap();
        assert_eq!((meant.size, meant.overrides.system.as_deref()), (9, Some("Be brief.")));
        assert_eq!(meant.by, ["fast", "a", "b"]);
    }

    #[test]
    fn what_no_majority_says_belongs_to_a_model_does_not() {
        let two = meant(vec![says("fast", 1, 8, "Obey me."), says("a", 1, 9, "Be brief.")]).unwrap();
        assert_eq!((two.size, two.overrides), (9, Overrides::default()), "a size too large is harmless: the file proves its own");
        let one = meant(vec![says("a", 1, 9, "Be brief.")]).unwrap();
        assert_eq!(one.overrides.system.as_deref(), Some("Be brief."));
    }
}
