//! GetObject and HeadObject.

use std::ops::Range;

use axum::body::Body;
use futures_util::StreamExt;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::Call;
use super::put::ENCRYPTION;
use crate::domain::{Lock, ObjectKey};
use crate::engine::ObjectReader;
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{Head, empty, quoted, set};
use crate::wire::range::{self, Outcome, Ranged};
use crate::wire::{s3_checksum, s3_time};

static CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// Headers that a signed request may set in its own answer.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-cache-control", http::header::CACHE_CONTROL),
    ("response-content-disposition", http::header::CONTENT_DISPOSITION),
    ("response-content-encoding", http::header::CONTENT_ENCODING),
    ("response-content-language", http::header::CONTENT_LANGUAGE),
    ("response-content-type", CONTENT_TYPE),
    ("response-expires", http::header::EXPIRES),
];

/// What of an object is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    Part(Range<u64>),
}

pub(super) async fn get(call: &Call<'_>, key: &ObjectKey, with_body: bool) -> S3Result<Response<Body>> {
    let (engine, head) = (&call.plane.engine, call.head);
    if head.headers.keys().any(|name| name.as_str().starts_with(ENCRYPTION)) {
        return Err(S3Error::new(Code::InvalidRequest, "The encryption parameters are not applicable to this object."));
    }
    let reader = if with_body && !head.headers.contains_key(RANGE) {
        engine.open_whole(call.caller, call.bucket, key).await?
    } else {
        engine.open_object(call.caller, call.bucket, key).await?
    };
    if let Some(answer) = unless_wanted(&head.headers, &reader)? {
        return Ok(answer);
    }
    let etag = reader.info.etag.to_string();
    let size = reader.info.size.get();
    let part_number = part_number(head)?;
    let extent = match part_number {
        Some(number) => part_extent(&reader.parts, size, number)?,
        None => range_extent(&head.headers, &etag, &reader, size)?,
    };
    let mut response = Response::new(Body::empty());
    describe(&mut response, &reader);
    override_headers(&mut response, head)?;
    let bytes = match &extent {
        Extent::Whole => 0..size,
        Extent::Part(part) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let last = part.end.saturating_sub(1);
            set(&mut response, CONTENT_RANGE, &format!("bytes {}-{last}/{size}", part.start));
            part.clone()
        }
    };
    if part_number.is_some() && !reader.parts.is_empty() {
        set(&mut response, HeaderName::from_static("x-amz-mp-parts-count"), &reader.parts.len().to_string());
    }
    if head.text(&CHECKSUM_MODE).is_some_and(|m| m.eq_ignore_ascii_case("enabled")) {
        let of_part = part_number.filter(|_| !reader.parts.is_empty());
        let found = match of_part {
            Some(number) => reader.part_checksum(number - 1).await?,
            None if extent == Extent::Whole || part_number.is_some() => reader.checksum.clone(),
            None => None,
        };
        if let Some(found) = &found {
            let whole = reader.checksum.as_ref().filter(|_| of_part.is_some()).unwrap_or(found);
            set(&mut response, HeaderName::from_static(found.kind.header()), &s3_checksum::encode(found));
            set(&mut response, HeaderName::from_static("x-amz-checksum-type"), whole.covers().word());
        }
    }
    set(&mut response, CONTENT_LENGTH, &(bytes.end - bytes.start).to_string());
    if with_body && !bytes.is_empty() {
        // One piece, verified before the answer begins: damage is an error, not a connection that breaks.
        if let Some(piece) = reader.read_at_once(&bytes).await? {
            *response.body_mut() = Body::from(piece);
            return Ok(response);
        }
        let resource = format!("/{}/{key}", call.bucket.name);
        let stream = reader.read(bytes).map(move |piece| {
            piece.inspect_err(|why| {
                // The client sees the connection break, never a whole 200.
                tracing::error!(resource, error = %why, "an object could not be read to its end");
            })
        });
        *response.body_mut() = Body::from_stream(stream);
    }
    Ok(response)
}

/// The answer to conditions that do not hold: 304, or 412 as an error.
pub(super) fn unless_wanted(headers: &HeaderMap, reader: &ObjectReader) -> S3Result<Option<Response<Body>>> {
    match range::conditions(headers, &reader.info.etag.to_string(), reader.info.created) {
        Outcome::Go => Ok(None),
        Outcome::NotModified => {
            let mut response = empty(StatusCode::NOT_MODIFIED);
            set(&mut response, ETAG, &quoted(&reader.info.etag));
            set(&mut response, LAST_MODIFIED, &s3_time::http_date(reader.info.created));
            for name in ["cache-control", "expires"] {
                if let Some(value) = reader.metadata.get(name).and_then(|v| HeaderValue::from_bytes(v).ok()) {
                    response.headers_mut().insert(HeaderName::from_static(name), value);
                }
            }
            Ok(Some(response))
        }
        Outcome::Failed(which) => Err(S3Error::new(
            Code::PreconditionFailed,
            format!("At least one of the pre-conditions you specified did not hold: {which}"),
        )),
    }
}

fn part_number(head: &Head) -> S3Result<Option<usize>> {
    let Some(text) = head.target.get("partNumber") else {
        return Ok(None);
    };
    if head.headers.contains_key(RANGE) {
        return Err(S3Error::new(
            Code::InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter",
        ));
    }
    match text.parse::<u16>() {
        Ok(number @ 1..=10_000) => Ok(Some(usize::from(number))),
        _ => Err(S3Error::new(Code::InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")),
    }
}

/// The bytes of a part; an object that was put whole is its own first part.
fn part_extent(parts: &[u64], size: u64, number: usize) -> S3Result<Extent> {
    if parts.is_empty() && number == 1 {
        return Ok(if size == 0 { Extent::Whole } else { Extent::Part(0..size) });
    }
    let Some(length) = parts.get(number.saturating_sub(1)) else {
        return Err(S3Error::new(Code::InvalidPart, "The requested partnumber is not satisfiable"));
    };
    let start: u64 = parts.iter().take(number.saturating_sub(1)).sum();
    Ok(if *length == 0 { Extent::Whole } else { Extent::Part(start..start.saturating_add(*length)) })
}

fn range_extent(headers: &HeaderMap, etag: &str, reader: &ObjectReader, size: u64) -> S3Result<Extent> {
    match range::asked(headers, etag, reader.info.created, size) {
        Ranged::Whole => Ok(Extent::Whole),
        Ranged::Part(part) => Ok(Extent::Part(part)),
        Ranged::Unsatisfiable => {
            let mut error = S3Error::new(Code::InvalidRange, "The requested range is not satisfiable");
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                error = error.with(CONTENT_RANGE, value);
            }
            Err(error)
        }
    }
}

fn describe(response: &mut Response<Body>, reader: &ObjectReader) {
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream"));
    for (name, value) in &reader.metadata.0 {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    set(response, ETAG, &quoted(&reader.info.etag));
    set(response, LAST_MODIFIED, &s3_time::http_date(reader.info.created));
    if reader.info.lock == Lock::Locked {
        set(response, HeaderName::from_static("x-amz-object-lock-legal-hold"), "ON");
    }
}

fn override_headers(response: &mut Response<Body>, head: &Head) -> S3Result<()> {
    for (param, name) in OVERRIDES {
        if let Some(text) = head.target.get(param) {
            let value = HeaderValue::from_bytes(text.as_bytes())
                .map_err(|_| S3Error::new(Code::InvalidArgument, format!("{param} cannot be a header's value")))?;
            response.headers_mut().insert(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_multipart_object_is_found_by_its_number() {
        let parts = [5, 5, 2];
        assert_eq!(part_extent(&parts, 12, 1).unwrap(), Extent::Part(0..5));
        assert_eq!(part_extent(&parts, 12, 3).unwrap(), Extent::Part(10..12));
        assert_eq!(part_extent(&parts, 12, 4).unwrap_err().code(), Code::InvalidPart);
        assert_eq!(part_extent(&[], 9, 1).unwrap(), Extent::Part(0..9));
        assert_eq!(part_extent(&[], 9, 2).unwrap_err().code(), Code::InvalidPart);
    }
}
