//! Version 2.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use zeroize::Zeroizing;

use super::super::{AMZ_DATE, Key, Request, Target, hmac_sha1, same, v2};
use super::{Explanation, Hints, Signable, hosts, kept, paths, secrets};

/// What V2 is made of.
#[derive(Clone)]
struct Parts {
    method: String,
    headers: HeaderMap,
    date: String,
    resource: String,
    secret: Zeroizing<String>,
}

impl Parts {
    fn text(&self) -> Vec<u8> {
        v2::string_to_sign(&self.method, &self.headers, None, &self.date, &self.resource)
    }

    fn signable(&self) -> Signable {
        Signable { canonical_request: None, string_to_sign: kept(&self.text()) }
    }

    fn gives(&self, signature: &[u8]) -> bool {
        same(&hmac_sha1(self.secret.as_bytes(), &self.text()), signature)
    }
}

pub(super) fn explain(claim: &v2::Claim, request: &Request<'_>, key: &Key, hints: &Hints) -> Explanation {
    let text = |name: &HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    let date = match &claim.expires {
        Some((_, expires)) => expires.clone(),
        None if request.headers.contains_key(&AMZ_DATE) => String::new(),
        None => text(&http::header::DATE).unwrap_or_default().to_owned(),
    };
    let came = Parts {
        method: request.method.as_str().to_owned(),
        headers: request.headers.clone(),
        date,
        resource: v2::resource(request.target, request.host_bucket),
        secret: Zeroizing::new(key.secret().expose().to_owned()),
    };
    let version = if claim.presigned() { "v2-presigned" } else { "v2" };
    let mistakes = mistakes(&came, claim, request, key, hints);
    Explanation::of(version, &came, mistakes, |parts| parts.gives(&claim.signature), Parts::signable)
}

/// The usual mistakes, the likely ones first, made one at a time.
fn mistakes(came: &Parts, claim: &v2::Claim, request: &Request<'_>, key: &Key, hints: &Hints) -> Vec<(String, Parts)> {
    let mut all: Vec<(String, Parts)> = Vec::new();
    let access_key = request.target.get("AWSAccessKeyId").or_else(|| {
        let header = request.headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        header.strip_prefix("AWS ")?.trim().split(':').next()
    });
    for (what, secret) in secrets(key.secret(), access_key.unwrap_or_default()) {
        all.push((what.to_owned(), Parts { secret, ..came.clone() }));
    }
    resources(came, request, hints, &mut all);
    if !claim.presigned() {
        dates(came, request, &mut all);
    }
    headers(came, &mut all);
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE] {
        if method.as_str() != came.method {
            let what = format!("the client signs {method}, and sends {}", came.method);
            all.push((what, Parts { method: method.as_str().to_owned(), ..came.clone() }));
        }
    }
    all
}

fn resources(came: &Parts, request: &Request<'_>, hints: &Hints, all: &mut Vec<(String, Parts)>) {
    let (target, raw) = (request.target, request.target.raw_path());
    let subs = v2::sub_resources(target);
    let mut add = |resource: String, why: &str| {
        if resource != came.resource {
            all.push((why.to_owned(), Parts { resource, ..came.clone() }));
        }
    };
    let bucket = request.host_bucket.map_or(String::new(), |bucket| format!("/{bucket}"));
    if !subs.is_empty() {
        let why =
            "the client leaves the sub-resources (like ?uploads, ?acl, ?partNumber) out of the resource that it signs";
        add(format!("{bucket}{raw}"), why);
        let names: Vec<&str> = subs.trim_start_matches('?').split('&').filter_map(|p| p.split('=').next()).collect();
        add(
            format!("{bucket}{raw}?{}", names.join("&")),
            "the client signs the names of the sub-resources without their values",
        );
    }
    if !target.params().is_empty() {
        let why = "the client signs the whole query; of the parameters only the sub-resources are signed";
        add(format!("{bucket}{raw}?{}", whole(target)), why);
    }
    if request.host_bucket.is_some() {
        add(
            format!("{raw}{subs}"),
            "the client leaves the bucket out of the resource; with bucket.host it is signed before the path",
        );
    }
    for (path, why) in paths(request) {
        add(format!("{bucket}{path}{subs}"), why);
    }
    // A client that thinks of bucket.host signs the name of that bucket, whatever is asked for.
    for (host, _) in hosts(request, hints) {
        if let Some((first, _)) = host.split_once('.') {
            add(
                format!("/{first}{raw}{subs}"),
                "the client signs /bucket before the path, and a proxy on the way has changed the Host header",
            );
        }
    }
}

fn whole(target: &Target) -> String {
    let of = |p: &super::super::target::Param| match p.has_value {
        true => format!("{}={}", p.name, p.value),
        false => p.name.clone(),
    };
    target.params().iter().map(of).collect::<Vec<_>>().join("&")
}

fn dates(came: &Parts, request: &Request<'_>, all: &mut Vec<(String, Parts)>) {
    let text = |name: &HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    if let (Some(amz), date) = (text(&AMZ_DATE), text(&http::header::DATE)) {
        let why = "the client signs a date line; where x-amz-date is sent, that line is empty";
        for line in [Some(amz), date].into_iter().flatten() {
            all.push((why.to_owned(), Parts { date: line.to_owned(), ..came.clone() }));
            let mut parts = Parts { date: line.to_owned(), ..came.clone() };
            parts.headers.remove(&AMZ_DATE);
            all.push((format!("{why}; and it leaves x-amz-date out of the signed headers"), parts));
        }
    } else {
        let why = "the client signs an empty date line, which is for requests with x-amz-date";
        all.push((why.to_owned(), Parts { date: String::new(), ..came.clone() }));
    }
}

fn headers(came: &Parts, all: &mut Vec<(String, Parts)>) {
    let types = [
        "",
        "application/octet-stream",
        "binary/octet-stream",
        "application/x-www-form-urlencoded",
        "video/mp4",
        "image/jpeg",
        "text/plain",
    ];
    let sent = came.headers.get(http::header::CONTENT_TYPE).cloned();
    for kind in types {
        let Ok(value) = HeaderValue::try_from(kind) else { continue };
        if sent.as_ref() == Some(&value) || (sent.is_none() && kind.is_empty()) {
            continue;
        }
        let mut parts = came.clone();
        parts.headers.insert(http::header::CONTENT_TYPE, value);
        let sent = sent.as_ref().and_then(|value| value.to_str().ok()).unwrap_or("none");
        all.push((format!("the client signs the Content-Type {kind:?}, and {sent:?} came"), parts));
    }
    if came.headers.contains_key("content-md5") {
        let mut parts = came.clone();
        parts.headers.remove("content-md5");
        all.push(("the client does not sign the Content-MD5 that it sends".to_owned(), parts));
    }
    let amz: Vec<HeaderName> =
        came.headers.keys().filter(|name| name.as_str().starts_with("x-amz-")).cloned().collect();
    if !amz.is_empty() {
        let mut none = came.clone();
        for name in &amz {
            none.headers.remove(name);
            let mut parts = came.clone();
            parts.headers.remove(name);
            all.push((format!("the client does not sign the header {name}, or it was put in on the way"), parts));
        }
        all.push(("the client does not sign the x-amz-* headers that it sends".to_owned(), none));
    }
}
