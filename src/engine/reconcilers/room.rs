//! Room: a disk that was full and has room again is used again, without anybody asking for it.

use super::Step;
use crate::engine::status::blocking;
use crate::engine::{Engine, Result};

/// One look at all disks.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    blocking(move || {
        engine.inner.store.volumes.look_for_room();
        Ok(Step::Idle)
    })
    .await
}
