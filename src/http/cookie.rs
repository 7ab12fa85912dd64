//! The cookie in which a browser keeps the portals' session, for the pages and for the API beside them.

use http::HeaderMap;
use http::header::COOKIE;

/// The session's cookie.
pub const SESSION_COOKIE: &str = "kandian";
/// The same over TLS: a browser takes it from no plain connection and for no other host.
pub const SECURED_SESSION_COOKIE: &str = "__Host-kandian";

/// The name of the session's cookie on a connection of this kind.
pub fn session_cookie_name(secured: bool) -> &'static str {
    if secured { SECURED_SESSION_COOKIE } else { SESSION_COOKIE }
}

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}
