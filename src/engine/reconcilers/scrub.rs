//! Scrub: everything is read at a pace that does not hurt the cameras (`storage.scrub_rate`), so
//! that rot is found before it is asked for. A finding is logged and counted; nothing is changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::engine::{Engine, Error, Result, ScrubView};

/// Between two passes, and how soon a changed `storage.scrub_rate` is noticed while it is 0.
const REST: Duration = Duration::from_secs(60);
/// The pace is kept over stretches of this many bytes, so that a small file is one sleep or none.
const STRETCH: u64 = 1 << 20;

/// What was found since the start.
#[derive(Debug, Default)]
pub struct State {
    passes: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
    damaged: AtomicU64,
}

impl State {
    /// The numbers now.
    pub fn view(&self) -> ScrubView {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        ScrubView {
            passes: of(&self.passes),
            objects: of(&self.objects),
            bytes: of(&self.bytes),
            damaged: of(&self.damaged),
        }
    }
}

/// Runs until the engine ends.
pub(super) fn start(engine: &Engine) {
    let engine = engine.clone();
    let tasks = engine.inner.tasks.clone();
    tasks.spawn(async move {
        let mut after = Vec::new();
        loop {
            let rest = if engine.config().storage.scrub_rate == 0 {
                REST
            } else {
                match page(&engine, after.clone()).await {
                    Ok(Some(next)) => {
                        after = next;
                        Duration::ZERO
                    }
                    Ok(None) => {
                        after.clear();
                        engine.inner.scrub.passes.fetch_add(1, Ordering::Relaxed);
                        REST
                    }
                    Err(error) => {
                        tracing::warn!(reconciler = "scrub", %error, "a step failed; it is tried again");
                        REST
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = engine.inner.ending.cancelled() => return,
            }
        }
    });
}

/// Some files after `after`; where to go on, or `None` at the end.
async fn page(engine: &Engine, after: Vec<u8>) -> Result<Option<Vec<u8>>> {
    let engine = engine.clone();
    let work = tokio::task::spawn_blocking(move || {
        let state = Arc::clone(&engine.inner.scrub);
        let mut stretch = (Instant::now(), 0);
        let pace = |bytes: u64| {
            stretch.1 += bytes;
            let rate = engine.config().storage.scrub_rate;
            if stretch.1 >= STRETCH && rate > 0 {
                let due = Duration::from_millis(stretch.1.saturating_mul(1000) / rate);
                wait(&engine, due.saturating_sub(stretch.0.elapsed()));
                stretch = (Instant::now(), 0);
            }
            rate > 0 && !engine.inner.ending.is_cancelled()
        };
        let read = |bytes| {
            state.objects.fetch_add(1, Ordering::Relaxed);
            state.bytes.fetch_add(bytes, Ordering::Relaxed);
        };
        let damaged = |damage: crate::store::scrub::Damage| {
            state.damaged.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                bucket = damage.bucket.get(),
                key = damage.key,
                reason = damage.reason,
                "the scrub has found a damaged file"
            );
        };
        Ok(engine.inner.store.scrub_page(&after, read, damaged, pace)?)
    });
    work.await.map_err(|error| Error::Broken(error.to_string().into()))?
}

/// Sleeps on a thread that may, in steps short enough for an end that waits for it.
fn wait(engine: &Engine, mut left: Duration) {
    const STEP: Duration = Duration::from_millis(50);
    while !left.is_zero() && !engine.inner.ending.is_cancelled() {
        let now = left.min(STEP);
        std::thread::sleep(now);
        left -= now;
    }
}
