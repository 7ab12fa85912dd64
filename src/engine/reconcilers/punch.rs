//! Punch: what was deleted goes back to the file system.
//!
//! Trash is punched oldest first. What is still being read is passed over, but only once the
//! journal says that it is dead: else a rebuild could find it after what replaced it was punched.

use std::sync::Arc;

use super::Step;
use crate::domain::ObjectId;
use crate::engine::{Engine, Error, Result};
use crate::store::committer::Command;
use crate::store::event::Event;

/// Extents punched in one step.
const EXTENTS_PER_STEP: usize = 1024;

/// One batch.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    let store = &engine.inner.store;
    let discarded = store.volumes.take_discarded();
    let trash = store.view()?.trash(EXTENTS_PER_STEP)?;
    let full = trash.len() == EXTENTS_PER_STEP;
    let (pinned, free): (Vec<_>, Vec<_>) = trash.into_iter().partition(|(_, row)| engine.inner.pins.is_pinned(row.id));
    if discarded.is_empty() && free.is_empty() {
        return Ok(Step::Idle);
    }
    if !pinned.is_empty() {
        let ids: Vec<ObjectId> = pinned.iter().map(|(_, row)| row.id).collect();
        engine.change(false, move |_| Ok(vec![Event::Dead { ids }])).await?;
    }
    let extents: Vec<_> = free.iter().map(|(_, row)| row.extent).chain(discarded).collect();
    let volumes = Arc::clone(&store.volumes);
    // One thread for a batch, not for a call: this waits for the disk, and nobody waits for it.
    let punched = tokio::task::spawn_blocking(move || volumes.punch(&extents)).await;
    punched.map_err(|error| Error::Broken(error.to_string().into()))??;
    if !free.is_empty() {
        store.queue.ask(|reply| Command::Punched(free, reply)).await?;
    }
    Ok(if full && pinned.is_empty() { Step::Again } else { Step::Idle })
}
