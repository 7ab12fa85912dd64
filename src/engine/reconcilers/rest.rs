//! Rest: the memory that a burst has left behind and nobody needs any more goes back to the system.

use super::Step;
use crate::engine::{Engine, Result};

/// Lets go of the buffers that were not needed since the last step.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    engine.inner.store.volumes.buffers.rest();
    Ok(Step::Idle)
}
