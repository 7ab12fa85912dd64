//! S3's XML: the answers that are written and the bodies that are read.

mod attributes;
mod delete;
mod small;
mod versions;

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

pub use attributes::{Attributes, Parts, attributes};
pub use delete::{Doomed, Fate, deleted, read_delete};
pub use small::{copied, legal_hold, posted, private_acl, read_create_bucket, read_legal_hold};
pub use versions::{VersionListing, versions};

use super::{s3_checksum, s3_time};
use crate::domain::object::is_xml_char;
use crate::domain::{Checksum, ChecksumKind, ChecksumPlan, Timestamp, limits};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// `encoding-type=url`: everything but RFC 3986's unreserved characters and the slash.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Writes one document.
struct Writer(String);

impl Writer {
    fn new(root: &str) -> Self {
        Self(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">"))
    }

    fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.open(name);
        if value.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'<' | b'>' | b'&' | b'"' | b'\'')) {
            // Nearly all of a list.
            self.0.push_str(value);
        } else {
            // What XML cannot carry can only come from a request that is echoed.
            let clean = value.replace(|c| !is_xml_char(c), "\u{fffd}");
            self.0.push_str(&escape(clean.as_str()));
        }
        self.close(name)
    }

    fn open(&mut self, name: &str) -> &mut Self {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        self
    }

    fn close(&mut self, name: &str) -> &mut Self {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
        self
    }

    /// An entity tag, which is digits, with its quotation marks.
    fn tag(&mut self, etag: &str) -> &mut Self {
        self.open("ETag");
        for piece in ["&quot;", etag, "&quot;"] {
            self.0.push_str(piece);
        }
        self.close("ETag")
    }

    fn number(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        use std::fmt::Write as _;
        self.open(name);
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{value}");
        self.close(name)
    }

    fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.text(name, if value { "true" } else { "false" })
    }

    fn owner(&mut self, element: &str, id: &str) -> &mut Self {
        self.open(element).text("ID", id).text("DisplayName", id).close(element)
    }

    fn checksum(&mut self, checksum: &Checksum) -> &mut Self {
        self.text(&format!("Checksum{}", checksum.kind.name()), &s3_checksum::encode(checksum))
    }

    /// Which checksum a multipart upload is to have.
    fn plan(&mut self, plan: Option<ChecksumPlan>) -> &mut Self {
        if let Some(plan) = plan {
            self.text("ChecksumAlgorithm", plan.kind.name()).text("ChecksumType", plan.covers.word());
        }
        self
    }

    fn end(mut self, root: &str) -> String {
        self.close(root);
        self.0
    }
}

fn url(text: &str, encoded: bool) -> Cow<'_, str> {
    if encoded { utf8_percent_encode(text, URL).into() } else { Cow::Borrowed(text) }
}

/// Encoded so far as it must be: reads alike to who undoes it and, nearly always, to who does not.
fn barely_url(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '+') || !is_xml_char(c) {
            out.extend(utf8_percent_encode(c.encode_utf8(&mut [0; 4]), URL));
        } else {
            out.push(c);
        }
    }
    out
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// An error's body.
pub fn error(code: &str, message: &str, resource: &str, request_id: &str, host_id: &str) -> String {
    let mut w = Writer("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>".to_owned());
    w.text("Code", code).text("Message", message).text("Resource", resource);
    w.text("RequestId", request_id).text("HostId", host_id);
    w.end("Error")
}

/// `ListAllMyBucketsResult`: names and when they were made; `next` is where there is more.
pub fn buckets(owner: &str, buckets: &[(&str, Timestamp)], prefix: &str, next: Option<&str>) -> String {
    let mut w = Writer::new("ListAllMyBucketsResult");
    w.owner("Owner", owner).open("Buckets");
    for (name, created) in buckets {
        w.open("Bucket").text("Name", name).text("CreationDate", &s3_time::iso(*created)).close("Bucket");
    }
    w.close("Buckets");
    if !prefix.is_empty() {
        w.text("Prefix", prefix);
    }
    if let Some(token) = next {
        w.text("ContinuationToken", token);
    }
    w.end("ListAllMyBucketsResult")
}

/// `LocationConstraint`.
pub fn location(region: &str) -> String {
    let mut w = Writer::new("LocationConstraint");
    w.0.push_str(&escape(region));
    w.end("LocationConstraint")
}

/// `VersioningConfiguration` of a bucket that has none.
pub fn versioning() -> String {
    Writer::new("VersioningConfiguration").end("VersioningConfiguration")
}

/// `Tagging` of an object that has no tags.
pub fn no_tags() -> String {
    let mut w = Writer::new("Tagging");
    w.open("TagSet").close("TagSet");
    w.end("Tagging")
}

/// One file of a list.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its key.
    pub key: &'a str,
    /// When it was stored.
    pub modified: Timestamp,
    /// Its tag, without quotation marks.
    pub etag: String,
    /// Payload bytes.
    pub size: u64,
}

/// A page of a list of files.
#[derive(Clone, Debug)]
pub struct Listing<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// As asked.
    pub prefix: &'a str,
    /// As asked; empty: none.
    pub delimiter: &'a str,
    /// As asked, at most 1,000.
    pub max_keys: usize,
    /// Whether names are percent-encoded.
    pub url_encoded: bool,
    /// Files, by key.
    pub entries: Vec<Entry<'a>>,
    /// Common prefixes, by name.
    pub prefixes: &'a [String],
    /// Whether there is more.
    pub truncated: bool,
    /// Whose files they are.
    pub owner: &'a str,
    /// What differs between the two versions.
    pub version: ListVersion<'a>,
}

/// What differs between `ListObjects` and `ListObjectsV2`.
#[derive(Clone, Debug)]
pub enum ListVersion<'a> {
    /// `ListObjects`
    V1 {
        /// As asked.
        marker: &'a str,
        /// Where there is more and a delimiter.
        next_marker: Option<&'a str>,
    },
    /// `ListObjectsV2`
    V2 {
        /// As asked.
        start_after: Option<&'a str>,
        /// As asked.
        token: Option<&'a str>,
        /// Where there is more.
        next_token: Option<String>,
        /// Whether each file names its owner.
        fetch_owner: bool,
    },
}

/// `ListBucketResult`.
pub fn list(page: &Listing<'_>) -> String {
    let name = |text| url(text, page.url_encoded);
    let mut w = Writer::new("ListBucketResult");
    w.text("Name", page.bucket);
    match &page.version {
        // Not every client undoes the encoding here: botocore does not.
        ListVersion::V1 { .. } if page.url_encoded => w.text("Prefix", &barely_url(page.prefix)),
        _ => w.text("Prefix", &name(page.prefix)),
    };
    let owner = match &page.version {
        ListVersion::V1 { marker, next_marker } => {
            w.text("Marker", &name(marker));
            if let Some(next) = next_marker {
                w.text("NextMarker", &name(next));
            }
            true
        }
        ListVersion::V2 { start_after, token, next_token, fetch_owner } => {
            w.number("KeyCount", page.entries.len() + page.prefixes.len());
            if let Some(after) = start_after {
                w.text("StartAfter", &name(after));
            }
            if let Some(token) = token {
                w.text("ContinuationToken", token);
            }
            if let Some(next) = next_token {
                w.text("NextContinuationToken", next);
            }
            *fetch_owner
        }
    };
    w.number("MaxKeys", page.max_keys);
    if !page.delimiter.is_empty() {
        w.text("Delimiter", &name(page.delimiter));
    }
    w.flag("IsTruncated", page.truncated);
    if page.url_encoded {
        w.text("EncodingType", "url");
    }
    // So many bytes has an entry with a key of some fifty.
    w.0.reserve(page.entries.len() * 256);
    for entry in &page.entries {
        w.open("Contents").text("Key", &name(entry.key)).text("LastModified", &s3_time::iso(entry.modified));
        w.tag(&entry.etag).number("Size", entry.size);
        if owner {
            w.owner("Owner", page.owner);
        }
        w.text("StorageClass", "STANDARD").close("Contents");
    }
    common_prefixes(&mut w, page.prefixes, page.url_encoded);
    w.end("ListBucketResult")
}

fn common_prefixes(w: &mut Writer, prefixes: &[String], url_encoded: bool) {
    for prefix in prefixes {
        w.open("CommonPrefixes").text("Prefix", &url(prefix, url_encoded)).close("CommonPrefixes");
    }
}

/// `InitiateMultipartUploadResult`.
pub fn multipart_created(bucket: &str, key: &str, upload_id: &str) -> String {
    let mut w = Writer::new("InitiateMultipartUploadResult");
    w.text("Bucket", bucket).text("Key", key).text("UploadId", upload_id);
    w.end("InitiateMultipartUploadResult")
}

/// `CompleteMultipartUploadResult`.
pub fn multipart_completed(location: &str, bucket: &str, key: &str, etag: &str, checksum: Option<&Checksum>) -> String {
    let mut w = Writer::new("CompleteMultipartUploadResult");
    w.text("Location", location).text("Bucket", bucket).text("Key", key).text("ETag", &quoted(etag));
    if let Some(checksum) = checksum {
        w.checksum(checksum).text("ChecksumType", checksum.covers().word());
    }
    w.end("CompleteMultipartUploadResult")
}

/// One part of a list of parts.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// 1 to 10,000.
    pub number: u16,
    /// When it was stored.
    pub modified: Timestamp,
    /// Its tag.
    pub etag: String,
    /// Its checksum.
    pub checksum: Option<&'a Checksum>,
    /// Payload bytes.
    pub size: u64,
}

/// A page of a list of parts.
#[derive(Clone, Debug)]
pub struct PartListing<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The upload.
    pub upload_id: &'a str,
    /// As asked.
    pub marker: u16,
    /// As asked, at most 1,000.
    pub max_parts: usize,
    /// Whether names are percent-encoded.
    pub url_encoded: bool,
    /// Whether there is more.
    pub truncated: bool,
    /// Whose upload it is.
    pub owner: &'a str,
    /// Which checksum the object is to have.
    pub plan: Option<ChecksumPlan>,
    /// By number.
    pub parts: Vec<Part<'a>>,
}

/// `ListPartsResult`.
pub fn parts(page: &PartListing<'_>) -> String {
    let mut w = Writer::new("ListPartsResult");
    w.text("Bucket", page.bucket).text("Key", &url(page.key, page.url_encoded)).text("UploadId", page.upload_id);
    w.owner("Initiator", page.owner).owner("Owner", page.owner).text("StorageClass", "STANDARD");
    let next = page.parts.last().map_or(page.marker, |part| part.number);
    w.number("PartNumberMarker", page.marker).number("NextPartNumberMarker", next);
    w.number("MaxParts", page.max_parts).flag("IsTruncated", page.truncated).plan(page.plan);
    if page.url_encoded {
        w.text("EncodingType", "url");
    }
    for part in &page.parts {
        w.open("Part").number("PartNumber", part.number).text("LastModified", &s3_time::iso(part.modified));
        w.text("ETag", &quoted(&part.etag)).number("Size", part.size);
        if let Some(checksum) = part.checksum {
            w.checksum(checksum);
        }
        w.close("Part");
    }
    w.end("ListPartsResult")
}

/// An upload of a list of uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The key that it will have.
    pub key: String,
    /// Its id.
    pub id: String,
    /// When it was begun.
    pub begun: Timestamp,
    /// Which checksum it is to have.
    pub plan: Option<ChecksumPlan>,
}

/// A page of a list of uploads.
#[derive(Clone, Debug)]
pub struct UploadListing<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// As asked.
    pub prefix: &'a str,
    /// As asked; empty: none.
    pub delimiter: &'a str,
    /// As asked.
    pub key_marker: &'a str,
    /// As asked.
    pub upload_id_marker: &'a str,
    /// As asked, at most 1,000.
    pub max_uploads: usize,
    /// Whether names are percent-encoded.
    pub url_encoded: bool,
    /// Key and upload to go on after, where there is more.
    pub next: Option<(String, String)>,
    /// Whose uploads they are.
    pub owner: &'a str,
    /// By key, then by id.
    pub uploads: Vec<Upload>,
    /// Common prefixes, by name.
    pub prefixes: Vec<String>,
}

/// `ListMultipartUploadsResult`.
pub fn uploads(page: &UploadListing<'_>) -> String {
    let name = |text| url(text, page.url_encoded);
    let mut w = Writer::new("ListMultipartUploadsResult");
    w.text("Bucket", page.bucket).text("KeyMarker", &name(page.key_marker));
    w.text("UploadIdMarker", page.upload_id_marker);
    if let Some((key, id)) = &page.next {
        w.text("NextKeyMarker", &name(key)).text("NextUploadIdMarker", id);
    }
    w.text("Prefix", &name(page.prefix));
    if !page.delimiter.is_empty() {
        w.text("Delimiter", &name(page.delimiter));
    }
    w.number("MaxUploads", page.max_uploads).flag("IsTruncated", page.next.is_some());
    if page.url_encoded {
        w.text("EncodingType", "url");
    }
    for upload in &page.uploads {
        w.open("Upload").text("Key", &name(&upload.key)).text("UploadId", &upload.id);
        w.owner("Initiator", page.owner).owner("Owner", page.owner).text("StorageClass", "STANDARD");
        w.text("Initiated", &s3_time::iso(upload.begun)).plan(upload.plan).close("Upload");
    }
    common_prefixes(&mut w, &page.prefixes, page.url_encoded);
    w.end("ListMultipartUploadsResult")
}

/// A body that is not the XML that was asked for. S3 `MalformedXML`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The XML you provided was not well-formed or did not validate against our published schema")]
pub struct MalformedXml;

/// A part as `CompleteMultipartUpload` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompletedPart {
    /// 1 to 10,000.
    pub number: u16,
    /// Its tag, quotation marks cut.
    pub etag: String,
    /// Its checksums, as they were sent.
    pub checksums: Vec<(ChecksumKind, String)>,
}

/// Reads `CompleteMultipartUpload`: the parts in the client's order.
/// Namespaces and elements that are not known are passed over.
///
/// # Errors
/// [`MalformedXml`]: not XML, a DOCTYPE, too deep, no part, a part without number or tag.
pub fn read_complete(body: &[u8]) -> Result<Vec<CompletedPart>, MalformedXml> {
    let mut parts = Vec::new();
    let (mut number, mut tag, mut checksums) = (None, None, Vec::new());
    walk(body, |path, event| {
        match (path, event) {
            (["CompleteMultipartUpload", "Part"], Step::Open) => {
                (number, tag) = (None, None);
                checksums.clear();
            }
            (["CompleteMultipartUpload", "Part"], Step::Close(_)) => {
                let (Some(number), Some(etag)) = (number.take(), tag.take()) else {
                    return Err(MalformedXml);
                };
                if parts.len() >= usize::from(limits::PARTS_MAX) {
                    return Err(MalformedXml);
                }
                parts.push(CompletedPart { number, etag, checksums: std::mem::take(&mut checksums) });
            }
            (["CompleteMultipartUpload", "Part", "PartNumber"], Step::Close(text)) => {
                let value = text.trim().parse::<u16>().map_err(|_| MalformedXml)?;
                if value == 0 || value > limits::PARTS_MAX {
                    return Err(MalformedXml);
                }
                number = Some(value);
            }
            (["CompleteMultipartUpload", "Part", "ETag"], Step::Close(text)) => {
                tag = Some(super::range::bare(text).to_owned());
            }
            (["CompleteMultipartUpload", "Part", name], Step::Close(text)) => {
                if let Some(kind) = name.strip_prefix("Checksum").and_then(s3_checksum::by_name) {
                    checksums.push((kind, text.trim().to_owned()));
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    if parts.is_empty() { Err(MalformedXml) } else { Ok(parts) }
}

/// An element begins, or ends with its text.
enum Step<'a> {
    Open,
    Close(&'a str),
}

/// Walks through a document without recursion, up to the common limits.
fn walk(body: &[u8], mut visit: impl FnMut(&[&str], Step<'_>) -> Result<(), MalformedXml>) -> Result<(), MalformedXml> {
    if body.len() > limits::S3_XML_BYTES_MAX {
        return Err(MalformedXml);
    }
    let text = std::str::from_utf8(body).map_err(|_| MalformedXml)?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    let mut path: Vec<String> = Vec::new();
    let mut content = String::new();
    let mut roots = 0u32;
    loop {
        match reader.read_event().map_err(|_| MalformedXml)? {
            Event::Start(start) => {
                if path.len() >= limits::XML_DEPTH_MAX
                    || start.attributes_raw().matches('=').count() > limits::XML_ATTRIBUTES_MAX
                {
                    return Err(MalformedXml);
                }
                if path.is_empty() {
                    roots += 1;
                    if roots > 1 {
                        return Err(MalformedXml);
                    }
                }
                path.push(start.local_name().as_ref().to_owned());
                content.clear();
                visit(&path.iter().map(String::as_str).collect::<Vec<_>>(), Step::Open)?;
            }
            Event::End(_) => {
                visit(&path.iter().map(String::as_str).collect::<Vec<_>>(), Step::Close(&content))?;
                path.pop();
                content.clear();
            }
            Event::Text(part) => content.push_str(&part.xml10_content()),
            Event::CData(part) => content.push_str(&part.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().map_err(|_| MalformedXml)? {
                Some(c) => content.push(c),
                None => content.push_str(quick_xml::escape::resolve_predefined_entity(&name).ok_or(MalformedXml)?),
            },
            Event::DocType(_) => return Err(MalformedXml),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            // `expand_empty_elements` makes a Start and an End of it.
            Event::Empty(_) => return Err(MalformedXml),
            Event::Eof => break,
        }
    }
    if path.is_empty() && roots == 1 { Ok(()) } else { Err(MalformedXml) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn parts_are_read_whatever_the_prefix_and_the_quotes() {
        let body = b"<?xml version=\"1.0\"?><s:CompleteMultipartUpload xmlns:s=\"urn:x\"><s:Part><s:ETag>&quot;ab&#99;&quot;</s:ETag>\
            <s:ChecksumCRC32>AAAA</s:ChecksumCRC32><s:PartNumber> 2 </s:PartNumber></s:Part>\
            <s:Part><s:PartNumber>1</s:PartNumber><s:ETag>\"d\"</s:ETag></s:Part></s:CompleteMultipartUpload>";
        let first =
            CompletedPart { number: 2, etag: "abc".into(), checksums: vec![(ChecksumKind::Crc32, "AAAA".into())] };
        let second = CompletedPart { number: 1, etag: "d".into(), checksums: Vec::new() };
        assert_eq!(read_complete(body), Ok(vec![first, second]));
    }

    #[test]
    fn what_is_not_the_asked_xml_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(65), "</a>".repeat(65));
        let part = "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>";
        for bad in [
            "",
            "x",
            "<CompleteMultipartUpload/>",
            "<CompleteMultipartUpload><Part><ETag>a</ETag></Part></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><PartNumber>0</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><PartNumber>10001</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
            &format!("<!DOCTYPE x><CompleteMultipartUpload>{part}</CompleteMultipartUpload>"),
            &format!("<CompleteMultipartUpload>{part}"),
            &format!("<CompleteMultipartUpload>{part}&x;</CompleteMultipartUpload>"),
            &format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload><b/>"),
            &deep,
        ] {
            assert_eq!(read_complete(bad.as_bytes()), Err(MalformedXml), "{bad}");
        }
        let good = format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload>");
        let part = CompletedPart { number: 1, etag: "a".into(), checksums: Vec::new() };
        assert_eq!(read_complete(good.as_bytes()), Ok(vec![part]));
    }

    #[test]
    fn a_name_cannot_break_out_of_its_element() {
        let body = error("NoSuchKey", "no </Message><x>", "/b/\u{0}&\r", "1", "2");
        assert!(body.contains("no &lt;/Message&gt;&lt;x&gt;"), "{body}");
        assert!(body.contains("/b/\u{fffd}&amp;&#13;"), "{body}");
    }

    #[test]
    fn a_list_of_version_one_names_the_next_marker_and_encodes_names() {
        let page = Listing {
            bucket: "b",
            prefix: "a ",
            delimiter: "/",
            max_keys: 1,
            url_encoded: true,
            entries: vec![Entry { key: "a b/录", modified: Timestamp::from_millis(1), etag: "e".into(), size: 3 }],
            prefixes: &["a c/".to_owned()],
            truncated: true,
            owner: "AK",
            version: ListVersion::V1 { marker: "", next_marker: Some("a c/") },
        };
        let text = list(&page);
        for wanted in [
            "<Prefix>a </Prefix>",
            "<NextMarker>a%20c/</NextMarker>",
            "<Key>a%20b/%E5%BD%95</Key>",
            "<LastModified>1970-01-01T00:00:00.001Z</LastModified>",
            "<ETag>&quot;e&quot;</ETag>",
            "<CommonPrefixes><Prefix>a%20c/</Prefix></CommonPrefixes>",
            "<IsTruncated>true</IsTruncated>",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_complete(&body);
        }

        #[test]
        fn no_markup_panics(body in "(<[a-zA-Z!/?&;\"= ]{0,9}>|[&#;a-z0-9]{0,5}){0,20}") {
            let _ = read_complete(body.as_bytes());
        }
    }
}
