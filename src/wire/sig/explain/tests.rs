//! Each mistake is made, and has to be told from all the others.

use http::{HeaderMap, HeaderName, Method};

use super::super::{Content, Target, ToSign, read, sign_v2, sign_v4};
use super::*;
use crate::domain::AccessKey;

const SK: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const NOW: Timestamp = Timestamp::from_seconds(1_764_000_000);
const QUARTER: Duration = Duration::from_secs(900);

/// What a client signs, and what comes.
struct Mistake<'a> {
    secret: &'a str,
    signed: (&'a str, &'a str, &'a str, &'a str),
    came: (&'a str, &'a str, &'a str, &'a str),
    headers: &'a [(&'a str, &'a str)],
    /// Headers that come otherwise than they were signed.
    changed: &'a [(&'a str, &'a str)],
    at: Timestamp,
}

impl Default for Mistake<'_> {
    fn default() -> Self {
        let right = ("PUT", "box.example.cn:9000", "/bucket/a%20b", "");
        Self { secret: SK, signed: right, came: right, headers: &[], changed: &[], at: NOW }
    }
}

impl Mistake<'_> {
    fn explained(&self, version: u8) -> Explanation {
        let access_key: AccessKey = "AKIAIOSFODNN7EXAMPLE".parse().expect("a key");
        let (method, host, path, query) = self.signed;
        let secret = Secret::new(self.secret);
        let to_sign = ToSign {
            method,
            host,
            path,
            query,
            headers: self.headers,
            access_key: &access_key,
            secret: &secret,
            region: "kandian",
            now: self.at,
        };
        let signed = match version {
            2 => sign_v2(&to_sign),
            _ => sign_v4(&to_sign, Content::Unsigned),
        };
        let mut headers = HeaderMap::new();
        let given = self.headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        for (name, value) in given.chain(signed) {
            headers.insert(HeaderName::try_from(name).expect("a name"), value.parse().expect("a value"));
        }
        let (method, host, path, query) = self.came;
        headers.insert("host", host.parse().expect("a host"));
        for (name, value) in self.changed {
            headers.insert(HeaderName::try_from(*name).expect("a name"), value.parse().expect("a value"));
        }
        let target = Target::parse(path, Some(query)).expect("a target");
        let method: Method = method.parse().expect("a method");
        let request = Request { method: &method, target: &target, headers: &headers, host_bucket: None };
        let claim = read(&request).expect("readable").expect("signed");
        let key = Key::new(Secret::new(SK));
        let hints = Hints { hosts: vec!["store.example.cn".to_owned()], regions: vec!["kandian".to_owned()] };
        claim.explain(&request, &key, &hints, NOW, QUARTER)
    }

    /// The cause, once nothing that is told has the secret in it.
    fn cause(&self, version: u8) -> String {
        let explained = self.explained(version);
        let all = format!("{explained:?}");
        assert!(!all.contains(SK) && !all.contains(&SK[..20]), "{all}");
        explained.cause.unwrap_or_else(|| panic!("nothing of {} explains it", explained.tried))
    }
}

#[test]
fn a_secret_that_was_typed_wrongly_is_told_and_not_shown() {
    for (secret, words) in [
        (format!("{SK} "), "a blank behind it"),
        (format!("{SK}\n"), "a line feed behind it"),
        (format!(" {SK}"), "a blank before it"),
        (format!("\"{SK}\""), "in quotation marks"),
        (SK.to_lowercase(), "in small letters"),
        ("AKIAIOSFODNN7EXAMPLE".to_owned(), "the AK is in the place of the SK"),
        (SK[..SK.len() - 1].to_owned(), "the last letter"),
    ] {
        for version in [2, 4] {
            let cause = Mistake { secret: &secret, ..Mistake::default() }.cause(version);
            assert!(cause.contains(words), "{words}: {cause}");
        }
    }
    for version in [2, 4] {
        let explained = Mistake { secret: "another", ..Mistake::default() }.explained(version);
        assert_eq!((explained.cause, explained.there), (None, None));
        assert!(explained.tried > 20, "{}", explained.tried);
    }
}

#[test]
fn a_host_or_a_header_that_was_changed_on_the_way_is_named() {
    let host = |signed| ("PUT", signed, "/bucket/a%20b", "");
    let cause = Mistake { signed: host("store.example.cn"), ..Mistake::default() }.cause(4);
    assert!(cause.contains("proxy") && cause.contains("\"store.example.cn\""), "{cause}");
    let forwarded = [("x-forwarded-host", "other.example.cn")];
    let cause = Mistake { signed: host("other.example.cn"), changed: &forwarded, ..Mistake::default() }.cause(4);
    assert!(cause.contains("proxy") && cause.contains("other.example.cn"), "{cause}");
    let cause = Mistake { signed: host("box.example.cn"), ..Mistake::default() }.cause(4);
    assert!(cause.contains("without its port"), "{cause}");
    let headers = [("content-type", "video/mp4")];
    let changed = [("content-type", "video/mp4; charset=utf-8")];
    for version in [2, 4] {
        let cause = Mistake { headers: &headers, changed: &changed, ..Mistake::default() }.cause(version);
        assert!(cause.to_lowercase().contains("content-type") && cause.contains("video/mp4"), "{cause}");
    }
}

#[test]
fn a_path_or_a_query_that_is_signed_otherwise_is_named() {
    let put = |path, query| ("PUT", "box.example.cn:9000", path, query);
    let came = put("/bucket/a%20b", "");
    let cause = Mistake { signed: put("/bucket/a%2520b", ""), came, ..Mistake::default() }.cause(4);
    assert!(cause.contains("encoded twice"), "{cause}");
    let cause = Mistake { signed: put("/a%20b", ""), came, ..Mistake::default() }.cause(4);
    assert!(cause.contains("without its first part"), "{cause}");
    let came = put("/bucket/k", "partNumber=1&uploadId=x");
    let cause = Mistake { signed: put("/bucket/k", ""), came, ..Mistake::default() }.cause(2);
    assert!(cause.contains("sub-resources"), "{cause}");
    let cause = Mistake { signed: put("/bucket/k", ""), came, ..Mistake::default() }.cause(4);
    assert!(cause.contains("does not sign the parameters"), "{cause}");
    let cause = Mistake { signed: ("POST", "box.example.cn:9000", "/bucket/a%20b", ""), ..Mistake::default() }.cause(2);
    assert!(cause.contains("signs POST, and sends PUT"), "{cause}");
}

#[test]
fn a_clock_that_is_off_is_told_with_how_far() {
    let at = NOW.plus(Duration::from_secs(3600));
    for version in [2, 4] {
        let explained = Mistake { at, ..Mistake::default() }.explained(version);
        assert_eq!(explained.seconds_ahead, Some(3600));
        assert!(explained.cause.is_some_and(|cause| cause.contains("3600 s ahead of the box's")));
    }
}

#[test]
fn both_texts_are_there_and_differ_where_the_mistake_is() {
    let signed = ("PUT", "box.example.cn:9000", "/bucket/a%2520b", "");
    let explained = Mistake { signed, ..Mistake::default() }.explained(4);
    let lines =
        |of: &Signable| of.canonical_request.clone().unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let (here, there) = (lines(&explained.here), lines(&explained.there.expect("told")));
    let differ: Vec<_> = here.iter().zip(&there).filter(|(a, b)| a != b).collect();
    assert_eq!(differ, [(&"/bucket/a%20b".to_owned(), &"/bucket/a%2520b".to_owned())]);
    assert!(explained.here.string_to_sign.starts_with("AWS4-HMAC-SHA256\n20251124T"), "{:?}", explained.here);
}

#[test]
fn a_long_text_is_cut() {
    assert_eq!(kept(b"abc"), "abc");
    assert!(kept(&[b'x'; TEXT_BYTES_MAX + 1]).ends_with("… (cut)"));
}
