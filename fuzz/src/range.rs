//! `Range`, and the conditions of a GET. A line `length header`, then lines of further headers.

use http::HeaderMap;
use kandian::domain::Timestamp;
use kandian::wire::range::{Outcome, Ranged, asked, conditions, range};

const ETAG: &str = "5d41402abc4b2a76b9719d911017c592";
const MODIFIED: Timestamp = Timestamp::from_seconds(1_369_353_600);

/// Reads a range of an object of a length, and the conditions.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let (length, header) = lines.next().unwrap_or("").split_once(' ').unwrap_or(("", ""));
    let length = length.parse::<u64>().unwrap_or(1000);
    let ranged = range(header, length);
    if let Ranged::Part(part) = &ranged {
        assert!(part.start < part.end && part.end <= length, "{header} of {length}: {part:?}");
        // As it is answered it is asked again, in all three forms.
        let (first, last) = (part.start, part.end - 1);
        assert_eq!(range(&format!("bytes={first}-{last}"), length), ranged);
        if part.end == length {
            assert_eq!(range(&format!("bytes={first}-"), length), ranged);
            assert_eq!(range(&format!("bytes=-{}", length - first), length), ranged);
        }
    }
    if ranged == Ranged::Unsatisfiable && length > 0 {
        assert_ne!(range("bytes=0-", length), Ranged::Unsatisfiable, "there is a byte to be had");
    }
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::from_bytes(name.as_bytes()), value.trim().parse()) {
            headers.append(name, value);
        }
    }
    match conditions(&headers, ETAG, MODIFIED) {
        Outcome::Go => {}
        Outcome::NotModified => {
            assert!(headers.keys().any(|name| name == "if-none-match" || name == "if-modified-since"))
        }
        Outcome::Failed(name) => assert!(headers.contains_key(name), "{name}"),
    }
    // With `If-Range` or without: what is asked is the range, or all of it.
    if let Ok(value) = header.parse() {
        headers.insert("range", value);
        let got = asked(&headers, ETAG, MODIFIED, length);
        assert!(got == Ranged::Whole || got == ranged, "{got:?} {ranged:?}");
        if !headers.contains_key("if-range") && header.is_ascii() && !header.contains('\t') {
            assert_eq!(got, ranged);
        }
    }
}
