//! DeleteObject and DeleteObjects.

use axum::body::Body;
use http::{Response, StatusCode};

use super::Call;
use crate::domain::ObjectKey;
use crate::engine::DeleteCondition;
use crate::s3::body::{Checks, Incoming, read_whole};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{empty, route, xml};
use crate::wire::range::bare;
use crate::wire::s3_time;
use crate::wire::s3_xml::{self, Doomed, Fate};
use crate::wire::sig::Payload;

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
    let (mut named, mut refused) = (Vec::new(), Vec::new());
    for doomed in &objects {
        match read(doomed) {
            Ok(which) => {
                named.push(which);
                refused.push(None);
            }
            Err(why) => refused.push(Some(why)),
        }
    }
    let mut outcomes = call.plane.engine.delete_many(call.caller, call.bucket, named).await.into_iter();
    let mut rows = Vec::with_capacity(objects.len());
    for (doomed, refused) in objects.iter().zip(refused) {
        let outcome = match refused {
            Some(why) => Err(why),
            None => match outcomes.next() {
                Some(outcome) => outcome.map_err(S3Error::from),
                None => Err(S3Error::broken("a deletion has no outcome")),
            },
        };
        rows.push((doomed, words(outcome)));
    }
    Ok(xml(s3_xml::deleted(quiet, &rows)))
}

pub(super) async fn one(call: &Call<'_>, key: &ObjectKey) -> S3Result<Response<Body>> {
    let head = call.head;
    if head.headers.contains_key("if-none-match") {
        return Err(S3Error::not_implemented("If-None-Match of a deletion"));
    }
    let condition = condition(
        head.text("if-match"),
        head.text("x-amz-if-match-last-modified-time"),
        head.text("x-amz-if-match-size"),
    )?;
    call.plane.engine.delete_if(call.caller, call.bucket, key, condition).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// The state in which an object is to be deleted. To pass over what cannot be read would be to
/// delete too much.
fn condition(etag: Option<&str>, modified: Option<&str>, size: Option<&str>) -> S3Result<DeleteCondition> {
    let wrong = |what: &str| S3Error::new(Code::InvalidArgument, format!("The {what} of the condition cannot be read"));
    let modified = match modified {
        None => None,
        Some(text) => Some(s3_time::parse_any(text).ok_or_else(|| wrong("time"))?),
    };
    let size = match size {
        None => None,
        Some(text) => Some(text.trim().parse().map_err(|_| wrong("size"))?),
    };
    Ok(DeleteCondition { etag: etag.map(|tag| bare(tag).to_owned()), modified, size })
}

/// What is to go, and in which state.
fn read(doomed: &Doomed) -> S3Result<(ObjectKey, DeleteCondition)> {
    let condition = condition(doomed.etag.as_deref(), doomed.modified.as_deref(), doomed.size.as_deref())?;
    if doomed.version.as_deref().is_some_and(|version| !matches!(version, "" | "null")) {
        return Err(S3Error::new(Code::NoSuchVersion, "The specified version does not exist."));
    }
    Ok((route::object_key(&doomed.key)?, condition))
}

fn words(outcome: S3Result<()>) -> Fate {
    outcome.map_err(|error| {
        let (code, message) = error.into_words();
        (code.name(), message)
    })
}
