//! What stored responses promise, sentence by sentence.

use super::*;
use std::sync::atomic::AtomicI64;

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::Relaxed))
    }
}

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<Hands>,
    responses: Arc<Responses>,
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hands(AtomicI64::new(1_000)));
    let responses = open(&folder, &clock).await;
    Bench { folder, clock, responses }
}

async fn open(folder: &tempfile::TempDir, clock: &Arc<Hands>) -> Arc<Responses> {
    let store = Store::open(&folder.path().join("kith.db")).await.unwrap();
    Responses::open(store, Arc::clone(clock) as Arc<dyn Clock>).await.unwrap()
}

fn new(id: &str) -> New {
    New {
        id: id.to_owned(),
        status: Status::Queued,
        previous: None,
        model: "m:1".to_owned(),
        background: true,
        streamed: true,
        input: "[]".to_owned(),
        body: "begun".to_owned(),
    }
}

fn frame(text: &str) -> Bytes {
    Bytes::from(format!("data: {text}\n\n"))
}

async fn frames(responses: &Responses, id: &str, after: Option<u64>) -> Vec<Bytes> {
    match responses.events(id, after).await.unwrap() {
        Events::Frames(frames) => frames.collect().await,
        Events::BrokeOff(_) => panic!("broke off"),
    }
}

async fn completed(responses: &Arc<Responses>, id: &str) {
    let mut running = responses.begin(new(id)).await.unwrap();
    running.end(Status::Completed, "done".to_owned(), frame("end")).await.unwrap();
}

#[tokio::test]
async fn a_response_goes_from_queued_to_its_end_and_is_there_after_a_restart() {
    let bench = bench().await;
    let mut running = bench.responses.begin(new("a")).await.unwrap();
    assert_eq!(bench.responses.get("a").await.unwrap().summary.status, Status::Queued);
    running.proceed("runs").await.unwrap();
    let record = bench.responses.get("a").await.unwrap();
    assert_eq!((record.summary.status, record.body.as_str()), (Status::InProgress, "runs"));
    running.push(frame("0")).unwrap();
    running.push(frame("1")).unwrap();
    running.end(Status::Completed, "done".to_owned(), frame("2")).await.unwrap();
    drop(running);
    let again = open(&bench.folder, &bench.clock).await;
    let record = again.get("a").await.unwrap();
    assert_eq!((record.summary.status, record.summary.broke_off, record.body.as_str()), (Status::Completed, false, "done"));
    assert_eq!(frames(&again, "a", Some(0)).await, [frame("1"), frame("2")]);
    assert_eq!(frames(&again, "a", None).await.len(), 3);
    assert_eq!(frames(&again, "a", Some(2)).await.len(), 0);
}

#[tokio::test]
async fn what_ran_when_the_node_stopped_has_failed_after_the_restart() {
    let bench = bench().await;
    let running = bench.responses.begin(new("a")).await.unwrap();
    running.push(frame("0")).unwrap();
    let again = open(&bench.folder, &bench.clock).await;
    let record = again.get("a").await.unwrap();
    assert_eq!((record.summary.status, record.summary.broke_off), (Status::Failed, true));
    assert!(matches!(again.events("a", Some(0)).await.unwrap(), Events::BrokeOff(_)));
    let failed = again.list(10, Some(Status::Failed)).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert!(again.list(10, Some(Status::Queued)).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_dropped_without_an_end_is_never_told_as_running() {
    let bench = bench().await;
    let running = bench.responses.begin(new("a")).await.unwrap();
    let log = Arc::clone(running.log());
    drop(running);
    assert_eq!(log.ended().await, None);
    assert_eq!(bench.responses.get("a").await.unwrap().summary.status, Status::Failed);
    assert_eq!(bench.responses.list(10, None).await.unwrap()[0].status, Status::Failed);
}

#[tokio::test]
async fn cancelling_waits_for_the_end_and_leaves_what_has_ended_alone() {
    let bench = bench().await;
    let mut running = bench.responses.begin(new("a")).await.unwrap();
    let work = tokio::spawn(async move {
        running.log().cancelled().cancelled().await;
        running.end(Status::Cancelled, "stopped".to_owned(), frame("end")).await.unwrap();
    });
    let record = bench.responses.cancel("a").await.unwrap();
    assert_eq!((record.summary.status, record.body.as_str()), (Status::Cancelled, "stopped"));
    work.await.unwrap();
    assert_eq!(bench.responses.cancel("a").await.unwrap().summary.status, Status::Cancelled);
    assert!(matches!(bench.responses.cancel("nobody").await, Err(ResponsesError::NotFound(_))));
}

#[tokio::test]
async fn deleting_a_running_one_stops_it_and_its_end_does_not_bring_it_back() {
    let bench = bench().await;
    let mut running = bench.responses.begin(new("a")).await.unwrap();
    bench.responses.delete("a").await.unwrap();
    assert!(running.log().cancelled().is_cancelled());
    running.end(Status::Cancelled, "stopped".to_owned(), frame("end")).await.unwrap();
    assert!(matches!(bench.responses.get("a").await, Err(ResponsesError::NotFound(_))));
    assert!(matches!(bench.responses.delete("a").await, Err(ResponsesError::NotFound(_))));
}

#[tokio::test]
async fn they_are_kept_for_thirty_days() {
    let bench = bench().await;
    completed(&bench.responses, "a").await;
    bench.clock.0.fetch_add(KEPT_DAYS * DAY_MS, Ordering::Relaxed);
    completed(&bench.responses, "b").await;
    assert_eq!(bench.responses.sweep().await.unwrap(), 0);
    bench.clock.0.fetch_add(1, Ordering::Relaxed);
    assert_eq!(bench.responses.sweep().await.unwrap(), 1);
    assert!(bench.responses.get("a").await.is_err());
    assert!(bench.responses.get("b").await.is_ok());
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_begins() {
    let bench = bench().await;
    let large = New { input: "x".repeat(MAX_INPUT_BYTES + 1), ..new("a") };
    assert!(matches!(bench.responses.begin(large).await, Err(ResponsesError::TooLarge { what: "input", .. })));
    assert!(bench.responses.get("a").await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_keep_can_still_be_ended_for_its_readers() {
    let bench = bench().await;
    let mut running = bench.responses.begin(new("a")).await.unwrap();
    let log = Arc::clone(running.log());
    let large = "x".repeat(MAX_BODY_BYTES + 1);
    let error = running.end(Status::Completed, large, frame("end")).await.unwrap_err();
    assert!(matches!(error, ResponsesError::TooLarge { what: "answer", .. }));
    running.abandon("failed".to_owned(), frame("failed"));
    assert_eq!(log.ended().await.unwrap().status, Status::Failed);
    assert_eq!(bench.responses.get("a").await.unwrap().summary.status, Status::Failed);
}

#[tokio::test]
async fn only_so_many_run_at_a_time() {
    let bench = bench().await;
    let mut held = Vec::new();
    for index in 0..MAX_RUNNING {
        held.push(bench.responses.begin(new(&index.to_string())).await.unwrap());
    }
    assert!(matches!(bench.responses.begin(new("one more")).await, Err(ResponsesError::TooMany(MAX_RUNNING))));
    held.pop();
    bench.responses.begin(new("one more")).await.unwrap();
}

#[tokio::test]
async fn one_that_is_not_kept_leaves_nothing_behind() {
    let bench = bench().await;
    let mut running = bench.responses.begin_unkept("a".to_owned(), true);
    let log = Arc::clone(running.log());
    running.push(frame("0")).unwrap();
    running.end(Status::Completed, "done".to_owned(), frame("1")).await.unwrap();
    assert_eq!(log.follow(None).count().await, 2);
    assert!(bench.responses.get("a").await.is_err());
    assert!(bench.responses.list(10, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn events_are_kept_only_of_streams() {
    let bench = bench().await;
    let mut running = bench.responses.begin(New { streamed: false, ..new("a") }).await.unwrap();
    assert!(matches!(bench.responses.events("a", None).await, Err(ResponsesError::NotStreamed)));
    running.end(Status::Completed, "done".to_owned(), frame("1")).await.unwrap();
    assert!(matches!(bench.responses.events("a", None).await, Err(ResponsesError::NotStreamed)));
}

#[tokio::test]
async fn a_stopping_node_waits_for_the_ends_and_begins_nothing() {
    let bench = bench().await;
    let mut running = bench.responses.begin(new("a")).await.unwrap();
    let work = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        running.end(Status::Failed, "stopped".to_owned(), frame("end")).await.unwrap();
    });
    bench.responses.stop().await;
    assert!(work.is_finished() || bench.responses.get("a").await.unwrap().body == "stopped");
    assert!(matches!(bench.responses.begin(new("b")).await, Err(ResponsesError::Stopping)));
}
