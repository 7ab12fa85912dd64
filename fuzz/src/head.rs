//! A request as text, which a person can read and a fuzzer can change: `METHOD target`, a line a header, an empty line,
//! the body.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// A request as it came.
pub struct Head {
    /// Its method.
    pub method: Method,
    /// Path and query, of characters that HTTP lets through.
    pub target: PathAndQuery,
    /// Its headers.
    pub headers: HeaderMap,
    /// What follows the empty line.
    pub body: Vec<u8>,
}

impl Head {
    /// Reads it; `None` for what no HTTP server would hand on.
    pub fn read(data: &[u8]) -> Option<Self> {
        let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
            Some(at) => (&data[..at], &data[at + 2..]),
            None => (data, &[][..]),
        };
        let mut lines = head.split(|b| *b == b'\n');
        let first = std::str::from_utf8(lines.next()?).ok()?;
        let (method, target) = first.split_once(' ')?;
        let target: PathAndQuery = target.parse().ok()?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let at = line.iter().position(|b| *b == b':')?;
            let name = HeaderName::from_bytes(&line[..at]).ok()?;
            let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?;
            headers.append(name, value);
        }
        let method = method.parse().ok()?;
        target.path().starts_with('/').then_some(Self { method, target, headers, body: body.to_vec() })
    }
}
