//! Scrub: everything is read at a pace that does not hurt the cameras (`storage.scrub_rate`), so
//! that rot is found before it is asked for. A finding is logged and counted; nothing is changed.
//!
//! How far a pass has come is written down every minute and at the end: the next start goes on from there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::books;
use crate::engine::{Engine, Error, Result, ScrubAsked, ScrubPass, ScrubView};

/// Between two passes, and how soon a changed `storage.scrub_rate` is noticed while it is 0.
const REST: Duration = Duration::from_secs(60);
/// How often it is written down how far a pass has come.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// The pace is kept over stretches of this many bytes, so that a small file is one sleep or none.
const STRETCH: u64 = 1 << 20;

/// How far the scrub has come, as the books keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ScrubRow {
    /// The last row of the index that was read, hex; empty at the beginning of a pass.
    after: String,
    /// The pass under way.
    now: ScrubPass,
    /// The last one that came through.
    last: Option<ScrubPass>,
}

impl books::Row for ScrubRow {
    const TABLE: &'static str = "scrub";
    type Key = u64;
}

/// What was found since the start, and how far it is.
#[derive(Debug, Default)]
pub struct State {
    passes: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
    damaged: AtomicU64,
    row: Mutex<ScrubRow>,
    /// A scrub that somebody asked for and waits for.
    asked: Mutex<Option<ScrubAsked>>,
}

impl State {
    /// The numbers now.
    pub fn view(&self) -> ScrubView {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let row = self.row();
        ScrubView {
            passes: of(&self.passes),
            objects: of(&self.objects),
            bytes: of(&self.bytes),
            damaged: of(&self.damaged),
            now: row.now,
            last: row.last,
            asked: *self.asked(),
        }
    }

    fn row(&self) -> MutexGuard<'_, ScrubRow> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scrub that somebody waits for.
    pub fn asked(&self) -> MutexGuard<'_, Option<ScrubAsked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self, bytes: Option<u64>) {
        let mut row = self.row();
        match bytes {
            Some(bytes) => {
                self.objects.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                row.now.objects += 1;
                row.now.bytes += bytes;
            }
            None => {
                self.damaged.fetch_add(1, Ordering::Relaxed);
                row.now.damaged += 1;
            }
        }
    }
}

/// Holds a thread up so that it reads no more than so many bytes a second.
#[derive(Debug)]
pub struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self { since: Instant::now(), bytes: 0 }
    }

    /// So many bytes were read; `rate` 0 is no limit. Sleeps until they were due, or `end` says that it is over.
    pub fn read(&mut self, bytes: u64, rate: u64, end: impl Fn() -> bool) {
        self.bytes += bytes;
        if self.bytes >= STRETCH && rate > 0 {
            let due = Duration::from_millis(self.bytes.saturating_mul(1000) / rate);
            wait(due.saturating_sub(self.since.elapsed()), end);
            *self = Self::new();
        }
    }
}

/// Runs until the engine ends.
pub(super) fn start(engine: &Engine) {
    let engine = engine.clone();
    let tasks = engine.inner.tasks.clone();
    tasks.spawn(async move {
        if let Ok(Some(row)) = engine.inner.books.get::<ScrubRow>(&0) {
            *engine.inner.scrub.row() = row;
        }
        let mut noted = Instant::now();
        loop {
            let rest = if engine.config().storage.scrub_rate == 0 {
                REST
            } else {
                match page(&engine).await {
                    Ok(true) => Duration::ZERO,
                    Ok(false) => REST,
                    Err(error) => {
                        tracing::warn!(reconciler = "scrub", %error, "a step failed; it is tried again");
                        REST
                    }
                }
            };
            let ends = tokio::select! {
                () = tokio::time::sleep(rest) => false,
                () = engine.inner.ending.cancelled() => true,
            };
            if ends || !rest.is_zero() || noted.elapsed() >= NOTED_EVERY {
                noted = Instant::now();
                note(&engine).await;
            }
            if ends {
                return;
            }
        }
    });
}

/// Writes down how far it is.
async fn note(engine: &Engine) {
    let (books, row) = (Arc::clone(&engine.inner.books), engine.inner.scrub.row().clone());
    let noted = tokio::task::spawn_blocking(move || {
        if books.get::<ScrubRow>(&0)?.as_ref() == Some(&row) {
            return Ok(());
        }
        books.change(|changes| changes.put(&0, &row))
    });
    match noted.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "how far the scrub is was not written down"),
        Err(error) => tracing::warn!(%error, "how far the scrub is was not written down"),
    }
}

/// Some files further; `false` at the end of a pass.
async fn page(engine: &Engine) -> Result<bool> {
    let engine = engine.clone();
    let work = tokio::task::spawn_blocking(move || {
        let state = Arc::clone(&engine.inner.scrub);
        if state.row().after.is_empty() {
            for what in engine.inner.store.volumes.mend_identities() {
                tracing::error!(what, "the scrub has found a rotten sector");
            }
        }
        let after = {
            let mut row = state.row();
            if row.after.is_empty() {
                row.now = ScrubPass { begun_ms: engine.now().millis(), ..ScrubPass::default() };
            }
            // What is no hex was never ours: the pass begins anew.
            hex::decode(&row.after).unwrap_or_default()
        };
        let mut paced = Pace::new();
        let ending = || engine.inner.ending.is_cancelled();
        let pace = |bytes: u64| {
            let rate = engine.config().storage.scrub_rate;
            paced.read(bytes, rate, ending);
            rate > 0 && !ending()
        };
        let damaged = |damage: crate::store::scrub::Damage| {
            state.found(None);
            tracing::error!(
                bucket = damage.bucket.get(),
                key = damage.key,
                reason = damage.reason,
                "the scrub has found a damaged file"
            );
        };
        let next = engine.inner.store.scrub_page(&after, |bytes| state.found(Some(bytes)), damaged, pace)?;
        let mut row = state.row();
        if let Some(next) = next {
            row.after = hex::encode(next);
            return Ok(true);
        }
        row.after.clear();
        row.now.ended_ms = Some(engine.now().millis());
        row.last = Some(row.now);
        state.passes.fetch_add(1, Ordering::Relaxed);
        Ok(false)
    });
    work.await.map_err(|error| Error::Broken(error.to_string().into()))?
}

/// Sleeps on a thread that may, in steps short enough for an end that waits for it.
fn wait(mut left: Duration, end: impl Fn() -> bool) {
    const STEP: Duration = Duration::from_millis(50);
    while !left.is_zero() && !end() {
        let now = left.min(STEP);
        std::thread::sleep(now);
        left -= now;
    }
}

/// Somebody waits for a scrub; dropped, it ends.
#[derive(Debug)]
pub struct Waited {
    state: Arc<State>,
    given_up: Arc<AtomicBool>,
}

impl Waited {
    /// Begins to be waited for: so many bytes will be read.
    pub fn begin(state: &Arc<State>, of_bytes: u64) -> Self {
        *state.asked() = Some(ScrubAsked { of_bytes, ..ScrubAsked::default() });
        Self { state: Arc::clone(state), given_up: Arc::default() }
    }

    /// Says whether nobody waits any more.
    pub fn given_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.given_up)
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        *self.state.asked() = None;
    }
}
