//! Who signed a request: the claims that headers and queries make, and what a verification may never let through.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use kandian::domain::{AccessKey, Secret, Timestamp};
use kandian::wire::sig::{Claim, Content, Key, Request, SigError, Signed, Target, ToSign};
use kandian::wire::sig::{presign_v4, read, sign_v2, sign_v4};

use super::head::Head;

const SKEW: Duration = Duration::from_secs(900);
const DAY: Duration = Duration::from_secs(86_400);
/// 2013-05-24T00:00:00Z, the day of AWS's examples.
const MAY: Timestamp = Timestamp::from_seconds(1_369_353_600);
const HOST: &str = "s3.example.cn:9000";

/// The secret of the published examples, and that of what botocore signed.
fn secret_of(key: &AccessKey) -> Secret {
    match key.as_str() {
        "KANDIANAK0001" => Secret::new("kandian-secret-0001"),
        _ => Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    }
}

/// A request whose signature is in a header, V4 or V2.
pub fn authorization(data: &[u8]) {
    let Some(head) = Head::read(data) else { return };
    claims(&head);
    let Ok(target) = Target::parse(head.target.path(), head.target.query()) else { return };
    // What we sign ourselves is believed, whatever the request is.
    if target.params().iter().any(|param| is_of_signatures(&param.name)) {
        return;
    }
    let (key, headers) = (example_key(), to_be_signed(&head.headers));
    let sign = to_sign(&head, &key, &headers);
    for more in [sign_v4(&sign, Content::Unsigned), sign_v4(&sign, Content::Sha256([7; 32])), sign_v2(&sign)] {
        let mut map = sent(&headers);
        for (name, value) in &more {
            map.insert(*name, HeaderValue::from_str(value).expect("a header that we made"));
        }
        let request = Request { method: &head.method, target: &target, headers: &map, host_bucket: None };
        let signed = verify(&request, MAY).expect("there are credentials");
        assert!(!signed.expect("we signed it").presigned);
        forge(&request, MAY);
    }
}

/// A request whose signature is in its query, V4 or V2.
pub fn presigned(data: &[u8]) {
    let Some(head) = Head::read(data) else { return };
    claims(&head);
    let Ok(target) = Target::parse(head.target.path(), head.target.query()) else { return };
    // Six parameters come to it.
    if target.params().iter().any(|param| is_of_signatures(&param.name)) || target.params().len() > 250 {
        return;
    }
    let (key, headers) = (example_key(), to_be_signed(&head.headers));
    let expires = 1 + u32::try_from(data.len()).unwrap_or(0) % 604_800;
    let query = presign_v4(&to_sign(&head, &key, &headers), expires);
    let target = Target::parse(head.target.path(), Some(&query)).expect("a query that we made");
    let map = sent(&headers);
    let request = Request { method: &head.method, target: &target, headers: &map, host_bucket: None };
    let end = MAY.plus(Duration::from_secs(expires.into()));
    for now in [MAY, end] {
        assert!(verify(&request, now).expect("there are credentials").expect("we signed it").presigned);
    }
    let late = verify(&request, Timestamp::from_millis(end.millis() + 1)).expect("there are credentials");
    assert!(late.is_err(), "past its end");
    forge(&request, MAY);
}

/// What a request as it came claims, and what comes of it.
fn claims(head: &Head) {
    let Ok(target) = Target::parse(head.target.path(), head.target.query()) else { return };
    let (bucket, key) = target.split().expect("the whole was decoded");
    assert!(target.decoded_path().starts_with('/') && bucket.len() + key.len() <= target.decoded_path().len());
    for host_bucket in [None, Some("johnsmith")] {
        let request = Request { method: &head.method, target: &target, headers: &head.headers, host_bucket };
        match read(&request) {
            Err(error) => modest(&error),
            Ok(None) => {}
            Ok(Some(claim)) => {
                let now = time_of(&claim, &request);
                match claim.verify(&request, &Key::new(secret_of(claim.access_key())), now, SKEW) {
                    Err(error) => modest(&error),
                    Ok(signed) => {
                        assert_eq!(signed.verified.access_key(), claim.access_key());
                        forge(&request, now);
                    }
                }
            }
        }
    }
}

/// The moment at which a claim is most likely to be good.
fn time_of(claim: &Claim, request: &Request<'_>) -> Timestamp {
    let expiry = || request.target.get("Expires").and_then(|at| at.parse().ok()).map(Timestamp::from_seconds);
    claim.date(request).or_else(expiry).unwrap_or(MAY)
}

/// `None`: the request is anonymous.
fn verify(request: &Request<'_>, now: Timestamp) -> Option<Result<Signed, SigError>> {
    let claim = match read(request) {
        Ok(claim) => claim?,
        Err(error) => return Some(Err(error)),
    };
    Some(claim.verify(request, &Key::new(secret_of(claim.access_key())), now, SKEW))
}

/// A request that is believed is not believed any more when anything of it is another.
fn forge(good: &Request<'_>, now: Timestamp) {
    let refused = |request: &Request<'_>, now, what: &str| {
        if let Some(Err(error)) = verify(request, now) {
            modest(&error);
        } else {
            panic!("{what}: {request:?}");
        }
    };
    let claim = read(good).expect("it was read before").expect("it had credentials");
    assert!(claim.verify(good, &Key::new(Secret::new("another")), now, SKEW).is_err(), "another secret");
    for off in [DAY * 8, DAY * 4000] {
        refused(good, now.plus(off), "late");
    }
    let method = if *good.method == Method::PUT { Method::DELETE } else { Method::PUT };
    refused(&Request { method: &method, ..*good }, now, "another method");

    let query: Vec<_> = good.target.params().iter().map(|p| (p.name.as_str(), p.value.as_str())).collect();
    let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let target = |path: String, query: String| Target::parse(&path, Some(&query));
    let raw = good.target.raw_path();
    for (path, query) in [
        (format!("{raw}x"), query.clone()),
        (format!("/other{raw}"), query.clone()),
        (raw.to_owned(), format!("{query}&versionId=1")),
        (raw.to_owned(), format!("{query}&partNumber=1")),
    ] {
        // There is a number of parameters that is too large.
        if let Ok(target) = target(path, query) {
            refused(&Request { target: &target, ..*good }, now, "another target");
        }
    }

    let mut headers = good.headers.clone();
    let copied = headers.get("x-amz-copy-source").map_or(b"/a/b".to_vec(), |v| [v.as_bytes(), b"c"].concat());
    headers.insert("x-amz-copy-source", HeaderValue::from_bytes(&copied).expect("it was one"));
    refused(&Request { headers: &headers, ..*good }, now, "another source");
    let mut headers = good.headers.clone();
    headers.append("x-amz-meta-fuzz", HeaderValue::from_static("more"));
    refused(&Request { headers: &headers, ..*good }, now, "a header more");
    let mut headers = good.headers.clone();
    headers.insert("x-amz-security-token", HeaderValue::from_static("token"));
    refused(&Request { headers: &headers, ..*good }, now, "a token");
}

/// An error says which rule failed, briefly, and never what would have been right.
fn modest(error: &SigError) {
    assert!(error.message.len() < 512, "{error:?}");
    assert!(!error.message.contains("wJalrXUtnFEMI"), "{error:?}");
}

fn example_key() -> AccessKey {
    "AKIAIOSFODNN7EXAMPLE".parse().expect("a key of AWS's examples")
}

fn is_of_signatures(name: &str) -> bool {
    let marks = ["awsaccesskeyid", "signature", "expires"];
    let name = name.to_ascii_lowercase();
    name.starts_with("x-amz-") || marks.contains(&name.as_str())
}

/// The headers of the request that belong to no signature, one of a name.
fn to_be_signed(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let of_signatures = ["authorization", "date", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];
    let others = headers.keys().map(http::HeaderName::as_str).filter(|name| !of_signatures.contains(name));
    others.filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?))).collect()
}

fn to_sign<'a>(head: &'a Head, key: &'a AccessKey, headers: &'a [(&'a str, &'a str)]) -> ToSign<'a> {
    ToSign {
        method: head.method.as_str(),
        host: HOST,
        path: head.target.path(),
        query: head.target.query().unwrap_or(""),
        headers,
        access_key: key,
        secret: example_secret(),
        region: "kandian",
        now: MAY,
    }
}

fn example_secret() -> &'static Secret {
    static SECRET: std::sync::OnceLock<Secret> = std::sync::OnceLock::new();
    SECRET.get_or_init(|| secret_of(&example_key()))
}

fn sent(headers: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert("host", HeaderValue::from_static(HOST));
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect("it was one");
        map.insert(name, HeaderValue::from_str(value).expect("it was one"));
    }
    map
}
