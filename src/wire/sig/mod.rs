//! S3 signatures: V4 and V2, header and presigned, verified and made.
//!
//! A request is read in two steps, because the key is looked up between them: [`read`] gives the
//! [`Claim`] that the request makes, [`Claim::verify`] holds it against the secret. Only the
//! second makes a [`Verified`].

mod canonical;
pub mod chunked;
mod explain;
mod key;
pub mod payload;
mod post;
mod sign;
pub mod target;
mod v2;
mod v4;

use std::borrow::Cow;
use std::time::Duration;

use http::header::{AUTHORIZATION, DATE, HOST};
use http::{HeaderMap, HeaderName, Method};

use crate::domain::{AccessKey, Timestamp};

pub use explain::{Explanation, Hints, Signable};
pub use key::Key;
pub use payload::Payload;
pub use post::FormClaim;
pub use sign::{Content, PresignGet, ToSign, presign_get, presign_v4, sign_v2, sign_v4};
pub use target::{BadTarget, Target};

// Looked up by name, a header's name is read anew in each request.
static AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
static AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
static AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Proof that a request was signed with the secret of `access_key`. Only a verification makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    access_key: AccessKey,
}

impl Verified {
    /// The key that signed.
    pub fn access_key(&self) -> &AccessKey {
        &self.access_key
    }
}

/// What a signature covers of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its target as it was sent.
    pub target: &'a Target,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The bucket that the host names (`bucket.DOMAIN` addressing); V2 signs it before the path.
    pub host_bucket: Option<&'a str>,
}

/// Which family of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HMAC-SHA1 of the cameras of 2014.
    V2,
    /// AWS4-HMAC-SHA256.
    V4,
}

/// What a request says of who signed it, read but not believed.
#[derive(Clone, Debug)]
pub struct Claim {
    access_key: AccessKey,
    session_token: bool,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    V2(v2::Claim),
    V4(v4::Claim),
}

/// What a verification gives.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The proof.
    pub verified: Verified,
    /// How the body is framed and protected.
    pub payload: Payload,
    /// Whether the signature came in the query.
    pub presigned: bool,
}

/// Why a request is not believed: S3's code, and in words which rule it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SigError {
    /// S3's code.
    pub code: SigCode,
    /// For the client; never the signature that was expected.
    pub message: Cow<'static, str>,
}

/// S3's codes for requests that are not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigCode {
    /// 403: no credentials, expired, headers that are not signed, no readable date.
    AccessDenied,
    /// 400: the Authorization header of V4 cannot be read.
    AuthorizationHeaderMalformed,
    /// 400: the parameters of a presigned URL cannot be read.
    AuthorizationQueryParametersError,
    /// 403: no such key.
    InvalidAccessKeyId,
    /// 400: an argument that nothing can be made of, two ways of signing at once.
    InvalidArgument,
    /// 400: doubled or missing headers.
    InvalidRequest,
    /// 400: a session token; there are no sessions here.
    InvalidToken,
    /// 501: a way of signing that exists and that we lack.
    NotImplemented,
    /// 403: the date is too far off.
    RequestTimeTooSkewed,
    /// 403: the signature is not that of this request and this key.
    SignatureDoesNotMatch,
}

impl SigError {
    /// An error with its words.
    pub fn new(code: SigCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    fn mismatch() -> Self {
        Self::new(
            SigCode::SignatureDoesNotMatch,
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
        )
    }

    fn skewed() -> Self {
        Self::new(
            SigCode::RequestTimeTooSkewed,
            "The difference between the request time and the current time is too large.",
        )
    }

    fn expired() -> Self {
        Self::new(SigCode::AccessDenied, "Request has expired")
    }
}

/// Reads what `request` claims. `None`: it claims nothing, it is anonymous.
///
/// # Errors
/// 400 for what cannot be read, for credentials in two places, for doubled parameters.
pub fn read(request: &Request<'_>) -> Result<Option<Claim>, SigError> {
    for name in [&AUTHORIZATION, &AMZ_DATE, &AMZ_CONTENT_SHA256, &AMZ_SECURITY_TOKEN, &HOST, &DATE] {
        if request.headers.get_all(name).iter().nth(1).is_some() {
            return Err(SigError::new(SigCode::InvalidRequest, format!("The header {name} was sent more than once")));
        }
    }
    let header = request.headers.get(AUTHORIZATION);
    let query_v4 = v4::QUERY_MARKS.iter().any(|name| request.target.has(name));
    let query_v2 = v2::QUERY_MARKS.iter().any(|name| request.target.has(name));
    if usize::from(header.is_some()) + usize::from(query_v4) + usize::from(query_v2) > 1 {
        return Err(SigError::new(
            SigCode::InvalidArgument,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified",
        ));
    }
    let (access_key, kind) = if let Some(value) = header {
        let Ok(value) = value.to_str() else {
            return Err(SigError::new(SigCode::InvalidArgument, "The Authorization header is not ASCII"));
        };
        let value = value.trim();
        if let Some(rest) = value.strip_prefix("AWS4-") {
            let (key, claim) = v4::Claim::from_header(request, rest)?;
            (key, Kind::V4(claim))
        } else if let Some(rest) = value.strip_prefix("AWS ") {
            let (key, claim) = v2::Claim::from_header(rest)?;
            (key, Kind::V2(claim))
        } else {
            return Err(SigError::new(SigCode::InvalidArgument, "Unsupported Authorization Type"));
        }
    } else if query_v4 {
        let (key, claim) = v4::Claim::from_query(request)?;
        (key, Kind::V4(claim))
    } else if query_v2 {
        let (key, claim) = v2::Claim::from_query(request)?;
        (key, Kind::V2(claim))
    } else {
        return Ok(None);
    };
    let access_key = access_key.parse().map_err(|_| {
        SigError::new(SigCode::InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
    })?;
    let token_header = request.headers.get(&AMZ_SECURITY_TOKEN).is_some_and(|v| !v.is_empty());
    let token_query = ["X-Amz-Security-Token", "x-amz-security-token"]
        .iter()
        .any(|name| request.target.get(name).is_some_and(|v| !v.is_empty()));
    Ok(Some(Claim { access_key, session_token: token_header || token_query, kind }))
}

impl Claim {
    /// Whose secret it must be held against.
    pub fn access_key(&self) -> &AccessKey {
        &self.access_key
    }

    /// The date that the request claims to be of, where it is signed by one.
    pub fn date(&self, request: &Request<'_>) -> Option<Timestamp> {
        match &self.kind {
            Kind::V4(claim) => Some(claim.date()),
            Kind::V2(_) => {
                let text = |name: &HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
                text(&AMZ_DATE).or_else(|| text(&DATE)).and_then(crate::wire::s3_time::parse_any)
            }
        }
    }

    /// Which family of signatures it uses.
    pub fn version(&self) -> Version {
        match self.kind {
            Kind::V2(_) => Version::V2,
            Kind::V4(_) => Version::V4,
        }
    }

    /// Holds the claim against the key: time first, then the signature. `skew` is how far the
    /// date may be off, both ways.
    ///
    /// # Errors
    /// 403, or 400 for a payload kind or a token that cannot be.
    pub fn verify(&self, request: &Request<'_>, key: &Key, now: Timestamp, skew: Duration) -> Result<Signed, SigError> {
        if self.session_token {
            return Err(SigError::new(
                SigCode::InvalidToken,
                "The provided token is malformed or otherwise invalid: there are no session tokens here.",
            ));
        }
        let (payload, presigned) = match &self.kind {
            Kind::V2(claim) => (claim.verify(request, key.secret(), now, skew)?, claim.presigned()),
            Kind::V4(claim) => (claim.verify(request, key, now, skew)?, claim.presigned()),
        };
        Ok(Signed { verified: Verified { access_key: self.access_key.clone() }, payload, presigned })
    }
}

/// Whether `at` is further from `now` than `skew`, either way.
fn too_far(at: Timestamp, now: Timestamp, skew: Duration) -> bool {
    at.since(now) > skew || now.since(at) > skew
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    use hmac::{KeyInit, Mac};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

fn hmac_sha1(key: &[u8], data: &[u8]) -> [u8; 20] {
    use hmac::{KeyInit, Mac};
    let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

fn sha256(data: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(data).into()
}

fn same(a: &[u8], b: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests;
