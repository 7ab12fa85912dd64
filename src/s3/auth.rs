//! Who calls: the only ways to a [`Caller`] on this plane, by a request's signature and by a form's.

use std::net::SocketAddr;

use http::Method;
use http::header::USER_AGENT;

use super::error::{Code, S3Error, S3Result};
use super::{Head, Plane};
use crate::domain::AccessKey;
use crate::engine::observe::Seen;
use crate::engine::{Caller, Credential, SignatureFailure};
use crate::wire::sig::{self, FormClaim, Hints, SigCode, SigError, Signed, Version};

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

/// Keeps what is known of a request that was not believed, for `kandian doctor signature`.
pub fn remember(plane: &Plane, head: &Head, error: &S3Error, request_id: &str) {
    if !error.is_of_signatures() {
        return;
    }
    let request = sig::Request {
        method: &head.method,
        target: &head.target,
        headers: &head.headers,
        host_bucket: head.host_bucket.as_deref(),
    };
    let claim = sig::read(&request).ok().flatten();
    let in_query = || head.target.get("X-Amz-Credential").or_else(|| head.target.get("AWSAccessKeyId"));
    let named = match &claim {
        Some(claim) => Some(claim.access_key().as_str().to_owned()),
        None => claimed_key(&head.headers, &in_query().map(|ak| format!("AWSAccessKeyId={ak}")).unwrap_or_default()),
    };
    let Some(ak) = named else { return };
    plane.engine.signature_failed(&ak, |key| {
        let (now, skew) = (plane.engine.now(), plane.config.clock_skew);
        let mut failure = SignatureFailure {
            at_ms: now.millis(),
            from: head.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string()),
            request_id: request_id.to_owned(),
            method: head.method.as_str().to_owned(),
            path: head.target.raw_path().chars().take(PATH_CHARS_MAX).collect(),
            host: head.host.clone().unwrap_or_default(),
            code: error.cause(),
            message: error.words().to_owned(),
            ..SignatureFailure::default()
        };
        let Some(claim) = claim else {
            // It could not even be read; the words say why.
            failure.cause = Some(failure.message.clone());
            return Some(failure);
        };
        match claim.head_is_right(&request, key, now, skew) {
            // Something else was denied.
            Ok(()) if failure.code == Code::AccessDenied.name() => return None,
            Ok(()) => failure.cause = Some(BODY.to_owned()),
            Err(error) => {
                let explained = claim.explain(&request, key, &hints(plane, head), now, skew);
                failure.version = Some(explained.version);
                failure.seconds_ahead = explained.seconds_ahead;
                failure.tried = explained.tried;
                failure.here = Some(explained.here.into());
                failure.there = explained.there.map(Into::into);
                failure.cause = match error.code {
                    SigCode::SignatureDoesNotMatch | SigCode::RequestTimeTooSkewed => explained.cause,
                    // Said by the rule itself.
                    _ => Some(error.message.into_owned()),
                };
            }
        }
        Some(failure)
    });
}

/// Letters of a path that are kept.
const PATH_CHARS_MAX: usize = 1024;
/// What is wrong where the head is right.
const BODY: &str = "the head of the request is signed right, and its body is not what was signed: the body was changed on the way, or the client signs its chunks or the SHA-256 of its body wrongly";

/// Under what names the box may be known to the client.
fn hints(plane: &Plane, head: &Head) -> Hints {
    let host_of = |url: &str| url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/').to_owned();
    let mut hosts = vec![host_of(&plane.engine.s3_url())];
    hosts.extend(plane.config.public_url.as_deref().map(host_of));
    hosts.extend(plane.config.domain.clone());
    let port = plane.config.listen.port();
    hosts.extend(["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}")));
    hosts.retain(|host| Some(host) != head.host.as_ref());
    Hints { hosts, regions: vec![plane.config.region.clone()] }
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
