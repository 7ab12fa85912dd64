//! The canonical request of V4, and the keys derived for it.

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{hmac_sha256, sha256};
use crate::domain::Secret;

/// Everything but RFC 3986's unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same, slashes kept.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// Percent-encodes a parameter's name or value.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// Percent-encodes a path, slashes kept.
pub(super) fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// The canonical query: encoded, sorted by name, then by value.
pub(super) fn query<'a>(params: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<(String, String)> = params.map(|(n, v)| (encode(n), encode(v))).collect();
    pairs.sort();
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&name);
        out.push('=');
        out.push_str(&value);
    }
    out
}

/// Writes all values under `name`, joined by commas, white space at the ends cut and inside made one space.
pub(super) fn push_header_value(out: &mut Vec<u8>, headers: &HeaderMap, name: &str) {
    for (at, value) in headers.get_all(name).iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
        for (at, word) in words.enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
}

/// The hash of a canonical request.
pub(super) fn request_hash(
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    signed: &[String],
    payload: &str,
) -> [u8; 32] {
    sha256(&request_text(method, path, query, headers, signed, payload))
}

/// A canonical request.
pub(super) fn request_text(
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    signed: &[String],
    payload: &str,
) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    for line in [method, path, query] {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    for name in signed {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        push_header_value(&mut text, headers, name);
        text.push(b'\n');
    }
    text.push(b'\n');
    for (at, name) in signed.iter().enumerate() {
        if at > 0 {
            text.push(b';');
        }
        text.extend_from_slice(name.as_bytes());
    }
    text.push(b'\n');
    text.extend_from_slice(payload.as_bytes());
    text
}

/// Date, region, service and terminator of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// `yyyymmdd`.
    pub(super) date: String,
    /// Any.
    pub(super) region: String,
}

impl Scope {
    pub(super) fn text(&self) -> String {
        [&self.date, "/", &self.region, "/s3/aws4_request"].concat()
    }

    /// The signing key of `secret` for this scope.
    pub(super) fn key(&self, secret: &Secret) -> [u8; 32] {
        let start = zeroize::Zeroizing::new(format!("AWS4{}", secret.expose()));
        let date = hmac_sha256(start.as_bytes(), self.date.as_bytes());
        let region = hmac_sha256(&date, self.region.as_bytes());
        let service = hmac_sha256(&region, b"s3");
        hmac_sha256(&service, b"aws4_request")
    }
}

/// The signature of a canonical request.
pub(super) fn signature(key: &[u8; 32], date: &str, scope: &str, request_hash: &[u8; 32]) -> [u8; 32] {
    hmac_sha256(key, string_to_sign(date, scope, request_hash).as_bytes())
}

/// What a signature is made of.
pub(super) fn string_to_sign(date: &str, scope: &str, request_hash: &[u8; 32]) -> String {
    ["AWS4-HMAC-SHA256\n", date, "\n", scope, "\n", &hex::encode(request_hash)].concat()
}
