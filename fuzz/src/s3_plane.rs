//! Requests to the S3 plane, whole: head and body, signed for whoever the header `key` names.

use axum::body::Body;
use http::{HeaderValue, Method, Request};
use kandian::domain::{AccessKey, Secret};
use kandian::wire::sig::{Content, ToSign, sign_v2, sign_v4};

use super::head::Head;
use super::s3_xml::texts;
use super::shop::{Answer, HOST, Shop, inside};

/// Asks, and looks at the answer.
pub fn run(data: &[u8]) {
    inside(false, async |shop| {
        let input = shop.fill(data);
        let Some(mut head) = Head::read(&input) else { return };
        let named = head.headers.remove("key");
        let key = match named.as_ref().map(HeaderValue::as_bytes) {
            Some(b"none") => None,
            Some(b"admin") => Some(&shop.admin),
            _ => Some(&shop.camera.key),
        };
        if let Some(key) = key {
            sign(&mut head, shop, key);
        }
        let anonymous = key.is_none() && !head.headers.contains_key("authorization");
        let (method, target) = (head.method.clone(), head.target.clone());
        let answer = shop.ask(&shop.s3, request(head)).await;
        let what = format!("{method} {target}: {}", answer.head.status);
        well_formed(&method, &answer, &what);
        if anonymous && answer.head.status.is_success() {
            // A form brings its signature in its body, a preflight needs none; whoever has signed a URL gave it away.
            assert!(method == Method::OPTIONS, "nobody was let in: {what}");
        }
    });
}

/// Puts the signature on, over all that is sent. Where the body's kind is said, it is V2's, which leaves that as it is.
fn sign(head: &mut Head, shop: &Shop, key: &(AccessKey, Secret)) {
    let mut names: Vec<_> = head.headers.keys().cloned().collect();
    names.retain(|name| name.as_str() != "host");
    for name in &names {
        // One of a name: what is doubled is refused anyhow.
        if let Some(value) = head.headers.get(name).cloned() {
            head.headers.insert(name, value);
        }
    }
    head.headers.insert("host", HeaderValue::from_static(HOST));
    let two = head.headers.contains_key("x-amz-content-sha256");
    let sent: Vec<(String, String)> = names
        .iter()
        .filter(|name| two || !matches!(name.as_str(), "authorization" | "x-amz-date" | "date"))
        .filter_map(|name| Some((name.to_string(), head.headers.get(name)?.to_str().ok()?.to_owned())))
        .collect();
    let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let sign = ToSign {
        method: head.method.as_str(),
        host: HOST,
        path: head.target.path(),
        query: head.target.query().unwrap_or(""),
        headers: &sent,
        access_key: &key.0,
        secret: &key.1,
        region: "kandian",
        now: shop.engine.now(),
    };
    let more = if two { sign_v2(&sign) } else { sign_v4(&sign, Content::Unsigned) };
    for (name, value) in more {
        if let Ok(value) = HeaderValue::from_str(&value) {
            head.headers.insert(name, value);
        }
    }
}

fn request(head: Head) -> Request<Body> {
    let mut request = Request::new(Body::from(head.body.clone()));
    *request.method_mut() = head.method;
    *request.uri_mut() = head.target.into();
    *request.headers_mut() = head.headers;
    let framed = ["content-length", "transfer-encoding"].iter().any(|name| request.headers().contains_key(*name));
    if !framed && !head.body.is_empty() {
        request.headers_mut().insert("content-length", head.body.len().into());
    }
    request
}

/// An answer is never that the appliance failed; a refusal says why in XML that can be read.
fn well_formed(method: &Method, answer: &Answer, what: &str) {
    assert_ne!(answer.head.status.as_u16(), 500, "{what}: {:?}", answer.body.as_deref().map(String::from_utf8_lossy));
    let Some(body) = &answer.body else { return };
    if method == Method::HEAD {
        assert!(body.is_empty(), "{what}");
    }
    let xml = answer.head.headers.get("content-type").is_some_and(|kind| kind == "application/xml");
    let refused = answer.head.status.is_client_error() || answer.head.status.is_server_error();
    if xml && refused && !body.is_empty() {
        let text = std::str::from_utf8(body).expect("XML is UTF-8");
        assert_eq!(texts(text, "Code").len(), 1, "{what}: {text}");
    }
}
