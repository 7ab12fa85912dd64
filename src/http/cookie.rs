//! The cookie in which a browser keeps the portals' session, for the pages and for the API beside them.

use http::HeaderMap;
use http::header::COOKIE;

/// The session's cookie.
pub const SESSION_COOKIE: &str = "kandian";

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}
