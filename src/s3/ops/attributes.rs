//! GetObjectAttributes.

use axum::body::Body;
use http::header::LAST_MODIFIED;
use http::{HeaderMap, Response};

use super::{Call, get};
use crate::domain::{ObjectKey, limits};
use crate::s3::body::number;
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::{set, xml};
use crate::wire::s3_time;
use crate::wire::s3_xml::{self, Attributes, Parts};

pub(super) async fn attributes(call: &Call<'_>, key: &ObjectKey) -> S3Result<Response<Body>> {
    let asked = asked(&call.head.headers)?;
    let wants = |name: &str| asked.iter().any(|asked| asked == name);
    let page = usize_of(call, "x-amz-max-parts")?.map_or(limits::LIST_KEYS_MAX, |max| max.min(limits::LIST_KEYS_MAX));
    let marker = usize_of(call, "x-amz-part-number-marker")?.unwrap_or(0);
    let reader = call.plane.engine.open_object(call.caller, call.bucket, key).await?;
    if let Some(answer) = get::unless_wanted(&call.head.headers, &reader)? {
        return Ok(answer);
    }
    let mut told = Attributes {
        etag: wants("ETag").then(|| reader.info.etag.to_string()),
        checksum: reader.checksum.as_ref().filter(|_| wants("Checksum")),
        parts: None,
        storage_class: wants("StorageClass"),
        size: wants("ObjectSize").then(|| reader.info.size.get()),
    };
    if wants("ObjectParts") && !reader.parts.is_empty() {
        let mut parts = Parts { total: reader.parts.len(), marker, max: page, page: Vec::new() };
        for (index, size) in reader.parts.iter().enumerate().skip(marker).take(page) {
            parts.page.push((index + 1, *size, reader.part_checksum(index).await?));
        }
        told.parts = Some(parts);
    }
    let mut response = xml(s3_xml::attributes(&told));
    set(&mut response, LAST_MODIFIED, &s3_time::http_date(reader.info.created));
    Ok(response)
}

/// What is asked for, from every header of the name.
fn asked(headers: &HeaderMap) -> S3Result<Vec<String>> {
    const KNOWN: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    let values = headers.get_all("x-amz-object-attributes").iter().filter_map(|v| v.to_str().ok());
    let asked: Vec<String> =
        values.flat_map(|v| v.split(',')).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect();
    if asked.is_empty() || asked.iter().any(|name| !KNOWN.contains(&name.as_str())) {
        return Err(S3Error::new(Code::InvalidArgument, "Invalid attribute name specified."));
    }
    Ok(asked)
}

fn usize_of(call: &Call<'_>, name: &str) -> S3Result<Option<usize>> {
    Ok(number(&call.head.headers, name)?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_in_one_header_or_in_several() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-amz-object-attributes", http::HeaderValue::from_static(value));
            }
            asked(&headers)
        };
        assert_eq!(of(&["ETag, ObjectSize"]).unwrap(), ["ETag", "ObjectSize"]);
        assert_eq!(of(&["ETag", "Checksum,ObjectParts"]).unwrap(), ["ETag", "Checksum", "ObjectParts"]);
        for bad in [&[][..], &[""], &["etag"], &["ETag,Color"]] {
            assert_eq!(of(bad).unwrap_err().code(), Code::InvalidArgument, "{bad:?}");
        }
    }
}
