//! DeleteObjects.

use axum::body::Body;
use futures_util::StreamExt;
use http::Response;

use super::Call;
use crate::engine::{BucketRef, Caller, Engine};
use crate::s3::body::{Checks, Incoming, read_whole};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{route, xml};
use crate::wire::s3_xml::{self, Doomed, Fate};
use crate::wire::sig::Payload;

/// Deletions that wait together, so that they share a group commit, and leave the queue to others.
const AT_ONCE: usize = 128;

pub(super) async fn many(call: &Call<'_>, payload: Payload, incoming: &mut Incoming) -> S3Result<Response<Body>> {
    let checks = Checks::read(&call.head.headers, payload)?;
    if !checks.digest_declared() {
        return Err(S3Error::new(
            Code::InvalidRequest,
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        ));
    }
    let body = read_whole(incoming, checks).await?;
    let (quiet, objects) = s3_xml::read_delete(&body)?;
    let deletions: Vec<_> = objects
        .iter()
        .map(|doomed| one(call.plane.engine.clone(), call.caller.clone(), call.bucket.clone(), doomed.clone()))
        .collect();
    let outcomes: Vec<S3Result<()>> = futures_util::stream::iter(deletions).buffered(AT_ONCE).collect().await;
    let rows: Vec<_> =
        objects.iter().zip(outcomes).map(|(doomed, outcome)| (doomed.key.as_str(), words(outcome))).collect();
    Ok(xml(s3_xml::deleted(quiet, &rows)))
}

async fn one(engine: Engine, caller: Caller, bucket: BucketRef, doomed: Doomed) -> S3Result<()> {
    if doomed.conditional {
        // To delete without looking at the condition would be to delete too much.
        return Err(S3Error::not_implemented("conditions of a deletion"));
    }
    if doomed.version.is_some_and(|version| !matches!(version.as_str(), "" | "null")) {
        return Err(S3Error::new(Code::NoSuchVersion, "The specified version does not exist."));
    }
    let key = route::object_key(&doomed.key)?;
    Ok(engine.delete(&caller, &bucket, &key).await?)
}

fn words(outcome: S3Result<()>) -> Fate {
    outcome.map_err(|error| {
        let (code, message) = error.into_words();
        (code.name(), message)
    })
}
