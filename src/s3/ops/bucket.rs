//! ListBuckets, HeadBucket, CreateBucket, DeleteBucket.

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Response, StatusCode};

use super::list::read_token;
use super::put::canned_acl;
use super::{Call, count};
use crate::domain::{BucketName, Refusal, Timestamp};
use crate::engine::{Caller, Error};
use crate::s3::body::{Checks, Incoming, read_whole};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{Head, Plane, empty, set, xml};
use crate::wire::s3_xml;
use crate::wire::sig::{Payload, Target};

/// S3's longest list of buckets.
const PAGE_MAX: usize = 10_000;

pub(super) fn list_all(plane: &Plane, caller: &Caller, owner: &str, target: &Target) -> S3Result<Response<Body>> {
    let most = count(target, "max-buckets", PAGE_MAX)?;
    if most == 0 {
        return Err(S3Error::new(Code::InvalidArgument, "Argument max-buckets must be an integer between 1 and 10000"));
    }
    let prefix = target.get("prefix").unwrap_or("");
    let after = match target.get("continuation-token") {
        None | Some("") => String::new(),
        Some(token) => read_token(token)?,
    };
    let buckets = plane.engine.buckets(caller)?;
    let asked = buckets.iter().filter(|b| b.name.as_str().starts_with(prefix) && b.name.as_str() > after.as_str());
    let mut rows: Vec<(&str, Timestamp)> = asked.take(most + 1).map(|b| (b.name.as_str(), b.created)).collect();
    let more = rows.len() > most;
    rows.truncate(most);
    let next = rows.last().filter(|_| more).map(|(name, _)| BASE64_URL_SAFE_NO_PAD.encode(name));
    Ok(xml(s3_xml::buckets(owner, &rows, prefix, next.as_deref())))
}

pub(super) fn head(call: &Call<'_>) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    set(&mut response, HeaderName::from_static("x-amz-bucket-region"), &call.plane.config.region);
    response
}

/// An administration key makes buckets of its own. A camera's come and go with its sub-account; tools that make
/// sure of one before they use it learn that it is theirs.
pub(super) async fn create(
    plane: &Plane,
    head: &Head,
    caller: &Caller,
    name: &str,
    payload: Payload,
    incoming: &mut Incoming,
) -> S3Result<Response<Body>> {
    match plane.engine.bucket(caller, name) {
        // S3 speaks of its owner before it looks at the rest.
        Err(Error::Refused(Refusal::Forbidden)) if caller.administers() => return Err(Refusal::BucketExists.into()),
        Err(Error::Refused(Refusal::NoBucket)) if !caller.administers() => {
            return Err(S3Error::new(Code::AccessDenied, "Access Denied: this key may not create buckets."));
        }
        Err(Error::Refused(Refusal::NoBucket)) | Ok(_) => {}
        Err(other) => return Err(other.into()),
    }
    let parsed = name.parse::<BucketName>();
    let parsed = parsed.map_err(|why| S3Error::new(Code::InvalidBucketName, why.to_string()))?;
    canned_acl(&head.headers)?;
    if let Some(lacking) = lacking(&head.headers) {
        return Err(S3Error::not_implemented(lacking));
    }
    if head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING) {
        let body = read_whole(incoming, Checks::for_document(&head.headers, payload)?).await?;
        if !body.is_empty() {
            // Any region is this one, as in a signature's scope.
            s3_xml::read_create_bucket(&body)?;
        }
    }
    plane.engine.create_bucket(caller, parsed).await?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, LOCATION, &format!("/{name}"));
    Ok(response)
}

/// What is asked of a new bucket that we lack. `x-amz-bucket-object-lock-enabled` asks for legal holds, which every
/// bucket has, and for retention, which is refused where it is used.
fn lacking(headers: &HeaderMap) -> Option<&str> {
    if headers.get("x-amz-object-ownership").is_some_and(|whose| whose != "BucketOwnerEnforced") {
        return Some("x-amz-object-ownership other than BucketOwnerEnforced");
    }
    headers.keys().map(HeaderName::as_str).find(|name| name.starts_with("x-amz-grant-"))
}

/// An own bucket; a sub-account's goes with it, never by itself.
pub(super) async fn delete(call: &Call<'_>) -> S3Result<Response<Body>> {
    match call.plane.engine.delete_bucket(call.caller, call.bucket).await {
        Ok(()) => Ok(empty(StatusCode::NO_CONTENT)),
        Err(Error::Refused(Refusal::Forbidden)) => {
            Err(S3Error::new(Code::AccessDenied, "Access Denied: a bucket is deleted with its sub-account."))
        }
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bucket_cannot_have_is_said_and_not_ignored() {
        let of = |name: &'static str, value: &'static str| {
            let headers = [(HeaderName::from_static(name), http::HeaderValue::from_static(value))];
            lacking(&headers.into_iter().collect()).map(str::to_owned)
        };
        for (name, value) in
            [("x-amz-bucket-object-lock-enabled", "true"), ("x-amz-object-ownership", "BucketOwnerEnforced")]
        {
            assert_eq!(of(name, value), None, "{name}");
        }
        for (name, value) in [("x-amz-grant-write", "id=x"), ("x-amz-object-ownership", "ObjectWriter")] {
            assert!(of(name, value).is_some(), "{name}");
        }
    }
}
