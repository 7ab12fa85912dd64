//! What stands in front of a stored file's bytes where a browser is given them: status and headers for playing it in
//! place or keeping it (RFC 9110, 6266). What was uploaded is believed in nothing: its type is what its bytes are, and
//! whatever is none of the kinds that a browser may have in place is only downloaded. Absent: the bytes, who may.

use std::ops::Range;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::media::Container;
use super::range::{self, Outcome, Ranged};
use super::s3_time;
use super::zip::Names;
use crate::domain::Timestamp;

/// Characters of a file's name, the last ones: they have the extension.
const NAME_CHARS_MAX: usize = 150;
/// What RFC 5987 lets stand as it is, of what we use.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// A stored file.
#[derive(Clone, Debug)]
pub struct File<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its tag, without quotation marks.
    pub etag: String,
    /// Its FileDate.
    pub modified: Timestamp,
    /// Its bytes.
    pub size: u64,
    /// What its bytes are.
    pub container: Container,
}

/// An answer without its bytes.
#[derive(Debug)]
pub struct Head {
    /// 200, 206, 304, 412 or 416.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Which bytes belong to it, of 200 and 206.
    pub bytes: Option<Range<u64>>,
}

/// The answer to a GET or HEAD with these headers; `keep` where the file is to be kept and not looked at.
pub fn answer(request: &HeaderMap, file: &File<'_>, keep: bool) -> Head {
    let mut head = Head { status: StatusCode::OK, headers: safe(), bytes: None };
    // What is looked at may lie in the user's own browser, which asks each time whether it still may show it.
    let cached = if file.container.is_picture() && !keep { "private, no-cache" } else { "private, no-store" };
    head.set(CACHE_CONTROL, cached);
    head.set(ETAG, &format!("\"{}\"", file.etag));
    head.set(LAST_MODIFIED, &s3_time::http_date(file.modified));
    match range::conditions(request, &file.etag, file.modified) {
        Outcome::Go => {}
        Outcome::NotModified => return head.without_body(StatusCode::NOT_MODIFIED),
        Outcome::Failed(_) => return head.without_body(StatusCode::PRECONDITION_FAILED),
    }
    head.set(ACCEPT_RANGES, "bytes");
    let bytes = match range::asked(request, &file.etag, file.modified, file.size) {
        Ranged::Whole => 0..file.size,
        Ranged::Part(part) => {
            head.status = StatusCode::PARTIAL_CONTENT;
            head.set(CONTENT_RANGE, &format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), file.size));
            part
        }
        Ranged::Unsatisfiable => {
            head.set(CONTENT_RANGE, &format!("bytes */{}", file.size));
            return head.without_body(StatusCode::RANGE_NOT_SATISFIABLE);
        }
    };
    let kind = file.container.content_type();
    head.set(CONTENT_TYPE, kind.unwrap_or("application/octet-stream"));
    head.set(CONTENT_LENGTH, &(bytes.end - bytes.start).to_string());
    let how = if keep || kind.is_none() { "attachment" } else { "inline" };
    head.set(CONTENT_DISPOSITION, &disposition(how, &file_name(file.key)));
    head.bytes = Some(bytes);
    head
}

/// The headers of a download that is made while it is sent: a name for it, its type.
pub fn made(name: &str, kind: &'static str) -> HeaderMap {
    let mut head = Head { status: StatusCode::OK, headers: safe(), bytes: None };
    head.set(CACHE_CONTROL, "private, no-store");
    head.set(CONTENT_TYPE, kind);
    head.set(CONTENT_DISPOSITION, &disposition("attachment", name));
    head.headers
}

/// What keeps bytes of a stranger from doing anything on the portal's origin.
fn safe() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let own = HeaderValue::from_static("same-origin");
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), own);
    headers
}

impl Head {
    /// What we write ourselves is ASCII and has no control characters.
    fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    fn without_body(mut self, status: StatusCode) -> Self {
        self.status = status;
        if status != StatusCode::NOT_MODIFIED {
            self.set(CONTENT_LENGTH, "0");
        }
        self
    }
}

/// A name that every system can keep a file under, of its key: folders become part of it, for cameras name by time and
/// the last part alone says little.
pub fn file_name(key: &str) -> String {
    let name = Names::default().name(key).replace('/', "-");
    let all = name.chars().count();
    name.chars().skip(all.saturating_sub(NAME_CHARS_MAX)).map(|c| if turns_text(c) { '_' } else { c }).collect()
}

/// Characters that are not seen and change how others are read: `gpj.exe` must not look like `exe.jpg`.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `Content-Disposition` (RFC 6266): the name for all, and the name as it is for those that can.
fn disposition(how: &str, name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._ ()+=@".contains(c);
    let fallback: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    format!("{how}; filename=\"{fallback}\"; filename*=UTF-8''{}", utf8_percent_encode(name, KEPT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    fn file(container: Container) -> File<'static> {
        let modified = Timestamp::from_seconds(1_369_353_600);
        File { key: "2026/11/25/店 一.mp4", etag: "abc".to_owned(), modified, size: 1000, container }
    }

    fn asked(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    fn text(head: &Head, name: &str) -> String {
        head.headers.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_player_gets_the_part_that_it_seeks_to() {
        let head = |pairs: &[(&'static str, &str)]| answer(&asked(pairs), &file(Container::Mp4), false);
        let whole = head(&[]);
        assert_eq!((whole.status, whole.bytes.clone()), (StatusCode::OK, Some(0..1000)));
        assert_eq!(text(&whole, "accept-ranges"), "bytes");
        assert_eq!(text(&whole, "content-type"), "video/mp4");
        assert!(text(&whole, "content-disposition").starts_with("inline; "));
        let part = head(&[("range", "bytes=100-199")]);
        assert_eq!((part.status, part.bytes.clone()), (StatusCode::PARTIAL_CONTENT, Some(100..200)));
        assert_eq!(
            (text(&part, "content-range"), text(&part, "content-length")),
            ("bytes 100-199/1000".into(), "100".into())
        );
        let tail = head(&[("range", "bytes=-1")]);
        assert_eq!(text(&tail, "content-range"), "bytes 999-999/1000");
        let past = head(&[("range", "bytes=1000-")]);
        assert_eq!((past.status, past.bytes.clone()), (StatusCode::RANGE_NOT_SATISFIABLE, None));
        assert_eq!(text(&past, "content-range"), "bytes */1000");
        // Two ranges are no player's.
        assert_eq!(head(&[("range", "bytes=0-1,5-6")]).bytes, Some(0..1000));
        // A part of another version is not put behind what one has.
        assert_eq!(head(&[("range", "bytes=1-"), ("if-range", "\"other\"")]).status, StatusCode::OK);
        assert_eq!(head(&[("range", "bytes=1-"), ("if-range", "\"abc\"")]).status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(head(&[("if-none-match", "\"abc\"")]).status, StatusCode::NOT_MODIFIED);
        assert_eq!(head(&[("if-match", "\"other\"")]).status, StatusCode::PRECONDITION_FAILED);
    }

    #[test]
    fn only_what_a_browser_may_have_in_place_is_inline_and_nothing_runs() {
        for container in [
            Container::Mp4,
            Container::MpegTs,
            Container::MpegPs,
            Container::Flv,
            Container::RawH264,
            Container::RawH265,
            Container::Matroska,
            Container::Avi,
            Container::Dhav,
            Container::Jpeg,
            Container::Png,
            Container::Gif,
            Container::WebP,
            Container::Bmp,
            Container::Unknown,
        ] {
            for keep in [false, true] {
                let head = answer(&HeaderMap::new(), &file(container), keep);
                assert_eq!(text(&head, "content-security-policy"), "sandbox; default-src 'none'");
                assert_eq!(text(&head, "x-content-type-options"), "nosniff");
                assert_eq!(text(&head, "cross-origin-resource-policy"), "same-origin");
                let (kind, how) = (text(&head, "content-type"), text(&head, "content-disposition"));
                let known = kind.starts_with("image/") || kind == "video/mp4";
                assert!(known || kind == "application/octet-stream", "{kind}");
                assert!(!kind.contains("svg") && !kind.contains("html") && !kind.contains("xml"), "{kind}");
                assert_eq!(how.starts_with("inline"), known && !keep, "{container:?} {how}");
                // A preview may be kept by the browser and is asked for again each time; nothing else is kept.
                let kept = if container.is_picture() && !keep { "private, no-cache" } else { "private, no-store" };
                assert_eq!(text(&head, "cache-control"), kept, "{container:?}");
            }
        }
    }

    #[test]
    fn a_name_says_when_and_is_safe_everywhere() {
        for (key, name) in [
            ("2026/11/25/000000.mp4", "2026-11-25-000000.mp4"),
            ("../../etc/passwd", ".._-.._-etc-passwd"),
            ("a\u{202e}gpj.exe", "a_gpj.exe"),
            ("con.txt", "_con.txt"),
            ("x\"y\\z.jpg", "x_y_z.jpg"),
        ] {
            assert_eq!(file_name(key), name, "{key}");
        }
        assert_eq!(
            disposition("attachment", &file_name("店/一 二.mp4")),
            "attachment; filename=\"_-_ _.mp4\"; filename*=UTF-8''%E5%BA%97-%E4%B8%80%20%E4%BA%8C.mp4"
        );
    }

    proptest! {
        #[test]
        fn every_key_has_a_name_that_fits_a_header(key in any::<String>()) {
            let name = file_name(&key);
            prop_assert!(!name.is_empty() && !name.contains(['/', '\\', '"']) && name.chars().count() <= NAME_CHARS_MAX);
            let value = disposition("inline", &name);
            prop_assert!(HeaderValue::from_str(&value).is_ok() && value.is_ascii(), "{value}");
        }

        #[test]
        fn no_headers_panic_and_bytes_stay_inside(range in ".{0,40}", tag in ".{0,20}", size in any::<u64>()) {
            let mut headers = HeaderMap::new();
            for (name, value) in [("range", &range), ("if-range", &tag), ("if-none-match", &tag)] {
                if let Ok(value) = HeaderValue::from_str(value) {
                    headers.insert(name, value);
                }
            }
            let head = answer(&headers, &File { size, ..file(Container::Mp4) }, false);
            if let Some(bytes) = head.bytes {
                prop_assert!(bytes.start <= bytes.end && bytes.end <= size);
            }
        }
    }
}
