//! Purge: the files of closed sub-accounts go, locked ones too. Serves 7.3.

use super::Step;
use crate::engine::{Engine, Result};
use crate::store::committer::Command;

/// Some files of each closed sub-account.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    let closing = engine.inner.store.view()?.closing()?;
    for &id in &closing {
        engine.inner.store.queue.ask(|reply| Command::Purge(id, reply)).await?;
    }
    Ok(if closing.is_empty() { Step::Idle } else { Step::Again })
}
