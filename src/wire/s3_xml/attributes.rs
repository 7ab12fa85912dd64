//! `GetObjectAttributesResponse`.

use super::{Writer, s3_checksum};
use crate::domain::Checksum;

/// What of an object is told; what was not asked for is left out.
#[derive(Clone, Debug, Default)]
pub struct Attributes<'a> {
    /// Its tag, without quotation marks.
    pub etag: Option<String>,
    /// The checksum kept with it.
    pub checksum: Option<&'a Checksum>,
    /// Its parts, where it was uploaded in parts.
    pub parts: Option<Parts>,
    /// Whether its storage class was asked for.
    pub storage_class: bool,
    /// Payload bytes.
    pub size: Option<u64>,
}

/// A page of the parts of an object.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// All of them.
    pub total: usize,
    /// As asked.
    pub marker: usize,
    /// As asked, at most 1,000.
    pub max: usize,
    /// Number, bytes, checksum.
    pub page: Vec<(usize, u64, Option<Checksum>)>,
}

/// `GetObjectAttributesResponse`.
pub fn attributes(told: &Attributes<'_>) -> String {
    let mut w = Writer::new("GetObjectAttributesResponse");
    if let Some(etag) = &told.etag {
        w.text("ETag", etag);
    }
    if let Some(checksum) = told.checksum {
        w.open("Checksum").checksum(checksum).text("ChecksumType", checksum.covers().word()).close("Checksum");
    }
    if let Some(parts) = &told.parts {
        let last = parts.page.last().map_or(parts.marker, |(number, ..)| *number);
        w.open("ObjectParts").number("PartsCount", parts.total).number("PartNumberMarker", parts.marker);
        w.number("NextPartNumberMarker", last).number("MaxParts", parts.max);
        w.flag("IsTruncated", last < parts.total && parts.max > 0);
        for (number, size, checksum) in &parts.page {
            w.open("Part").number("PartNumber", number).number("Size", size);
            if let Some(checksum) = checksum {
                w.text(&format!("Checksum{}", checksum.kind.name()), &s3_checksum::encode(checksum));
            }
            w.close("Part");
        }
        w.close("ObjectParts");
    }
    if told.storage_class {
        w.text("StorageClass", "STANDARD");
    }
    if let Some(size) = told.size {
        w.number("ObjectSize", size);
    }
    w.end("GetObjectAttributesResponse")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_told() {
        let told = Attributes { size: Some(5), ..Attributes::default() };
        let text = attributes(&told);
        assert!(text.contains("<ObjectSize>5</ObjectSize>"), "{text}");
        assert!(!text.contains("ETag") && !text.contains("StorageClass") && !text.contains("Parts"), "{text}");
    }

    #[test]
    fn a_page_of_parts_says_whether_there_is_more() {
        let of = |page: Vec<(usize, u64, Option<Checksum>)>, marker| {
            let parts = Parts { total: 6, marker, max: 1, page };
            attributes(&Attributes { parts: Some(parts), ..Attributes::default() })
        };
        let middle = of(vec![(4, 10, None)], 3);
        assert!(middle.contains("<NextPartNumberMarker>4</NextPartNumberMarker>"), "{middle}");
        assert!(middle.contains("<IsTruncated>true</IsTruncated>"), "{middle}");
        assert!(of(vec![(6, 10, None)], 5).contains("<IsTruncated>false</IsTruncated>"));
    }
}
