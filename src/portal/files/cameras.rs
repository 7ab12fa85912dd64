//! Before a camera is chosen: the cameras, each with its day as a strip or its newest picture.

use askama::Template;
use axum::body::Body;
use http::{Response, StatusCode};

use super::FileWords;
use super::sought::{DAY, Sought};
use crate::domain::Media;
use crate::engine::observe::{CameraQuery, CameraSort};
use crate::engine::{DayView, FileFilter, FileName, Result};
use crate::portal::Portal;
use crate::portal::chart::{self, DaySpan};
use crate::portal::form::Form;
use crate::portal::guard::Session;
use crate::portal::media::media_href;
use crate::portal::player::drawn;
use crate::portal::shell::{Pager, Shell, page};
use crate::portal::show::{self, Html};

/// Cameras on a page: each has its day read.
const PAGE: usize = 20;

struct Row {
    /// Its name, else its AK.
    title: String,
    ak: String,
    place: String,
    href: String,
    files: u64,
    strip: Option<Html>,
    /// The newest picture: its address, its page, when.
    picture: Option<(String, String, Html)>,
}

#[derive(Template)]
#[template(path = "files_cameras.html")]
struct CamerasPage {
    shell: Shell,
    w: &'static FileWords,
    title: &'static str,
    action: &'static str,
    pictures: bool,
    q: String,
    day: String,
    before: String,
    after: String,
    rows: Vec<Row>,
    pager: Pager,
    none_at_all: bool,
}

/// The cameras of who asks, on the day that is looked for.
pub(super) async fn choose(portal: &Portal, session: &Session, form: &Form, sought: &Sought) -> Response<Body> {
    match shown(portal, session, form, sought).await {
        Ok(view) => page(StatusCode::OK, &view),
        Err(error) => session.shell(portal).failed(&error),
    }
}

async fn shown(portal: &Portal, session: &Session, form: &Form, sought: &Sought) -> Result<CamerasPage> {
    let (shell, caller) = (session.shell(portal), &session.signed.caller);
    let wanted = form.get("page").parse::<usize>().unwrap_or(1).clamp(1, 1_000_000);
    let query = CameraQuery {
        account: session.signed.account.clone(),
        find: form.get("q").to_owned(),
        sort: CameraSort::Name,
        skip: (wanted - 1).saturating_mul(PAGE),
        most: PAGE,
        ..CameraQuery::default()
    };
    let found = portal.engine.camera_page(caller, query).await?;
    let pager = Pager::new(&shell.here, wanted as u64, found.total, PAGE as u64);
    let pictures = sought.media == Media::Picture;
    let mut rows = Vec::with_capacity(found.rows.len());
    for camera in found.rows {
        let space = camera.space;
        let here = sought.of_camera(&space.ak);
        let mut row = Row {
            title: show::called(&space.name, &space.ak).to_owned(),
            place: space.place,
            href: here.href(),
            files: 0,
            strip: None,
            picture: None,
            ak: space.ak,
        };
        let start = sought.start;
        if pictures {
            let edges = vec![start, start + DAY];
            let counts = portal.engine.files_by_day(caller, &row.ak, Media::Picture, edges).await?;
            row.files = counts.iter().sum();
            let newest = portal.engine.find_files(caller, &FileFilter::of(&row.ak, Media::Picture), 0, 1).await?;
            row.picture = newest.files.first().map(|file| {
                let name = FileName { ak: row.ak.clone(), media: Media::Picture, key: file.key.clone() };
                let href = super::picture::href(&row.ak, &file.key);
                (media_href(&name, false), href, shell.time(file.created_ms))
            });
        } else {
            let day = portal.engine.day(caller, &row.ak, start..start + DAY).await?;
            row.files = day.files;
            let label = format!("{} {}", row.title, sought.day.as_deref().unwrap_or_default());
            let spans = in_few(&day, start, &row.ak, &shell);
            row.strip = Some(chart::day_strip(&label, &spans));
        }
        rows.push(row);
    }
    let beside = |second: i64| {
        let day = super::sought::day_of(second, shell.zone_minutes);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("day", &day);
        if !form.get("q").is_empty() {
            query.append_pair("q", form.get("q"));
        }
        format!("{}?{}", super::sought::page_of(sought.media), query.finish())
    };
    Ok(CamerasPage {
        w: FileWords::of(shell.lang),
        title: if pictures { shell.t.pictures } else { shell.t.recordings },
        action: super::sought::page_of(sought.media),
        pictures,
        q: form.get("q").to_owned(),
        day: sought.day.clone().unwrap_or_default(),
        before: beside(sought.start - DAY),
        after: beside(sought.start + DAY),
        none_at_all: found.all == 0,
        rows,
        pager,
        shell,
    })
}

/// A day in as few spans as show the same: what follows on what, and is like it, is one.
fn in_few(day: &DayView, start: i64, ak: &str, shell: &Shell) -> Vec<DaySpan> {
    let mut few: Vec<crate::domain::files::Span> = Vec::new();
    for span in &day.spans {
        match few.last_mut() {
            Some(last) if last.part == span.part && last.to >= span.from => {
                last.to = span.to;
                last.files += span.files;
            }
            _ => few.push(span.clone()),
        }
    }
    few.iter().map(|span| drawn(span, day, start, ak, shell.zone_minutes, shell.lang)).collect()
}
