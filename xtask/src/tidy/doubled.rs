//! Heavy crates are there once: a second version costs minutes of every cold build and splits types that should be one.

use std::collections::BTreeSet;

use super::Finding;
use super::graph::Graph;
use super::rules::{Doubled, FILE};

/// Heavy crates with more versions than are allowed, and allowances that are no longer needed.
pub fn heavy(rules: &Doubled, graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in &rules.heavy {
        let versions: BTreeSet<&str> =
            graph.crates.iter().filter(|one| one.name == *name).map(|one| one.version.as_str()).collect();
        let allowed = rules.allowed.iter().find(|twice| twice.name == *name);
        let fits = |version: &str| allowed.is_some_and(|twice| twice.versions.iter().any(|start| begins_with(version, start)));
        let list = versions.iter().copied().collect::<Vec<_>>().join(" and ");
        match allowed {
            _ if versions.len() > 1 && !versions.iter().copied().all(fits) => {
                findings
                    .push(Finding::new(name, format!("is there as {list}; bring it to one version, or give a reason in {FILE}")));
            }
            Some(_) if versions.len() <= 1 => {
                findings.push(Finding::new(FILE, format!("{name} is no longer doubled; remove its allowance")));
            }
            Some(twice) if twice.reason.trim().is_empty() => {
                findings.push(Finding::new(FILE, format!("{name} is allowed twice without a reason")));
            }
            _ => {}
        }
    }
    for stray in rules.allowed.iter().filter(|twice| !rules.heavy.contains(&twice.name)) {
        findings.push(Finding::new(FILE, format!("{} is allowed twice but is not among the heavy crates", stray.name)));
    }
    findings
}

/// `0.22` fits `0.22.2` but not `0.221.0`.
fn begins_with(version: &str, start: &str) -> bool {
    version.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::super::graph::Crate;
    use super::super::rules::Twice;
    use super::*;

    fn graph(crates: &[(&str, &str)]) -> Graph {
        let one = |(name, version): &(&str, &str)| Crate {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            ..Crate::default()
        };
        Graph { crates: crates.iter().map(one).collect() }
    }

    fn rules(allowed: &[&str]) -> Doubled {
        let twice = Twice {
            name: "tokio".to_owned(),
            versions: allowed.iter().map(|version| (*version).to_owned()).collect(),
            reason: "a dependency lags".to_owned(),
        };
        Doubled { heavy: vec!["tokio".to_owned()], allowed: if allowed.is_empty() { vec![] } else { vec![twice] } }
    }

    #[test]
    fn two_versions_of_a_heavy_crate_are_a_finding_and_two_of_a_light_one_are_not() {
        let findings = heavy(&rules(&[]), &graph(&[("tokio", "1.0.0"), ("tokio", "0.3.1"), ("hex", "0.3.0"), ("hex", "0.4.0")]));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].says.starts_with("is there as 0.3.1 and 1.0.0"), "{findings:?}");
    }

    #[test]
    fn an_allowance_covers_its_versions_and_no_third() {
        assert_eq!(heavy(&rules(&["0.3", "1"]), &graph(&[("tokio", "1.9.0"), ("tokio", "0.3.1")])), []);
        assert_eq!(heavy(&rules(&["0.3", "1"]), &graph(&[("tokio", "1.9.0"), ("tokio", "0.31.0")])).len(), 1);
    }

    #[test]
    fn an_allowance_that_is_no_longer_needed_is_a_finding() {
        let findings = heavy(&rules(&["0.3", "1"]), &graph(&[("tokio", "1.9.0")]));
        assert_eq!(findings[0].says, "tokio is no longer doubled; remove its allowance");
    }
}
