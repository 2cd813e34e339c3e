//! The colours of code, language by language.

use super::*;

fn inks<'a>(language: &str, code: &'a str) -> Vec<(Ink, &'a str)> {
    highlight(language, code).into_iter().filter(|(ink, _)| *ink != Ink::Plain).collect()
}

#[test]
fn words_strings_numbers_and_comments_have_their_ink() {
    assert_eq!(
        inks("rust", "let x = Foo::new(\"a\\\"b\", 1_000); // end"),
        [
            (Ink::Keyword, "let"),
            (Ink::Type, "Foo"),
            (Ink::Call, "new"),
            (Ink::Text, "\"a\\\"b\""),
            (Ink::Number, "1_000"),
            (Ink::Comment, "// end"),
        ]
    );
    assert_eq!(inks("py", "'''a\nb''' # c"), [(Ink::Text, "'''a\nb'''"), (Ink::Comment, "# c")]);
    assert_eq!(inks("sql", "select 1"), [(Ink::Keyword, "select"), (Ink::Number, "1")]);
}

#[test]
fn stretches_joined_are_the_code_whatever_it_is() {
    for code in ["", "é\"ü", "/* open", "'", "0..9", "\u{1F600} fn 'a: loop {}", "`x\ny", "a#b #c"] {
        for language in LANGUAGES.iter().flat_map(|language| language.names).chain(&["", "klingon"]) {
            assert_eq!(highlight(language, code).iter().map(|(_, text)| *text).collect::<String>(), code, "{language}");
        }
    }
}

#[test]
fn unknown_languages_stay_as_they_are() {
    assert_eq!(highlight("klingon", "let x"), [(Ink::Plain, "let x")]);
}
