//! Why a signature does not match, for whoever set the client up: what we would have signed, and which usual mistake
//! would make the signature right.
//!
//! A signature says nothing of what is wrong with it. But whoever has the secret can make the signatures that the known
//! mistakes would have given, and look whether the one that came is among them: then it is told for certain. Absent:
//! signatures. None that we compute leaves this room, and neither does anything of the secret.

mod v2;
mod v4;

use std::time::Duration;

use zeroize::Zeroizing;

use super::{Claim, Key, Kind, Request, SigError, canonical, too_far};
use crate::domain::{Secret, Timestamp};

/// Of a text that is kept of a request, so many bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// What the box knows of its surroundings.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Hosts under which clients may know it, with a port or without.
    pub hosts: Vec<String>,
    /// Regions that clients may think of.
    pub regions: Vec<String>,
}

/// What is signed of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signable {
    /// Of version 4.
    pub canonical_request: Option<String>,
    /// What the signature is made of.
    pub string_to_sign: String,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// `v2` or `v4`, `-presigned` where it came in the query.
    pub version: &'static str,
    /// By how many seconds the request's date is ahead of the box; behind where negative.
    pub seconds_ahead: Option<i64>,
    /// What the box would have signed.
    pub here: Signable,
    /// What the client has signed, where that could be told.
    pub there: Option<Signable>,
    /// In words: what is wrong. `None` where no usual mistake gives this signature.
    pub cause: Option<String>,
    /// Usual mistakes that were tried.
    pub tried: usize,
}

impl Explanation {
    /// Of what was signed in one version: the first of the `mistakes` that gives the signature that came is what was done.
    fn of<P>(
        version: &'static str,
        came: &P,
        mistakes: Vec<(String, P)>,
        gives: impl Fn(&P) -> bool,
        signable: impl Fn(&P) -> Signable,
    ) -> Self {
        let mut tried = 0;
        let mut found = None;
        for (what, parts) in mistakes {
            tried += 1;
            if gives(&parts) {
                found = Some((what, parts));
                break;
            }
        }
        let there = found.as_ref().map(|(_, parts)| signable(parts));
        let (here, cause) = (signable(came), found.map(|(what, _)| what));
        Self { version, seconds_ahead: None, here, there, cause, tried }
    }
}

impl Claim {
    /// Explains why the request is not believed; an `error` that says so itself is left to speak.
    pub fn explain(
        &self,
        request: &Request<'_>,
        key: &Key,
        hints: &Hints,
        now: Timestamp,
        skew: Duration,
    ) -> Explanation {
        let date = self.date(request);
        let (mut explained, presigned) = match &self.kind {
            Kind::V2(claim) => (v2::explain(claim, request, key, hints), claim.presigned()),
            Kind::V4(claim) => (v4::explain(claim, request, key, hints), claim.presigned()),
        };
        explained.seconds_ahead = date.map(|date| date.seconds().saturating_sub(now.seconds()));
        if let (Some(date), false) = (date, presigned)
            && too_far(date, now, skew)
        {
            let off = explained.seconds_ahead.unwrap_or(0);
            let (by, way) = (off.unsigned_abs(), if off < 0 { "behind" } else { "ahead of" });
            explained.cause = Some(format!(
                "the client's clock is {by} s {way} the box's, and s3.clock_skew is {} s: set the clock of the one \
                 that is wrong (NTP)",
                skew.as_secs()
            ));
        }
        explained
    }

    /// Whether the head of the request is signed as it should be, whatever its body is.
    pub fn head_is_right(
        &self,
        request: &Request<'_>,
        key: &Key,
        now: Timestamp,
        skew: Duration,
    ) -> Result<(), SigError> {
        self.verify(request, key, now, skew).map(|_| ())
    }
}

/// Text that is kept: what is no text is shown as such, and what is long is cut.
fn kept(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes)).into_owned();
    if bytes.len() > TEXT_BYTES_MAX {
        text.push_str("… (cut)");
    }
    text
}

/// Secrets as people get them wrong on the way into a camera, each with what was done to it.
fn secrets(secret: &Secret, access_key: &str) -> Vec<(&'static str, Zeroizing<String>)> {
    let sk = secret.expose();
    let of = |text: String| Zeroizing::new(text);
    let mut all = vec![
        ("the SK has a blank behind it", of(format!("{sk} "))),
        ("the SK has a blank before it", of(format!(" {sk}"))),
        ("the SK has a line feed behind it", of(format!("{sk}\n"))),
        ("the SK has a carriage return and a line feed behind it", of(format!("{sk}\r\n"))),
        ("the SK has a carriage return behind it", of(format!("{sk}\r"))),
        ("the SK has a tabulator behind it", of(format!("{sk}\t"))),
        ("the SK is in quotation marks", of(format!("\"{sk}\""))),
        ("the SK is in single quotation marks", of(format!("'{sk}'"))),
        ("the SK is in small letters", of(sk.to_ascii_lowercase())),
        ("the SK is in capital letters", of(sk.to_ascii_uppercase())),
        ("the SK is percent-encoded", of(canonical::encode(sk))),
        ("the AK is in the place of the SK", of(access_key.to_owned())),
        ("the SK is empty", of(String::new())),
    ];
    for cut in [1, 2] {
        if let Some((at, _)) = sk.char_indices().rev().nth(cut - 1) {
            let what = if cut == 1 {
                "the last letter of the SK is missing"
            } else {
                "the last two letters of the SK are missing"
            };
            all.push((what, of(sk[..at].to_owned())));
        }
    }
    if let Some(first) = sk.chars().next() {
        all.push(("the first letter of the SK is missing", of(sk[first.len_utf8()..].to_owned())));
    }
    all.retain(|(_, text)| text.as_str() != sk);
    all
}

/// Hosts that a client may have signed instead of the one that came, with how they come about.
fn hosts(request: &Request<'_>, hints: &Hints) -> Vec<(String, String)> {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let came = header("host").unwrap_or_default();
    let name = match came.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name.to_owned(),
        _ => came.clone(),
    };
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |host: String, why: &str| {
        if host != came && !host.is_empty() && !all.iter().any(|(known, _)| *known == host) {
            all.push((host, why.to_owned()));
        }
    };
    add(name.clone(), "the client signs the host without its port, and sends it with one");
    for header_name in ["x-forwarded-host", "x-original-host", "x-forwarded-server"] {
        if let Some(host) = header(header_name) {
            let why = "a proxy on the way has changed the Host header; let it send on the one that came to it";
            let first = host.split(',').next().unwrap_or_default().trim().to_owned();
            add(first.clone(), why);
            add(first.split(':').next().unwrap_or_default().to_owned(), why);
        }
    }
    let ports = ["80", "443", "8080", "9000"];
    for port in ports {
        add(format!("{name}:{port}"), "the client signs the host with a port, and sends it without or with another");
    }
    for host in &hints.hosts {
        let why = "the client signs the public address of the box, and another Host came: a proxy on the way has changed it; let it send on the one that came to it";
        add(host.clone(), why);
        let bare = host.split(':').next().unwrap_or_default();
        add(bare.to_owned(), why);
        let bucket = request.target.raw_path().trim_start_matches('/').split('/').next().unwrap_or_default();
        if !bucket.is_empty() {
            add(format!("{bucket}.{bare}"), "the client signs bucket.host, and the Host that came has no bucket");
        }
    }
    add(came.to_ascii_lowercase(), "the client signs the host in small letters, and sends it otherwise");
    all
}

/// Paths that a client may have signed instead of the one that came.
fn paths(request: &Request<'_>) -> Vec<(String, &'static str)> {
    let (raw, decoded) = (request.target.raw_path(), request.target.decoded_path());
    let mut all: Vec<(String, &'static str)> = Vec::new();
    let mut add = |path: String, why: &'static str| {
        if !path.is_empty() && !all.iter().any(|(known, _)| *known == path) {
            all.push((path, why));
        }
    };
    add(canonical::encode_path(raw), "the client signs the path encoded twice (S3 encodes it once)");
    add(decoded.to_owned(), "the client signs the path without encoding it");
    add(raw.replace('+', "%20"), "the client writes a blank of the path as + and signs it as %20");
    add(decoded.replace(' ', "+"), "the client signs a blank of the path as +");
    add(canonical::encode(decoded), "the client encodes the slashes of the path too");
    let lower = lower_escapes(&canonical::encode_path(decoded));
    add(lower, "the client signs the escapes of the path in small letters (%e4 for %E4)");
    add(normal(decoded), "the client signs the path with // and .. taken out (S3 does not normalise)");
    add(format!("{raw}/"), "the client signs a / behind the path that it does not send");
    if let Some(bare) = raw.strip_suffix('/') {
        add(bare.to_owned(), "the client signs the path without the / at its end");
    }
    let mut parts = raw.trim_start_matches('/').splitn(2, '/');
    if let (Some(_), Some(rest)) = (parts.next(), parts.next()) {
        add(
            format!("/{rest}"),
            "the client signs the path without its first part: a proxy has put that before it, or the client thinks of bucket.host",
        );
    }
    if let Some(bucket) = request.host_bucket {
        add(format!("/{bucket}{raw}"), "the client signs /bucket/key, and asks for /key of bucket.host");
    }
    all
}

fn lower_escapes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut left = 0;
    for c in path.chars() {
        if c == '%' {
            left = 3;
        }
        out.push(if left > 0 { c.to_ascii_lowercase() } else { c });
        left = usize::saturating_sub(left, 1);
    }
    out
}

/// As a library for web pages has a path.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let end = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    canonical::encode_path(&format!("/{}{end}", parts.join("/")))
}

#[cfg(test)]
mod tests;
