//! Which characters the bytes of a message are. Contract, section 5, "Character set".
//!
//! BOM, else the Content-Type's charset, else the XML declaration, else UTF-8. Nothing is guessed, and no byte that is
//! invalid is replaced: a wrong password must not become another wrong password.

use std::borrow::Cow;

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

/// Why the bytes are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCharset {
    /// A charset that is none of UTF-8, UTF-16, GB18030.
    #[error("the character set is not supported; use UTF-8, UTF-16, GBK, GB2312 or GB18030")]
    Unknown,
    /// The bytes are not valid in the charset that is said.
    #[error("the bytes are not valid in the declared character set")]
    Invalid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// `UTF-16` by name alone: the first bytes tell which, big-endian where they do not.
    Utf16,
    Gb18030,
}

/// The text of a message without its BOM.
pub fn decode<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Result<Cow<'a, str>, BadCharset> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return strict(encoding, bytes.get(length..).unwrap_or_default()).ok_or(BadCharset::Invalid);
    }
    if let Some(label) = content_type.and_then(charset_parameter) {
        let named = Charset::named(label).ok_or(BadCharset::Unknown)?;
        if let Some(text) = named.decode(bytes) {
            return Ok(text);
        }
        // A body in GBK under a header that some library always writes: the declaration knows better.
        let declared = declared(bytes).and_then(|label| Charset::named(&label)).filter(|&other| other != named);
        return declared.and_then(|other| other.decode(bytes)).ok_or(BadCharset::Invalid);
    }
    let charset = match declared(bytes) {
        Some(label) => Charset::named(&label).ok_or(BadCharset::Unknown)?,
        None => utf16_by_first_bytes(bytes).unwrap_or(Charset::Utf8),
    };
    charset.decode(bytes).ok_or(BadCharset::Invalid)
}

// === impl Charset ===

impl Charset {
    fn named(label: &str) -> Option<Self> {
        const NAMES: [(&str, Charset); 10] = [
            ("utf-8", Charset::Utf8),
            ("utf8", Charset::Utf8),
            ("utf-16", Charset::Utf16),
            ("utf-16le", Charset::Utf16Le),
            ("utf-16be", Charset::Utf16Be),
            ("gbk", Charset::Gb18030),
            ("gb2312", Charset::Gb18030),
            ("gb18030", Charset::Gb18030),
            ("cp936", Charset::Gb18030),
            ("utf16", Charset::Utf16),
        ];
        NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(label)).map(|&(_, charset)| charset)
    }

    fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Utf8 => strict(UTF_8, bytes),
            Self::Utf16Le => strict(UTF_16LE, bytes),
            Self::Utf16Be => strict(UTF_16BE, bytes),
            Self::Utf16 if utf16_by_first_bytes(bytes) == Some(Self::Utf16Le) => strict(UTF_16LE, bytes),
            Self::Utf16 => strict(UTF_16BE, bytes),
            Self::Gb18030 => strict(GB18030, bytes),
        }
    }
}

fn strict<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    encoding.decode_without_bom_handling_and_without_replacement(bytes)
}

/// The `charset` of a Content-Type, quotation marks cut; `None` where absent or empty.
fn charset_parameter(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']).trim();
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
    })
}

/// The `encoding` of an XML declaration that is written in something like ASCII.
fn declared(bytes: &[u8]) -> Option<String> {
    const DECLARATION_BYTES_MAX: usize = 256;
    let start = bytes.trim_ascii_start();
    let head = start.get(..start.len().min(DECLARATION_BYTES_MAX))?.strip_prefix(b"<?xml")?;
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let head = std::str::from_utf8(head.get(..end)?).ok()?;
    let after = head.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    after.strip_prefix(quote)?.split_once(quote).map(|(label, _)| label.trim().to_owned())
}

/// XML 1.0, appendix F: a `<` in two bytes.
fn utf16_by_first_bytes(bytes: &[u8]) -> Option<Charset> {
    match bytes {
        [b'<', 0, ..] => Some(Charset::Utf16Le),
        [0, b'<', ..] => Some(Charset::Utf16Be),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: &str = "江苏电信";

    fn utf16(text: &str, little: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    }

    fn gbk(text: &str) -> Vec<u8> {
        GB18030.encode(text).0.into_owned()
    }

    #[test]
    fn a_bom_beats_everything() {
        let mut bytes = vec![0xef, 0xbb, 0xbf];
        bytes.extend(NAME.bytes());
        assert_eq!(decode(&bytes, Some("text/xml; charset=GBK")).as_deref(), Ok(NAME));
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend(utf16(NAME, true));
        assert_eq!(decode(&bytes, Some("text/xml; charset=utf-8")).as_deref(), Ok(NAME));
        let mut bytes = vec![0xfe, 0xff];
        bytes.extend(utf16(NAME, false));
        assert_eq!(decode(&bytes, None).as_deref(), Ok(NAME));
    }

    #[test]
    fn the_header_comes_before_the_declaration() {
        let text = format!("<?xml version='1.0' encoding='utf-8'?>{NAME}");
        for label in ["GBK", "gb2312", "\"GB18030\"", "CP936", "'gbk'"] {
            let header = format!("text/xml;charset={label}; action=x");
            assert_eq!(decode(&gbk(&text), Some(&header)).as_deref(), Ok(text.as_str()), "{label}");
        }
    }

    #[test]
    fn a_gbk_body_under_a_utf8_header_is_read_by_its_declaration() {
        let text = format!("<?xml version=\"1.0\" encoding=\"GBK\"?>{NAME}");
        assert_eq!(decode(&gbk(&text), Some("text/xml; charset=utf-8")).as_deref(), Ok(text.as_str()));
        assert_eq!(decode(&gbk(&text), None).as_deref(), Ok(text.as_str()));
    }

    #[test]
    fn gbk_that_is_called_utf8_everywhere_is_refused() {
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{NAME}");
        for header in [None, Some("text/xml"), Some("text/xml; charset=utf-8")] {
            assert_eq!(decode(&gbk(&text), header), Err(BadCharset::Invalid), "{header:?}");
        }
        assert_eq!(decode(&gbk(NAME), None), Err(BadCharset::Invalid));
    }

    #[test]
    fn utf16_is_read_by_name_or_by_its_first_bytes() {
        let text = format!("<a>{NAME}</a>");
        for (little, label) in [(true, "utf-16le"), (true, "UTF-16"), (false, "utf-16be"), (false, "UTF-16")] {
            let header = format!("text/xml; charset={label}");
            assert_eq!(decode(&utf16(&text, little), Some(&header)).as_deref(), Ok(text.as_str()), "{label}");
            assert_eq!(decode(&utf16(&text, little), None).as_deref(), Ok(text.as_str()));
        }
        assert_eq!(decode(b"<a/>odd", Some("text/xml; charset=utf-16")), Err(BadCharset::Invalid));
    }

    #[test]
    fn other_character_sets_are_refused() {
        assert_eq!(decode(b"<a/>", Some("text/xml; charset=big5")), Err(BadCharset::Unknown));
        assert_eq!(decode(b"<?xml version='1.0' encoding='Shift_JIS'?><a/>", None), Err(BadCharset::Unknown));
        assert_eq!(decode(b"<a/>", Some("text/xml; charset=")).as_deref(), Ok("<a/>"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, header in proptest::option::of("text/xml; charset=\\PC{0,9}")) {
            let _ = decode(&bytes, header.as_deref());
        }
    }
}
