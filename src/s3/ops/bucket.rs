//! ListBuckets, HeadBucket, and what becomes of a PUT and a DELETE of a bucket.

use axum::body::Body;
use http::{HeaderName, Response, StatusCode};

use super::Call;
use crate::domain::{Refusal, Timestamp};
use crate::engine::{Caller, Error};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{Plane, empty, set, xml};
use crate::wire::s3_xml;

pub(super) fn list_all(plane: &Plane, caller: &Caller, owner: &str) -> S3Result<Response<Body>> {
    let buckets = plane.engine.buckets(caller)?;
    let rows: Vec<(&str, Timestamp)> = buckets.iter().map(|b| (b.name.as_str(), b.created)).collect();
    Ok(xml(s3_xml::buckets(owner, &rows)))
}

pub(super) fn head(call: &Call<'_>) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    set(&mut response, HeaderName::from_static("x-amz-bucket-region"), &call.plane.config.region);
    response
}

/// Buckets come and go with their sub-account; tools that make sure of one before they use it learn
/// that it is theirs.
pub(super) fn create(plane: &Plane, caller: &Caller, name: &str) -> S3Result<Response<Body>> {
    match plane.engine.bucket(caller, name) {
        Ok(_) => Err(Refusal::BucketIsYours.into()),
        Err(Error::Refused(Refusal::NoBucket)) => {
            Err(S3Error::new(Code::AccessDenied, "Access Denied: this key may not create buckets."))
        }
        Err(other) => Err(other.into()),
    }
}

/// A bucket goes with its sub-account, never by itself.
pub(super) fn delete() -> S3Error {
    S3Error::new(Code::AccessDenied, "Access Denied: a bucket is deleted with its sub-account.")
}
