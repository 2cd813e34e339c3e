//! Threads for one kind of work: short jobs cut into parts, thousands of times a second, with nothing allocated per job.
//!
//! The caller works too. A worker that is late is not waited for: it may join a job while it is open, and the caller waits only for
//! those that joined. Workers look for the next job for a short while without sleeping, since a decoder's jobs follow one another
//! within microseconds; after that they park. Each thread begins with neighbouring parts of its own, since memory is read fastest in a row; which thread
//! does which part is left to chance all the same, and no result depends on it.

use std::{
    any::Any,
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{JoinHandle, Thread},
};

/// How often a worker looks for a job before it parks: some 50 microseconds.
const LOOKS: u32 = 2_000;
/// How often a waiting caller looks before it offers its core to others.
const LOOKS_AT_THE_END: u32 = 20_000;
/// Threads of one pool at most.
pub const MOST_THREADS: usize = 256;

/// In [`Shared::state`]: the job may be joined.
const OPEN: u64 = 1 << 31;
/// In [`Shared::state`]: how many workers are in the job.
const JOINED: u64 = OPEN - 1;
/// In [`Shared::state`]: one job further.
const NEXT_JOB: u64 = 1 << 32;

/// Keeps what one thread writes often away from what others read.
#[repr(align(128))]
struct Apart<T>(T);

/// What a job is: a function of the part's number.
#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    parts: usize,
    /// Runs of neighbouring parts, one for each thread that may work.
    runs: usize,
}

impl Job {
    /// The parts of run `run`.
    fn parts_of(&self, run: usize) -> std::ops::Range<usize> {
        self.parts * run / self.runs..self.parts * (run + 1) / self.runs
    }
}

struct Shared {
    /// The number of the job (upper half), whether it is open, and how many joined.
    state: Apart<AtomicU64>,
    /// Per run of parts, the next that nobody has taken.
    next: Vec<Apart<AtomicUsize>>,
    /// Written by the caller while no job is open and nobody is in one.
    job: UnsafeCell<Option<Job>>,
    /// What a part panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Per worker: whether it sleeps, or is about to.
    asleep: Vec<Apart<AtomicBool>>,
    limit: Limit,
    stop: AtomicBool,
}

// SAFETY: `job` is the one field that is not `Sync`. It is written under the caller's lock while `state` is neither open nor joined, and read
// by workers only after they joined an open job, which happens after the write (release and acquire on `state`).
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer inside is to something `Sync`.
unsafe impl Send for Shared {}

/// How many threads of a pool may work now, the caller among them. Pools that share one are limited together; jobs that run go on as they began.
#[derive(Clone, Debug)]
pub struct Limit(Arc<AtomicUsize>);

impl Default for Limit {
    /// As many as there are.
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

impl Limit {
    /// At most `threads` from the next job on, 1 or more; `None` is as many as there are.
    pub fn set(&self, threads: Option<usize>) {
        self.0.store(threads.map_or(usize::MAX, |threads| threads.max(1)), Ordering::SeqCst);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A fixed number of threads, the caller's own among them. Dropping it ends them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    sleepers: Vec<Thread>,
    /// Held by whoever runs a job.
    turn: Mutex<()>,
}

impl Pool {
    /// `threads` in all, 1 to [`MOST_THREADS`] (other numbers are brought into that range). Where the system refuses a thread, there are fewer.
    pub fn new(threads: usize) -> Self {
        Self::with_limit(threads, Limit::default())
    }

    /// The same, of which no more may work at a time than the limit says.
    pub fn with_limit(threads: usize, limit: Limit) -> Self {
        let wanted = threads.clamp(1, MOST_THREADS) - 1;
        let shared = Arc::new(Shared {
            state: Apart(AtomicU64::new(0)),
            next: (0..=wanted).map(|_| Apart(AtomicUsize::new(0))).collect(),
            job: UnsafeCell::new(None),
            panic: Mutex::new(None),
            asleep: (0..wanted).map(|_| Apart(AtomicBool::new(false))).collect(),
            limit,
            stop: AtomicBool::new(false),
        });
        let workers: Vec<_> = (0..wanted)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("kernels-{index}")).spawn(move || shared.serve(index)).ok()
            })
            .collect();
        let sleepers = workers.iter().map(|worker| worker.thread().clone()).collect();
        Self { shared, workers, sleepers, turn: Mutex::new(()) }
    }

    /// How many threads a job may use now, the caller's among them.
    pub fn threads(&self) -> usize {
        self.shared.limit.get().min(self.workers.len() + 1)
    }

    /// Calls `work(0)` to `work(parts - 1)`, each once, on any thread and in any order, and returns when all are done.
    ///
    /// While another job runs (another thread's, or the one this is called from), the caller does all parts alone.
    ///
    /// # Panics
    /// If a part panicked, with what it panicked with, after the others have ended; parts not yet begun are left out.
    pub fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        let turn = match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => None,
        };
        let threads = self.threads();
        if parts <= 1 || threads <= 1 || turn.is_none() {
            (0..parts).for_each(work);
            return;
        }
        let shared = &*self.shared;
        // SAFETY: only the lifetime is dropped. `finish` below returns after every worker left the job, on panics too, and workers take the
        // pointer only while the job is open, so it is not used after this call.
        let work: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(work) };
        let job = Job { work, parts, runs: threads };
        // SAFETY: the lock is held and the last job was closed and left by all before it was released: nobody reads.
        unsafe { *shared.job.get() = Some(job) };
        for (run, next) in shared.next.iter().enumerate().take(threads) {
            next.0.store(job.parts_of(run).start, Ordering::Relaxed);
        }
        let state = shared.state.0.load(Ordering::Relaxed);
        // Sequentially consistent, as is the look of a worker that goes to sleep: one of the two sees the other.
        shared.state.0.store((state & !(NEXT_JOB - 1)).wrapping_add(NEXT_JOB) | OPEN, Ordering::SeqCst);
        for (sleeper, asleep) in self.sleepers.iter().zip(&shared.asleep).take(threads - 1) {
            if asleep.0.load(Ordering::SeqCst) && asleep.0.swap(false, Ordering::SeqCst) {
                sleeper.unpark();
            }
        }
        shared.take_parts(job, 0);
        shared.finish();
        // Before the turn is another's, whose panic it then could be.
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Cuts `items` into chunks of `len` (the last may be shorter) and calls `work` with each chunk's number and the chunk.
    ///
    /// # Panics
    /// If `len` is 0, or as [`Pool::run`].
    pub fn for_chunks<T: Send>(&self, items: &mut [T], len: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        assert!(len > 0, "chunks have a length");
        let total = items.len();
        let parts = Parts::new(items);
        self.run(total.div_ceil(len), &|index| {
            let start = index * len;
            // SAFETY: chunks of different numbers do not overlap, and each number is given once.
            work(index, unsafe { parts.slice(start, len.min(total - start)) });
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches the panics of its parts; there is nothing to tell.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// A worker's life.
    fn serve(&self, index: usize) {
        let mut seen = 0;
        let mut looks = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let state = self.state.0.load(Ordering::Acquire);
            let fresh = state & OPEN != 0 && state >> 32 != seen;
            if fresh && index + 1 < self.limit.get() {
                if self.state.0.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                    continue;
                }
                seen = state >> 32;
                looks = 0;
                // SAFETY: joined while open: the caller wrote the job before and does not touch it until this worker left.
                if let Some(job) = unsafe { *self.job.get() } {
                    self.take_parts(job, index + 1);
                }
                self.state.0.fetch_sub(1, Ordering::Release);
            } else if looks < LOOKS {
                looks += 1;
                std::hint::spin_loop();
            } else {
                self.sleep(index, seen);
                looks = 0;
            }
        }
    }

    /// Parks until a job comes. A worker beyond the limit may be woken for nothing; it parks again.
    fn sleep(&self, index: usize, seen: u64) {
        let asleep = &self.asleep[index].0;
        asleep.store(true, Ordering::SeqCst);
        let state = self.state.0.load(Ordering::SeqCst);
        let fresh = state & OPEN != 0 && state >> 32 != seen && index + 1 < self.limit.get();
        if !fresh && !self.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        asleep.store(false, Ordering::SeqCst);
    }

    /// Does parts until none is left: first those of the thread's own run, then what the others have not come to.
    fn take_parts(&self, job: Job, thread: usize) {
        let done = catch_unwind(AssertUnwindSafe(|| {
            for run in 0..job.runs {
                let run = (thread + run) % job.runs;
                let (next, end) = (&self.next[run].0, job.parts_of(run).end);
                // A look at a run that has been done leaves its counter with the others.
                while next.load(Ordering::Relaxed) < end {
                    let part = next.fetch_add(1, Ordering::Relaxed);
                    if part >= end {
                        break;
                    }
                    // SAFETY: the caller of `run` keeps the function alive until everyone who joined has left.
                    unsafe { (*job.work)(part) };
                }
            }
        }));
        if let Err(panic) = done {
            self.next[..job.runs].iter().for_each(|next| next.0.store(job.parts, Ordering::Relaxed));
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
    }

    /// Closes the job and waits for those who joined it.
    fn finish(&self) {
        let mut state = self.state.0.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0;
        while state & JOINED != 0 {
            if looks < LOOKS_AT_THE_END {
                looks += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
            state = self.state.0.load(Ordering::Acquire);
        }
    }
}

/// A slice of which several threads write different pieces.
pub(crate) struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    of: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out pieces only through an unsafe function whose callers promise that pieces do not overlap.
unsafe impl<T: Send> Sync for Parts<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    pub(crate) fn new(items: &'a mut [T]) -> Self {
        Self { start: items.as_mut_ptr(), len: items.len(), of: std::marker::PhantomData }
    }

    /// Asks for the line of item `start` to be brought near for writing.
    pub(crate) fn fetch(&self, start: usize) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch has no effect that can be seen, wherever it points; processors with AVX2 know the instruction or take it for none.
        unsafe {
            std::arch::asm!("prefetchw [{0}]", in(reg) self.start.wrapping_add(start), options(nostack, preserves_flags));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = start;
    }

    /// `len` items from `start` on.
    ///
    /// # Safety
    /// No two pieces that are alive at once may overlap.
    ///
    /// # Panics
    /// If the piece does not lie inside.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, start: usize, len: usize) -> &'a mut [T] {
        assert!(start <= self.len && len <= self.len - start, "the piece lies inside");
        // SAFETY: inside the borrowed slice, and apart from all others by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

#[cfg(test)]
mod tests;
