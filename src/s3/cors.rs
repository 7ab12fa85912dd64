//! CORS for reading: any page may play what a signed URL opens. The signature is the protection,
//! not the origin; a page never has our cookies, because this plane has none.

use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::empty;
use super::error::{Code, S3Error, S3Result};

const ANY: HeaderValue = HeaderValue::from_static("*");
/// How long a browser may remember a preflight, seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("3000");
const PREFLIGHT_VARIES: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
/// So much of what a page asks to send is echoed.
const ASKED_BYTES_MAX: usize = 4096;
/// What a page may see of an answer, beside every `x-amz-…` that is in it.
const EXPOSED: &str = "Accept-Ranges, Content-Length, Content-Range, Content-Type, Date, ETag, Last-Modified";

/// A preflight; it is never signed.
///
/// # Errors
/// 400 where it is none, 403 where a page asks for more than reading.
pub fn preflight(headers: &HeaderMap) -> S3Result<Response<Body>> {
    let missing = |what| S3Error::new(Code::BadRequest, format!("Insufficient information. {what} needed."));
    if !headers.contains_key(ORIGIN) {
        return Err(missing("Origin request header"));
    }
    let method = headers
        .get(ACCESS_CONTROL_REQUEST_METHOD)
        .ok_or_else(|| missing("Access-Control-Request-Method request header"))?;
    if method != "GET" && method != "HEAD" {
        return Err(S3Error::new(
            Code::AccessForbidden,
            "CORSResponse: This CORS request is not allowed. Pages may read (GET, HEAD).",
        ));
    }
    let mut response = empty(StatusCode::OK);
    let out = response.headers_mut();
    out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    out.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
    if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        if !is_list_of_names(asked.as_bytes()) {
            return Err(S3Error::new(Code::BadRequest, "Access-Control-Request-Headers is not a list of headers."));
        }
        out.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    out.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    out.insert(VARY, PREFLIGHT_VARIES);
    Ok(response)
}

/// Lets the page that asked see the answer to its GET or HEAD, an error too.
pub fn expose(method: &Method, request: &HeaderMap, response: &mut Response<Body>) {
    if !matches!(*method, Method::GET | Method::HEAD) || !request.contains_key(ORIGIN) {
        return;
    }
    let mut exposed = EXPOSED.to_owned();
    for name in response.headers().keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-")) {
        exposed.push_str(", ");
        exposed.push_str(name);
    }
    let out = response.headers_mut();
    out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    if let Ok(exposed) = HeaderValue::from_str(&exposed) {
        out.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    out.append(VARY, HeaderValue::from_static("Origin"));
}

fn is_list_of_names(value: &[u8]) -> bool {
    let in_name = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    value.len() <= ASKED_BYTES_MAX && value.iter().all(|b| in_name(b) || matches!(b, b',' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    const PAGE: (&str, &str) = ("origin", "https://shop.example");

    #[test]
    fn a_page_may_read_and_nothing_else() {
        let ask = |method| preflight(&headers(&[PAGE, ("access-control-request-method", method)]));
        let answer = ask("GET").unwrap();
        assert_eq!((answer.status(), &answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN]), (StatusCode::OK, &ANY));
        for method in ["PUT", "POST", "DELETE", "get"] {
            assert_eq!(ask(method).unwrap_err().code(), Code::AccessForbidden, "{method}");
        }
        assert_eq!(preflight(&headers(&[PAGE])).unwrap_err().code(), Code::BadRequest);
    }

    #[test]
    fn what_is_echoed_is_a_list_of_names() {
        let ask = |asked| {
            let page = [PAGE, ("access-control-request-method", "GET"), ("access-control-request-headers", asked)];
            preflight(&headers(&page))
        };
        assert_eq!(ask("range, x-amz-date").unwrap().headers()[ACCESS_CONTROL_ALLOW_HEADERS], "range, x-amz-date");
        assert!(ask("range\"<x>").is_err());
        assert!(ask(Box::leak("x".repeat(5000).into_boxed_str())).is_err());
    }

    #[test]
    fn an_answer_is_shown_to_the_page_that_asked_to_read_it() {
        let shown = |method, request: &HeaderMap| {
            let mut response = empty(StatusCode::NOT_FOUND);
            response.headers_mut().insert("x-amz-meta-a", HeaderValue::from_static("1"));
            expose(&method, request, &mut response);
            response.headers().get(ACCESS_CONTROL_EXPOSE_HEADERS).map(|v| v.to_str().unwrap().to_owned())
        };
        let seen = shown(Method::GET, &headers(&[PAGE])).unwrap();
        assert!(seen.contains("ETag") && seen.contains("x-amz-meta-a"), "{seen}");
        assert_eq!(shown(Method::PUT, &headers(&[PAGE])), None);
        assert_eq!(shown(Method::GET, &HeaderMap::new()), None);
    }
}
