//! Requests to the portals: a head, whose header `as` says whose session it is in, and the fields of a form as its body.

use axum::body::Body;
use http::{HeaderValue, Method, Request};
use kandian::http::SESSION_COOKIE;

use super::head::Head;
use super::shop::inside;

/// Texts that may be in no page as they are: whoever gets one in has a script in it.
const MARKS: [&str; 3] = ["<zq", "\"zq", "'zq"];

/// Asks for a page, or sends a form.
pub fn run(data: &[u8]) {
    inside(true, async |shop| {
        let input = shop.fill(data);
        let Some(head) = Head::read(&input) else { return };
        let session = match head.headers.get("as").map(HeaderValue::as_bytes) {
            Some(b"operations") => Some(&shop.sessions[0]),
            Some(b"province") => Some(&shop.sessions[1]),
            _ => None,
        };
        let mut request = Request::new(Body::from(head.body.clone()));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = head.target.clone().into();
        *request.headers_mut() = head.headers;
        request.headers_mut().remove("as");
        if let Some((token, _)) = session {
            let cookie = format!("{SESSION_COOKIE}={token}");
            request.headers_mut().insert("cookie", HeaderValue::from_str(&cookie).expect("a token"));
        }
        let answer = shop.ask(&shop.portal, request).await;
        let what = format!("{} {}: {}", head.method, head.target, answer.head.status);
        assert_ne!(answer.head.status.as_u16(), 500, "{what}");
        assert!(answer.head.headers.contains_key("content-security-policy"), "{what}");
        let kind = answer.head.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/html") {
            let page = String::from_utf8(answer.body.unwrap_or_default()).expect("pages are UTF-8");
            assert!(page.len() < 512 << 10, "{what}: a page of {} bytes", page.len());
            for mark in MARKS {
                // Behind an equals sign the quotation mark is our own, and what was typed begins behind it.
                let is_ours = |at: usize| mark.starts_with('"') && page[..at].ends_with('=');
                let typed = page.match_indices(mark).any(|(at, _)| !is_ours(at));
                assert!(!typed, "{what}: {mark} in the page");
            }
        }
        if session.is_none() && answer.head.status.is_success() && head.method != Method::HEAD {
            let open = ["/sign-in", "/setup", "/assets/", "/about", "/language", "/theme", "/preferences"];
            let path = head.target.path();
            assert!(open.iter().any(|open| path.starts_with(open)), "nobody was let in: {what}");
        }
    });
}
