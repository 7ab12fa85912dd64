//! Expire: completed multipart uploads are remembered for a day, so that a repeated completion is
//! answered alike; then they are forgotten.

use std::time::Duration;

use super::Step;
use crate::engine::{Engine, Result};
use crate::store::event::Event;

/// How long a completion is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// All that have served their time.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    let now = engine.now();
    for (bucket, upload, row) in engine.inner.store.view()?.all_uploads()? {
        if row.done.is_some_and(|done| now.since(done.created) >= REMEMBERED) {
            engine.change(false, move |_| Ok(vec![Event::AbortUpload { bucket, upload }])).await?;
        }
    }
    Ok(Step::Idle)
}
