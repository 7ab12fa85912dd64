//! Get and PutObjectLegalHold: the specification's lock flag in S3's own words.

use axum::body::Body;
use http::{Response, StatusCode};

use super::Call;
use crate::domain::ObjectKey;
use crate::s3::body::{Checks, Incoming, read_whole};
use crate::s3::error::S3Result;
use crate::s3::{empty, xml};
use crate::wire::s3_xml;
use crate::wire::sig::Payload;

pub(super) async fn get(call: &Call<'_>, key: &ObjectKey) -> S3Result<Response<Body>> {
    let reader = call.plane.engine.open_object(call.caller, call.bucket, key).await?;
    Ok(xml(s3_xml::legal_hold(reader.info.lock)))
}

/// A camera's key may set and release the holds of its own files (decision 4).
pub(super) async fn put(
    call: &Call<'_>,
    key: &ObjectKey,
    payload: Payload,
    incoming: &mut Incoming,
) -> S3Result<Response<Body>> {
    let checks = Checks::read(&call.head.headers, payload)?;
    let lock = s3_xml::read_legal_hold(&read_whole(incoming, checks).await?)?;
    call.plane.engine.set_lock(call.caller, call.bucket, key, lock).await?;
    Ok(empty(StatusCode::OK))
}
