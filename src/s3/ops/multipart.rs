//! Multipart uploads: begin, part, complete, abort, list of parts.

use axum::body::Body;
use http::{HeaderName, Response, StatusCode};

use super::copy::checksum_kind;
use super::put::{ENCRYPTION, buffer, new_object, store, stored_answer};
use super::{Call, count, put_condition, upload_id, url_encoded};
use crate::domain::{ChecksumKind, ChecksumPlan, ChecksumType, ObjectKey, limits};
use crate::engine::{Completion, NamedPart};
use crate::s3::body::{Checks, Incoming, number, read_whole};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{Head, empty, set, xml};
use crate::wire::s3_checksum;
use crate::wire::s3_xml::{self, Part, PartListing};
use crate::wire::sig::Payload;

pub(super) async fn create(call: &Call<'_>, key: &ObjectKey) -> S3Result<Response<Body>> {
    let mut new = new_object(&call.head.headers, key, None)?;
    new.checksum = plan(call.head)?;
    let plan = new.checksum;
    let id = call.plane.engine.create_multipart(call.caller, call.bucket, new).await?;
    let mut response = xml(s3_xml::multipart_created(call.bucket.name.as_str(), key.as_str(), &id.to_string()));
    if let Some(plan) = plan {
        set(&mut response, HeaderName::from_static("x-amz-checksum-algorithm"), plan.kind.name());
        set(&mut response, HeaderName::from_static("x-amz-checksum-type"), plan.covers.word());
    }
    Ok(response)
}

/// Which checksum the object is to have.
fn plan(head: &Head) -> S3Result<Option<ChecksumPlan>> {
    let covers = covers(head)?;
    let Some(kind) = checksum_kind(head.text("x-amz-checksum-algorithm"))? else {
        return match covers {
            None => Ok(None),
            Some(_) => Err(S3Error::new(
                Code::InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )),
        };
    };
    let default = if kind == ChecksumKind::Crc64Nvme { ChecksumType::FullObject } else { ChecksumType::Composite };
    let covers = covers.unwrap_or(default);
    let possible = match covers {
        ChecksumType::FullObject => kind.combines(),
        ChecksumType::Composite => kind != ChecksumKind::Crc64Nvme,
    };
    if !possible {
        return Err(S3Error::new(
            Code::InvalidRequest,
            format!(
                "The {} checksum type cannot be used with the {} checksum algorithm.",
                covers.word(),
                kind.name().to_ascii_lowercase()
            ),
        ));
    }
    Ok(Some(ChecksumPlan { kind, covers }))
}

/// `x-amz-checksum-type`
fn covers(head: &Head) -> S3Result<Option<ChecksumType>> {
    match head.text("x-amz-checksum-type") {
        None => Ok(None),
        Some("FULL_OBJECT") => Ok(Some(ChecksumType::FullObject)),
        Some("COMPOSITE") => Ok(Some(ChecksumType::Composite)),
        Some(_) => Err(S3Error::new(Code::InvalidRequest, "Value for x-amz-checksum-type header is invalid.")),
    }
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
    if let Some(name) = call.head.headers.keys().find(|name| name.as_str().starts_with(ENCRYPTION)) {
        return Err(S3Error::not_implemented(name.as_str()));
    }
    let number = part_number(call)?;
    let id = upload_id(&call.head.target)?;
    let mut checks = Checks::read(&call.head.headers, payload)?;
    let length = checks.announced();
    incoming.fill(buffer(length))?;
    let upload = call.plane.engine.put_part(call.caller, call.bucket, key, id, number, length).await?;
    checks.sum_with(upload.checksum_kind())?;
    let stored = store(&call.plane.engine, incoming, checks, upload).await?;
    Ok(stored_answer(&stored))
}

pub(super) async fn complete(
    call: &Call<'_>,
    key: &ObjectKey,
    payload: Payload,
    incoming: &mut Incoming,
) -> S3Result<Response<Body>> {
    let id = upload_id(&call.head.target)?;
    let mut said = Completion {
        condition: put_condition(&call.head.headers)?,
        checksum: s3_checksum::of_the_object(&call.head.headers)?,
        covers: covers(call.head)?,
        size: number(&call.head.headers, "x-amz-mp-object-size")?,
        ..Completion::default()
    };
    let checks = Checks::for_document(&call.head.headers, payload)?;
    let body = read_whole(incoming, checks).await?;
    said.parts = s3_xml::read_complete(&body)?
        .into_iter()
        .map(|part| NamedPart { number: part.number, etag: part.etag, checksums: part.checksums })
        .collect();
    let engine = call.plane.engine.clone();
    let stored = engine.complete_multipart(call.caller, call.bucket, key, id, said).await?;
    let location = call.head.location(call.bucket.name.as_str(), key.as_str());
    let tag = stored.etag.to_string();
    let checksum = stored.checksum.as_ref();
    Ok(xml(s3_xml::multipart_completed(&location, call.bucket.name.as_str(), key.as_str(), &tag, checksum)))
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
    let page = call.plane.engine.list_parts(call.caller, call.bucket, key, id, marker, max).await?;
    let parts = page.parts.iter().map(|part| Part {
        number: part.number,
        modified: part.created,
        etag: part.etag.to_string(),
        checksum: part.checksum.as_ref(),
        size: part.size.get(),
    });
    Ok(xml(s3_xml::parts(&PartListing {
        bucket: call.bucket.name.as_str(),
        key: key.as_str(),
        upload_id: &id.to_string(),
        marker,
        max_parts: max,
        url_encoded: encoded,
        truncated: page.more && max > 0,
        owner: call.access_key,
        plan: page.checksum,
        parts: parts.collect(),
    })))
}
