//! A camera's files of a day: its strip, its month, the files as a table or a grid, what can be done with them.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use http::{Response, StatusCode};

use super::FileWords;
use super::month::Month;
use super::sought::{DAY, Sought, day_of, form_value, page_of};
use crate::domain::{Action, Media};
use crate::engine::{Error, FileName, FileView};
use crate::portal::chart::{self, DaySpan};
use crate::portal::form::Form;
use crate::portal::guard::Session;
use crate::portal::media::media_href;
use crate::portal::player::{drawn, play_href};
use crate::portal::shell::{Shell, page};
use crate::portal::show::{self, Html};
use crate::portal::{Needs, Portal, Route};

/// Files of a page.
const PAGE: usize = 40;

/// A file as the page shows it.
pub(super) struct Row {
    file: FileView,
    /// As a form names it.
    value: String,
    /// Its page.
    href: String,
    /// Its bytes, in place.
    src: String,
    download: String,
}

#[derive(Template)]
#[template(path = "files.html")]
struct FilesPage {
    shell: Shell,
    w: &'static FileWords,
    title: &'static str,
    action: &'static str,
    pictures: bool,
    kind: &'static str,
    /// The camera's name, else its AK.
    camera: String,
    place: String,
    sought: Sought,
    error: String,
    /// The days beside, and the whole time.
    before: String,
    after: String,
    ever: String,
    today: String,
    strip: Option<Html>,
    month: Option<Month>,
    in_time: u64,
    rows: Vec<Row>,
    older: Option<String>,
    newest: String,
    may_change: bool,
    why_gone: Option<String>,
}

pub(super) fn routes() -> Vec<Route> {
    let needs = Needs::Role(Action::SeeFiles);
    vec![
        Route { path: "/recordings", needs, pages: get(recordings) },
        Route { path: "/pictures", needs, pages: get(pictures) },
    ]
}

async fn recordings(state: State<Arc<Portal>>, session: Session, query: RawQuery) -> Response<Body> {
    search(state, session, query, Media::Recording).await
}

async fn pictures(state: State<Arc<Portal>>, session: Session, query: RawQuery) -> Response<Body> {
    search(state, session, query, Media::Picture).await
}

async fn search(
    State(portal): State<Arc<Portal>>,
    session: Session,
    RawQuery(query): RawQuery,
    media: Media,
) -> Response<Body> {
    let form = Form::of_query(query.as_deref());
    let mut shell = session.shell(&portal);
    let now = portal.engine.now().seconds();
    let (sought, misread) = match Sought::read(&form, media, now, shell.zone_minutes, shell.lang) {
        Ok(sought) => (sought, None),
        Err(misread) => {
            // What was not understood is left out, and said.
            let camera = form_urlencoded::Serializer::new(String::new()).append_pair("ak", form.get("ak")).finish();
            let only = Form::of_query(Some(&camera));
            match Sought::read(&only, media, now, shell.zone_minutes, shell.lang) {
                Ok(sought) => (sought, Some(misread.text)),
                Err(_) => return shell.not_found(),
            }
        }
    };
    if sought.ak.is_empty() {
        return super::cameras::choose(&portal, &session, &form, &sought).await;
    }
    shell.flash = match form.get("done") {
        "locked" => Some(shell.say("已锁定", "Locked")),
        "unlocked" => Some(shell.say("已解锁", "Unlocked")),
        _ => None,
    };
    let status = if misread.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    match shown(&portal, &session, shell, sought, misread.unwrap_or_default()).await {
        Ok(view) => page(status, &view),
        Err(error) => session.shell(&portal).failed(&error),
    }
}

async fn shown(
    portal: &Portal,
    session: &Session,
    shell: Shell,
    sought: Sought,
    error: String,
) -> Result<FilesPage, Error> {
    let (caller, zone) = (&session.signed.caller, shell.zone_minutes);
    let camera = portal.engine.camera(caller, &sought.ak).await?;
    let pictures = sought.media == Media::Picture;
    let title = show::called(&camera.name, &camera.ak).to_owned();
    let strip = match &sought.day {
        Some(day) if !pictures => {
            let start = sought.start;
            let view = portal.engine.day(caller, &sought.ak, start..start + DAY).await?;
            let spans: Vec<DaySpan> =
                view.spans.iter().map(|span| drawn(span, &view, start, &sought.ak, zone, shell.lang)).collect();
            Some(chart::day_strip(&format!("{title} {day}"), &spans))
        }
        _ => None,
    };
    let month = Month::of(&portal.engine, caller, &sought, zone).await?;
    let found = portal.engine.find_files(caller, &sought.filter(), sought.at, PAGE).await?;
    let rows = found.files.into_iter().map(|file| row(file, sought.media)).collect();
    let on = |second: i64| sought.on(day_of(second, zone)).href();
    let why_gone = portal.paths.contains(&"/space/gone").then(|| {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("ak", &sought.ak).finish();
        format!("/space/gone?{query}")
    });
    Ok(FilesPage {
        w: FileWords::of(shell.lang),
        title: if pictures { shell.t.pictures } else { shell.t.recordings },
        action: page_of(sought.media),
        pictures,
        kind: sought.media.word(),
        camera: title,
        place: camera.place,
        error,
        before: on(sought.start - DAY),
        after: on(sought.start + DAY),
        today: on(portal.engine.now().seconds()),
        ever: sought.ever().href(),
        strip,
        month,
        in_time: found.in_time,
        rows,
        older: found.next.map(|at| sought.beginning_at(at).href()),
        newest: sought.beginning_at(0).href(),
        may_change: shell.may(Action::ChangeFiles),
        why_gone,
        sought,
        shell,
    })
}

/// A file of the search.
fn row(file: FileView, media: Media) -> Row {
    let name = FileName { ak: file.ak.clone(), media, key: file.key.clone() };
    Row {
        value: form_value(&file.ak, media, &file.key),
        href: match media {
            Media::Recording => play_href(&file.ak, &file.key),
            Media::Picture => super::picture::href(&file.ak, &file.key),
        },
        src: media_href(&name, false),
        download: media_href(&name, true),
        file,
    }
}
