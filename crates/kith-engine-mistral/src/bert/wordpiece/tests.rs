//! WordPiece against the published tokenizer of all-MiniLM-L6-v2, and on a vocabulary small enough to follow by eye.

use super::*;
use proptest::prelude::*;
use std::{path::PathBuf, sync::OnceLock};

fn fields(tokens: &[&str]) -> WordPieceFields {
    WordPieceFields { tokens: tokens.iter().map(|token| (*token).to_owned()).collect(), ..WordPieceFields::default() }
}

fn ids(tokenizer: &WordPiece, text: &str) -> Vec<u32> {
    match tokenizer.ids(text, usize::MAX, || false).unwrap() {
        Ok(ids) => ids,
        Err(Cancelled) => unreachable!("nobody cancelled"),
    }
}

const SMALL: [&str; 9] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u{2581}un", "aff", "able", "\u{2581}!", "\u{2581}un!"];

#[test]
fn words_are_cut_into_the_longest_pieces() {
    let tokenizer = WordPiece::new(&fields(&SMALL)).unwrap();
    assert_eq!(ids(&tokenizer, "Unaffable un!"), [4, 5, 6, 4, 7]);
    assert_eq!(ids(&tokenizer, "unknown [SEP] un"), [1, 3, 4]);
    assert_eq!(tokenizer.text(&[4, 5, 6, 7]), "unaffable !");
    assert_eq!(tokenizer.framed(vec![4]), [2, 4, 3]);
    assert_eq!((tokenizer.bare(&[2, 4, 3]), tokenizer.bare(&[4, 3]), tokenizer.bare(&[4])), (&[4][..], &[4][..], &[4][..]));
    // The same vocabulary in the original's writing.
    let plain = WordPiece::new(&fields(&["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "!", "un!"])).unwrap();
    assert_eq!(ids(&plain, "Unaffable un!"), [4, 5, 6, 4, 7]);
}

#[test]
fn capitals_and_accents_stay_where_the_vocabulary_has_them() {
    let cased = fields(&["[UNK]", "[CLS]", "[SEP]", "\u{2581}Un", "\u{2581}un", "\u{2581}né"]);
    assert_eq!(ids(&WordPiece::new(&cased).unwrap(), "Un un né"), [3, 4, 5]);
    let told = WordPieceFields { lowercase: Some(true), ..cased };
    assert_eq!(ids(&WordPiece::new(&told).unwrap(), "Un un né"), [4, 4, 0]);
    let accents = WordPieceFields { strip_accents: Some(false), ..told };
    assert_eq!(ids(&WordPiece::new(&accents).unwrap(), "Un un NÉ"), [4, 4, 5]);
}

#[test]
fn a_vocabulary_without_its_special_tokens_is_refused() {
    for absent in ["[UNK]", "[CLS]", "[SEP]"] {
        let left: Vec<&str> = SMALL.into_iter().filter(|token| *token != absent).collect();
        let error = WordPiece::new(&fields(&left)).err().unwrap();
        assert!(error.to_string().contains(absent), "{error}");
    }
    let stated = WordPieceFields { first: Some(0), last: Some(99), ..fields(&SMALL) };
    assert_eq!(WordPiece::new(&stated).unwrap().framed(vec![]), [0, 3], "an id beyond the vocabulary counts as not stated");
}

#[test]
fn no_stretch_of_text_is_longer_than_its_bound() {
    for text in ["x", "é", "漢", "[", "a b", "."] {
        let text = text.repeat(10 * STRETCH);
        assert!(stretches(&text).all(|stretch| stretch.len() <= LONGEST_STRETCH + 4), "{:?}", &text[..4]);
        assert_eq!(stretches(&text).collect::<String>(), text);
    }
    assert_eq!(stretches("").count(), 0);
}

#[test]
fn cutting_ends_once_there_is_enough_or_nobody_waits() {
    let tokenizer = WordPiece::new(&fields(&SMALL)).unwrap();
    let long = "un ".repeat(STRETCH);
    let Ok(some) = tokenizer.ids(&long, 10, || false).unwrap() else { unreachable!() };
    assert!(some.len() > 10 && some.len() <= STRETCH, "{}", some.len());
    assert_eq!(ids(&tokenizer, &long).len(), STRETCH);
    assert!(tokenizer.ids(&long, 10, || true).unwrap().is_err());
}

/// The published tokenizer and the one built here of the same vocabulary; `None` (said aloud) where the model has not been fetched.
fn published() -> Option<&'static (Tokenizer, WordPiece)> {
    static BOTH: OnceLock<Option<(Tokenizer, WordPiece)>> = OnceLock::new();
    let read = || {
        let named = std::env::var_os("KITH_TEST_EMBEDDING_MODEL").map(PathBuf::from);
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let folder = named.unwrap_or_else(|| home.join(".cache/kith/models/all-MiniLM-L6-v2"));
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            assert!(std::env::var_os("CI").is_none(), "the embedding model is missing: {}", folder.display());
            println!("skipped: no embedding model at {}", folder.display());
            return None;
        }
        let mut theirs = Tokenizer::from_file(&path).unwrap();
        theirs.with_padding(None);
        theirs.with_truncation(None).unwrap();
        let mut tokens: Vec<(u32, String)> = theirs.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
        tokens.sort_unstable();
        // Into the writing of GGUF files.
        let written = |(_, token): (u32, String)| match token.strip_prefix("##") {
            Some(rest) => rest.to_owned(),
            None if bracketed(&token) => token,
            None => format!("{BEGINS}{token}"),
        };
        let tokens = tokens.into_iter().map(written).collect();
        let ours = WordPiece::new(&WordPieceFields { tokens, ..WordPieceFields::default() }).unwrap();
        Some((theirs, ours))
    };
    BOTH.get_or_init(read).as_ref()
}

fn same(text: &str) {
    let Some((theirs, ours)) = published() else { return };
    let wanted = theirs.encode_fast(text, true).unwrap();
    assert_eq!(ours.framed(ids(ours, text)), wanted.get_ids(), "{text:?}");
}

#[test]
fn odd_text_is_cut_as_by_the_published_tokenizer() {
    for text in [
        "",
        " ",
        "Hello, World!",
        "naïve café, Ångström, ﬁne, ½, x², Ⅻ",
        "e\u{301}e\u{301} \u{301} \u{300}a",
        "Straße İstanbul ıI ΌΔΥΣΣΕΎΣ",
        "東京は日本の首都です。漢字かな交じり文 \u{20000}\u{2b740}",
        "한국어 조합 \u{1112}\u{1161}\u{11ab}",
        "👩\u{200d}🚀👍🏽 ❤\u{fe0f} 🇩🇪",
        "عربى עברית हिन्दी ไทย",
        "\u{0}\u{1}\u{7f}\u{ad}\u{200b}\u{feff}\u{fffd}a\u{e000}b\u{202e}c",
        "tab\tnew\nline\r\nnbsp\u{a0}em\u{2003}ideographic\u{3000}end\u{2028}para\u{2029}graph\u{85}x",
        "[CLS] [SEP][MASK] [mask] [ SEP ] [UNK]x[PAD] [unused1]",
        "don't $100.00 a_b-c/d\\e ~`@#%^&*() ¿¡«»“”‘’…—–",
        "##ing ## # ▁▁ \u{2581}word",
    ] {
        same(text);
    }
    same(&"x".repeat(100));
    same(&"x".repeat(101));
    for long in ["ab\u{301} [SEP]c ", "漢字", "a.b,c[MASK]d", "é\u{301}!\u{301}", "x[CLS]\n\u{3000}"] {
        same(&long.repeat(3 * STRETCH / long.len()));
    }
}

proptest! {
    #[test]
    fn any_text_is_cut_as_by_the_published_tokenizer(text in "(\\PC|[ \\t\\n.\\[\\]#a-zA-Zé\u{300}-\u{36f}一-三]){0,200}") {
        same(&text);
    }
}
