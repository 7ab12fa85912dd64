//! Multipart uploads: begin, part, complete, abort, list of parts.

use axum::body::Body;
use http::{Response, StatusCode};

use super::put::{new_object, store, stored_answer};
use super::{Call, count, put_condition, upload_id, url_encoded};
use crate::domain::{ObjectKey, limits};
use crate::s3::body::{Checks, Incoming, read_whole};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{empty, xml};
use crate::wire::s3_xml::{self, Part, PartListing};
use crate::wire::sig::Payload;

pub(super) async fn create(call: &Call<'_>, key: &ObjectKey) -> S3Result<Response<Body>> {
    let new = new_object(&call.head.headers, key, None)?;
    let id = call.plane.engine.create_multipart(call.caller, call.bucket, new).await?;
    Ok(xml(s3_xml::multipart_created(call.bucket.name.as_str(), key.as_str(), &id.to_string())))
}

/// The number of the part that a request brings.
pub(super) fn part_number(call: &Call<'_>) -> S3Result<u16> {
    match call.head.target.get("partNumber").map(str::parse::<u16>) {
        Some(Ok(number)) if (1..=limits::PARTS_MAX).contains(&number) => Ok(number),
        _ => Err(S3Error::new(Code::InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")),
    }
}

pub(super) async fn part(
    call: &Call<'_>,
    key: &ObjectKey,
    payload: Payload,
    incoming: &mut Incoming,
) -> S3Result<Response<Body>> {
    let number = part_number(call)?;
    let id = upload_id(&call.head.target)?;
    let checks = Checks::read(&call.head.headers, payload)?;
    let length = checks.announced();
    let upload = call.plane.engine.put_part(call.caller, call.bucket, key, id, number, length).await?;
    let (stored, checksum) = store(incoming, checks, upload).await?;
    Ok(stored_answer(&stored, checksum.as_ref()))
}

pub(super) async fn complete(
    call: &Call<'_>,
    key: &ObjectKey,
    payload: Payload,
    incoming: &mut Incoming,
) -> S3Result<Response<Body>> {
    let id = upload_id(&call.head.target)?;
    let condition = put_condition(&call.head.headers)?;
    let checks = Checks::for_document(&call.head.headers, payload)?;
    let body = read_whole(incoming, checks).await?;
    let parts = s3_xml::read_complete(&body)?;
    let engine = call.plane.engine.clone();
    let stored = engine.complete_multipart(call.caller, call.bucket, key, id, parts, condition).await?;
    let location = match (&call.head.host, &call.head.host_bucket) {
        (Some(host), None) => format!("http://{host}/{}/{key}", call.bucket.name),
        (Some(host), Some(_)) => format!("http://{host}/{key}"),
        (None, _) => format!("/{}/{key}", call.bucket.name),
    };
    let tag = stored.etag.to_string();
    Ok(xml(s3_xml::multipart_completed(&location, call.bucket.name.as_str(), key.as_str(), &tag)))
}

pub(super) async fn abort(call: &Call<'_>, key: &ObjectKey) -> S3Result<Response<Body>> {
    let id = upload_id(&call.head.target)?;
    call.plane.engine.abort_multipart(call.caller, call.bucket, key, id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn parts(call: &Call<'_>, key: &ObjectKey) -> S3Result<Response<Body>> {
    let target = &call.head.target;
    let id = upload_id(target)?;
    let max = count(target, "max-parts", limits::LIST_KEYS_MAX)?;
    let marker = match target.get("part-number-marker") {
        None | Some("") => 0,
        Some(text) => text.parse::<u16>().map_err(|_| {
            S3Error::new(Code::InvalidArgument, "Provided part-number-marker not an integer or within integer range")
        })?,
    };
    let encoded = url_encoded(target)?;
    let (found, more) = call.plane.engine.list_parts(call.caller, call.bucket, key, id, marker, max).await?;
    let parts = found.iter().map(|part| Part {
        number: part.number,
        modified: part.created,
        etag: part.etag.to_string(),
        size: part.size.get(),
    });
    Ok(xml(s3_xml::parts(&PartListing {
        bucket: call.bucket.name.as_str(),
        key: key.as_str(),
        upload_id: &id.to_string(),
        marker,
        max_parts: max,
        url_encoded: encoded,
        truncated: more && max > 0,
        owner: call.access_key,
        parts: parts.collect(),
    })))
}
