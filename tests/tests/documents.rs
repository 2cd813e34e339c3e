//! Documents that people attach: their text over the API.

use kith_engine::scripted::ScriptedEngine;
use kith_tests::TestNode;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::fmt::Write;

/// A PDF of one page with this line, as its specification lays one out.
fn pdf(line: &str) -> Vec<u8> {
    let content = format!("BT /F1 12 Tf 72 720 Td ({line}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>"
            .to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ];
    let (mut text, mut table) = ("%PDF-1.4\n".to_owned(), String::new());
    for (at, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", text.len()).unwrap();
        writeln!(text, "{} 0 obj\n{object}\nendobj", at + 1).unwrap();
    }
    let start = text.len();
    writeln!(text, "xref\n0 6\n0000000000 65535 f \n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF")
        .unwrap();
    text.into_bytes()
}

async fn read(node: &TestNode, bytes: Vec<u8>) -> (StatusCode, Value) {
    let answer = node.as_admin(Method::POST, "/api/v1/documents/text").body(bytes).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_pdf_and_a_text_are_read_and_what_is_neither_is_refused_in_words() {
    let node = TestNode::scripted(ScriptedEngine::saying("x")).await;
    let (status, found) = read(&node, pdf("The sky is blue.")).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    assert_eq!(
        (found["text"].as_str(), found["pages"].as_u64(), found["cut"].as_bool()),
        (Some("The sky is blue."), Some(1), Some(false))
    );
    let (status, found) = read(&node, "héllo".into()).await;
    assert_eq!((status, found["text"].as_str(), found["pages"].is_null()), (StatusCode::OK, Some("héllo"), true));
    let (status, found) = read(&node, b"\x89PNG\r\n\x1a\n\0\0".to_vec()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(found.to_string().contains("neither text"), "{found}");
    let (status, _) = read(&node, vec![b'a'; (32 << 20) + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, found) = read(&node, vec![b'a'; 2 << 20]).await;
    assert_eq!(
        (status, found["cut"].as_bool(), found["text"].as_str().map(str::len)),
        (StatusCode::OK, Some(true), Some(1 << 20))
    );
    node.stop().await;
}
