//! AWS signature version 2 (HMAC-SHA1): what libs3, s3cmd, the OOS SDKs and the firmware made of
//! them send.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName};

use super::payload::Declared;
use super::{Payload, Request, SigCode, SigError, Target, hmac_sha1, same, too_far};
use crate::domain::{Secret, Timestamp};
use crate::wire::s3_time;

/// Parameters that make a query a presigned one.
pub(super) const QUERY_MARKS: [&str; 2] = ["AWSAccessKeyId", "Signature"];

/// Parameters that belong to the resource, sorted. Whatever changes what a request *does* is here,
/// so that nobody can add it to a URL that another has signed.
const SUB_RESOURCES: [&str; 42] = [
    "accelerate",
    "acl",
    "analytics",
    "append",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) signature: Vec<u8>,
    /// Of a presigned URL: the second after which it is dead, and as it was written.
    pub(super) expires: Option<(Timestamp, String)>,
}

pub(super) fn read_signature(text: &str) -> Result<Vec<u8>, SigError> {
    // A `+` that a client forgot to escape has become a space.
    BASE64_STANDARD
        .decode(text.replace(' ', "+"))
        .map_err(|_| SigError::new(SigCode::InvalidArgument, "The Signature is not base64"))
}

impl Claim {
    /// `rest` is what follows `AWS `.
    pub(super) fn from_header(rest: &str) -> Result<(String, Self), SigError> {
        let Some((key, signature)) = rest.trim().split_once(':') else {
            return Err(SigError::new(
                SigCode::InvalidArgument,
                "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            ));
        };
        Ok((key.to_owned(), Self { signature: read_signature(signature)?, expires: None }))
    }

    pub(super) fn from_query(request: &Request<'_>) -> Result<(String, Self), SigError> {
        let one = |name: &'static str| -> Result<&str, SigError> {
            match request.target.count(name) {
                1 => Ok(request.target.get(name).unwrap_or("")),
                0 => Err(SigError::new(
                    SigCode::AccessDenied,
                    "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
                )),
                _ => Err(SigError::new(SigCode::InvalidArgument, format!("The parameter {name} came more than once"))),
            }
        };
        let (key, signature, expires) = (one("AWSAccessKeyId")?, one("Signature")?, one("Expires")?);
        let seconds = (!expires.is_empty() && expires.bytes().all(|b| b.is_ascii_digit()))
            .then(|| expires.parse::<i64>().ok())
            .flatten()
            .ok_or_else(|| {
                SigError::new(SigCode::AccessDenied, "Invalid date (should be seconds since epoch) in Expires")
            })?;
        let expires = Some((Timestamp::from_seconds(seconds), expires.to_owned()));
        Ok((key.to_owned(), Self { signature: read_signature(signature)?, expires }))
    }

    pub(super) fn presigned(&self) -> bool {
        self.expires.is_some()
    }

    pub(super) fn verify(
        &self,
        request: &Request<'_>,
        secret: &Secret,
        now: Timestamp,
        skew: Duration,
    ) -> Result<Payload, SigError> {
        let date = match &self.expires {
            Some((at, _)) if now > *at => return Err(SigError::expired()),
            Some((_, text)) => text.clone(),
            None => header_date(request.headers, now, skew)?,
        };
        let payload = declared_payload(request.headers)?;
        // One of two is signed; which of them is meant is anybody's guess.
        for name in [http::header::CONTENT_TYPE, HeaderName::from_static("content-md5")] {
            if request.headers.get_all(&name).iter().nth(1).is_some() {
                let text = format!("The header {name} was sent more than once");
                return Err(SigError::new(SigCode::InvalidRequest, text));
            }
        }
        let hoisted = self.presigned() && request.target.params().iter().any(|p| is_hoisted(&p.name));
        for resource in resources(request.target, request.host_bucket) {
            for with_query in [false, true] {
                if with_query && !hoisted {
                    continue;
                }
                let extra = with_query.then_some(request.target);
                let text = string_to_sign(request.method.as_str(), request.headers, extra, &date, &resource);
                if same(&hmac_sha1(secret.expose().as_bytes(), &text), &self.signature) {
                    return Ok(payload);
                }
            }
        }
        Err(SigError::mismatch())
    }
}

/// The date line. Reads the clock's limits first: a date that is off spoils the signature as well,
/// and the client shall learn why.
fn header_date(headers: &HeaderMap, now: Timestamp, skew: Duration) -> Result<String, SigError> {
    let unreadable =
        || SigError::new(SigCode::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header");
    let amz = headers.get(&super::AMZ_DATE);
    let value = amz.or_else(|| headers.get(http::header::DATE)).ok_or_else(unreadable)?;
    let text = value.to_str().map_err(|_| unreadable())?;
    let at = s3_time::parse_any(text).ok_or_else(unreadable)?;
    if too_far(at, now, skew) {
        return Err(SigError::skewed());
    }
    // With x-amz-date the line is empty: the header is among the signed ones.
    Ok(if amz.is_some() { String::new() } else { text.to_owned() })
}

fn declared_payload(headers: &HeaderMap) -> Result<Payload, SigError> {
    if let Some(value) = headers.get(&super::AMZ_CONTENT_SHA256) {
        return Declared::read(&String::from_utf8_lossy(value.as_bytes()))?.without_seed();
    }
    let chunked = headers.get_all(http::header::CONTENT_ENCODING).iter().any(|v| {
        v.to_str().is_ok_and(|v| v.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("aws-chunked")))
    });
    Ok(if chunked { Payload::UnsignedChunksTrailer } else { Payload::Unsigned })
}

/// Parameters that botocore moved from the headers into the query of a presigned URL.
pub(super) fn is_hoisted(name: &str) -> bool {
    name.len() > 6 && name.get(..6).is_some_and(|p| p.eq_ignore_ascii_case("x-amz-"))
        || name.eq_ignore_ascii_case("content-type")
        || name.eq_ignore_ascii_case("content-md5")
}

/// The resources that clients sign for one and the same request: the path as sent; with `/` behind
/// a bare bucket (OOS); with its escapes undone (OOS).
pub(super) fn resources(target: &Target, host_bucket: Option<&str>) -> Vec<String> {
    let prefix = host_bucket.map_or(String::new(), |bucket| format!("/{bucket}"));
    let query = sub_resources(target);
    let raw = target.raw_path();
    let mut paths = vec![format!("{prefix}{raw}")];
    let mut add = |path: String| {
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    if host_bucket.is_none() && raw.len() > 1 && !raw.get(1..).is_some_and(|rest| rest.contains('/')) {
        add(format!("{raw}/"));
    }
    // Where what is left when the escapes are undone looks escaped itself, it would be what another signs for another
    // key: `/b/a%2520b` undone is `/b/a%20b`, which is as sent what is signed for `a b`.
    if !looks_escaped(target.decoded_path()) {
        add(format!("{prefix}{}", target.decoded_path()));
    }
    paths.into_iter().map(|path| path + &query).collect()
}

fn looks_escaped(path: &str) -> bool {
    let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = path.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| *byte == b'%' && hex(bytes.get(at + 1)) && hex(bytes.get(at + 2)))
}

/// `?name[=value]&…` of the parameters that belong to the resource, sorted; values decoded.
pub(super) fn sub_resources(target: &Target) -> String {
    let mut found: Vec<_> = target.params().iter().filter(|p| SUB_RESOURCES.contains(&p.name.as_str())).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let mut out = String::new();
    for param in found {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&param.name);
        if param.has_value && !param.value.is_empty() {
            out.push('=');
            out.push_str(&param.value);
        }
    }
    out
}

/// What V2 signs. `date` is the date line: empty, a date, or the second of expiry.
pub(super) fn string_to_sign(
    method: &str,
    headers: &HeaderMap,
    hoisted: Option<&Target>,
    date: &str,
    resource: &str,
) -> Vec<u8> {
    let from_query = |name: &str| -> Vec<u8> {
        hoisted
            .and_then(|t| t.params().iter().find(|p| p.name.eq_ignore_ascii_case(name)))
            .map_or(Vec::new(), |p| p.value.clone().into_bytes())
    };
    let line = |name: &str| -> Vec<u8> {
        headers.get(name).map_or_else(|| from_query(name), |v| v.as_bytes().trim_ascii().to_vec())
    };
    let mut out = Vec::with_capacity(256);
    for part in [method.as_bytes(), &line("content-md5"), &line("content-type"), date.as_bytes()] {
        out.extend_from_slice(part);
        out.push(b'\n');
    }
    let mut amz: Vec<(String, Vec<u8>)> = headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-amz-"))
        .map(|name| (name.to_owned(), canonical_amz(headers, name)))
        .collect();
    for param in hoisted.map_or(&[][..], Target::params) {
        let name = param.name.to_ascii_lowercase();
        if name.starts_with("x-amz-") && !amz.iter().any(|(n, _)| *n == name) {
            amz.push((name, param.value.clone().into_bytes()));
        }
    }
    amz.sort();
    for (name, value) in amz {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(&value);
        out.push(b'\n');
    }
    out.extend_from_slice(resource.as_bytes());
    out
}

/// Values joined by commas, ends trimmed, the inside as it is.
fn canonical_amz(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, value) in headers.get_all(name).iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(value.as_bytes().trim_ascii());
    }
    out
}

/// The first of [`resources`]: what we sign ourselves.
pub(super) fn resource(target: &Target, host_bucket: Option<&str>) -> String {
    let prefix = host_bucket.map_or(String::new(), |bucket| format!("/{bucket}"));
    format!("{prefix}{}{}", target.raw_path(), sub_resources(target))
}

/// A signature as the wire carries it.
pub(super) fn encode(signature: &[u8]) -> String {
    BASE64_STANDARD.encode(signature)
}
