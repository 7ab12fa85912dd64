//! Work that must happen and belongs to nobody's request.
//!
//! A reconciler is told nothing: it reads the present state, does one bounded step and says
//! whether there is more. It is woken by a timer, and by a bell of its own where there is one; a lost bell costs a
//! moment, never the work. A bell wakes one who waits: two reconcilers on one bell would lose every other ring.

mod deliver;
mod expire;
mod overwrite;
mod punch;
mod purge;
mod rest;
mod room;
mod sample;
mod scrub;

use std::future::Future;
use std::time::Duration;

use tokio::sync::Notify;

pub(super) use self::scrub::{Pace, State as ScrubState, Waited};
use super::{Engine, Result};

/// What a step says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more to do.
    Again,
    /// There is nothing to do until the bell rings.
    Idle,
}

/// What is done in the background, by name: for whoever does it himself, on an engine that was not started.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// A step of every overwrite that is under way.
    Overwrite,
    /// Some files of each closed sub-account.
    Purge,
    /// Some extents are given back.
    Punch,
    /// Multipart uploads that nobody goes on with.
    Expire,
    /// An attempt for each line of the outbox.
    Deliver,
}

/// A failed step is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Starts all of them.
pub(super) fn start(engine: &Engine) {
    if engine.inner.store.salvage.is_some() {
        // None of them could write down what it did.
        return;
    }
    let every = Duration::from_secs;
    run(engine, "overwrite", every(10), Some(|e| &e.inner.store.bells.overwrite), overwrite::step);
    run(engine, "purge", every(60), Some(|e| &e.inner.store.bells.closing), purge::step);
    run(engine, "punch", every(1), Some(|e| &e.inner.store.bells.trash), punch::step);
    run(engine, "expire", every(600), None, expire::step);
    run(engine, "room", every(2), None, room::step);
    run(engine, "rest", every(10), None, rest::step);
    run(engine, "sample", every(15), None, sample::step);
    run(engine, "observe", every(60), Some(|e| &e.inner.store.bells.witness.bell), super::observe::step);
    run(engine, "guesses", super::guesses::EVERY, Some(|e| &e.inner.guesses.bell), super::guesses::step);
    run(engine, "rotation", every(60), None, super::rotation::step);
    deliver::start(engine);
    scrub::start(engine);
}

/// One step; whether there is more to do.
pub(super) async fn tick(engine: &Engine, chore: Chore) -> Result<bool> {
    let engine = engine.clone();
    let step = match chore {
        Chore::Overwrite => overwrite::step(engine).await,
        Chore::Purge => purge::step(engine).await,
        Chore::Punch => punch::step(engine).await,
        Chore::Expire => expire::step(engine).await,
        Chore::Deliver => deliver::step(engine).await,
    };
    step.map(|step| step == Step::Again)
}

/// All that is due of overwrites, purges and punches; the index is made durable in between.
pub(super) async fn settle(engine: &Engine) -> Result<()> {
    while overwrite::step(engine.clone()).await? == Step::Again {}
    while purge::step(engine.clone()).await? == Step::Again {}
    engine.checkpoint().await?;
    while punch::step(engine.clone()).await? == Step::Again {}
    room::step(engine.clone()).await.map(|_| ())
}

/// Gives up and forgets what is due.
#[cfg(test)]
pub(super) async fn expire(engine: &Engine) -> Result<()> {
    expire::step(engine.clone()).await.map(|_| ())
}

/// One step of all overwrites.
#[cfg(test)]
pub(super) async fn sweep(engine: &Engine) -> Result<()> {
    overwrite::step(engine.clone()).await.map(|_| ())
}

/// Where a reconciler's bell hangs.
type Bell = fn(&Engine) -> &Notify;

/// Runs a reconciler until the engine ends. Without a bell the clock alone says when there is something to do.
fn run<F>(engine: &Engine, name: &'static str, every: Duration, bell: Option<Bell>, step: fn(Engine) -> F)
where
    F: Future<Output = Result<Step>> + Send + 'static,
{
    let engine = engine.clone();
    let tasks = engine.inner.tasks.clone();
    tasks.spawn(async move {
        loop {
            if engine.inner.ending.is_cancelled() {
                return;
            }
            let wait = match step(engine.clone()).await {
                Ok(Step::Again) => continue,
                Ok(Step::Idle) => every,
                Err(error) => {
                    tracing::warn!(reconciler = name, %error, "a step failed; it is tried again");
                    AFTER_FAILURE
                }
            };
            let rung = async {
                match bell {
                    Some(bell) => bell(&engine).notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(wait) => {}
                () = engine.inner.ending.cancelled() => return,
            }
        }
    });
}
