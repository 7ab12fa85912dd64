//! ListObjects, both versions, and ListObjectVersions.

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Response;

use super::{Call, count, url_encoded};
use crate::domain::limits::LIST_KEYS_MAX;
use crate::engine::{ListPage, ListQuery, ObjectInfo};
use crate::s3::error::{Code, S3Error, S3Result};
use crate::s3::xml;
use crate::wire::s3_xml::{self, Entry, ListVersion, Listing, VersionListing};

pub(super) async fn v1(call: &Call<'_>) -> S3Result<Response<Body>> {
    let marker = call.head.target.get("marker").unwrap_or("");
    let (page, query) = fetch(call, marker.to_owned()).await?;
    // S3 names the next marker only where a delimiter makes it hard to guess.
    let next_marker = page.next.as_deref().filter(|_| !query.delimiter.is_empty());
    answer(call, &page, &query, ListVersion::V1 { marker, next_marker })
}

pub(super) async fn v2(call: &Call<'_>) -> S3Result<Response<Body>> {
    let target = &call.head.target;
    let start_after = target.get("start-after");
    let token = target.get("continuation-token");
    let after = match token {
        Some(token) if !token.is_empty() => read_token(token)?,
        _ => start_after.unwrap_or("").to_owned(),
    };
    let (page, query) = fetch(call, after).await?;
    let next_token = page.next.as_deref().map(|key| BASE64_URL_SAFE_NO_PAD.encode(key));
    let fetch_owner = target.get("fetch-owner").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    answer(call, &page, &query, ListVersion::V2 { start_after, token, next_token, fetch_owner })
}

/// Of each file there is one version; a marker of versions is past it.
pub(super) async fn versions(call: &Call<'_>) -> S3Result<Response<Body>> {
    let text = |name: &str| call.head.target.get(name).unwrap_or("");
    let (page, query) = fetch(call, text("key-marker").to_owned()).await?;
    Ok(xml(s3_xml::versions(&VersionListing {
        bucket: call.bucket.name.as_str(),
        prefix: &query.prefix,
        delimiter: &query.delimiter,
        key_marker: text("key-marker"),
        version_id_marker: text("version-id-marker"),
        max_keys: query.max,
        url_encoded: url_encoded(&call.head.target)?,
        entries: entries(&page),
        prefixes: &page.prefixes,
        next: page.next.as_deref(),
        owner: call.access_key,
    })))
}

/// A token is the last name of the page before, so that it needs no memory of ours.
pub(super) fn read_token(token: &str) -> S3Result<String> {
    let wrong = || S3Error::new(Code::InvalidArgument, "The continuation token provided is incorrect");
    if token.is_empty() {
        return Err(wrong());
    }
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?).map_err(|_| wrong())
}

async fn fetch(call: &Call<'_>, after: String) -> S3Result<(ListPage, ListQuery)> {
    let target = &call.head.target;
    let text = |name: &str| target.get(name).unwrap_or("").to_owned();
    let max = count(target, "max-keys", LIST_KEYS_MAX)?;
    url_encoded(target)?;
    if target.get("allow-unordered").is_some_and(|v| v.eq_ignore_ascii_case("true"))
        && target.get("delimiter").is_some()
    {
        // Ceph's: what is in order may be had without; what is grouped needs it.
        return Err(S3Error::new(Code::InvalidArgument, "A list that is grouped by a delimiter cannot be unordered"));
    }
    let query = ListQuery { prefix: text("prefix"), delimiter: text("delimiter"), after, max };
    let page = if max == 0 {
        ListPage::default()
    } else {
        call.plane.engine.list(call.caller, call.bucket, query.clone()).await?
    };
    Ok((page, query))
}

fn entries(page: &ListPage) -> Vec<Entry<'_>> {
    let entry = |object| {
        let ObjectInfo { key, created, etag, size, .. }: &ObjectInfo = object;
        Entry { key: key.as_str(), modified: *created, etag: etag.to_string(), size: size.get() }
    };
    page.objects.iter().map(entry).collect()
}

fn answer(call: &Call<'_>, page: &ListPage, query: &ListQuery, version: ListVersion<'_>) -> S3Result<Response<Body>> {
    Ok(xml(s3_xml::list(&Listing {
        bucket: call.bucket.name.as_str(),
        prefix: &query.prefix,
        delimiter: &query.delimiter,
        max_keys: query.max,
        url_encoded: url_encoded(&call.head.target)?,
        entries: entries(page),
        prefixes: &page.prefixes,
        truncated: page.next.is_some(),
        owner: call.access_key,
        version,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_key_and_others_are_refused() {
        let key = "录像/a b+c";
        assert_eq!(read_token(&BASE64_URL_SAFE_NO_PAD.encode(key)).unwrap(), key);
        for bad in ["", "%%%", "_w"] {
            assert_eq!(read_token(bad).unwrap_err().code(), Code::InvalidArgument, "{bad}");
        }
    }
}
