//! Signing: for `FileUrl`s (7.7), for the simulated cameras, for tests.

use http::header::{HeaderMap, HeaderValue};

use super::canonical::{self, Scope, encode_path};
use super::{Target, hmac_sha1, v2};
use crate::domain::{AccessKey, Secret, Timestamp};
use crate::wire::s3_time;

/// What a presigned GET is made for. Serves 7.7 `FileUrl`.
pub struct PresignGet<'a> {
    /// `http(s)://host[:port]`, no path.
    pub endpoint: &'a str,
    /// Bucket name, put into the path.
    pub bucket: &'a str,
    /// Object key.
    pub key: &'a str,
    /// The signer's access key.
    pub access_key: &'a AccessKey,
    /// The signer's secret key.
    pub secret: &'a Secret,
    /// Region of the credential scope.
    pub region: &'a str,
    /// When it is signed.
    pub now: Timestamp,
    /// Seconds that it lives, 1 to 604,800.
    pub expires: u32,
}

/// A request that shall be signed.
pub struct ToSign<'a> {
    /// Its method, in capitals.
    pub method: &'a str,
    /// `host[:port]`, as the Host header will have it.
    pub host: &'a str,
    /// The path, percent-encoded as it will be sent.
    pub path: &'a str,
    /// The query, percent-encoded as it will be sent; empty where there is none.
    pub query: &'a str,
    /// Headers that will be sent and shall be signed (`Content-MD5`, `Content-Type`, `x-amz-*`);
    /// names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The signer's access key.
    pub access_key: &'a AccessKey,
    /// The signer's secret key.
    pub secret: &'a Secret,
    /// Region of the credential scope (V4).
    pub region: &'a str,
    /// When it is signed.
    pub now: Timestamp,
}

/// What a V4 signature says of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// It has this SHA-256.
    Sha256([u8; 32]),
    /// Nothing.
    Unsigned,
}

impl Content {
    fn text(self) -> String {
        match self {
            Self::Sha256(hash) => hex::encode(hash),
            Self::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
        }
    }
}

/// A URL that gives whoever has it one object, for a while. Path style, absolute, ASCII.
pub fn presign_get(get: &PresignGet<'_>) -> String {
    let (scheme, authority) = get.endpoint.split_once("://").unwrap_or(("http", get.endpoint));
    let authority = authority.trim_end_matches('/');
    // Clients leave the usual port out of the Host header, so it must not be signed.
    let usual = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let host = authority.strip_suffix(usual).unwrap_or(authority);
    let path = encode_path(&format!("/{}/{}", get.bucket, get.key));
    let request = ToSign {
        method: "GET",
        host,
        path: &path,
        query: "",
        headers: &[],
        access_key: get.access_key,
        secret: get.secret,
        region: get.region,
        now: get.now,
    };
    format!("{scheme}://{host}{path}?{}", presign_v4(&request, get.expires))
}

/// The query, with its signature, of a presigned request. `expires` in seconds, 1 to 604,800.
/// [`ToSign::headers`] are signed, and whoever uses the URL has to send them.
pub fn presign_v4(request: &ToSign<'_>, expires: u32) -> String {
    let date = s3_time::basic(request.now);
    let scope = Scope { date: date.get(..8).unwrap_or("").to_owned(), region: request.region.to_owned() };
    let (headers, signed) = headers_to_sign(request, &[]);
    let credential = format!("{}/{}", request.access_key, scope.text());
    let (expires, signed_text) = (expires.to_string(), signed.join(";"));
    let mut params = parameters(request.query);
    for (name, value) in [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", &date),
        ("X-Amz-Expires", &expires),
        ("X-Amz-SignedHeaders", &signed_text),
    ] {
        params.push((name.to_owned(), value.to_owned()));
    }
    let query = canonical::query(params.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let hash = canonical::request_hash(request.method, request.path, &query, &headers, &signed, "UNSIGNED-PAYLOAD");
    let signature = canonical::signature(&scope.key(request.secret), &date, &scope.text(), &hash);
    format!("{query}&X-Amz-Signature={}", hex::encode(signature))
}

/// The headers that sign a request with V4: `authorization`, `x-amz-date`, `x-amz-content-sha256`.
pub fn sign_v4(request: &ToSign<'_>, content: Content) -> Vec<(&'static str, String)> {
    let date = s3_time::basic(request.now);
    let scope = Scope { date: date.get(..8).unwrap_or("").to_owned(), region: request.region.to_owned() };
    let payload = content.text();
    let (headers, signed) = headers_to_sign(request, &[("x-amz-content-sha256", &payload), ("x-amz-date", &date)]);
    let params = parameters(request.query);
    let query = canonical::query(params.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let hash = canonical::request_hash(request.method, request.path, &query, &headers, &signed, &payload);
    let signature = canonical::signature(&scope.key(request.secret), &date, &scope.text(), &hash);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
        request.access_key,
        scope.text(),
        signed.join(";"),
        hex::encode(signature)
    );
    vec![("authorization", authorization), ("x-amz-content-sha256", payload), ("x-amz-date", date)]
}

/// The headers that sign a request with V2, path style: `authorization` and `date`.
pub fn sign_v2(request: &ToSign<'_>) -> Vec<(&'static str, String)> {
    let date = s3_time::http_date(request.now);
    let (headers, _) = headers_to_sign(request, &[]);
    // A query that does not decode is signed as if it were empty; the server refuses it anyhow.
    let resource = Target::parse(request.path, Some(request.query))
        .map_or_else(|_| request.path.to_owned(), |target| v2::resource(&target, None));
    let text = v2::string_to_sign(request.method, &headers, None, &date, &resource);
    let signature = v2::encode(&hmac_sha1(request.secret.expose().as_bytes(), &text));
    vec![("authorization", format!("AWS {}:{signature}", request.access_key)), ("date", date)]
}

fn parameters(query: &str) -> Vec<(String, String)> {
    Target::parse("/", Some(query)).map_or_else(
        |_| Vec::new(),
        |target| target.params().iter().map(|p| (p.name.clone(), p.value.clone())).collect(),
    )
}

fn headers_to_sign(request: &ToSign<'_>, more: &[(&str, &str)]) -> (HeaderMap, Vec<String>) {
    let mut headers = HeaderMap::new();
    let all =
        std::iter::once(("host", request.host)).chain(request.headers.iter().copied()).chain(more.iter().copied());
    for (name, value) in all {
        // What is no header cannot be sent either.
        if let (Ok(name), Ok(value)) =
            (http::HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.append(name, value);
        }
    }
    let mut signed: Vec<String> = headers.keys().map(|n| n.as_str().to_owned()).collect();
    signed.sort();
    (headers, signed)
}

/// The query of a URL that is presigned with V2.
#[cfg(test)]
pub(super) fn presign_v2(request: &ToSign<'_>, expires_at: i64) -> String {
    let (headers, _) = headers_to_sign(request, &[]);
    let target = Target::parse(request.path, Some(request.query)).expect("a test's own path");
    let text =
        v2::string_to_sign(request.method, &headers, None, &expires_at.to_string(), &v2::resource(&target, None));
    let signature = v2::encode(&hmac_sha1(request.secret.expose().as_bytes(), &text));
    let start = if request.query.is_empty() { String::new() } else { format!("{}&", request.query) };
    format!(
        "{start}AWSAccessKeyId={}&Expires={expires_at}&Signature={}",
        canonical::encode(request.access_key.as_str()),
        canonical::encode(&signature)
    )
}
