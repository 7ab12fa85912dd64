//! Expire: multipart uploads that nobody goes on with are given up after `s3.multipart_expiry`, so that firmware
//! that dies midway does not fill its space; completed ones are remembered for a day, so that a repeated
//! completion is answered alike, and then forgotten.

use std::time::Duration;

use super::Step;
use crate::domain::{BucketId, Timestamp, UploadId};
use crate::engine::{Engine, Result};
use crate::store::error::StoreError;
use crate::store::event::Event;
use crate::store::index::apply::Apply;
use crate::store::index::rows::UploadRow;

/// How long a completion is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// All that have served their time.
pub(super) async fn step(engine: Engine) -> Result<Step> {
    let now = engine.now();
    let expiry = engine.config().s3.multipart_expiry;
    for (bucket, upload, row) in engine.inner.store.view()?.all_uploads()? {
        // What was begun or completed lately is not asked any further.
        if !may_be_over(&row, now, expiry) {
            continue;
        }
        engine
            .change(false, move |apply| {
                let over = is_over(apply, bucket, upload, now, expiry)?;
                Ok(if over { vec![Event::AbortUpload { bucket, upload }] } else { Vec::new() })
            })
            .await?;
    }
    Ok(Step::Idle)
}

fn may_be_over(row: &UploadRow, now: Timestamp, expiry: Duration) -> bool {
    match &row.done {
        Some(done) => now.since(done.created) >= REMEMBERED,
        None => now.since(row.created) >= expiry,
    }
}

/// At the moment of the decision: an upload that got a part meanwhile, or was completed, lives on.
fn is_over(
    apply: &Apply<'_>,
    bucket: BucketId,
    upload: UploadId,
    now: Timestamp,
    expiry: Duration,
) -> std::result::Result<bool, StoreError> {
    let Some(row) = apply.upload(bucket, upload)? else { return Ok(false) };
    if !may_be_over(&row, now, expiry) {
        return Ok(false);
    }
    if row.done.is_some() {
        return Ok(true);
    }
    let newest = apply.upload_parts(upload)?.into_iter().map(|(_, part)| part.created).max();
    let over = newest.is_none_or(|newest| now.since(newest) >= expiry);
    if over {
        tracing::info!(bucket = bucket.get(), upload = %upload, "a multipart upload that nobody went on with is given up");
    }
    Ok(over)
}
