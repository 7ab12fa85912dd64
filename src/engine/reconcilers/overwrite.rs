//! Overwrite: where an overwrite is under way, the oldest unlocked files go. Section 3.

use super::Step;
use crate::domain::space::plan_sweep;
use crate::domain::{Bytes, SubAccountId, limits};
use crate::engine::{Engine, Result};
use crate::store::event::{Cause, Event};

/// One step for each sub-account that is being overwritten.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    let mut due: Vec<SubAccountId> = {
        let catalog = engine.inner.store.catalog.read();
        catalog.sub_accounts.values().filter(|sub| sub.stats.sweep_left > 0).map(|sub| sub.id).collect()
    };
    due.sort_unstable();
    for &id in &due {
        sweep(&engine, id).await?;
    }
    Ok(if due.is_empty() { Step::Idle } else { Step::Again })
}

async fn sweep(engine: &Engine, id: SubAccountId) -> Result<()> {
    // Else the oldest of a state that a power cut takes back could go, and an older file be left.
    engine
        .change_when_settled(move |apply| {
            let wanted = Bytes::new(apply.stats(id)?.sweep_left);
            if wanted == Bytes::ZERO || apply.sub_account(id)?.is_none() {
                return Ok(Vec::new());
            }
            let mut looked_at = 0;
            let mut broken = None;
            let oldest =
                apply.oldest_unlocked(id)?.take(limits::OVERWRITE_FILES_PER_STEP_MAX).map_while(|entry| match entry {
                    Ok((created, object, size)) => {
                        looked_at += 1;
                        Some(((created, object), size))
                    }
                    Err(error) => {
                        broken = Some(error);
                        None
                    }
                });
            let (files, freed) = plan_sweep(wanted, oldest);
            if let Some(error) = broken {
                return Err(error.into());
            }
            let exhausted = freed < wanted && looked_at < limits::OVERWRITE_FILES_PER_STEP_MAX;
            tracing::debug!(
                sub_account = id.get(),
                files = files.len(),
                freed = freed.get(),
                wanted = wanted.get(),
                exhausted,
                "overwrite"
            );
            Ok(vec![Event::Delete { sub_account: id, cause: Cause::Overwrite, files, exhausted }])
        })
        .await?;
    Ok(())
}
