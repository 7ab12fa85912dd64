//! ListMultipartUploads.

use axum::body::Body;
use http::Response;

use super::{Call, count, url_encoded};
use crate::domain::limits;
use crate::s3::error::S3Result;
use crate::s3::xml;
use crate::wire::s3_xml::{self, Upload, UploadListing};

/// A page of uploads.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    uploads: Vec<Upload>,
    prefixes: Vec<String>,
    next: Option<(String, String)>,
}

pub(super) async fn list(call: &Call<'_>) -> S3Result<Response<Body>> {
    let target = &call.head.target;
    let text = |name: &str| target.get(name).unwrap_or("");
    let (prefix, delimiter, key_marker) = (text("prefix"), text("delimiter"), text("key-marker"));
    // An upload marker without a key marker is ignored, as S3 does.
    let upload_id_marker = if key_marker.is_empty() { "" } else { text("upload-id-marker") };
    let max = count(target, "max-uploads", limits::LIST_KEYS_MAX)?;
    let encoded = url_encoded(target)?;
    let all = call.plane.engine.list_multipart(call.caller, call.bucket, prefix).await?;
    let rows = all.iter().map(|u| Upload {
        key: u.key.as_str().to_owned(),
        id: u.id.to_string(),
        begun: u.created,
        plan: u.checksum,
    });
    let page = page(rows, prefix, delimiter, (key_marker, upload_id_marker), max);
    Ok(xml(s3_xml::uploads(&UploadListing {
        bucket: call.bucket.name.as_str(),
        prefix,
        delimiter,
        key_marker,
        upload_id_marker,
        max_uploads: max,
        url_encoded: encoded,
        next: page.next,
        owner: call.access_key,
        uploads: page.uploads,
        prefixes: page.prefixes,
    })))
}

/// The page after `marker` of rows that come by key, then by id, all of them under `prefix`.
fn page(rows: impl Iterator<Item = Upload>, prefix: &str, delimiter: &str, marker: (&str, &str), max: usize) -> Page {
    let (key_marker, id_marker) = marker;
    let mut page = Page::default();
    let mut last = (String::new(), String::new());
    for row in rows {
        let rest = row.key.get(prefix.len()..).unwrap_or("");
        let group = (!delimiter.is_empty())
            .then(|| rest.find(delimiter))
            .flatten()
            .and_then(|at| row.key.get(..prefix.len() + at + delimiter.len()));
        let passed = match group {
            Some(group) => !key_marker.is_empty() && group <= key_marker,
            None => {
                row.key.as_str() < key_marker
                    || (row.key == key_marker && (id_marker.is_empty() || row.id.as_str() <= id_marker))
            }
        };
        if passed || group.is_some_and(|g| page.prefixes.last().is_some_and(|p| p == g)) {
            continue;
        }
        if page.uploads.len() + page.prefixes.len() >= max {
            page.next = (max > 0).then_some(last);
            return page;
        }
        match group {
            Some(group) => {
                last = (group.to_owned(), String::new());
                page.prefixes.push(group.to_owned());
            }
            None => {
                last = (row.key.clone(), row.id.clone());
                page.uploads.push(row);
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn rows() -> Vec<Upload> {
        [("a", "1"), ("a", "2"), ("d/x", "1"), ("d/y", "1"), ("e", "1")]
            .map(|(key, id)| Upload { key: key.to_owned(), id: id.to_owned(), begun: Timestamp::default(), plan: None })
            .to_vec()
    }

    #[test]
    fn pages_come_one_after_the_other_without_loss() {
        for delimiter in ["", "/"] {
            let whole = page(rows().into_iter(), "", delimiter, ("", ""), 1000);
            assert_eq!(whole.next, None);
            let (mut uploads, mut prefixes, mut marker) = (Vec::new(), Vec::new(), (String::new(), String::new()));
            for _ in 0..10 {
                let one = page(rows().into_iter(), "", delimiter, (&marker.0, &marker.1), 1);
                uploads.extend(one.uploads);
                prefixes.extend(one.prefixes);
                let Some(next) = one.next else { break };
                marker = next;
            }
            assert_eq!((&uploads, &prefixes), (&whole.uploads, &whole.prefixes));
            assert_eq!(whole.uploads.len() + whole.prefixes.len(), if delimiter.is_empty() { 5 } else { 4 });
        }
    }

    #[test]
    fn a_key_marker_alone_passes_all_uploads_of_that_key() {
        let found = page(rows().into_iter(), "", "", ("a", ""), 1000);
        assert_eq!(found.uploads.first().map(|r| r.key.as_str()), Some("d/x"));
    }
}
