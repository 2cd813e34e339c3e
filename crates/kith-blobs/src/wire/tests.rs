//! Promises of the words: what is said is understood, by older and newer ones too; nonsense is refused within its bounds.

use super::*;
use proptest::prelude::*;

const ROOT: &str = "blake3:0101010101010101010101010101010101010101010101010101010101010101";

fn root() -> Blake3 {
    ROOT.parse().unwrap()
}

#[tokio::test]
async fn requests_and_answers_come_through() {
    let (mut one, mut two) = tokio::io::duplex(1 << 20);
    let request = Request { what: What::Sha256(Sha256::from_bytes([3; 32])), ranges: vec![(0, 3), (9, 1)], max: 12 };
    send_request(&mut one, &request).await.unwrap();
    let have: Vec<_> = (0..MAX_HAVE as u64).map(|at| ((1 << 35) + 2 * at, 1)).collect();
    let sends: Vec<_> = (0..MAX_ASKED as u64).map(|at| ((1 << 35) + 2 * at, 1)).collect();
    let end = tree::groups(MAX_SIZE);
    let offer = Offer {
        root: root(),
        size: MAX_SIZE,
        have: Ranges::read(&have, end).unwrap(),
        sends: Ranges::read(&sends, end).unwrap(),
    };
    send_answer(&mut one, &Ok(offer.clone())).await.unwrap();
    let refusal = Refusal::new(Code::Quiet, "not now");
    send_answer(&mut one, &Err(refusal.clone())).await.unwrap();
    drop(one);
    let patience = Duration::from_secs(1);
    assert_eq!(read_request(&receive(&mut two, MAX_REQUEST, patience).await.unwrap().unwrap()).unwrap(), request);
    assert_eq!(read_answer(&receive(&mut two, MAX_ANSWER, patience).await.unwrap().unwrap()).unwrap(), Ok(offer));
    assert_eq!(read_answer(&receive(&mut two, MAX_ANSWER, patience).await.unwrap().unwrap()).unwrap(), Err(refusal));
    assert!(receive(&mut two, MAX_ANSWER, patience).await.unwrap().is_none());
}

#[test]
fn unknown_fields_are_passed_over_and_missing_ones_have_a_meaning() {
    let request = read_request(format!(r#"{{"what":"{ROOT}","colour":"green"}}"#).as_bytes()).unwrap();
    assert_eq!(request, Request { what: What::Blake3(root()), ranges: Vec::new(), max: MAX_GROUPS });
    let refusal = read_answer(br#"{"refusal":{"code":"on_holiday","until":7},"mood":1}"#).unwrap().unwrap_err();
    assert_eq!(refusal, Refusal::new(Code::Busy, ""));
    let long = format!(r#"{{"refusal":{{"message":"{}"}}}}"#, "ü".repeat(1000));
    assert!(read_answer(long.as_bytes()).unwrap().unwrap_err().message.len() <= MAX_MESSAGE);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for request in ["", "{}", r#"{"what":"0101"}"#, r#"{"what":"blake3:01"}"#, r#"{"what":7}"#] {
        assert!(read_request(request.as_bytes()).is_err(), "{request}");
    }
    let ranges = |count: usize| serde_json::json!({ "what": ROOT, "ranges": vec![(1, 1); count] }).to_string();
    assert!(read_request(ranges(MAX_ASKED).as_bytes()).is_ok());
    assert!(read_request(ranges(MAX_ASKED + 1).as_bytes()).is_err());
    let answer = |size: u64, have: &[(u64, u64)], sends: &[(u64, u64)]| {
        read_answer(serde_json::json!({ "root": ROOT, "size": size, "have": have, "sends": sends }).to_string().as_bytes())
    };
    assert!(answer(5, &[(0, 1)], &[]).is_ok());
    assert!(answer(5, &[(0, 2)], &[]).is_err());
    assert!(answer(5, &[], &[(u64::MAX, 2)]).is_err());
    assert!(answer(MAX_SIZE + 1, &[], &[]).is_err());
    assert!(answer(1 << 40, &vec![(1, 1); MAX_HAVE + 1], &[]).is_err());
    assert!(read_answer(b"{}").is_err(), "no root");
}

#[tokio::test]
async fn long_late_and_cut_frames_are_refused() {
    let second = Duration::from_millis(20);
    let (mut one, mut two) = tokio::io::duplex(1 << 10);
    assert!(matches!(receive(&mut two, 10, second).await, Err(FrameError::Late)), "nothing came");
    one.write_all(&11u32.to_be_bytes()).await.unwrap();
    assert!(matches!(receive(&mut two, 10, second).await, Err(FrameError::TooLong(11))));
    one.write_all(&10u32.to_be_bytes()).await.unwrap();
    drop(one);
    assert!(matches!(receive(&mut two, 10, second).await, Err(FrameError::Io(_))));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(json in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_request(&json);
        let _ = read_answer(&json);
    }
}
