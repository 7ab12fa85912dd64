//! Sample: once an hour, what each account has is written down, and what was missed is made up for.

use super::Step;
use crate::engine::{Engine, Result};

/// Brings the samples up to the present hour, a bounded piece at a time.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    Ok(if engine.sample().await? { Step::Again } else { Step::Idle })
}
