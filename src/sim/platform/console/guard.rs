//! Who may ask the console: nobody whom a page of somebody else sends.

use hyper::header::{self, HeaderName};
use hyper::{HeaderMap, Method, Uri};

/// What browsers say of where a request comes from.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses names that anybody may point at this machine, and forms of other pages.
///
/// # Errors
///
/// In words, why.
pub(super) fn look(method: &Method, headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).ok_or("a request names its host")?;
    let authority = host.parse::<http::uri::Authority>().map_err(|_| "the host is not one")?;
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    // A name of somebody else's may lead here (DNS rebinding); an address or localhost is what was typed.
    if !name.eq_ignore_ascii_case("localhost") && name.parse::<std::net::IpAddr>().is_err() {
        return Err("the console is called by its address, or as localhost");
    }
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let own = match text(header::ORIGIN) {
        Some(origin) => {
            let origin = origin.parse::<Uri>().ok();
            origin.as_ref().and_then(Uri::authority).is_some_and(|from| from.as_str().eq_ignore_ascii_case(host))
        }
        // No browser: none leaves both out when it sends a form.
        None => matches!(text(SITE), None | Some("same-origin" | "none")),
    };
    if own { Ok(()) } else { Err("this form comes from another page") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), hyper::header::HeaderValue::from_static(value)));
        look(method, &headers.collect()).is_ok()
    }

    #[test]
    fn names_of_others_and_forms_of_others_are_refused() {
        let (get, post) = (&Method::GET, &Method::POST);
        for host in ["127.0.0.1:9005", "localhost:9005", "[::1]:9005", "10.1.2.3:9005", "LOCALHOST"] {
            assert!(asked(get, &[("host", host)]), "{host}");
        }
        for host in ["evil.example:9005", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
            assert!(!asked(get, &[("host", host)]), "{host}");
        }
        assert!(!asked(get, &[]));
        let own = ("host", "127.0.0.1:9005");
        assert!(asked(post, &[own]), "curl");
        assert!(asked(post, &[own, ("origin", "http://127.0.0.1:9005")]));
        assert!(asked(post, &[own, ("sec-fetch-site", "same-origin")]));
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:9002"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!asked(post, &[own, (name, value)]), "{name}: {value}");
            assert!(asked(get, &[own, (name, value)]), "a link is no form");
        }
    }
}
