//! Steps of several models one after another. Each model's threads are as many as there are cores, and wait for one another many times a step:
//! two steps at once would spend most of their time waiting for threads that the other one keeps from working.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Turns in the order in which they were asked for.
#[derive(Default)]
pub(crate) struct Turns {
    counts: Mutex<Counts>,
    ended: Condvar,
}

#[derive(Default)]
struct Counts {
    /// The next number to be given.
    next: u64,
    /// The number whose turn it is.
    now: u64,
}

/// A turn; it ends when this is dropped.
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits for a turn.
    pub(crate) fn take(&self) -> Turn<'_> {
        let mut counts = self.counts();
        let mine = counts.next;
        counts.next += 1;
        while counts.now != mine {
            counts = self.ended.wait(counts).unwrap_or_else(PoisonError::into_inner);
        }
        Turn(self)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.counts().now += 1;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        thread,
    };

    #[test]
    fn turns_do_not_overlap_and_nobody_takes_two_while_another_waits() {
        const EACH: u32 = 200;
        let (turns, inside, order) = (Arc::new(Turns::default()), Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
        let first = turns.take();
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let (turns, inside, order) = (Arc::clone(&turns), Arc::clone(&inside), Arc::clone(&order));
                thread::spawn(move || {
                    for _ in 0..EACH {
                        let _turn = turns.take();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        order.lock().unwrap().push(number);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        // All three wait before any begins.
        while turns.counts().next < 4 {
            thread::yield_now();
        }
        drop(first);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let order = order.lock().unwrap();
        assert_eq!(order.len(), 3 * EACH as usize);
        // Whoever asks again goes behind those who wait: the first three turns are of three threads.
        assert_eq!(order[..3].iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    }
}
