//! Documents made here, read back.
use super::*;
use lopdf::{
    Object, Stream,
    content::{Content, Operation},
    dictionary,
};

/// A PDF whose pages hold these lines.
fn pdf_of(pages: &[&str]) -> Document {
    let mut document = Document::with_version("1.5");
    let tree = document.new_object_id();
    let font = document.add_object(dictionary! {"Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Courier"});
    let resources = document.add_object(dictionary! {"Font" => dictionary! {"F1" => font}});
    let kids: Vec<Object> = pages
        .iter()
        .map(|line| {
            let operations = vec![
                Operation::new("BT", vec![]),
                Operation::new("Tf", vec!["F1".into(), 12.into()]),
                Operation::new("Tj", vec![Object::string_literal(*line)]),
                Operation::new("ET", vec![]),
            ];
            let content = Stream::new(dictionary! {}, Content { operations }.encode().unwrap());
            let content = document.add_object(content);
            document.add_object(dictionary! {"Type" => "Page", "Parent" => tree, "Contents" => content}).into()
        })
        .collect();
    let count = i64::try_from(kids.len()).unwrap();
    let box_ = vec![0.into(), 0.into(), 595.into(), 842.into()];
    let root = dictionary! {"Type" => "Pages", "Kids" => kids, "Count" => count, "Resources" => resources, "MediaBox" => box_};
    document.objects.insert(tree, Object::Dictionary(root));
    let catalog = document.add_object(dictionary! {"Type" => "Catalog", "Pages" => tree});
    document.trailer.set("Root", catalog);
    document
}

fn bytes_of(mut document: Document) -> Vec<u8> {
    document.compress();
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_pdf_says_what_stands_on_its_pages() {
    let found = text(&bytes_of(pdf_of(&["The sky is blue.", "Grass is green."]))).unwrap();
    assert_eq!(found.pages, Some(2));
    assert!(!found.cut);
    assert!(found.text.starts_with("The sky is blue."), "{}", found.text);
    assert!(found.text.ends_with("Grass is green."), "{}", found.text);
}

#[test]
fn a_pdf_without_text_says_so() {
    assert_eq!(text(&bytes_of(pdf_of(&["", ""]))), Err(DocumentError::NoText));
    assert_eq!(text(&bytes_of(pdf_of(&[]))), Err(DocumentError::NoText));
}

#[test]
fn a_damaged_pdf_is_refused_or_read_as_far_as_it_goes_and_never_ends_the_node() {
    let whole = bytes_of(pdf_of(&["The sky is blue."]));
    for end in (0..whole.len()).step_by(7) {
        let _ = text(&whole[..end]);
    }
    for place in (0..whole.len()).step_by(3) {
        let mut other = whole.clone();
        other[place] ^= 0x55;
        let _ = text(&other);
    }
    assert!(matches!(text(b"%PDF-1.7 and nothing more"), Err(DocumentError::Broken(_) | DocumentError::NoText)));
}

#[test]
fn a_part_that_grows_without_end_is_refused() {
    let mut document = pdf_of(&["x"]);
    let page = *document.get_pages().get(&1).unwrap();
    let bomb = Stream::new(dictionary! {}, vec![b' '; MAX_INFLATED + 1]);
    let bomb = document.add_object(bomb);
    document.get_dictionary_mut(page).unwrap().set("Contents", bomb);
    let bytes = bytes_of(document);
    assert!(bytes.len() < 1 << 20, "the bomb is small: {}", bytes.len());
    assert!(matches!(text(&bytes), Err(DocumentError::Broken(_) | DocumentError::NoText)));
}

#[test]
fn plain_text_comes_in_any_unicode() {
    assert_eq!(text("héllo".as_bytes()).unwrap(), Text { text: "héllo".into(), pages: None, cut: false });
    assert_eq!(text(b"\xef\xbb\xbfhi").unwrap().text, "hi");
    assert_eq!(text(b"\xff\xfeh\0i\0").unwrap().text, "hi");
    assert_eq!(text(b"\xfe\xff\0h\0i").unwrap().text, "hi");
    for other in [&b"\x89PNG\r\n\x1a\n\0"[..], b"a\0b", b"\xff\xfea", b"\xc3"] {
        assert_eq!(text(other), Err(DocumentError::Unknown), "{other:?}");
    }
    assert_eq!(text(b" \n"), Err(DocumentError::NoText));
}

#[test]
fn what_is_beyond_the_bounds_is_cut_or_refused() {
    let long = "é".repeat(MAX_TEXT);
    let found = text(long.as_bytes()).unwrap();
    assert!(found.cut && found.text.len() <= MAX_TEXT && found.text.len() >= MAX_TEXT - 1);
    assert_eq!(text(&vec![b'a'; MAX_BYTES + 1]), Err(DocumentError::TooLarge { bytes: MAX_BYTES + 1 }));
}
