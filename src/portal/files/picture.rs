//! One picture, large, with those before and after it.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use http::{Response, StatusCode};

use super::FileWords;
use super::sought::{day_of, form_value};
use crate::domain::{Action, Media};
use crate::engine::{Error, FileName, FileView};
use crate::portal::form::Form;
use crate::portal::guard::Session;
use crate::portal::media::{failed, media_href};
use crate::portal::shell::{Shell, page};
use crate::portal::{Needs, Portal, Route, show};

#[derive(Template)]
#[template(path = "picture.html")]
struct PicturePage {
    shell: Shell,
    w: &'static FileWords,
    file: FileView,
    /// The camera's name, else its AK.
    camera: String,
    place: String,
    title: String,
    day: String,
    day_href: String,
    src: String,
    download: String,
    container: &'static str,
    resolution: Option<String>,
    is_shown: bool,
    previous: Option<String>,
    next: Option<String>,
    value: String,
    here: String,
    may_change: bool,
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { path: "/pictures/show", needs: Needs::Role(Action::SeeFiles), pages: get(picture) }]
}

/// The page of a picture.
pub(super) fn href(ak: &str, key: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    format!("/pictures/show?{}", query.append_pair("ak", ak).append_pair("key", key).finish())
}

async fn picture(State(portal): State<Arc<Portal>>, session: Session, RawQuery(query): RawQuery) -> Response<Body> {
    let query = Form::of_query(query.as_deref());
    let (ak, key) = (query.get("ak"), query.raw("key"));
    match shown(&portal, &session, &query, ak, key).await {
        Ok(view) => page(StatusCode::OK, &view),
        Err(error) => failed(&portal, &session, &error, ak, key),
    }
}

async fn shown(portal: &Portal, session: &Session, query: &Form, ak: &str, key: &str) -> Result<PicturePage, Error> {
    let (mut shell, caller) = (session.shell(portal), &session.signed.caller);
    shell.flash = match query.get("done") {
        "locked" => Some(shell.say("已锁定", "Locked")),
        "unlocked" => Some(shell.say("已解锁", "Unlocked")),
        _ => None,
    };
    let file = portal.engine.file(caller, ak, Media::Picture, key).await?;
    let camera = portal.engine.camera(caller, ak).await?;
    let info = portal.engine.file_info(caller, ak, Media::Picture, key).await?;
    let [previous, next] = portal.engine.neighbours(caller, &file).await?;
    let name = FileName { ak: file.ak.clone(), media: Media::Picture, key: file.key.clone() };
    let day = day_of(file.created_ms.div_euclid(1000), shell.zone_minutes);
    let mut of_day = form_urlencoded::Serializer::new(String::new());
    let beside = |file: FileView| href(&file.ak, &file.key);
    Ok(PicturePage {
        w: FileWords::of(shell.lang),
        title: show::moment(file.created_ms, shell.zone_minutes),
        day_href: format!("/pictures?{}", of_day.append_pair("ak", &file.ak).append_pair("day", &day).finish()),
        day,
        src: media_href(&name, false),
        download: media_href(&name, true),
        container: info.container.name(),
        resolution: info.size.map(|(wide, high)| format!("{wide} × {high}")),
        is_shown: info.container.is_picture(),
        previous: previous.map(beside),
        next: next.map(beside),
        value: form_value(&file.ak, Media::Picture, &file.key),
        here: href(&file.ak, &file.key),
        may_change: shell.may(Action::ChangeFiles),
        camera: show::called(&camera.name, &camera.ak).to_owned(),
        place: camera.place,
        file,
        shell,
    })
}
