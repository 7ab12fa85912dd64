//! The operations, a kind a file, and what they share.

mod acl;
mod attributes;
mod bucket;
mod copy;
mod delete;
mod get;
mod legal_hold;
mod list;
mod multipart;
mod post;
mod put;
mod uploads;

use axum::body::Body;
use http::{HeaderMap, HeaderName, Response};

use super::auth::{Authenticated, authenticate};
use super::body::Incoming;
use super::error::{Code, S3Error, S3Result};
use super::route::{self, Operation, Place};
use super::{Head, Plane, cors, xml};
use crate::domain::{ObjectKey, UploadId};
use crate::engine::{BucketRef, Caller, PutCondition};
use crate::wire::range::bare;
use crate::wire::s3_xml;
use crate::wire::sig::{Payload, Target};

static EXPECTED_OWNER: HeaderName = HeaderName::from_static("x-amz-expected-bucket-owner");

/// An operation on a bucket that exists and that the caller may see.
struct Call<'a> {
    plane: &'a Plane,
    head: &'a Head,
    caller: &'a Caller,
    /// The key that signed: the name of the owner in lists.
    access_key: &'a str,
    bucket: &'a BucketRef,
}

/// Serves one request.
///
/// # Errors
/// In S3's order: malformed, unknown key, time, signature, access, bucket, sub-resource, headers,
/// quota, body.
pub async fn serve(
    plane: &Plane,
    head: &Head,
    asked: route::Asked,
    incoming: &mut Incoming,
) -> S3Result<Response<Body>> {
    let (place, operation) = asked?;
    if head.method == http::Method::OPTIONS {
        // A preflight is never signed.
        return cors::preflight(&head.headers);
    }
    if let Place::Bucket(bucket) = &place
        && let Ok(Operation::PostObject) = operation
    {
        // Its signature is inside.
        return post::post(plane, head, bucket, incoming).await;
    }
    let Authenticated { caller, signed } = authenticate(plane, head)?;
    incoming.begin(&plane.engine, &caller)?;
    let access_key = signed.verified.access_key().as_str().to_owned();
    let (bucket, key) = match &place {
        Place::Service => {
            return match operation? {
                Operation::ListBuckets => bucket::list_all(plane, &caller, &access_key, &head.target),
                _ => Err(S3Error::not_implemented("this request of the service")),
            };
        }
        Place::Bucket(bucket) => (bucket, None),
        Place::Object(bucket, key) => (bucket, Some(key)),
    };
    if matches!(operation, Ok(Operation::CreateBucket)) {
        return bucket::create(plane, head, &caller, bucket, signed.payload, incoming).await;
    }
    let bucket = plane.engine.bucket(&caller, bucket)?;
    expected_owner(head, &EXPECTED_OWNER, &access_key)?;
    let call = Call { plane, head, caller: &caller, access_key: &access_key, bucket: &bucket };
    match key {
        None => call.on_bucket(operation?, signed.payload, incoming).await,
        Some(key) => call.on_object(operation?, key, signed.payload, incoming).await,
    }
}

/// Whoever names a bucket's owner wants nothing of another's. Everything that a key sees is, to it,
/// its own.
fn expected_owner(head: &Head, header: &HeaderName, access_key: &str) -> S3Result<()> {
    match head.text(header) {
        Some(expected) if expected != access_key => {
            Err(S3Error::new(Code::AccessDenied, "Access Denied: the bucket has another owner."))
        }
        _ => Ok(()),
    }
}

impl Call<'_> {
    /// 501, unless what is asked for makes no sense anywhere.
    fn lacking(&self, what: &'static str) -> S3Result<Response<Body>> {
        put::canned_acl(&self.head.headers)?;
        Err(S3Error::not_implemented(what))
    }

    async fn on_bucket(
        &self,
        operation: Operation,
        payload: Payload,
        incoming: &mut Incoming,
    ) -> S3Result<Response<Body>> {
        match operation {
            Operation::DeleteBucket => bucket::delete(self).await,
            Operation::DeleteObjects => delete::many(self, payload, incoming).await,
            Operation::HeadBucket => Ok(bucket::head(self)),
            Operation::GetBucketLocation => Ok(xml(s3_xml::location(&self.plane.config.region))),
            Operation::GetBucketVersioning => Ok(xml(s3_xml::versioning())),
            Operation::GetAcl => Ok(acl::get(self)),
            Operation::ListObjects => list::v1(self).await,
            Operation::ListObjectVersions => list::versions(self).await,
            Operation::ListObjectsV2 => list::v2(self).await,
            Operation::ListMultipartUploads => uploads::list(self).await,
            Operation::NotImplemented(what) => self.lacking(what),
            Operation::ListBuckets
            | Operation::CreateBucket
            | Operation::GetObject
            | Operation::HeadObject
            | Operation::PutObject
            | Operation::PostObject
            | Operation::CopyObject
            | Operation::DeleteObject
            | Operation::GetObjectAttributes
            | Operation::GetObjectTagging
            | Operation::GetObjectLegalHold
            | Operation::PutObjectLegalHold
            | Operation::CreateMultipartUpload
            | Operation::UploadPart
            | Operation::UploadPartCopy
            | Operation::CompleteMultipartUpload
            | Operation::AbortMultipartUpload
            | Operation::ListParts => Err(S3Error::broken("an operation reached the wrong place")),
        }
    }

    async fn on_object(
        &self,
        operation: Operation,
        key: &ObjectKey,
        payload: Payload,
        incoming: &mut Incoming,
    ) -> S3Result<Response<Body>> {
        match operation {
            Operation::GetObject => get::get(self, key, true).await,
            Operation::HeadObject => get::get(self, key, false).await,
            Operation::GetObjectTagging => {
                self.plane.engine.open_object(self.caller, self.bucket, key).await?;
                Ok(xml(s3_xml::no_tags()))
            }
            Operation::GetAcl => {
                self.plane.engine.open_object(self.caller, self.bucket, key).await?;
                Ok(acl::get(self))
            }
            Operation::GetObjectAttributes => attributes::attributes(self, key).await,
            Operation::GetObjectLegalHold => legal_hold::get(self, key).await,
            Operation::PutObjectLegalHold => legal_hold::put(self, key, payload, incoming).await,
            Operation::CopyObject | Operation::UploadPartCopy => {
                incoming.fill(put::buffer(None))?;
                match operation {
                    Operation::CopyObject => copy::object(self, key).await,
                    _ => copy::part(self, key).await,
                }
            }
            Operation::PutObject => put::put(self, key, payload, incoming).await,
            Operation::DeleteObject => delete::one(self, key).await,
            Operation::CreateMultipartUpload => multipart::create(self, key).await,
            Operation::UploadPart => multipart::part(self, key, payload, incoming).await,
            Operation::CompleteMultipartUpload => multipart::complete(self, key, payload, incoming).await,
            Operation::AbortMultipartUpload => multipart::abort(self, key).await,
            Operation::ListParts => multipart::parts(self, key).await,
            Operation::NotImplemented(what) => self.lacking(what),
            Operation::ListBuckets
            | Operation::HeadBucket
            | Operation::CreateBucket
            | Operation::DeleteBucket
            | Operation::DeleteObjects
            | Operation::PostObject
            | Operation::GetBucketLocation
            | Operation::GetBucketVersioning
            | Operation::ListObjects
            | Operation::ListObjectsV2
            | Operation::ListObjectVersions
            | Operation::ListMultipartUploads => Err(S3Error::broken("an operation reached the wrong place")),
        }
    }
}

/// A parameter that is a count: `most` where it is missing or larger.
///
/// # Errors
/// `InvalidArgument` where it is not a number from 0 to 2,147,483,647.
fn count(target: &Target, name: &str, most: usize) -> S3Result<usize> {
    match target.get(name) {
        None | Some("") => Ok(most),
        Some(text) => text
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<i32>().ok())
            .flatten()
            .and_then(|n| usize::try_from(n).ok())
            .map(|n| n.min(most))
            .ok_or_else(|| {
                S3Error::new(Code::InvalidArgument, format!("Provided {name} not an integer or within integer range"))
            }),
    }
}

/// Whether `encoding-type=url` was asked for.
fn url_encoded(target: &Target) -> S3Result<bool> {
    match target.get("encoding-type") {
        None | Some("") => Ok(false),
        Some(kind) if kind.eq_ignore_ascii_case("url") => Ok(true),
        Some(_) => Err(S3Error::new(Code::InvalidArgument, "Invalid Encoding Method specified in Request")),
    }
}

/// The upload that `uploadId` names; what is no id of ours names no upload.
fn upload_id(target: &Target) -> S3Result<UploadId> {
    let text = target.get("uploadId").unwrap_or("");
    text.parse().map_err(|_| crate::domain::Refusal::NoUpload.into())
}

/// The conditions of a PUT or a complete. S3 itself takes no tag in `If-None-Match`; here it means
/// what HTTP says.
fn put_condition(headers: &HeaderMap) -> S3Result<PutCondition> {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("").trim());
    let (must_not_exist, must_differ) = match text("if-none-match") {
        None => (false, None),
        Some("*") => (true, None),
        Some(tag) => (false, Some(bare(tag).to_owned())),
    };
    let must_match = text("if-match").map(|tag| bare(tag).to_owned());
    if (must_not_exist || must_differ.is_some()) && must_match.is_some() {
        return Err(S3Error::not_implemented("If-Match together with If-None-Match"));
    }
    Ok(PutCondition { must_not_exist, must_differ, must_match })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(query: &str) -> Target {
        Target::parse("/b", Some(query)).unwrap()
    }

    #[test]
    fn a_count_is_a_number_in_range_and_at_most_a_page() {
        for (query, wanted) in
            [("", 1000), ("max-keys=", 1000), ("max-keys=7", 7), ("max-keys=0", 0), ("max-keys=2147483647", 1000)]
        {
            assert_eq!(count(&target(query), "max-keys", 1000).unwrap(), wanted, "{query}");
        }
        for bad in ["max-keys=-1", "max-keys=x", "max-keys=2147483648", "max-keys=%2B1"] {
            assert_eq!(count(&target(bad), "max-keys", 1000).unwrap_err().code(), Code::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn only_the_conditions_that_s3_has_are_taken() {
        let of = |name: &'static str, value: &'static str| {
            let headers = [(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))];
            put_condition(&headers.into_iter().collect())
        };
        assert!(of("if-none-match", "*").unwrap().must_not_exist);
        assert_eq!(of("if-match", "\"abc\"").unwrap().must_match.as_deref(), Some("abc"));
        assert_eq!(of("if-match", "*").unwrap().must_match.as_deref(), Some("*"));
        assert_eq!(of("if-none-match", "abc").unwrap().must_differ.as_deref(), Some("abc"));
        let both = [("if-none-match", "*"), ("if-match", "abc")]
            .map(|(n, v)| (http::HeaderName::from_static(n), http::HeaderValue::from_static(v)));
        assert_eq!(put_condition(&both.into_iter().collect()).unwrap_err().code(), Code::NotImplemented);
    }
}
