//! What readers say, and what becomes of those that say nothing, too much, or nonsense.
use super::*;

fn text(text: &str) -> Text {
    Text { text: text.to_owned(), pages: Some(2), cut: true }
}

#[test]
fn what_a_reader_tells_is_heard_as_it_was_told() {
    let all = [
        Ok(text("The sky is \"blue\".\n\n\u{1}é\u{1f600}")),
        Ok(Text { text: "x".to_owned(), pages: None, cut: false }),
        Err(DocumentError::TooLarge { bytes: MAX_BYTES + 1 }),
        Err(DocumentError::Protected),
        Err(DocumentError::NoText),
        Err(DocumentError::Unknown),
        Err(DocumentError::Broken("the table is missing".to_owned())),
    ];
    for found in all {
        let line = line(&found).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(heard(&line), found);
    }
}

#[test]
fn the_longest_text_fits_in_a_line() {
    let found = Ok(text(&"\u{1}".repeat(MAX_TEXT)));
    let line = line(&found).unwrap();
    assert!(line.len() as u64 <= MAX_LINE, "{}", line.len());
    assert_eq!(heard(&line), found);
}

#[test]
fn a_reader_that_says_anything_else_fell_over_its_document() {
    let whole = line(&Ok(text("x"))).unwrap();
    for end in 0..whole.len() {
        assert_eq!(heard(&whole[..end]), Err(fell()), "{end}");
    }
    let twice = whole.repeat(2);
    let long = line(&Ok(text(&"x".repeat(MAX_TEXT + 1)))).unwrap();
    for said in
        [&b"\n"[..], b"nonsense\n", b"{\"Ok\":{\"text\":7,\"pages\":1,\"cut\":false}}\n", b"\xff\n", &twice[..], &long[..]]
    {
        assert_eq!(heard(said), Err(fell()));
    }
}

#[test]
fn a_readers_reason_is_passed_on_up_to_its_bound() {
    let said = line(&Err(DocumentError::Broken("é".repeat(MAX_REASON)))).unwrap();
    assert_eq!(heard(&said), Err(DocumentError::Broken("é".repeat(MAX_REASON / 2))));
}

#[cfg(unix)]
mod processes {
    use super::*;
    use std::time::Instant;

    /// A process that begins as a PDF does and does what the shell is told.
    fn shell(arguments: &'static [&'static str; 2]) -> Apart {
        Apart { program: "/bin/sh".into(), arguments, memory: MAX_MEMORY, time: MAX_TIME }
    }

    async fn told(reader: &Apart) -> Result<Text, DocumentError> {
        match reader.ask(b"%PDF-1.7").await {
            Ok(text) => Ok(text),
            Err(Unread::Document(error)) => Err(error),
            Err(error @ Unread::Reader(_)) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_reader_has_the_document_and_nothing_of_the_nodes_environment() {
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let reader = shell(&[
            "-c",
            r#"test "$(cat)" = %PDF-1.7 && test -z "$CARGO_MANIFEST_DIR" && echo '{"Ok":{"text":"x","pages":2,"cut":true}}'"#,
        ]);
        assert_eq!(told(&reader).await, Ok(text("x")));
    }

    #[tokio::test]
    async fn a_reader_that_is_silent_is_ended_in_time() {
        let begun = Instant::now();
        let reader = Apart { time: Duration::from_millis(200), ..shell(&["-c", "exec sleep 60"]) };
        assert_eq!(told(&reader).await, Err(DocumentError::Slow));
        assert!(begun.elapsed() < MAX_TIME);
    }

    #[tokio::test]
    async fn a_reader_that_holds_too_much_memory_is_ended() {
        let reader = Apart { memory: 1, ..shell(&["-c", "exec sleep 60"]) };
        assert_eq!(told(&reader).await, Err(DocumentError::Heavy));
    }

    #[tokio::test]
    async fn a_reader_that_says_too_much_dies_or_talks_nonsense_fell_over_its_document() {
        for arguments in [&["-c", "exec cat /dev/zero"], &["-c", "kill -9 $$"], &["-c", "exit 0"], &["-c", "echo x"]] {
            assert_eq!(told(&shell(arguments)).await, Err(fell()), "{arguments:?}");
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_the_nodes_fault_and_not_the_documents() {
        let reader = Apart { program: PathBuf::new(), ..shell(&["-c", ""]) };
        assert!(matches!(reader.ask(b"%PDF-1.7").await, Err(Unread::Reader(_))));
    }
}
