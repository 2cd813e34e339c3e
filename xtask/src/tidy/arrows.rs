//! Which crate may name which: down the layers inside the workspace, and the few outside crates that belong to one place.

use std::collections::{BTreeSet, HashMap};

use super::Finding;
use super::graph::Graph;
use super::rules::{FILE, Rules};

/// Arrows between the crates of the workspace.
pub fn between_members(rules: &Rules, graph: &Graph) -> Vec<Finding> {
    let members: BTreeSet<&str> = graph.members().map(|one| one.name.as_str()).collect();
    let mut findings = Vec::new();
    for gone in rules.crates.keys().filter(|name| !members.contains(name.as_str())) {
        findings.push(Finding::new(FILE, format!("{gone} is in the table but not in the workspace")));
    }
    for member in graph.members() {
        let Some(place) = rules.crates.get(&member.name) else {
            findings.push(Finding::new(&member.name, format!("it has no entry in {FILE}: say its layer and what it may name")));
            continue;
        };
        let named: BTreeSet<&str> = member.names.iter().map(|named| named.name.as_str()).collect();
        for target in named.into_iter().filter(|target| members.contains(target)) {
            if place.may.iter().any(|may| may == target) {
                continue;
            }
            let Some(other) = rules.crates.get(target) else { continue };
            let says = match (rules.height(&place.layer), rules.height(&other.layer)) {
                (Some(own), Some(height)) if height >= own => {
                    let direction = if height == own { "sideways" } else { "upward" };
                    let instead = rules.layers.get(own).map_or("", |layer| layer.instead.as_str());
                    format!("names {target}: an arrow {direction}, from {} to {}; {instead}", place.layer, other.layer)
                }
                _ => format!("names {target}, which {FILE} does not list for it; list it if the arrow is meant"),
            };
            findings.push(Finding::new(&member.name, says));
        }
    }
    findings
}

/// Outside crates: those few may name, and the closed lists of crates that know no I/O.
pub fn to_outside(rules: &Rules, graph: &Graph) -> Vec<Finding> {
    let members: BTreeSet<&str> = graph.members().map(|one| one.name.as_str()).collect();
    let mut findings = BTreeSet::new();
    for member in graph.members() {
        for named in member.names.iter().filter(|named| !members.contains(named.name.as_str())) {
            for (pattern, only) in rules.only.iter().filter(|(pattern, _)| fits(pattern, &named.name)) {
                if !only.crates.contains(&member.name) {
                    let who = if only.crates.is_empty() { "nobody".to_owned() } else { only.crates.join(", ") };
                    let says = format!("names {}; {pattern} may be named by {who} alone: {}", named.name, only.reason);
                    findings.insert(Finding::new(&member.name, says));
                }
            }
            let outside = rules.crates.get(&member.name).and_then(|place| place.outside.as_ref());
            if let Some(list) = outside.filter(|_| !named.in_tests)
                && !list.contains(&named.name)
            {
                let says = format!("names {}, which its closed list in {FILE} does not hold", named.name);
                findings.insert(Finding::new(&member.name, says));
            }
        }
    }
    findings.into_iter().collect()
}

/// What must not be linked, even through others. Tells the way by which it is.
pub fn reached(rules: &Rules, graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &rules.absent {
        let Some(start) = graph.crates.iter().position(|one| one.name == rule.from && one.folder.is_some()) else {
            findings.push(Finding::new(FILE, format!("{} is kept from {} but is not in the workspace", rule.from, rule.absent)));
            continue;
        };
        if let Some(way) = way(graph, start, &rule.absent) {
            let says = format!("is linked with {} by {}: {}", rule.absent, way.join(" -> "), rule.reason);
            findings.push(Finding::new(&rule.from, says));
        }
    }
    findings
}

/// The shortest way from a crate to one of the name, if there is any.
fn way(graph: &Graph, start: usize, name: &str) -> Option<Vec<String>> {
    let mut came_from: HashMap<usize, usize> = HashMap::new();
    let mut edge = vec![start];
    while !edge.is_empty() {
        let mut next = Vec::new();
        for at in edge {
            if at != start && graph.crates[at].name == name {
                let mut way = vec![graph.crates[at].name.clone()];
                let mut here = at;
                while let Some(&before) = came_from.get(&here) {
                    way.push(graph.crates[before].name.clone());
                    here = before;
                }
                way.reverse();
                return Some(way);
            }
            for &to in &graph.crates[at].linked {
                if to != start && !came_from.contains_key(&to) {
                    came_from.insert(to, at);
                    next.push(to);
                }
            }
        }
        edge = next;
    }
    None
}

/// A crate's folder has its name.
pub fn folders(rules: &Rules, graph: &Graph) -> Vec<Finding> {
    graph
        .members()
        .filter_map(|member| {
            let given = rules.crates.get(&member.name).and_then(|place| place.folder.clone());
            let wanted = given.unwrap_or_else(|| format!("crates/{}", member.name));
            let is = member.folder.as_deref().unwrap_or_default();
            (is != wanted).then(|| Finding::new(&member.name, format!("lies in {is:?}, not in {wanted:?}")))
        })
        .collect()
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Crate, Named};
    use super::*;

    const HOUSE: &str = r#"
        layers = [
            { name = "ground", instead = "know nothing" },
            { name = "islands", instead = "declare a port" },
            { name = "roof", instead = "do not" },
        ]
        absent = [{ from = "roof", crate = "sqlx", reason = "it composes" }]
        licences = { allowed = ["MIT"] }
        doubled = { heavy = [] }
        [crates]
        soil = { layer = "ground", may = [], outside = ["serde"] }
        east = { layer = "islands", may = ["soil"] }
        west = { layer = "islands", may = [] }
        roof = { layer = "roof", may = ["east"], folder = "top" }
        [only]
        sqlx = { crates = ["west"], reason = "one place knows SQL" }
        "mistral*" = { crates = [], reason = "not needed" }
    "#;

    fn member(name: &str, names: &[&str]) -> Crate {
        let names = names.iter().map(|name| Named { name: (*name).to_owned(), in_tests: false }).collect();
        let folder = Some(if name == "roof" { "top".to_owned() } else { format!("crates/{name}") });
        Crate { name: name.to_owned(), folder, names, ..Crate::default() }
    }

    fn house(soil: &[&str], east: &[&str], west: &[&str], roof: &[&str]) -> Graph {
        Graph { crates: vec![member("soil", soil), member("east", east), member("west", west), member("roof", roof)] }
    }

    fn says(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_house_whose_arrows_point_down_has_no_finding() {
        let rules = Rules::parse(HOUSE).unwrap();
        let graph = house(&["serde"], &["soil"], &["sqlx"], &["east"]);
        assert_eq!(between_members(&rules, &graph), []);
        assert_eq!(to_outside(&rules, &graph), []);
        assert_eq!(folders(&rules, &graph), []);
    }

    #[test]
    fn an_upward_arrow_and_a_sideways_one_are_told_with_what_to_do_instead() {
        let rules = Rules::parse(HOUSE).unwrap();
        let findings = between_members(&rules, &house(&["roof"], &["west"], &[], &[]));
        assert_eq!(
            says(&findings),
            [
                "soil: names roof: an arrow upward, from ground to roof; know nothing",
                "east: names west: an arrow sideways, from islands to islands; declare a port",
            ]
        );
    }

    #[test]
    fn a_downward_arrow_that_is_not_listed_is_a_finding_too() {
        let rules = Rules::parse(HOUSE).unwrap();
        let findings = between_members(&rules, &house(&[], &[], &["soil"], &[]));
        assert!(says(&findings)[0].starts_with("west: names soil, which layers.toml does not list"), "{findings:?}");
    }

    #[test]
    fn a_crate_without_an_entry_and_an_entry_without_a_crate_are_findings() {
        let rules = Rules::parse(HOUSE).unwrap();
        let mut graph = house(&[], &[], &[], &[]);
        graph.crates[2].name = "south".to_owned();
        let lines = says(&between_members(&rules, &graph));
        assert_eq!(lines[0], "layers.toml: west is in the table but not in the workspace");
        assert!(lines[1].starts_with("south: it has no entry"), "{lines:?}");
    }

    #[test]
    fn an_outside_crate_that_belongs_to_one_place_is_refused_elsewhere_tests_included() {
        let rules = Rules::parse(HOUSE).unwrap();
        let mut graph = house(&[], &["sqlx"], &["mistralrs-core"], &[]);
        graph.crates[1].names[0].in_tests = true;
        assert_eq!(
            says(&to_outside(&rules, &graph)),
            [
                "east: names sqlx; sqlx may be named by west alone: one place knows SQL",
                "west: names mistralrs-core; mistral* may be named by nobody alone: not needed",
            ]
        );
    }

    #[test]
    fn a_closed_list_holds_for_all_but_tests() {
        let rules = Rules::parse(HOUSE).unwrap();
        let mut graph = house(&["tokio"], &[], &[], &[]);
        assert_eq!(says(&to_outside(&rules, &graph)), ["soil: names tokio, which its closed list in layers.toml does not hold"]);
        graph.crates[0].names[0].in_tests = true;
        assert_eq!(to_outside(&rules, &graph), []);
    }

    #[test]
    fn what_must_be_absent_is_found_through_others_and_the_way_is_told() {
        let rules = Rules::parse(HOUSE).unwrap();
        let mut graph = house(&[], &[], &["sqlx"], &[]);
        graph.crates.push(Crate { name: "sqlx".to_owned(), ..Crate::default() });
        assert_eq!(reached(&rules, &graph), []);
        graph.crates[3].linked = vec![1];
        graph.crates[1].linked = vec![2, 0];
        graph.crates[2].linked = vec![4];
        assert_eq!(says(&reached(&rules, &graph)), ["roof: is linked with sqlx by roof -> east -> west -> sqlx: it composes"]);
    }

    #[test]
    fn a_folder_with_another_name_than_its_crate_is_a_finding() {
        let rules = Rules::parse(HOUSE).unwrap();
        let mut graph = house(&[], &[], &[], &[]);
        graph.crates[0].folder = Some("crates/dirt".to_owned());
        assert_eq!(says(&folders(&rules, &graph)), ["soil: lies in \"crates/dirt\", not in \"crates/soil\""]);
    }
}
