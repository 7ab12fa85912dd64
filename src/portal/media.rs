//! The bytes of a recording or a picture: played in place, seen, or kept.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use http::{HeaderMap, Method, Response, StatusCode};

use super::form::Form;
use super::guard::Session;
use super::shell::{Shell, page};
use super::{Needs, Portal, Route};
use crate::domain::{Action, Media, Refusal};
use crate::engine::{Error, FileName, Reading};
use crate::wire::file_head;

/// Where one is told why a file is gone, once that page is there.
const GONE: &str = "/space/gone";

#[derive(Template)]
#[template(path = "file_gone.html")]
struct GonePage {
    shell: Shell,
    ak: String,
    key: String,
    /// Where it is told why.
    why: Option<String>,
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { path: "/media", needs: Needs::Role(Action::SeeFiles), pages: get(media) }]
}

/// The file of a query's `ak`, `kind` and `key`, as they were sent: a key may begin with a blank.
pub(super) fn file_of(query: &Form) -> Option<FileName> {
    let media = Media::of_word(query.get("kind"))?;
    let key = query.raw("key");
    (!key.is_empty()).then(|| FileName { ak: query.get("ak").to_owned(), media, key: key.to_owned() })
}

/// Where the bytes of a file are; `keep` where they are to be kept.
pub(super) fn media_href(file: &FileName, keep: bool) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("ak", &file.ak).append_pair("kind", file.media.word()).append_pair("key", &file.key);
    if keep {
        query.append_pair("as", "download");
    }
    format!("/media?{}", query.finish())
}

async fn media(
    State(portal): State<Arc<Portal>>,
    session: Session,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let query = Form::of_query(query.as_deref());
    let Some(FileName { ak, media, key }) = file_of(&query) else { return session.shell(&portal).not_found() };
    let keep = query.get("as") == "download";
    let reading = if keep { Reading::Download } else { Reading::Play };
    let failed = |error: Error| failed(&portal, &session, &error, &ak, &key);
    let played = match portal.engine.read_file(&session.signed.caller, &ak, media, &key, reading).await {
        Ok(played) => played,
        Err(error) => return failed(error),
    };
    let head = file_head::answer(&headers, &played.file(), keep);
    let body = match head.bytes {
        Some(bytes) if method == Method::GET && !bytes.is_empty() => match played.bytes(bytes).await {
            Ok(stream) => Body::from_stream(stream),
            Err(error) => return failed(error),
        },
        _ => Body::empty(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

/// What came of a file that could not be opened: one that is gone has a page that leads to why.
pub(super) fn failed(portal: &Portal, session: &Session, error: &Error, ak: &str, key: &str) -> Response<Body> {
    let shell = session.shell(portal);
    if !matches!(error, Error::Refused(Refusal::NoFile)) {
        return shell.failed(error);
    }
    let why = portal.paths.contains(&GONE).then(|| {
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("ak", ak).append_pair("key", key).finish();
        format!("{GONE}?{query}")
    });
    page(StatusCode::NOT_FOUND, &GonePage { shell, ak: ak.to_owned(), key: key.to_owned(), why })
}

#[cfg(test)]
mod tests;
