//! Which models must leave so that another one fits. A pure function of the present state.

/// A loaded model as the planner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The model's key.
    pub key: String,
    /// Bytes it holds.
    pub bytes: u64,
    /// When it was last used, milliseconds since 1970.
    pub last_used: i64,
    /// Whether it answers somebody now.
    pub busy: bool,
}

/// What has to happen before `needed` bytes may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Unload these, least recently used first; then there is room.
    Unload(Vec<String>),
    /// Models that are busy must finish first.
    Wait,
    /// It would not fit even alone.
    Never,
}

/// Least recently used first, idle ones only, no more than needed.
pub fn make_room(loaded: &[Candidate], needed: u64, budget: u64) -> Plan {
    if needed > budget {
        return Plan::Never;
    }
    let mut held: u64 = loaded.iter().map(|c| c.bytes).fold(0, u64::saturating_add);
    let mut idle: Vec<&Candidate> = loaded.iter().filter(|c| !c.busy).collect();
    idle.sort_by(|a, b| (a.last_used, &a.key).cmp(&(b.last_used, &b.key)));
    let mut leaving = Vec::new();
    for candidate in idle {
        if held.saturating_add(needed) <= budget {
            break;
        }
        held = held.saturating_sub(candidate.bytes);
        leaving.push(candidate.key.clone());
    }
    if held.saturating_add(needed) <= budget { Plan::Unload(leaving) } else { Plan::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model(key: &str, bytes: u64, last_used: i64, busy: bool) -> Candidate {
        Candidate { key: key.into(), bytes, last_used, busy }
    }

    #[test]
    fn the_least_recently_used_leaves_first() {
        let loaded = [model("new", 40, 9, false), model("old", 40, 1, false)];
        assert_eq!(make_room(&loaded, 50, 100), Plan::Unload(vec!["old".into()]));
        assert_eq!(make_room(&loaded, 20, 100), Plan::Unload(vec![]));
    }

    #[test]
    fn busy_models_are_waited_for_and_giants_refused() {
        assert_eq!(make_room(&[model("a", 60, 1, true)], 50, 100), Plan::Wait);
        assert_eq!(make_room(&[], 101, 100), Plan::Never);
    }

    proptest! {
        #[test]
        fn a_plan_keeps_the_budget_and_spares_the_busy(
            models in prop::collection::vec((0u64..100, 0i64..50, any::<bool>()), 0..8), needed in 0u64..150, budget in 0u64..300
        ) {
            let loaded: Vec<_> = models.iter().enumerate().map(|(i, (b, t, busy))| model(&i.to_string(), *b, *t, *busy)).collect();
            if let Plan::Unload(keys) = make_room(&loaded, needed, budget) {
                let left: u64 = loaded.iter().filter(|c| !keys.contains(&c.key)).map(|c| c.bytes).sum();
                prop_assert!(left + needed <= budget);
                prop_assert!(loaded.iter().filter(|c| keys.contains(&c.key)).all(|c| !c.busy));
                // No more than needed: the last one unloaded was necessary.
                if let Some(last) = keys.last() {
                    let last = loaded.iter().find(|c| &c.key == last).unwrap().bytes;
                    prop_assert!(left + last + needed > budget);
                }
            }
        }
    }
}
