//! Heads of requests, written by hand and signed with a key that is derived once a day.

use std::io::Write as _;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::domain::{AccessKey, Secret, Timestamp};
use crate::wire::s3_time;
use crate::wire::sig::{self, ToSign};
use crate::world::Clock;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";

/// How requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Signing {
    /// HMAC-SHA1, as the cameras of 2014 do it
    V2,
    /// AWS4-HMAC-SHA256 with an unsigned payload
    V4,
    /// Not at all, for plain HTTP servers
    None,
}

/// Who asks, and whom.
#[derive(Clone)]
pub(super) struct Identity {
    /// `host[:port]`, as the Host header has it.
    pub(super) host: String,
    pub(super) access_key: AccessKey,
    pub(super) secret: Secret,
    pub(super) region: String,
    pub(super) signing: Signing,
}

/// Writes heads.
pub(super) struct Heads {
    identity: Identity,
    clock: Arc<dyn Clock>,
    moment: Moment,
    text: Vec<u8>,
}

/// What all requests of a second have in common.
struct Moment {
    second: i64,
    /// `20260102T030405Z`.
    date: String,
    /// `20260102/region/s3/aws4_request`.
    scope: String,
    /// The day's key, ready to be used.
    key: Option<Hmac<Sha256>>,
}

// === impl Heads ===

impl Heads {
    pub(super) fn new(identity: Identity, clock: Arc<dyn Clock>) -> Self {
        let moment = Moment { second: i64::MIN, date: String::new(), scope: String::new(), key: None };
        Self { identity, clock, moment, text: Vec::new() }
    }

    /// Writes the head of a request into `out`. Path and query are as they are sent; the query's parameters are in
    /// alphabetical order.
    pub(super) fn write(&mut self, method: &str, path: &str, query: &str, length: Option<u64>, out: &mut Vec<u8>) {
        out.clear();
        let mark = if query.is_empty() { "" } else { "?" };
        // Writing into memory cannot fail.
        let _ = write!(out, "{method} {path}{mark}{query} HTTP/1.1\r\nhost: {}\r\n", self.identity.host);
        if let Some(length) = length {
            let _ = write!(out, "content-length: {length}\r\n");
        }
        match self.identity.signing {
            Signing::None => {}
            Signing::V2 => self.sign_v2(method, path, query, out),
            Signing::V4 => self.sign_v4(method, path, query, out),
        }
        out.extend_from_slice(b"\r\n");
    }

    fn sign_v2(&self, method: &str, path: &str, query: &str, out: &mut Vec<u8>) {
        let identity = &self.identity;
        let signed = sig::sign_v2(&ToSign {
            method,
            host: &identity.host,
            path,
            query,
            headers: &[],
            access_key: &identity.access_key,
            secret: &identity.secret,
            region: &identity.region,
            now: self.clock.now(),
        });
        for (name, value) in signed {
            let _ = write!(out, "{name}: {value}\r\n");
        }
    }

    fn sign_v4(&mut self, method: &str, path: &str, query: &str, out: &mut Vec<u8>) {
        self.moment.is_now(self.clock.now(), &self.identity);
        let (moment, host, text) = (&self.moment, &self.identity.host, &mut self.text);
        text.clear();
        let _ = write!(
            text,
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{}\n\n\
             {SIGNED}\nUNSIGNED-PAYLOAD",
            moment.date,
        );
        let request: [u8; 32] = Sha256::digest(&*text).into();
        text.clear();
        let _ = write!(text, "{ALGORITHM}\n{}\n{}\n", moment.date, moment.scope);
        push_hex(text, &request);
        let Some(mut mac) = moment.key.clone() else { return };
        mac.update(text);
        let signature: [u8; 32] = mac.finalize().into_bytes().into();
        let _ = write!(
            out,
            "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: {}\r\n\
             authorization: {ALGORITHM} Credential={}/{}, SignedHeaders={SIGNED}, Signature=",
            moment.date, self.identity.access_key, moment.scope,
        );
        push_hex(out, &signature);
        out.extend_from_slice(b"\r\n");
    }
}

// === impl Moment ===

impl Moment {
    fn is_now(&mut self, now: Timestamp, identity: &Identity) {
        if self.second == now.seconds() {
            return;
        }
        let date = s3_time::basic(now);
        let day = date.get(..8).unwrap_or("");
        let scope = format!("{day}/{}/s3/aws4_request", identity.region);
        if self.key.is_none() || scope != self.scope {
            let mut key = format!("AWS4{}", identity.secret.expose()).into_bytes();
            for part in [day, &identity.region, "s3", "aws4_request"] {
                key = keyed(&key).chain_update(part).finalize().into_bytes().to_vec();
            }
            self.key = Some(keyed(&key));
        }
        (self.second, self.scope, self.date) = (now.seconds(), scope, date);
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

fn push_hex(out: &mut Vec<u8>, bytes: &[u8; 32]) {
    let mut digits = [0; 64];
    // Two digits a byte always fit.
    if hex::encode_to_slice(bytes, &mut digits).is_ok() {
        out.extend_from_slice(&digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_head_is_signed_as_the_wire_signs_it_and_anew_every_day() {
        for signing in [Signing::V4, Signing::V2, Signing::None] {
            let identity = Identity {
                host: "h:9000".to_owned(),
                access_key: "AK".parse().unwrap(),
                secret: Secret::new("SK"),
                region: "kandian".to_owned(),
                signing,
            };
            let clock = Arc::new(Hand(AtomicI64::new(1_767_322_799)));
            let mut heads = Heads::new(identity.clone(), clock.clone());
            let mut out = Vec::new();
            for (seconds, query) in [(0, ""), (0, "list-type=2&prefix=a%2F"), (1, ""), (86_400, "")] {
                clock.0.fetch_add(seconds, Ordering::Relaxed);
                heads.write("PUT", "/bucket/key", query, Some(5), &mut out);
                let text = String::from_utf8(out.clone()).unwrap();
                let to_sign = ToSign {
                    method: "PUT",
                    host: "h:9000",
                    path: "/bucket/key",
                    query,
                    headers: &[],
                    access_key: &identity.access_key,
                    secret: &identity.secret,
                    region: "kandian",
                    now: clock.now(),
                };
                let signed = match signing {
                    Signing::V4 => sig::sign_v4(&to_sign, sig::Content::Unsigned),
                    Signing::V2 => sig::sign_v2(&to_sign),
                    Signing::None => Vec::new(),
                };
                assert_eq!(text.lines().count(), 4 + signed.len(), "{text}");
                for (name, value) in signed {
                    assert!(text.contains(&format!("\r\n{name}: {value}\r\n")), "{name}: {value} is not in {text}");
                }
                let target = if query.is_empty() { "/bucket/key" } else { "/bucket/key?list-type=2&prefix=a%2F" };
                assert!(text.starts_with(&format!("PUT {target} HTTP/1.1\r\nhost: h:9000\r\ncontent-length: 5\r\n")));
                assert!(text.ends_with("\r\n\r\n"));
            }
        }
    }
}
