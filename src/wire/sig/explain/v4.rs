//! Version 4.

use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::super::canonical::{self, Scope};
use super::super::{Key, Request, hmac_sha256, same, sha256, v4};
use super::{Explanation, Hints, Signable, hosts, kept, paths, secrets};
use crate::domain::Secret;
use crate::wire::s3_time;

/// The SHA-256 of nothing.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Signed headers that are changed on the way, and what they were before.
const CHANGED: [(&str, &[&str]); 9] = [
    ("accept-encoding", &["identity", "gzip", "gzip, deflate", "gzip, deflate, br"]),
    ("connection", &["keep-alive", "Keep-Alive", "close"]),
    ("content-length", &["0"]),
    (
        "content-type",
        &[
            "application/octet-stream",
            "binary/octet-stream",
            "application/x-www-form-urlencoded",
            "text/plain",
            "video/mp4",
            "image/jpeg",
        ],
    ),
    ("expect", &["100-continue"]),
    ("te", &["trailers"]),
    ("transfer-encoding", &["chunked", "identity"]),
    ("user-agent", &[]),
    ("x-amz-content-sha256", &["UNSIGNED-PAYLOAD", NOTHING]),
];

/// Everything that a signature is made of, as the request has it or as a mistake has.
#[derive(Clone)]
struct Parts {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    signed: Vec<String>,
    payload: String,
    date: String,
    scope: Scope,
    secret: Zeroizing<String>,
}

impl Parts {
    fn canonical_request(&self) -> Vec<u8> {
        canonical::request_text(&self.method, &self.path, &self.query, &self.headers, &self.signed, &self.payload)
    }

    fn signable(&self) -> Signable {
        let canonical = self.canonical_request();
        Signable {
            string_to_sign: canonical::string_to_sign(&self.date, &self.scope.text(), &sha256(&canonical)),
            canonical_request: Some(kept(&canonical)),
        }
    }

    fn gives(&self, signature: &[u8; 32]) -> bool {
        let text = canonical::string_to_sign(&self.date, &self.scope.text(), &sha256(&self.canonical_request()));
        let key = Zeroizing::new(self.scope.key(&Secret::new(self.secret.as_str())));
        same(&hmac_sha256(&*key, text.as_bytes()), signature)
    }

    fn with_header(&self, name: &str, value: &str) -> Option<Self> {
        let mut parts = self.clone();
        let name = HeaderName::try_from(name).ok()?;
        parts.headers.insert(name, HeaderValue::try_from(value).ok()?);
        Some(parts)
    }
}

pub(super) fn explain(claim: &v4::Claim, request: &Request<'_>, key: &Key, hints: &Hints) -> Explanation {
    let came = Parts {
        method: request.method.as_str().to_owned(),
        path: canonical::encode_path(request.target.decoded_path()),
        query: claim.query(request),
        headers: request.headers.clone(),
        signed: claim.signed_headers.clone(),
        payload: claim.payload_text.clone(),
        date: s3_time::basic(claim.date),
        scope: claim.scope.clone(),
        secret: Zeroizing::new(key.secret().expose().to_owned()),
    };
    let version = if claim.presigned() { "v4-presigned" } else { "v4" };
    let mistakes = mistakes(&came, claim, request, hints);
    Explanation::of(version, &came, mistakes, |parts| parts.gives(&claim.signature), Parts::signable)
}

/// The usual mistakes, the likely ones first, made one at a time.
fn mistakes(came: &Parts, claim: &v4::Claim, request: &Request<'_>, hints: &Hints) -> Vec<(String, Parts)> {
    let mut all: Vec<(String, Parts)> = Vec::new();
    let changed = |change: &dyn Fn(&mut Parts)| {
        let mut parts = came.clone();
        change(&mut parts);
        parts
    };
    let access_key = request.target.get("X-Amz-Credential").or_else(|| {
        let header = request.headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        header.split_once("Credential=").map(|(_, rest)| rest)
    });
    let access_key = access_key.and_then(|text| text.split('/').next()).unwrap_or_default();
    let secret = Secret::new(came.secret.as_str());
    for (what, secret) in secrets(&secret, access_key) {
        all.push((what.to_owned(), changed(&|parts| parts.secret = secret.clone())));
    }
    for (host, why) in hosts(request, hints) {
        all.extend(came.with_header("host", &host).map(|parts| (format!("{why}: signed {host:?}"), parts)));
    }
    for (path, why) in paths(request) {
        all.push((why.to_owned(), changed(&|parts| parts.path.clone_from(&path))));
    }
    for payload in ["UNSIGNED-PAYLOAD", NOTHING] {
        let what = match payload {
            NOTHING => "the client signs an empty body, and sends another x-amz-content-sha256",
            _ => "the client signs UNSIGNED-PAYLOAD, and sends another x-amz-content-sha256",
        };
        all.push((what.to_owned(), changed(&|parts| payload.clone_into(&mut parts.payload))));
    }
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
        if method != came.method {
            let what = format!("the client signs {method}, and sends {}", came.method);
            all.push((what, changed(&|parts| method.clone_into(&mut parts.method))));
        }
    }
    queries(came, claim, request, &mut all);
    for (name, values) in CHANGED {
        if !came.signed.iter().any(|signed| signed == name) {
            continue;
        }
        let what = format!("the header {name} is signed, and was changed or taken out on the way (by a proxy)");
        for value in values.iter().copied().chain([""]) {
            all.extend(came.with_header(name, value).map(|parts| (format!("{what}: signed {value:?}"), parts)));
        }
        let without = changed(&|parts| parts.signed.retain(|signed| signed != name));
        all.push((format!("the client names {name} among the signed headers, and does not sign it"), without));
    }
    for region in hints.regions.iter().map(String::as_str).chain(["us-east-1", "cn-north-1", ""]) {
        if region != came.scope.region {
            let what = format!("the client signs for the region {region:?}, and says {:?}", came.scope.region);
            let mut parts = came.clone();
            region.clone_into(&mut parts.scope.region);
            all.push((what, parts));
        }
    }
    let day_of = claim.date.plus(std::time::Duration::from_secs(8 * 3600));
    let local = s3_time::basic(day_of);
    let what = "the client signs its local time (UTC+8) as if it were UTC".to_owned();
    all.push((what, changed(&|parts| parts.date.clone_from(&local))));
    all
}

/// What is signed of the query.
fn queries(came: &Parts, claim: &v4::Claim, request: &Request<'_>, all: &mut Vec<(String, Parts)>) {
    let params = request.target.params();
    if params.is_empty() {
        return;
    }
    let signed = || params.iter().filter(|p| !(claim.presigned() && p.name == "X-Amz-Signature"));
    let mut add = |query: String, why: &str| {
        if query != came.query {
            all.push((why.to_owned(), Parts { query, ..came.clone() }));
        }
    };
    add(String::new(), "the client does not sign the parameters of the query");
    let join = |pairs: Vec<String>| pairs.join("&");
    let unsorted =
        signed().map(|p| format!("{}={}", canonical::encode(&p.name), canonical::encode(&p.value))).collect();
    add(join(unsorted), "the client signs the parameters in the order in which it sends them (they must be sorted)");
    let mut bare: Vec<String> = signed()
        .map(|p| {
            let equals = if p.value.is_empty() { "" } else { "=" };
            format!("{}{equals}{}", canonical::encode(&p.name), canonical::encode(&p.value))
        })
        .collect();
    bare.sort();
    add(join(bare), "the client signs a parameter without a value as `name`; it must be `name=`");
    let mut plain: Vec<String> = signed().map(|p| format!("{}={}", p.name, p.value)).collect();
    plain.sort();
    add(join(plain), "the client signs the parameters without encoding them");
    let mut pluses: Vec<String> = signed()
        .map(|p| format!("{}={}", canonical::encode(&p.name), canonical::encode(&p.value).replace("%20", "+")))
        .collect();
    pluses.sort();
    add(join(pluses), "the client signs a blank in a parameter as +; it must be %20");
    let mut slashes: Vec<String> = signed()
        .map(|p| format!("{}={}", canonical::encode(&p.name), canonical::encode(&p.value).replace("%2F", "/")))
        .collect();
    slashes.sort();
    add(join(slashes), "the client signs a / in a parameter as it is; it must be %2F");
}
