//! The work on one root: the plan, the pieces on the disk, and how one holder is asked again and again.

use super::{
    Event, FetchError, Holder, Tell, Terms, Why,
    crew::gather,
    plan::{Key, Plan},
    roster::Roster,
    session::session,
};
use crate::{
    BlobError, Blobs, Put, Room,
    pieces::{Claim, PIECE, Piece, Pieces},
    ranges::Ranges,
};
use kith_types::{Blake3, Sha256};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore},
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

/// How often holders are measured and progress is told.
pub const TICK: Duration = Duration::from_millis(250);
/// How long a fetch of the same blob that was just cancelled may take to let go.
const LETTING_GO: Duration = Duration::from_secs(5);

/// What is fetched.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    pub root: Blake3,
    pub sha256: Option<Sha256>,
    pub size: Option<u64>,
    pub limit: u64,
    pub spare: u64,
}

/// What all holders work on.
pub struct Work {
    pub aim: Aim,
    pub terms: Terms,
    /// Somebody finished or left: there may be something to do for others.
    pub changed: Notify,
    pub tell: Tell,
    blobs: Blobs,
    /// Until the size is proven.
    start: tokio::sync::Mutex<Option<(Claim, Option<Room>)>>,
    proven: OnceLock<Proven>,
    failed: Mutex<Option<FetchError>>,
    /// All is there, or it failed.
    pub ended: Notify,
    seats: Semaphore,
    /// Verified bytes that came, from all.
    received: AtomicU64,
}

/// What there is once the size is proven.
pub struct Proven {
    pub size: u64,
    pub pieces: Pieces,
    plan: Mutex<Plan>,
    room: Mutex<Room>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl Work {
    pub fn proven(&self) -> Option<&Proven> {
        self.proven.get()
    }

    pub fn plan<T>(&self, act: impl FnOnce(&mut Plan) -> T) -> Option<T> {
        self.proven.get().map(|proven| act(&mut locked(&proven.plan)))
    }

    /// Opens the pieces of a blob of a proven size. Later calls do nothing.
    pub async fn prove(&self, size: u64) {
        let mut start = self.start.lock().await;
        let Some((claim, room)) = start.take() else { return };
        match self.begin(claim, room, size).await {
            Ok(proven) => {
                let held = locked(&proven.plan).held();
                let done = locked(&proven.plan).is_done();
                (self.tell)(Event::Proven { root: self.aim.root, size, held });
                let _ = self.proven.set(proven);
                if done {
                    self.ended.notify_one();
                }
            }
            Err(error) => self.fail(error),
        }
    }

    async fn begin(&self, claim: Claim, room: Option<Room>, size: u64) -> Result<Proven, FetchError> {
        let Aim { limit, size: wanted, spare, .. } = self.aim;
        if size > limit {
            return Err(FetchError::TooLarge { size, limit });
        }
        if let Some(wanted) = wanted.filter(|wanted| *wanted != size) {
            return Err(FetchError::OtherSize { size, wanted });
        }
        let (claim, held) = spawn_blocking(move || {
            let held = claim.held(size);
            (claim, held)
        })
        .await
        .map_err(BlobError::from)?;
        // Room comes first: whoever invents a tree proves any size with its edge, and neither a file nor a plan of that size is made.
        let mut room = match room {
            Some(room) => room,
            None => self.blobs.reserve(size - held.map_err(BlobError::from)?, spare).await?,
        };
        let terms = self.terms.clone();
        let opened = spawn_blocking(move || {
            let pieces = claim.open(size)?;
            let plan = Plan::new(size, &pieces.held(), &terms);
            Ok::<_, BlobError>((pieces, plan))
        });
        let (pieces, plan) = opened.await.map_err(BlobError::from)??;
        room.still_to_come(size - plan.held());
        Ok(Proven { size, plan: Mutex::new(plan), pieces, room: Mutex::new(room) })
    }

    /// The error that ends it, once.
    pub fn failure(&self) -> Option<FetchError> {
        locked(&self.failed).take()
    }

    fn fail(&self, error: FetchError) {
        locked(&self.failed).get_or_insert(error);
        self.ended.notify_one();
    }

    pub fn seat(&self, key: Key, have: &Ranges) {
        self.plan(|plan| plan.seat(key, have, now()));
    }

    pub fn assign(&self, key: Key) -> Vec<u64> {
        self.plan(|plan| plan.assign(key, now())).unwrap_or_default()
    }

    pub fn idle(&self, key: Key) {
        self.plan(|plan| plan.idle(key));
    }

    pub fn lacks(&self, key: Key, piece: u64) {
        self.plan(|plan| plan.lacks(key, piece));
        self.changed.notify_waiters();
    }

    /// Verified bytes that came so far, from all, whether they are kept or not.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub fn came(&self, key: Key, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.plan(|plan| plan.came(key, bytes));
    }

    pub fn is_held(&self, piece: u64) -> bool {
        self.plan(|plan| plan.is_held(piece)).unwrap_or_default()
    }

    pub fn is_done(&self) -> bool {
        self.plan(|plan| plan.is_done()).unwrap_or_default()
    }

    /// Whether so much came from a holder that a piece of it may be kept: less, again and again, would be no progress.
    fn brought(&self, key: Key) -> bool {
        let enough = |plan: &mut Plan| plan.pace(key).is_some_and(|pace| pace.bytes > 0 && pace.bytes >= PIECE.min(plan.size()));
        self.plan(enough).unwrap_or_default()
    }

    /// Writes a verified piece. Blocks.
    pub fn write(&self, piece: &mut Piece) {
        let Some(proven) = self.proven.get() else { return };
        if let Err(error) = proven.pieces.write(piece) {
            return self.fail(error.into());
        }
        let mut plan = locked(&proven.plan);
        plan.done(piece.number);
        let (left, done) = (proven.size - plan.held(), plan.is_done());
        drop(plan);
        locked(&proven.room).still_to_come(left);
        self.changed.notify_waiters();
        if done {
            self.ended.notify_one();
        }
    }

    /// Asks one holder again and again, until all is there or it is dropped.
    pub async fn attend(self: Arc<Self>, holder: Arc<dyn Holder>, key: Key, stop: Arc<Notify>) -> Option<Why> {
        let mut failures = 0;
        loop {
            let Ok(_seat) = self.seats.acquire().await else { return None };
            let ended = tokio::select! {
                ended = session(&self, &*holder, key) => ended,
                () = stop.notified() => Err(Why::Slow),
            };
            let came = self.brought(key);
            self.plan(|plan| plan.leave(key));
            self.changed.notify_waiters();
            drop(_seat);
            let why = ended.err()?;
            failures = match (&why, came) {
                (Why::Later(_) | Why::Slow, _) => failures,
                (_, true) => 1,
                _ => failures + 1,
            };
            if why.is_final() || failures >= self.terms.tries {
                return Some(why);
            }
            // After a failure half a second, then longer.
            let pause = match &why {
                Why::Slow => self.terms.rest,
                Why::Later(_) => self.terms.rest / 16,
                _ => self.terms.rest / 64 * (1 << failures.min(6)),
            };
            (self.tell)(Event::Rests { holder: holder.id().to_owned(), why });
            // Whoever rests is needed at once when nobody else is at work.
            let _ = timeout(pause, self.nobody_works()).await;
        }
    }

    async fn nobody_works(&self) {
        // Not in the first moment: who left may be the cause of the pause.
        sleep(self.terms.rest / 64).await;
        while self.seats.available_permits() < self.terms.together || self.proven.get().is_none() {
            sleep(TICK).await;
        }
    }
}

/// Fetches the blob `aim` speaks of.
pub async fn download(
    blobs: &Blobs,
    aim: Aim,
    room: Option<Room>,
    roster: &mut Roster,
    terms: &Terms,
    tell: &Tell,
) -> Result<Put, FetchError> {
    let claim = claim(blobs, &aim.root).await?;
    let (claim, known) = spawn_blocking(move || {
        let known = claim.known();
        (claim, known)
    })
    .await
    .map_err(BlobError::from)?;
    let work = Arc::new(Work {
        aim,
        terms: terms.clone(),
        changed: Notify::new(),
        blobs: blobs.clone(),
        tell: Arc::clone(tell),
        start: tokio::sync::Mutex::new(Some((claim, room))),
        proven: OnceLock::new(),
        failed: Mutex::default(),
        ended: Notify::new(),
        seats: Semaphore::new(terms.together),
        received: AtomicU64::new(0),
    });
    if let Some((size, _)) = known.map_err(BlobError::from)? {
        work.prove(size).await;
    }
    let came = gather(&work, roster).await;
    // Whatever the end: what came is kept.
    if let Some(proven) = work.proven()
        && proven.pieces.unsaved() > 0
        && came.is_err()
    {
        checkpoint(&work).await?;
    }
    came?;
    tell(Event::Verifying);
    complete(work).await
}

async fn claim(blobs: &Blobs, root: &Blake3) -> Result<Claim, FetchError> {
    let until = Instant::now() + LETTING_GO;
    loop {
        match blobs.claim(root) {
            Err(BlobError::Fetching(_)) if Instant::now() < until => sleep(Duration::from_millis(20)).await,
            claimed => return Ok(claimed?),
        }
    }
}

pub async fn checkpoint(work: &Arc<Work>) -> Result<(), BlobError> {
    let work = Arc::clone(work);
    spawn_blocking(move || work.proven().map_or(Ok(()), |proven| proven.pieces.checkpoint())).await?
}

async fn complete(work: Arc<Work>) -> Result<Put, FetchError> {
    struct Stop(Arc<AtomicBool>);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = Stop(Arc::default());
    let stopped = Arc::clone(&stop.0);
    let put = spawn_blocking(move || match work.proven() {
        Some(proven) => proven.pieces.complete(work.aim.sha256, &stopped),
        None => Err(BlobError::NotFound(work.aim.root)),
    });
    Ok(put.await.map_err(BlobError::from)??)
}
