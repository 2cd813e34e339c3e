//! Finding by a few letters: which of many names are meant, best first.

/// The places of the names that have all letters of `words` in their order, the best first; all of them, in their order, for no words.
pub fn best<'a>(words: &str, names: impl Iterator<Item = &'a str>, most: usize) -> Vec<usize> {
    let words: Vec<char> = words.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    let mut found: Vec<(i32, usize)> = names.enumerate().filter_map(|(at, name)| Some((score(&words, name)?, at))).collect();
    found.sort_by_key(|(score, at)| (-score, *at));
    found.truncate(most);
    found.into_iter().map(|(_, at)| at).collect()
}

/// How well the letters fit: beginnings of words and neighbours count more. `None` if they do not fit.
fn score(letters: &[char], name: &str) -> Option<i32> {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let (mut from, mut score, mut last) = (0, 0, None);
    for letter in letters {
        let next = |from: usize| name.iter().skip(from).position(|c| c == letter).map(|at| at + from);
        // The beginning of a word is meant sooner than a letter in the middle of one.
        let begins = |at: usize| at == 0 || name.get(at - 1).is_some_and(|c| !c.is_alphanumeric());
        let mut at = next(from)?;
        if last != Some(at.wrapping_sub(1)) {
            let mut other = Some(at);
            while let Some(place) = other {
                if begins(place) {
                    at = place;
                    break;
                }
                other = next(place + 1);
            }
        }
        score += if last == Some(at.wrapping_sub(1)) { 8 } else { 0 } + if begins(at) { 6 } else { 1 };
        last = Some(at);
        from = at + 1;
    }
    // Among equals the shorter name fits better.
    Some(score * 100 - i32::try_from(name.len()).unwrap_or(i32::MAX).min(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["Go to Models", "Go to Chat", "Chat with smollm2:135m", "Go to Settings"];

    fn find(words: &str) -> Vec<&'static str> {
        best(words, NAMES.into_iter(), 9).into_iter().map(|at| NAMES[at]).collect()
    }

    #[test]
    fn letters_find_names_by_the_beginnings_of_words() {
        assert_eq!(find("").len(), 4);
        assert_eq!(find("mod").first(), Some(&"Go to Models"));
        assert_eq!(find("gch").first(), Some(&"Go to Chat"));
        assert_eq!(find("smol"), ["Chat with smollm2:135m"]);
        assert!(find("xyz").is_empty());
        assert_eq!(best("o", NAMES.into_iter(), 2).len(), 2);
    }
}
