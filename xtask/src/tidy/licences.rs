//! Every outside crate has a licence under which this application may be given away.

use super::Finding;
use super::graph::Graph;
use super::rules::{FILE, Licences};
use super::spdx;

/// Crates whose licence is neither allowed nor reviewed, and reviews of crates that are gone or have changed.
pub fn refused(rules: &Licences, graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for outside in graph.crates.iter().filter(|one| one.folder.is_none()) {
        let licence = outside.licence.as_deref().unwrap_or("none");
        if rules.reviewed.iter().any(|reviewed| reviewed.name == outside.name && reviewed.licence == licence) {
            continue;
        }
        let says = match spdx::satisfied(licence, &rules.allowed) {
            Ok(true) => continue,
            Ok(false) => format!("its licence {licence:?} is not allowed; find another crate, or add a review to {FILE}"),
            Err(error) => format!("its licence {licence:?} cannot be read: {error}"),
        };
        findings.push(Finding::new(format!("{} {}", outside.name, outside.version), says));
    }
    for reviewed in &rules.reviewed {
        let here = graph
            .crates
            .iter()
            .any(|one| one.name == reviewed.name && one.licence.as_deref().unwrap_or("none") == reviewed.licence);
        if !here || reviewed.reason.trim().is_empty() {
            let says =
                format!("the review of {} under {:?} fits no crate or has no reason; remove it", reviewed.name, reviewed.licence);
            findings.push(Finding::new(FILE, says));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::graph::Crate;
    use super::super::rules::Reviewed;
    use super::*;

    fn outside(name: &str, licence: Option<&str>) -> Crate {
        Crate { name: name.to_owned(), version: "1.0.0".to_owned(), licence: licence.map(str::to_owned), ..Crate::default() }
    }

    fn rules(reviewed: &[(&str, &str)]) -> Licences {
        let review = |(name, licence): &(&str, &str)| Reviewed {
            name: (*name).to_owned(),
            licence: (*licence).to_owned(),
            reason: "data only".to_owned(),
        };
        Licences { allowed: vec!["MIT".to_owned()], reviewed: reviewed.iter().map(review).collect() }
    }

    #[test]
    fn a_licence_that_is_not_allowed_is_a_finding_and_so_is_none_at_all() {
        let graph =
            Graph { crates: vec![outside("good", Some("MIT")), outside("bad", Some("GPL-3.0-only")), outside("bare", None)] };
        let lines: Vec<String> = refused(&rules(&[]), &graph).iter().map(ToString::to_string).collect();
        assert!(lines[0].starts_with("bad 1.0.0: its licence \"GPL-3.0-only\" is not allowed"), "{lines:?}");
        assert!(lines[1].starts_with("bare 1.0.0: its licence \"none\" is not allowed"), "{lines:?}");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_review_covers_the_licence_it_was_made_for_and_no_other() {
        let graph = Graph { crates: vec![outside("roots", Some("CDLA-Permissive-2.0"))] };
        assert_eq!(refused(&rules(&[("roots", "CDLA-Permissive-2.0")]), &graph), []);
        assert_eq!(refused(&rules(&[("roots", "CDLA-Sharing-1.0")]), &graph).len(), 2);
    }

    #[test]
    fn a_review_of_a_crate_that_is_gone_is_a_finding() {
        assert!(refused(&rules(&[("gone", "GPL-3.0-only")]), &Graph::default())[0].says.ends_with("remove it"));
    }

    #[test]
    fn the_workspaces_own_crates_are_not_asked() {
        let own = Crate { folder: Some("crates/own".to_owned()), ..outside("own", None) };
        assert_eq!(refused(&rules(&[]), &Graph { crates: vec![own] }), []);
    }
}
