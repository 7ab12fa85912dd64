//! `Range` and the conditions of GET and HEAD, with S3's answers.

use std::ops::Range;

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::{HeaderMap, HeaderName};

use super::s3_time;
use crate::domain::Timestamp;

/// What a `Range` header comes to for an object of a certain length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranged {
    /// All of it, as 200: no range, several ranges, or one that cannot be read.
    Whole,
    /// These bytes, as 206.
    Part(Range<u64>),
    /// 416.
    Unsatisfiable,
}

/// Reads `bytes=a-b`, `bytes=a-`, `bytes=-n`.
pub fn range(header: &str, length: u64) -> Ranged {
    let Some(spec) = header.trim().strip_prefix("bytes=").map(str::trim) else {
        return Ranged::Whole;
    };
    let Some((first, last)) = spec.split_once('-').map(|(a, b)| (a.trim(), b.trim())) else {
        return Ranged::Whole;
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => Ranged::Whole,
        (Some(first), Some(_)) if first >= length => Ranged::Unsatisfiable,
        (Some(first), Some(last)) => Ranged::Part(first..last.saturating_add(1).min(length)),
        (Some(first), None) if last.is_empty() => {
            if first >= length {
                Ranged::Unsatisfiable
            } else {
                Ranged::Part(first..length)
            }
        }
        (None, Some(suffix)) if first.is_empty() => {
            if suffix == 0 || length == 0 {
                Ranged::Unsatisfiable
            } else {
                Ranged::Part(length.saturating_sub(suffix)..length)
            }
        }
        _ => Ranged::Whole,
    }
}

/// What of an object a GET or HEAD asks for: its `Range`, where it has one and `If-Range` lets it count.
pub fn asked(headers: &HeaderMap, etag: &str, modified: Timestamp, length: u64) -> Ranged {
    match headers.get(RANGE).and_then(|value| value.to_str().ok()) {
        Some(header) if if_range(headers, etag, modified) => range(header, length),
        _ => Ranged::Whole,
    }
}

/// Digits; what is too large for 64 bits is the largest number.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// What the conditions of a GET or HEAD come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answer it.
    Go,
    /// 304.
    NotModified,
    /// 412, and which condition it was.
    Failed(&'static str),
}

/// Holds the conditions against an object: If-Match before If-Unmodified-Since, If-None-Match
/// before If-Modified-Since; of each pair the second counts only where the first is not sent.
/// A date that cannot be read is no condition.
pub fn conditions(headers: &HeaderMap, etag: &str, modified: Timestamp) -> Outcome {
    let date = |name: &HeaderName| {
        headers.get(name).and_then(|v| v.to_str().ok()).and_then(s3_time::parse_any).map(Timestamp::seconds)
    };
    if let Some(listed) = tag_listed(headers, &IF_MATCH, etag) {
        if !listed {
            return Outcome::Failed("If-Match");
        }
    } else if date(&IF_UNMODIFIED_SINCE).is_some_and(|at| modified.seconds() > at) {
        return Outcome::Failed("If-Unmodified-Since");
    }
    if let Some(listed) = tag_listed(headers, &IF_NONE_MATCH, etag) {
        if listed {
            return Outcome::NotModified;
        }
    } else if date(&IF_MODIFIED_SINCE).is_some_and(|at| modified.seconds() <= at) {
        return Outcome::NotModified;
    }
    Outcome::Go
}

/// Whether a `Range` counts: there is no `If-Range`, or it names this very object.
pub fn if_range(headers: &HeaderMap, etag: &str, modified: Timestamp) -> bool {
    let Some(value) = headers.get(IF_RANGE) else {
        return true;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    match s3_time::parse_any(value) {
        Some(at) => at.seconds() == modified.seconds(),
        None => !value.trim().starts_with("W/") && bare(value) == etag,
    }
}

/// A tag without its quotation marks and weakness.
pub fn bare(tag: &str) -> &str {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(tag)
}

fn tag_listed(headers: &HeaderMap, name: &HeaderName, etag: &str) -> Option<bool> {
    headers.contains_key(name).then(|| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .map(bare)
            .any(|tag| tag == "*" || tag == etag)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    #[test]
    fn every_form_of_a_range_is_read_as_s3_reads_it() {
        for (header, length, wanted) in [
            ("bytes=0-0", 10, Ranged::Part(0..1)),
            ("bytes=2-5", 10, Ranged::Part(2..6)),
            ("bytes=2-500", 10, Ranged::Part(2..10)),
            ("bytes=7-", 10, Ranged::Part(7..10)),
            ("bytes=-3", 10, Ranged::Part(7..10)),
            ("bytes=-30", 10, Ranged::Part(0..10)),
            ("bytes=10-", 10, Ranged::Unsatisfiable),
            ("bytes=10-12", 10, Ranged::Unsatisfiable),
            ("bytes=-0", 10, Ranged::Unsatisfiable),
            ("bytes=0-", 0, Ranged::Unsatisfiable),
            ("bytes=-1", 0, Ranged::Unsatisfiable),
            ("bytes=5-3", 10, Ranged::Whole),
            ("bytes=0-1,3-4", 10, Ranged::Whole),
            ("bytes=a-b", 10, Ranged::Whole),
            ("bytes=-", 10, Ranged::Whole),
            ("lines=0-1", 10, Ranged::Whole),
            ("bytes=0-99999999999999999999999", 10, Ranged::Part(0..10)),
        ] {
            assert_eq!(range(header, length), wanted, "{header} of {length}");
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    #[test]
    fn a_tag_has_precedence_over_a_date() {
        let modified = Timestamp::from_millis(1_369_353_600_900);
        let (before, same) = ("Thu, 23 May 2013 00:00:00 GMT", "Fri, 24 May 2013 00:00:00 GMT");
        let check = |pairs: &[(&'static str, &str)]| conditions(&headers(pairs), "abc", modified);
        assert_eq!(check(&[]), Outcome::Go);
        assert_eq!(check(&[("if-match", "\"abc\""), ("if-unmodified-since", before)]), Outcome::Go);
        assert_eq!(check(&[("if-match", "\"x\", abc")]), Outcome::Go);
        assert_eq!(check(&[("if-match", "\"x\"")]), Outcome::Failed("If-Match"));
        assert_eq!(check(&[("if-unmodified-since", before)]), Outcome::Failed("If-Unmodified-Since"));
        assert_eq!(check(&[("if-unmodified-since", same)]), Outcome::Go);
        assert_eq!(check(&[("if-none-match", "abc"), ("if-modified-since", before)]), Outcome::NotModified);
        assert_eq!(check(&[("if-none-match", "x"), ("if-modified-since", same)]), Outcome::Go);
        assert_eq!(check(&[("if-modified-since", same)]), Outcome::NotModified);
        assert_eq!(check(&[("if-modified-since", before)]), Outcome::Go);
        assert_eq!(check(&[("if-modified-since", "soon")]), Outcome::Go);
        assert_eq!(check(&[("if-none-match", "*")]), Outcome::NotModified);
    }

    #[test]
    fn a_range_of_another_version_is_not_taken() {
        let modified = Timestamp::from_seconds(1_369_353_600);
        for (value, wanted) in [
            ("\"abc\"", true),
            ("W/\"abc\"", false),
            ("\"x\"", false),
            ("Fri, 24 May 2013 00:00:00 GMT", true),
            ("Fri, 24 May 2013 00:00:01 GMT", false),
        ] {
            assert_eq!(if_range(&headers(&[("if-range", value)]), "abc", modified), wanted, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_nor_outside(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", length in any::<u64>()) {
            if let Ranged::Part(part) = range(&header, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }

        #[test]
        fn no_header_panics(header in ".{0,60}", length in any::<u64>()) {
            let _ = range(&header, length);
        }
    }
}
