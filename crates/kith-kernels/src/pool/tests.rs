//! Every part of a job is done once, by whomever.

use super::*;
use std::time::{Duration, Instant};

#[test]
fn every_part_is_done_once_whatever_the_number_of_threads() {
    for threads in 1..=8 {
        let pool = Pool::new(threads);
        for parts in [0, 1, 2, 7, 64, 1000] {
            let counts: Vec<_> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            pool.run(parts, &|part| {
                counts[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{threads} threads, {parts} parts");
        }
    }
}

#[test]
fn ten_thousand_jobs_in_a_row_lose_nothing() {
    let pool = Pool::new(3);
    let sum = AtomicUsize::new(0);
    for _ in 0..10_000 {
        pool.run(5, &|part| {
            sum.fetch_add(part, Ordering::Relaxed);
        });
    }
    assert_eq!(sum.into_inner(), 100_000);
}

#[test]
fn a_worker_that_went_to_sleep_is_woken() {
    let pool = Pool::new(2);
    for _ in 0..20 {
        let until = Instant::now() + Duration::from_millis(2);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        let done = AtomicUsize::new(0);
        pool.run(2, &|_| {
            // Both parts wait for each other: one thread alone would never end.
            done.fetch_add(1, Ordering::SeqCst);
            while done.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
        });
    }
}

#[test]
fn a_panic_in_a_part_reaches_the_caller_and_the_pool_lives_on() {
    let pool = Pool::new(4);
    for _ in 0..50 {
        let caught = catch_unwind(AssertUnwindSafe(|| pool.run(16, &|part| assert_ne!(part, 5, "the fifth"))));
        assert!(caught.is_err());
        let sum = AtomicUsize::new(0);
        pool.run(16, &|part| {
            sum.fetch_add(part, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 120);
    }
}

#[test]
fn a_job_inside_a_job_and_a_job_beside_a_job_are_done_too() {
    let pool = Pool::new(3);
    let sum = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..100 {
                    pool.run(4, &|_| {
                        pool.run(4, &|part| {
                            sum.fetch_add(part, Ordering::Relaxed);
                        });
                    });
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 3 * 100 * 4 * 6);
}

#[test]
fn a_limit_of_one_leaves_the_caller_alone() {
    let limit = Limit::default();
    let pool = Pool::with_limit(4, limit.clone());
    assert_eq!(pool.threads(), 4);
    limit.set(Some(1));
    assert_eq!(pool.threads(), 1);
    let me = std::thread::current().id();
    pool.run(100, &|_| assert_eq!(std::thread::current().id(), me));
    limit.set(Some(0));
    assert_eq!(pool.threads(), 1, "the caller always works");
    limit.set(Some(9));
    assert_eq!(pool.threads(), 4);
    limit.set(None);
    assert_eq!(pool.threads(), 4);
}

#[test]
fn chunks_cover_the_whole_slice() {
    let pool = Pool::new(2);
    let mut items = vec![0usize; 103];
    pool.for_chunks(&mut items, 10, |index, chunk| chunk.iter_mut().enumerate().for_each(|(i, item)| *item = index * 10 + i));
    assert!(items.iter().enumerate().all(|(i, item)| i == *item));
}
