//! Punch: what was deleted goes back to the file system.
//!
//! Trash is punched oldest first, and only once two things are durable: the index, so that a start
//! after a crash does not look for what is half gone; and a frame of the journal that says that
//! these records are dead, so that a rebuild does not take one of them, whose successor has been
//! punched already, for alive. What is still being read is passed over.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Step;
use crate::domain::ObjectId;
use crate::engine::{Engine, Error, Result};
use crate::store::committer::Command;
use crate::store::event::Event;
use crate::store::index::rows::TrashRow;
use crate::world::Threads;

/// Extents punched in one step: uploads wait while the index forgets them.
const EXTENTS_PER_STEP: usize = 256;
/// Extents looked at where a disk is dead, to find those of the others.
const LOOKED_AT_MAX: usize = 100_000;

/// One batch.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    let store = &engine.inner.store;
    let durable = store.bells.durable.load(Ordering::Acquire);
    let discarded = store.volumes.discarded();
    // What lies on a dead disk stays in the trash: nobody else would know, once it is back, that it is dead.
    let is_there = |row: &TrashRow| store.volumes.can_punch(row.extent.volume);
    let trash = if store.volumes.some_are_offline() {
        let mut trash = store.view()?.trash(durable, LOOKED_AT_MAX)?;
        trash.retain(|(_, row)| is_there(row));
        trash.truncate(EXTENTS_PER_STEP);
        trash
    } else {
        store.view()?.trash(durable, EXTENTS_PER_STEP)?
    };
    let full = trash.len() == EXTENTS_PER_STEP;
    let ids: Vec<ObjectId> = trash.iter().map(|(_, row)| row.id).collect();
    let free = engine.inner.pins.let_go(trash, |(_, row)| row.id);
    if discarded.is_empty() && free.is_empty() {
        return Ok(Step::Idle);
    }
    let passed_over = ids.len() - free.len();
    if !free.is_empty() {
        engine.change(false, move |_| Ok(vec![Event::Dead { ids }])).await?;
    }
    let extents: Vec<_> = free.iter().map(|(_, row)| row.extent).chain(discarded.iter().copied()).collect();
    match engine.inner.world.grain.threads {
        Threads::Callers => store.volumes.punch(&extents)?,
        Threads::Own => {
            let volumes = Arc::clone(&store.volumes);
            // One thread for a batch, not for a call: this waits for the disk, and nobody waits for it.
            let punched = tokio::task::spawn_blocking(move || volumes.punch(&extents)).await;
            punched.map_err(|error| Error::Broken(error.to_string().into()))??;
        }
    }
    store.volumes.forget_discarded(&discarded);
    if !free.is_empty() {
        store.queue.ask(|reply| Command::Punched(free, reply)).await?;
    }
    Ok(if full && passed_over == 0 { Step::Again } else { Step::Idle })
}
