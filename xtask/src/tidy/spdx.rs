//! SPDX licence expressions, evaluated: is there a choice of licences, all of them allowed, that satisfies the expression?

use std::iter::Peekable;

/// Whether `expression` can be satisfied with allowed licences alone. An error says where it is not an expression.
///
/// SPDX 2.3, annex D: `WITH` binds tightest, then `AND`, then `OR`. The older `MIT/Apache-2.0` is read as `OR`, as cargo did.
pub fn satisfied(expression: &str, allowed: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let value = any(&mut words, allowed)?;
    match words.next() {
        None => Ok(value),
        Some(word) => Err(format!("{word:?} stands where nothing should")),
    }
}

fn any<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, allowed: &[String]) -> Result<bool, String> {
    let mut value = all(words, allowed)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("or")).is_some() {
        value |= all(words, allowed)?;
    }
    Ok(value)
}

fn all<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, allowed: &[String]) -> Result<bool, String> {
    let mut value = one(words, allowed)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("and")).is_some() {
        value &= one(words, allowed)?;
    }
    Ok(value)
}

fn one<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>, allowed: &[String]) -> Result<bool, String> {
    let word = words.next().ok_or("it ends where a licence should stand")?;
    if word == "(" {
        let value = any(words, allowed)?;
        return match words.next() {
            Some(")") => Ok(value),
            _ => Err("a bracket is not closed".to_owned()),
        };
    }
    let operator = ["or", "and", "with"].iter().any(|operator| word.eq_ignore_ascii_case(operator));
    if operator || !word.chars().all(|c| c.is_ascii_alphanumeric() || "-.+:".contains(c)) {
        return Err(format!("{word:?} is no licence"));
    }
    let mut licence = word.to_owned();
    if words.next_if(|word| word.eq_ignore_ascii_case("with")).is_some() {
        let exception = words.next().ok_or("it ends where an exception should stand")?;
        licence = format!("{licence} WITH {exception}");
    }
    Ok(allowed.contains(&licence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(expression: &str) -> Result<bool, String> {
        satisfied(expression, &["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned))
    }

    #[test]
    fn either_of_an_or_and_both_of_an_and() {
        assert_eq!(with("MIT OR GPL-3.0-only"), Ok(true));
        assert_eq!(with("GPL-2.0-only OR GPL-3.0-only"), Ok(false));
        assert_eq!(with("MIT AND Unicode-3.0"), Ok(true));
        assert_eq!(with("MIT AND GPL-3.0-only"), Ok(false));
        assert_eq!(with("MIT/GPL-3.0-only"), Ok(true));
    }

    #[test]
    fn and_binds_tighter_than_or_and_brackets_tighter_still() {
        assert_eq!(with("MIT OR MIT AND GPL-3.0-only"), Ok(true));
        assert_eq!(with("(MIT OR MIT) AND GPL-3.0-only"), Ok(false));
        assert_eq!(with("(MIT OR GPL-3.0-only) AND Unicode-3.0"), Ok(true));
    }

    #[test]
    fn an_exception_makes_another_licence_of_it() {
        assert_eq!(with("Apache-2.0 WITH LLVM-exception"), Ok(true));
        assert_eq!(with("MIT WITH LLVM-exception"), Ok(false));
        assert_eq!(with("MIT WITH Classpath-exception-2.0 OR MIT"), Ok(true));
    }

    #[test]
    fn what_is_no_expression_is_an_error() {
        for wrong in ["", "OR", "MIT OR", "(MIT", "MIT)", "MIT MIT", "MIT WITH", "see file", "MIT, Apache-2.0"] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
    }
}
