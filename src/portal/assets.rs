//! Style, script and icons, in the program itself, under names that change with them.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// A file of the program.
pub(super) struct Asset {
    kind: &'static str,
    bytes: &'static [u8],
    /// The name with the hash of what is in it.
    name: LazyLock<String>,
}

macro_rules! asset {
    ($file:literal, $kind:literal) => {
        Asset {
            kind: $kind,
            bytes: include_bytes!(concat!("assets/", $file)),
            name: LazyLock::new(|| hashed($file, include_bytes!(concat!("assets/", $file)))),
        }
    };
}

/// The style of all pages.
pub(super) static STYLE: Asset = asset!("portal.css", "text/css; charset=utf-8");
/// What spares a click where scripts run.
pub(super) static SCRIPT: Asset = asset!("portal.js", "text/javascript; charset=utf-8");
/// The icons of buttons and navigation, a `<symbol>` each.
pub(super) static ICONS: Asset = asset!("icons.svg", "image/svg+xml");
/// The icon of a browser's tab.
pub(super) static FAVICON: Asset = asset!("icon.svg", "image/svg+xml");

static ALL: [&Asset; 4] = [&STYLE, &SCRIPT, &ICONS, &FAVICON];

fn hashed(name: &str, bytes: &[u8]) -> String {
    let hash = blake3::hash(bytes).to_hex();
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{stem}-{}.{end}", &hash[..16])
}

impl Asset {
    /// Its name, below `/assets/`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// `/assets/NAME`: what has a hash in its name never changes.
pub(super) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response<Body> {
    let Some(asset) = ALL.into_iter().find(|asset| asset.name() == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(tag) = HeaderValue::from_str(&format!("\"{name}\"")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let cached = HeaderValue::from_static("public, max-age=31536000, immutable");
    if headers.get(IF_NONE_MATCH) == Some(&tag) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag), (CACHE_CONTROL, cached)]).into_response();
    }
    let kind = HeaderValue::from_static(asset.kind);
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, cached), (ETAG, tag)], asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_changes_with_what_is_in_it() {
        assert_ne!(hashed("a.css", b"x"), hashed("a.css", b"y"));
        assert!(STYLE.name().starts_with("portal-") && STYLE.name().ends_with(".css"));
    }

    #[tokio::test]
    async fn what_a_browser_has_is_not_sent_again() {
        let name = SCRIPT.name().to_owned();
        let first = serve(Path(name.clone()), HeaderMap::new()).await;
        assert_eq!(first.status(), StatusCode::OK);
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(serve(Path(name), headers).await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(serve(Path("portal.js".to_owned()), HeaderMap::new()).await.status(), StatusCode::NOT_FOUND);
    }
}
