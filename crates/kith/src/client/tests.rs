//! What `client` promises, sentence by sentence.

use super::*;
use std::{io::Write, net::TcpListener};

/// A listener that answers one connection with `answer` and closes; returns its address.
fn answering(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = std::io::Read::read(&mut socket, &mut request);
        let _ = socket.write_all(&answer);
    });
    address
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn a_node_is_named_with_or_without_scheme_and_path() {
    for text in ["127.0.0.1:4343", "http://127.0.0.1:4343", "http://127.0.0.1:4343/", "http://127.0.0.1:4343/api?x#y"] {
        assert_eq!(Client::new(text, None).unwrap().url(), "http://127.0.0.1:4343", "{text}");
    }
    assert_eq!(Client::new("localhost:1", None).unwrap().url(), "http://localhost:1");
    for text in ["", "ftp://a", "http://", "a b", "http://a:99999"] {
        assert!(matches!(Client::new(text, None), Err(CliError::Usage(_))), "{text}");
    }
}

#[test]
fn only_this_machine_is_loopback() {
    for (text, wanted) in [
        ("localhost:1", true),
        ("127.0.0.9:1", true),
        ("http://[::1]:1", true),
        ("10.0.0.1:1", false),
        ("localhost.example", false),
    ] {
        assert_eq!(is_loopback(&parse_url(text).unwrap()), wanted, "{text}");
    }
}

#[test]
fn a_token_is_never_printed() {
    let client = Client::new("127.0.0.1:1", Some(&Credential::Bearer("kith_secret".into()))).unwrap();
    assert!(!format!("{client:?}").contains("secret"));
    assert!(matches!(Client::new("127.0.0.1:1", Some(&Credential::Admin("a\nb".into()))), Err(CliError::Usage(_))));
}

#[tokio::test]
async fn an_absent_node_is_told_from_a_refusal() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::new(&port.to_string(), None).unwrap().get("/health").await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.message().starts_with(&format!("no node answers at http://{port}: ")), "{}", error.message());

    let address = answering(http("404 Not Found", r#"{"error":"no such model","code":"MODEL_NOT_FOUND"}"#));
    let error = Client::new(&address, None).unwrap().post("/api/show", &Value::Null).await.unwrap_err();
    assert_eq!((error.exit_code(), error.code(), error.message().as_str()), (1, "MODEL_NOT_FOUND", "no such model"));
}

#[tokio::test]
async fn an_empty_answer_is_null_and_other_text_an_error() {
    let address = answering(http("200 OK", ""));
    assert_eq!(Client::new(&address, None).unwrap().get("/").await.unwrap(), Value::Null);
    let address = answering(http("200 OK", "<html>"));
    assert!(matches!(Client::new(&address, None).unwrap().get("/").await, Err(CliError::Local(_))));
}

#[tokio::test]
async fn an_answer_without_end_is_refused() {
    let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    answer.resize(answer.len() + MAX_BODY + 1, b' ');
    let address = answering(answer);
    let error = Client::new(&address, None).unwrap().get("/").await.unwrap_err();
    assert!(error.message().ends_with("answered with more than 16 MiB"), "{}", error.message());
}

#[tokio::test]
async fn lines_come_one_by_one_and_an_error_line_is_an_error() {
    let body = "{\"n\":1}\n\n{\"n\":2}\n{\"error\":\"out of memory\",\"code\":\"OUT_OF_MEMORY\"}\n";
    let address = answering(http("200 OK", body));
    let mut lines = Client::new(&address, None).unwrap().lines("/api/chat", &Value::Null).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap()["n"], 1);
    assert_eq!(lines.next().await.unwrap().unwrap()["n"], 2);
    assert_eq!(lines.next().await.unwrap_err().code(), "OUT_OF_MEMORY");
}

#[tokio::test]
async fn a_node_that_breaks_off_is_an_error_and_not_an_end() {
    let address = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"n\":1}\n{\"n\"".to_vec());
    let mut lines = Client::new(&address, None).unwrap().lines("/api/chat", &Value::Null).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap()["n"], 1);
    assert_eq!(lines.next().await.unwrap_err().exit_code(), 3);
}

#[test]
fn lines_are_cut_wherever_the_chunks_end() {
    let mut buffer = LineBuffer::default();
    let mut lines = Vec::new();
    for chunk in ["{\"a\"", ":1}", "\n{\"b\":2}\r\n\n", "{\"c\":3}"] {
        buffer.push(chunk.as_bytes()).unwrap();
        while let Some(line) = buffer.take(false) {
            lines.push(String::from_utf8(line).unwrap().trim().to_owned());
        }
    }
    assert_eq!(lines, ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(buffer.take(true).unwrap(), b"{\"c\":3}");
    assert_eq!(buffer.take(true), None);
}

#[test]
fn a_line_without_end_is_refused() {
    let mut buffer = LineBuffer::default();
    buffer.push(&vec![b'a'; MAX_LINE]).unwrap();
    assert_eq!(buffer.take(false), None);
    assert_eq!(buffer.push(b"a"), Err(MAX_LINE + 1));
}
