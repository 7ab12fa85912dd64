//! The access control list that everything here has: its owner may do all, nobody else anything.
//! Writing one is not implemented: nothing could come of it but this.

use axum::body::Body;
use http::Response;

use super::Call;
use crate::s3::xml;
use crate::wire::s3_xml;

pub(super) fn get(call: &Call<'_>) -> Response<Body> {
    xml(s3_xml::private_acl(call.access_key))
}
