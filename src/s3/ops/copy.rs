//! CopyObject and UploadPartCopy: read on the source, write on the target.

use std::ops::Range;

use axum::body::Body;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, Response};
use percent_encoding::percent_decode_str;

use super::multipart::part_number;
use super::put::new_object;
use super::{Call, expected_owner, upload_id};
use crate::domain::{Checksum, ChecksumKind, ChecksumType, ObjectKey, limits};
use crate::engine::{BucketRef, Finish, ObjectReader, Stored, Upload};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{route, xml};
use crate::wire::range::{self, Outcome};
use crate::wire::s3_checksum::{self, Hasher};
use crate::wire::s3_xml;

const SOURCE: &str = "x-amz-copy-source";

/// What is copied.
struct Source {
    bucket: BucketRef,
    key: ObjectKey,
    reader: ObjectReader,
}

pub(super) async fn object(call: &Call<'_>, key: &ObjectKey) -> S3Result<Response<Body>> {
    let headers = &call.head.headers;
    let replaces = match call.head.text("x-amz-metadata-directive") {
        None | Some("COPY") => false,
        Some("REPLACE") => true,
        Some(_) => return Err(S3Error::new(Code::InvalidArgument, "Unknown metadata directive.")),
    };
    match call.head.text("x-amz-tagging-directive") {
        // There are no tags: to copy them and to replace them by none is the same.
        None | Some("COPY" | "REPLACE") => {}
        Some(_) => return Err(S3Error::new(Code::InvalidArgument, "Unknown tagging directive.")),
    }
    let kind = checksum_kind(call.head.text("x-amz-checksum-algorithm"))?;
    let source = open(call).await?;
    if source.bucket.name == call.bucket.name && source.key == *key && !replaces {
        return Err(S3Error::new(
            Code::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let size = source.reader.info.size.get();
    if size > limits::PUT_BYTES_MAX {
        return Err(S3Error::new(
            Code::InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    let mut said = headers.clone();
    said.remove(SOURCE);
    let mut new = new_object(&said, key, Some(size))?;
    if !replaces {
        new.metadata = source.reader.metadata.clone();
    }
    // Held against the bytes on their way, where the source's tag is their MD5.
    let md5 = (source.reader.info.etag.parts == 0).then_some(source.reader.info.etag.md5);
    // The copy is put whole: it has the source's algorithm, over its bytes.
    let kind = kind.or(source.reader.checksum.as_ref().map(|checksum| checksum.kind));
    let kept = source.reader.checksum.clone().filter(|sum| sum.covers() == ChecksumType::FullObject);
    let upload = call.plane.engine.put(call.caller, call.bucket, new).await?;
    let stored = transfer(source.reader, 0..size, upload, kind, md5, kept).await?;
    Ok(xml(s3_xml::copied(false, &stored.etag.to_string(), stored.created, stored.checksum.as_ref())))
}

pub(super) async fn part(call: &Call<'_>, key: &ObjectKey) -> S3Result<Response<Body>> {
    let number = part_number(call)?;
    let id = upload_id(&call.head.target)?;
    let source = open(call).await?;
    let size = source.reader.info.size.get();
    let extent = match call.head.headers.get("x-amz-copy-source-range") {
        None => 0..size,
        Some(value) => part_range(value.to_str().unwrap_or(""), size)?,
    };
    let length = extent.end - extent.start;
    let upload = call.plane.engine.put_part(call.caller, call.bucket, key, id, number, Some(length)).await?;
    let kind = upload.checksum_kind().unwrap_or(ChecksumKind::Crc64Nvme);
    let stored = transfer(source.reader, extent, upload, Some(kind), None, None).await?;
    Ok(xml(s3_xml::copied(true, &stored.etag.to_string(), stored.created, stored.checksum.as_ref())))
}

/// Opens the source, if the caller may see it and its conditions hold.
async fn open(call: &Call<'_>) -> S3Result<Source> {
    if let Some(name) = call.head.headers.keys().find(|n| n.as_str().starts_with("x-amz-copy-source-server-side-")) {
        return Err(S3Error::not_implemented(name.as_str()));
    }
    if call.head.headers.get_all(SOURCE).iter().count() > 1 {
        return Err(S3Error::new(Code::InvalidRequest, "x-amz-copy-source was sent more than once"));
    }
    let named = call.head.headers.get(SOURCE).map_or(&b""[..], |value| value.as_bytes());
    let (bucket, key) = read_source(named)?;
    let bucket = call.plane.engine.bucket(call.caller, &bucket)?;
    expected_owner(call.head, &HeaderName::from_static("x-amz-source-expected-bucket-owner"), call.access_key)?;
    let reader = call.plane.engine.open_object(call.caller, &bucket, &key).await?;
    let etag = reader.info.etag.to_string();
    match range::conditions(&source_conditions(&call.head.headers), &etag, reader.info.created) {
        Outcome::Go => Ok(Source { bucket, key, reader }),
        Outcome::NotModified | Outcome::Failed(_) => Err(S3Error::new(
            Code::PreconditionFailed,
            "At least one of the pre-conditions you specified for the copy source did not hold",
        )),
    }
}

/// `[/]bucket/key[?versionId=…]`, percent-encoded.
fn read_source(named: &[u8]) -> S3Result<(String, ObjectKey)> {
    let wrong = |why: &'static str| S3Error::new(Code::InvalidArgument, why);
    let text = std::str::from_utf8(named).map_err(|_| wrong("Copy Source must be UTF-8, URL-encoded"))?;
    let (path, version) = text.split_once("?versionId=").map_or((text, None), |(path, v)| (path, Some(v)));
    if version.is_some_and(|version| !matches!(version, "" | "null")) {
        return Err(S3Error::new(Code::NoSuchVersion, "The specified version does not exist."));
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| wrong("Copy Source must be UTF-8, URL-encoded"))?;
    match path.strip_prefix('/').unwrap_or(&path).split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
            Ok((bucket.to_owned(), route::object_key(key)?))
        }
        _ => Err(wrong("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")),
    }
}

/// The source's conditions under the names that GET has for them.
fn source_conditions(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::new();
    for (from, to) in [
        ("x-amz-copy-source-if-match", http::header::IF_MATCH),
        ("x-amz-copy-source-if-none-match", http::header::IF_NONE_MATCH),
        ("x-amz-copy-source-if-modified-since", http::header::IF_MODIFIED_SINCE),
        ("x-amz-copy-source-if-unmodified-since", http::header::IF_UNMODIFIED_SINCE),
    ] {
        for value in headers.get_all(HeaderName::from_static(from)) {
            out.append(to.clone(), value.clone());
        }
    }
    out
}

/// `bytes=first-last`, both there and within the source.
fn part_range(text: &str, size: u64) -> S3Result<Range<u64>> {
    let digits = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let ends = text.strip_prefix("bytes=").and_then(|spec| spec.split_once('-'));
    let Some((first, last)) = ends.and_then(|(first, last)| digits(first).zip(digits(last))) else {
        return Err(S3Error::new(
            Code::InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy",
        ));
    };
    let wrong =
        |code| Err(S3Error::new(code, format!("Range specified is not valid for source object of size: {size}")));
    if first > last {
        return wrong(Code::InvalidArgument);
    }
    if last >= size {
        return wrong(Code::InvalidRange);
    }
    Ok(first..last + 1)
}

/// The algorithm that `x-amz-checksum-algorithm` names.
pub(super) fn checksum_kind(asked: Option<&str>) -> S3Result<Option<ChecksumKind>> {
    match asked.map(s3_checksum::by_name) {
        None => Ok(None),
        Some(Some(kind)) => Ok(Some(kind)),
        Some(None) => Err(S3Error::new(
            Code::InvalidRequest,
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, \
             CRC64NVME, SHA1, SHA256]",
        )),
    }
}

/// Moves the bytes. A source that cannot be read to its end is an upload that never was; neither is
/// a copy with another checksum than `kept`, which the source has.
async fn transfer(
    reader: ObjectReader,
    extent: Range<u64>,
    mut upload: Upload,
    kind: Option<ChecksumKind>,
    md5: Option<[u8; 16]>,
    kept: Option<Checksum>,
) -> S3Result<Stored> {
    let mut hasher = kind.map(Hasher::new);
    let mut pieces = std::pin::pin!(reader.read(extent));
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece);
        }
        upload.write(piece).await?;
    }
    let checksum = hasher.map(Hasher::finish);
    if let (Some(computed), Some(kept)) = (&checksum, &kept)
        && computed.kind == kept.kind
        && computed != kept
    {
        return Err(S3Error::broken("a source does not have its checksum any more"));
    }
    Ok(upload.finish(Finish { md5, checksum }).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_with_and_without_its_slash() {
        for (named, bucket, key) in [
            ("b/k", "b", "k"),
            ("/b/k", "b", "k"),
            ("b%2Fa%20b%2Bc%25.mp4", "b", "a b+c%.mp4"),
            ("b/a+b", "b", "a+b"),
            ("b//x", "b", "/x"),
            ("b/k?versionId=null", "b", "k"),
            ("b/%E5%BD%95?x", "b", "录?x"),
        ] {
            let (b, k) = read_source(named.as_bytes()).unwrap();
            assert_eq!((b.as_str(), k.as_str()), (bucket, key), "{named}");
        }
        for bad in ["", "/", "b", "b/", "/b/", "b/%ff", "b/%00"] {
            assert_eq!(read_source(bad.as_bytes()).unwrap_err().code(), Code::InvalidArgument, "{bad}");
        }
        assert_eq!(read_source(b"b/k?versionId=abc").unwrap_err().code(), Code::NoSuchVersion);
    }

    #[test]
    fn a_part_is_copied_from_a_range_that_is_there() {
        assert_eq!(part_range("bytes=0-0", 1).unwrap(), 0..1);
        assert_eq!(part_range("bytes=2-9", 10).unwrap(), 2..10);
        for bad in ["", "bytes=5-4", "bytes=0-", "bytes=-5", "0-5", "bytes=a-b"] {
            assert_eq!(part_range(bad, 10).unwrap_err().code(), Code::InvalidArgument, "{bad}");
        }
        for beyond in ["bytes=0-10", "bytes=20-30", "bytes=0-99999999999999999999"] {
            assert_eq!(part_range(beyond, 10).unwrap_err().code(), Code::InvalidRange, "{beyond}");
        }
    }

    #[test]
    fn the_conditions_of_the_source_are_not_those_of_the_target() {
        let headers: HeaderMap = [("x-amz-copy-source-if-match", "\"a\""), ("if-match", "\"b\"")]
            .into_iter()
            .map(|(n, v)| (HeaderName::from_static(n), http::HeaderValue::from_static(v)))
            .collect();
        let conditions = source_conditions(&headers);
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions["if-match"], "\"a\"");
    }
}
