//! Who calls: the only ways to a [`Caller`] on this plane, by a request's signature and by a form's.

use std::net::SocketAddr;

use http::Method;
use http::header::USER_AGENT;

use super::error::{Code, S3Error, S3Result};
use super::{Head, Plane};
use crate::domain::AccessKey;
use crate::engine::observe::Seen;
use crate::engine::{Caller, Credential};
use crate::wire::sig::{self, FormClaim, SigCode, SigError, Signed, Version};

/// A caller whose signature is right, and what it covers.
pub struct Authenticated {
    /// Who.
    pub caller: Caller,
    /// With which key, and how the body is protected.
    pub signed: Signed,
}

/// Verifies a request. The order of the errors is S3's: what cannot be read, the key, the time,
/// the signature.
///
/// # Errors
/// S3's code for the rule that failed.
pub fn authenticate(plane: &Plane, head: &Head) -> S3Result<Authenticated> {
    let request = sig::Request {
        method: &head.method,
        target: &head.target,
        headers: &head.headers,
        host_bucket: head.host_bucket.as_deref(),
    };
    let Some(claim) = sig::read(&request)? else {
        return Err(S3Error::new(Code::AccessDenied, "Access Denied: the request is not signed."));
    };
    let credential = credential(plane, claim.access_key().as_str(), claim.version(), head.peer)?;
    let signed = match claim.verify(&request, credential.key(), plane.engine.now(), plane.config.clock_skew) {
        Ok(signed) => signed,
        Err(error) => return Err(counted(credential, claim.access_key(), error)),
    };
    let caller = credential.caller(&signed.verified).seen_at(head.peer);
    if matches!(head.method, Method::PUT | Method::POST) {
        plane.engine.seen(
            &caller,
            Seen {
                signature: match (claim.version(), signed.presigned) {
                    (Version::V2, false) => "v2",
                    (Version::V2, true) => "v2-presigned",
                    (Version::V4, false) => "v4",
                    (Version::V4, true) => "v4-presigned",
                },
                agent: head.text(USER_AGENT),
                // A presigned URL is of the day when it was made, not of the clock that uses it.
                date: if signed.presigned { None } else { claim.date(&request) },
                by_host: head.host_bucket.is_some(),
            },
        );
    }
    Ok(Authenticated { caller, signed })
}

/// The key that a request claims to be signed with, for the record of a refusal.
pub fn claimed_key(headers: &http::HeaderMap, target: &str) -> Option<String> {
    let claimed = |text: &str| {
        let text: String = text.chars().take_while(char::is_ascii_alphanumeric).take(KEY_CHARS_MAX).collect();
        (!text.is_empty()).then_some(text)
    };
    let in_header = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(value) = in_header {
        let after = value.split_once("Credential=").or_else(|| value.split_once("AWS "));
        return after.and_then(|(_, rest)| claimed(rest.trim_start()));
    }
    let after = target.split_once("X-Amz-Credential=").or_else(|| target.split_once("AWSAccessKeyId="));
    after.and_then(|(_, rest)| claimed(rest))
}

/// Letters of a claimed key that are looked at.
const KEY_CHARS_MAX: usize = 128;

/// Verifies the signature of a form's policy; `field` gives a field by its name in lower case.
///
/// # Errors
/// S3's code for the rule that failed.
pub fn authenticate_form<'a>(
    plane: &Plane,
    peer: Option<SocketAddr>,
    field: impl Fn(&str) -> Option<&'a str>,
) -> S3Result<Caller> {
    let Some(claim) = FormClaim::read(field)? else {
        return Err(S3Error::new(Code::AccessDenied, "Access Denied: the form has no policy."));
    };
    let credential = credential(plane, claim.access_key().as_str(), claim.version(), peer)?;
    match claim.verify(credential.key().secret(), plane.engine.now(), plane.config.clock_skew) {
        Ok(verified) => Ok(credential.caller(&verified)),
        Err(error) => Err(counted(credential, claim.access_key(), error)),
    }
}

/// What came of a verification that failed: a signature that was made with another secret is a guess.
fn counted(credential: Credential, key: &AccessKey, error: SigError) -> S3Error {
    match error.code {
        SigCode::SignatureDoesNotMatch => match credential.wrong(key.as_str()) {
            Ok(()) => error.into(),
            Err(slow) => slow.into(),
        },
        _ => error.into(),
    }
}

fn credential(plane: &Plane, key: &str, version: Version, peer: Option<SocketAddr>) -> S3Result<Credential> {
    let Some(credential) = plane.engine.credential(key, peer.map(|peer| peer.ip()))? else {
        return Err(SigError::new(
            SigCode::InvalidAccessKeyId,
            "The AWS Access Key Id you provided does not exist in our records.",
        )
        .into());
    };
    let allowed = match version {
        Version::V2 => plane.config.sig_v2 && credential.sig_v2(),
        Version::V4 => true,
    };
    if !allowed {
        return Err(S3Error::new(
            Code::InvalidRequest,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        ));
    }
    Ok(credential)
}
