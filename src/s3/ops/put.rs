//! PutObject, and the way of every body into the engine.

use axum::body::Body;
use http::header::ETAG;
use http::{HeaderMap, HeaderName, Response, StatusCode};

use super::{Call, put_condition};
use crate::domain::{Lock, Metadata, ObjectKey, limits};
use crate::engine::{Abandoned, Engine, NewObject, Stored, Upload};
use crate::s3::body::{Checks, Incoming};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{empty, quoted, set};
use crate::wire::s3_checksum;
use crate::wire::sig::Payload;

/// Headers that are kept with an object, beside `x-amz-meta-*`.
pub(super) const KEPT: [&str; 6] =
    ["content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// Headers that ask for something that we lack. To ignore them would be to lie.
const LACKING: [&str; 6] = [
    "x-amz-copy-source",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
];

/// How the headers begin that ask for encryption or bring its key.
pub(super) const ENCRYPTION: &str = "x-amz-server-side-encryption";

pub(super) async fn put(
    call: &Call<'_>,
    key: &ObjectKey,
    payload: Payload,
    incoming: &mut Incoming,
) -> S3Result<Response<Body>> {
    let checks = Checks::read(&call.head.headers, payload)?;
    let new = new_object(&call.head.headers, key, checks.announced())?;
    incoming.fill(buffer(new.length))?;
    let upload = call.plane.engine.put(call.caller, call.bucket, new).await?;
    let stored = store(&call.plane.engine, incoming, checks, upload).await?;
    let mut response = stored_answer(&stored);
    if let Some(checksum) = &stored.checksum {
        set(&mut response, HeaderName::from_static("x-amz-checksum-type"), checksum.covers().word());
    }
    Ok(response)
}

/// What an upload of this length fills while it is under way.
pub(super) fn buffer(length: Option<u64>) -> u64 {
    length.unwrap_or(u64::MAX).min(limits::UPLOAD_BUFFER_BYTES)
}

/// 200 for what is stored.
pub(super) fn stored_answer(stored: &Stored) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    set(&mut response, ETAG, &quoted(&stored.etag));
    if let Some(checksum) = &stored.checksum {
        set(&mut response, HeaderName::from_static(checksum.kind.header()), &s3_checksum::encode(checksum));
    }
    response
}

/// Reads what an upload says before its bytes.
///
/// # Errors
/// 501 for what we lack, 400 for what cannot be.
pub(super) fn new_object(headers: &HeaderMap, key: &ObjectKey, length: Option<u64>) -> S3Result<NewObject> {
    if let Some(name) = LACKING.into_iter().find(|name| headers.contains_key(*name)) {
        return Err(S3Error::not_implemented(name));
    }
    let lacking =
        |name: &&HeaderName| name.as_str().starts_with("x-amz-grant-") || name.as_str().starts_with(ENCRYPTION);
    if let Some(name) = headers.keys().find(lacking) {
        return Err(S3Error::not_implemented(name.as_str()));
    }
    canned_acl(headers)?;
    let lock = match headers.get("x-amz-object-lock-legal-hold").map(http::HeaderValue::as_bytes) {
        None | Some(b"OFF") => Lock::Open,
        Some(b"ON") => Lock::Locked,
        Some(_) => {
            return Err(S3Error::new(Code::InvalidArgument, "Legal Hold must be either of 'ON' or 'OFF'"));
        }
    };
    let metadata = metadata(headers);
    if metadata.size() > limits::METADATA_BYTES_MAX {
        return Err(S3Error::new(
            Code::MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size",
        ));
    }
    Ok(NewObject { key: key.clone(), length, metadata, lock, checksum: None, condition: put_condition(headers)? })
}

/// S3's canned access control lists beside `private`.
const CANNED: [&str; 7] = [
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
];

/// Whether the access control list that is asked for is the one that everything has.
///
/// # Errors
/// 501 for another of S3's, 400 for none of S3's.
pub(super) fn canned_acl(headers: &HeaderMap) -> S3Result<()> {
    match headers.get("x-amz-acl").map(|acl| acl.to_str().unwrap_or("")) {
        None | Some("private") => Ok(()),
        Some(acl) if CANNED.contains(&acl) => Err(S3Error::not_implemented("x-amz-acl other than private")),
        Some(_) => Err(S3Error::new(Code::InvalidArgument, "The canned ACL is none of S3's")),
    }
}

fn metadata(headers: &HeaderMap) -> Metadata {
    let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        if !KEPT.contains(&name) && !name.starts_with("x-amz-meta-") {
            continue;
        }
        let value =
            if name == "content-encoding" { without_framing(value.as_bytes()) } else { value.as_bytes().to_vec() };
        if value.is_empty() && name == "content-encoding" {
            continue;
        }
        match kept.iter_mut().find(|(n, _)| n == name) {
            // A header that came twice is one header with a comma.
            Some((_, before)) => {
                before.push(b',');
                before.extend_from_slice(&value);
            }
            None => kept.push((name.to_owned(), value)),
        }
    }
    Metadata(kept)
}

/// `gzip,aws-chunked` is `gzip`: the framing is not part of what is stored.
fn without_framing(value: &[u8]) -> Vec<u8> {
    let codings = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    codings
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"aws-chunked"))
        .collect::<Vec<_>>()
        .join(&b","[..])
}

/// Takes a body into the engine and commits it; what has come as a whole also where its client is
/// gone meanwhile.
pub(super) async fn store(
    engine: &Engine,
    incoming: &mut Incoming,
    checks: Checks,
    upload: Upload,
) -> S3Result<Stored> {
    let mut body = incoming.take();
    let work = |abandoned| async move {
        let outcome = pump(&mut body, checks, upload, &abandoned).await;
        (body, outcome)
    };
    let (body, outcome) = engine.survive(work).await;
    *incoming = body;
    outcome
}

async fn pump(body: &mut Incoming, mut checks: Checks, mut upload: Upload, abandoned: &Abandoned) -> S3Result<Stored> {
    let mut pieces = Vec::new();
    while let Some(data) = body.next().await? {
        checks.push(data, &mut pieces)?;
        for piece in pieces.drain(..) {
            upload.write(piece).await?;
        }
    }
    // A connection that is torn down looks like the end of a body; only one that says itself where
    // it ends may be believed once its handler is gone.
    if !checks.knows_its_end() && abandoned.is_so() {
        return Err(S3Error::new(Code::IncompleteBody, "The connection was closed before the body's end."));
    }
    Ok(upload.finish(checks.finish()?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), http::HeaderValue::from_static(value));
        }
        headers
    }

    fn read(pairs: &[(&'static str, &'static str)]) -> S3Result<NewObject> {
        new_object(&headers(pairs), &"k".parse().unwrap(), Some(1))
    }

    #[test]
    fn what_describes_the_file_is_kept_and_the_framing_is_not() {
        let new = read(&[
            ("content-type", "video/mp4; codecs=\"avc1\""),
            ("content-encoding", "gzip, aws-chunked"),
            ("x-amz-meta-a", "1"),
            ("x-amz-meta-a", "2"),
            ("x-amz-storage-class", "ONEZONE_IA"),
            ("x-amz-acl", "private"),
            ("x-amz-limitrate", "10"),
        ])
        .unwrap();
        assert_eq!(new.metadata.get("content-type"), Some(&b"video/mp4; codecs=\"avc1\""[..]));
        assert_eq!(new.metadata.get("content-encoding"), Some(&b"gzip"[..]));
        assert_eq!(new.metadata.get("x-amz-meta-a"), Some(&b"1,2"[..]));
        assert_eq!(new.metadata.0.len(), 3);
        assert_eq!(read(&[("content-encoding", "aws-chunked")]).unwrap().metadata.0, []);
    }

    #[test]
    fn what_we_lack_is_said_and_not_ignored() {
        for pair in [
            ("x-amz-acl", "public-read"),
            ("x-amz-grant-read", "id=x"),
            ("x-amz-tagging", "a=b"),
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-server-side-encryption-customer-key", "AAAA"),
            ("x-amz-object-lock-mode", "GOVERNANCE"),
        ] {
            assert_eq!(read(&[pair]).unwrap_err().code(), Code::NotImplemented, "{pair:?}");
        }
        assert_eq!(read(&[("x-amz-acl", "public-ready")]).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn a_legal_hold_is_a_lock() {
        assert_eq!(read(&[("x-amz-object-lock-legal-hold", "ON")]).unwrap().lock, Lock::Locked);
        assert_eq!(read(&[]).unwrap().lock, Lock::Open);
        let odd = read(&[("x-amz-object-lock-legal-hold", "on?")]);
        assert_eq!(odd.unwrap_err().code(), Code::InvalidArgument);
    }
}
