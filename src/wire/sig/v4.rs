//! AWS4-HMAC-SHA256: the claim that a header or a presigned URL makes, and its verification.

use std::time::Duration;

use http::HeaderName;
use http::header::DATE;

use super::canonical::{self, Scope};
use super::chunked::ChunkSigner;
use super::payload::Declared;
use super::{AMZ_CONTENT_SHA256, AMZ_DATE, Key, Payload, Request, SigCode, SigError, same, too_far};
use crate::domain::Timestamp;
use crate::wire::s3_time;

/// Parameters that make a query a presigned one.
pub(super) const QUERY_MARKS: [&str; 3] = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"];

/// S3's longest life of a presigned URL: seven days.
const EXPIRES_SECONDS_MAX: u64 = 604_800;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) scope: Scope,
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: [u8; 32],
    pub(super) date: Timestamp,
    /// Of a presigned URL.
    pub(super) expires: Option<Duration>,
    pub(super) payload_text: String,
    pub(super) payload: Declared,
}

fn malformed(why: impl Into<std::borrow::Cow<'static, str>>) -> SigError {
    SigError::new(SigCode::AuthorizationHeaderMalformed, why)
}

fn bad_query(why: impl Into<std::borrow::Cow<'static, str>>) -> SigError {
    SigError::new(SigCode::AuthorizationQueryParametersError, why)
}

pub(super) type Why = fn(&'static str) -> SigError;

fn why_header(text: &'static str) -> SigError {
    malformed(text)
}

fn why_query(text: &'static str) -> SigError {
    bad_query(text)
}

/// `AK/date/region/s3/aws4_request`.
pub(super) fn read_credential(text: &str, why: Why) -> Result<(String, Scope), SigError> {
    let mut parts = text.split('/');
    let (Some(key), Some(date), Some(region), Some(service), Some(end), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(why(
            "The Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
        ));
    };
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return Err(why("The date of the Credential is not yyyyMMdd."));
    }
    if service != "s3" {
        return Err(why("The service of the Credential must be \"s3\"."));
    }
    if end != "aws4_request" {
        return Err(why("The Credential must end in \"aws4_request\"."));
    }
    Ok((key.to_owned(), Scope { date: date.to_owned(), region: region.to_owned() }))
}

fn read_signed_headers(text: &str, why: Why) -> Result<Vec<String>, SigError> {
    let names: Vec<String> = text.split(';').map(str::to_ascii_lowercase).collect();
    if !names.iter().any(|n| n == "host") {
        return Err(SigError::new(SigCode::AccessDenied, "The header host must be among the signed headers"));
    }
    if names.iter().any(String::is_empty) {
        return Err(why("SignedHeaders is mal-formed."));
    }
    Ok(names)
}

pub(super) fn read_signature(text: &str, why: Why) -> Result<[u8; 32], SigError> {
    let mut signature = [0; 32];
    hex::decode_to_slice(text, &mut signature).map_err(|_| why("The Signature is not 64 hexadecimal digits."))?;
    Ok(signature)
}

impl Claim {
    /// The request's date, or the URL's.
    pub(super) fn date(&self) -> Timestamp {
        self.date
    }

    /// `rest` is what follows `AWS4-`.
    pub(super) fn from_header(request: &Request<'_>, rest: &str) -> Result<(String, Self), SigError> {
        let Some(rest) = rest.strip_prefix("HMAC-SHA256") else {
            if rest.starts_with("ECDSA-P256-SHA256") {
                return Err(SigError::new(SigCode::NotImplemented, "SigV4A (ECDSA) is not implemented"));
            }
            return Err(SigError::new(SigCode::InvalidArgument, "Unsupported Authorization Type"));
        };
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in rest.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(malformed("The authorization header is malformed; a part of it has no \"=\"."));
            };
            let place = match name.trim() {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                _ => return Err(malformed("The authorization header is malformed; it has a part that is not known.")),
            };
            if place.replace(value.trim()).is_some() {
                return Err(malformed("The authorization header is malformed; a part of it came twice."));
            }
        }
        let credential = credential.ok_or_else(|| malformed("The authorization header has no Credential."))?;
        let signed = signed.ok_or_else(|| malformed("The authorization header has no SignedHeaders."))?;
        let signature = signature.ok_or_else(|| malformed("The authorization header has no Signature."))?;
        let (key, scope) = read_credential(credential, why_header)?;
        let signed_headers = read_signed_headers(signed, why_header)?;
        let signature = read_signature(signature, why_header)?;
        let date = header_date(request)?;
        let Some(payload) = request.headers.get(&AMZ_CONTENT_SHA256) else {
            return Err(SigError::new(
                SigCode::InvalidRequest,
                "Missing required header for this request: x-amz-content-sha256",
            ));
        };
        let payload_text = String::from_utf8_lossy(payload.as_bytes()).into_owned();
        let payload = Declared::read(&payload_text)?;
        check_scope_date(&scope, date, why_header)?;
        Ok((key, Self { scope, signed_headers, signature, date, expires: None, payload_text, payload }))
    }

    pub(super) fn from_query(request: &Request<'_>) -> Result<(String, Self), SigError> {
        let one = |name: &'static str| -> Result<&str, SigError> {
            match request.target.count(name) {
                1 => Ok(request.target.get(name).unwrap_or("")),
                0 => Err(bad_query(
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                     X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
                )),
                _ => Err(bad_query(format!("The parameter {name} came more than once."))),
            }
        };
        let algorithm = one("X-Amz-Algorithm")?;
        if algorithm != ALGORITHM {
            return Err(bad_query("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let (key, scope) = read_credential(one("X-Amz-Credential")?, why_query)?;
        let signed_headers = read_signed_headers(one("X-Amz-SignedHeaders")?, why_query)?;
        let signature = read_signature(one("X-Amz-Signature")?, why_query)?;
        let date = s3_time::parse_basic(one("X-Amz-Date")?)
            .ok_or_else(|| bad_query("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
        let expires = one("X-Amz-Expires")?;
        let digits = expires.strip_prefix('-').unwrap_or(expires);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad_query("X-Amz-Expires should be a number"));
        }
        // A life that cannot be is a URL that is not good at any time: 403, as ceph's suite has it, where S3
        // itself has 400.
        if digits.len() < expires.len() {
            return Err(SigError::new(SigCode::AccessDenied, "X-Amz-Expires must be non-negative"));
        }
        // All digits: what does not fit is too large.
        let expires: u64 = expires.parse().unwrap_or(u64::MAX);
        if expires == 0 {
            return Err(SigError::new(SigCode::AccessDenied, "X-Amz-Expires must be positive"));
        }
        if expires > EXPIRES_SECONDS_MAX {
            return Err(SigError::new(
                SigCode::AccessDenied,
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
            ));
        }
        check_scope_date(&scope, date, why_query)?;
        let in_query = ["X-Amz-Content-Sha256", "x-amz-content-sha256"];
        if in_query.iter().map(|name| request.target.count(name)).sum::<usize>() > 1 {
            return Err(bad_query("The parameter X-Amz-Content-Sha256 came more than once."));
        }
        let header = request.headers.get(&AMZ_CONTENT_SHA256).map(|v| String::from_utf8_lossy(v.as_bytes()));
        let payload_text = match (in_query.iter().find_map(|name| request.target.get(name)), header) {
            (Some(query), Some(header)) if query != header => {
                return Err(bad_query("X-Amz-Content-Sha256 and the header x-amz-content-sha256 differ."));
            }
            (Some(query), _) => query.to_owned(),
            (None, Some(header)) => header.into_owned(),
            (None, None) => "UNSIGNED-PAYLOAD".to_owned(),
        };
        let payload = Declared::read(&payload_text)?;
        let expires = Some(Duration::from_secs(expires));
        Ok((key, Self { scope, signed_headers, signature, date, expires, payload_text, payload }))
    }

    pub(super) fn presigned(&self) -> bool {
        self.expires.is_some()
    }

    pub(super) fn verify(
        &self,
        request: &Request<'_>,
        secret: &Key,
        now: Timestamp,
        skew: Duration,
    ) -> Result<Payload, SigError> {
        match self.expires {
            None if too_far(self.date, now, skew) => return Err(SigError::skewed()),
            None => {}
            Some(_) if self.date.since(now) > skew => {
                return Err(SigError::new(SigCode::AccessDenied, "Request is not valid yet"));
            }
            Some(life) if now > self.date.plus(life) => return Err(SigError::expired()),
            Some(_) => {}
        }
        self.check_all_signed(request)?;
        let key = secret.signing(&self.scope);
        let date = s3_time::basic(self.date);
        let scope = self.scope.text();
        let query = self.query(request);
        let mut paths = vec![canonical::encode_path(request.target.decoded_path())];
        // Some clients sign what they send, whatever of it they escaped; it decodes to the same key.
        if paths.iter().all(|path| path != request.target.raw_path()) {
            paths.push(request.target.raw_path().to_owned());
        }
        for path in paths {
            let hash = canonical::request_hash(
                request.method.as_str(),
                &path,
                &query,
                request.headers,
                &self.signed_headers,
                &self.payload_text,
            );
            if same(&canonical::signature(&key, &date, &scope, &hash), &self.signature) {
                return Ok(self.payload.with_seed(|| ChunkSigner::new(key, date, scope, self.signature)));
            }
        }
        Err(SigError::mismatch())
    }

    /// The canonical query of a request.
    pub(super) fn query(&self, request: &Request<'_>) -> String {
        let signed = request.target.params().iter().filter(|p| !(self.presigned() && p.name == "X-Amz-Signature"));
        canonical::query(signed.map(|p| (p.name.as_str(), p.value.as_str())))
    }

    /// Every `x-amz-*` header that came must be signed: an unsigned `x-amz-copy-source` on a
    /// presigned PUT copies anything. The two whose values go into the string to sign anyhow are
    /// signed by that.
    fn check_all_signed(&self, request: &Request<'_>) -> Result<(), SigError> {
        for name in request.headers.keys().map(http::HeaderName::as_str).filter(|n| n.starts_with("x-amz-")) {
            let implied = name == "x-amz-content-sha256" || (name == "x-amz-date" && !self.presigned());
            if !implied && !self.signed_headers.iter().any(|n| n == name) {
                return Err(SigError::new(
                    SigCode::AccessDenied,
                    format!("There were headers present in the request which were not signed: {name}"),
                ));
            }
        }
        Ok(())
    }
}

fn header_date(request: &Request<'_>) -> Result<Timestamp, SigError> {
    let text = |name: &HeaderName| request.headers.get(name).map(|v| v.to_str().unwrap_or(""));
    let Some(value) = text(&AMZ_DATE).or_else(|| text(&DATE)) else {
        return Err(SigError::new(
            SigCode::AccessDenied,
            "AWS authentication requires a valid Date or x-amz-date header",
        ));
    };
    s3_time::parse_any(value).ok_or_else(|| {
        SigError::new(SigCode::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
    })
}

pub(super) fn check_scope_date(scope: &Scope, date: Timestamp, why: Why) -> Result<(), SigError> {
    if s3_time::basic(date).get(..8) == Some(scope.date.as_str()) {
        Ok(())
    } else {
        Err(why("The date of the Credential is not that of the request."))
    }
}
