//! What is signed.

use super::*;

#[test]
fn the_signed_text_has_the_path_with_its_query() {
    let uri: Uri = "/mesh/capabilities?model=a:1".parse().unwrap();
    assert_eq!(text((5, "n"), (&Method::GET, &uri), "00", None), "5\nn\nGET\n/mesh/capabilities?model=a:1\n00");
    assert!(text((5, "n"), (&Method::GET, &uri), "00", Some("12D3Koo")).ends_with("\n00\n12D3Koo"));
}

#[test]
fn a_request_without_a_signature_is_none_of_these() {
    let headers = HeaderMap::from_iter([("x-nonce".parse().unwrap(), "n".parse().unwrap())]);
    let (uri, own) = ("/identity".parse().unwrap(), NodeId::from_ed25519(&[7; 32]));
    assert!(verify((&Method::GET, &uri), &headers, &own, Timestamp::from_ms(0)).is_none());
}
