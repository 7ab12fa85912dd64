//! `ListVersionsResult`: of each file there is one version, `null`, as in a bucket that never had versions.

use super::{Entry, Writer, common_prefixes, quoted, s3_time, url};

/// The only version of a file.
pub const NULL_VERSION: &str = "null";

/// A page of a list of versions.
#[derive(Clone, Debug)]
pub struct VersionListing<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// As asked.
    pub prefix: &'a str,
    /// As asked; empty: none.
    pub delimiter: &'a str,
    /// As asked.
    pub key_marker: &'a str,
    /// As asked.
    pub version_id_marker: &'a str,
    /// As asked, at most 1,000.
    pub max_keys: usize,
    /// Whether names are percent-encoded.
    pub url_encoded: bool,
    /// Files, by key.
    pub entries: Vec<Entry<'a>>,
    /// Common prefixes, by name.
    pub prefixes: &'a [String],
    /// The last key or prefix, where there is more.
    pub next: Option<&'a str>,
    /// Whose files they are.
    pub owner: &'a str,
}

/// `ListVersionsResult`.
pub fn versions(page: &VersionListing<'_>) -> String {
    let name = |text| url(text, page.url_encoded);
    let mut w = Writer::new("ListVersionsResult");
    w.text("Name", page.bucket).text("Prefix", &name(page.prefix)).text("KeyMarker", &name(page.key_marker));
    w.text("VersionIdMarker", page.version_id_marker);
    if let Some(next) = page.next {
        w.text("NextKeyMarker", &name(next)).text("NextVersionIdMarker", NULL_VERSION);
    }
    w.number("MaxKeys", page.max_keys);
    if !page.delimiter.is_empty() {
        w.text("Delimiter", &name(page.delimiter));
    }
    w.flag("IsTruncated", page.next.is_some());
    if page.url_encoded {
        w.text("EncodingType", "url");
    }
    for entry in &page.entries {
        w.open("Version").text("Key", &name(entry.key)).text("VersionId", NULL_VERSION).flag("IsLatest", true);
        w.text("LastModified", &s3_time::iso(entry.modified)).text("ETag", &quoted(&entry.etag));
        w.number("Size", entry.size).text("StorageClass", "STANDARD").owner("Owner", page.owner).close("Version");
    }
    common_prefixes(&mut w, page.prefixes, page.url_encoded);
    w.end("ListVersionsResult")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn each_file_is_its_only_version() {
        let page = VersionListing {
            bucket: "b",
            prefix: "",
            delimiter: "",
            key_marker: "a b",
            version_id_marker: "null",
            max_keys: 1,
            url_encoded: true,
            entries: vec![Entry { key: "k k", modified: Timestamp::from_millis(1), etag: "e".into(), size: 3 }],
            prefixes: &[],
            next: Some("k k"),
            owner: "AK",
        };
        let text = versions(&page);
        for wanted in [
            "<KeyMarker>a%20b</KeyMarker><VersionIdMarker>null</VersionIdMarker>",
            "<NextKeyMarker>k%20k</NextKeyMarker><NextVersionIdMarker>null</NextVersionIdMarker>",
            "<Version><Key>k%20k</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>",
            "<Size>3</Size>",
            "<IsTruncated>true</IsTruncated>",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }
}
