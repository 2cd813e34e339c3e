//! What stands behind the `#` of an address: `name=value` pairs that never leave the window.

/// Takes one pair out: its value, and what is left, with its `#` unless that is nothing.
pub fn take(hash: &str, name: &str) -> Option<(String, String)> {
    let pairs = || hash.strip_prefix('#').unwrap_or(hash).split('&').filter(|pair| !pair.is_empty());
    let of = |pair: &str| pair.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned);
    let value = pairs().find_map(of)?;
    let rest: Vec<&str> = pairs().filter(|pair| of(pair).is_none()).collect();
    Some((value, if rest.is_empty() { String::new() } else { format!("#{}", rest.join("&")) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pair_is_taken_and_the_others_stay() {
        let taken = take("#join=abc&ticket=x", "ticket");
        assert_eq!(taken, Some(("x".to_owned(), "#join=abc".to_owned())));
        assert_eq!(take("#join=abc", "join"), Some(("abc".to_owned(), String::new())));
        assert_eq!(take("#joined=1", "join"), None);
        assert_eq!(take("", "join"), None);
    }
}
