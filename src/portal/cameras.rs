//! 子账户管理: the cameras of an account, or of the box, found, filtered and sorted; those that are silent.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::{Request, Response, StatusCode};

use super::form::Form;
use super::guard::Session;
use super::shell::{Pager, Shell, page};
use super::show::Html;
use super::{Needs, Portal, Route, show};
use crate::domain::Action;
use crate::engine::SubAccountView;
use crate::engine::observe::{CameraLine, CameraPage, CameraQuery, CameraState};

/// Rows on a page.
const PAGE: usize = 100;
/// Cameras on a page of the list.
const LINES: usize = 50;

/// Cuts a page out of `all`, as the query of `here` says.
pub(super) fn cut<T>(all: Vec<T>, here: &str) -> (Vec<T>, Pager) {
    let query = Form::of_query(here.split_once('?').map(|(_, query)| query));
    let pager = Pager::new(here, query.get("page").parse().unwrap_or(1), all.len() as u64, PAGE as u64);
    let before = usize::try_from(pager.page - 1).unwrap_or(usize::MAX).saturating_mul(PAGE);
    (all.into_iter().skip(before).take(PAGE).collect(), pager)
}

/// A sub-account as a row.
pub(super) struct Row {
    pub(super) ak: String,
    pub(super) bar: Html,
    pub(super) share: String,
    pub(super) full: bool,
    pub(super) warned: bool,
    pub(super) space: String,
    pub(super) loops: bool,
    pub(super) recordings: String,
    pub(super) pictures: String,
    pub(super) locked: String,
    pub(super) overwrites: String,
    pub(super) last_upload: Html,
}

/// A camera as a row of the list.
struct Line {
    camera: CameraLine,
    bar: Html,
    share: String,
    space: String,
    last_upload: Html,
    /// How far back it reaches, or when it is full.
    reach: String,
}

#[derive(Template)]
#[template(path = "cameras.html")]
struct CamerasPage {
    shell: Shell,
    left: Option<String>,
    found: CameraPage,
    one: bool,
    account: String,
    q: String,
    state: String,
    sort: String,
    lines: Vec<Line>,
    pager: Pager,
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { path: "/cameras", needs: Needs::Role(Action::SeeSpace), pages: get(cameras) }]
}

async fn cameras(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let mut shell = session.shell(&portal);
    let form = Form::of_query(request.uri().query());
    if form.get("done") == "closed" {
        shell = shell.saying(Some(session.shell(&portal).say("子账户已销户", "The sub-account is closed")));
    }
    let own = session.signed.account.clone();
    let named = Some(form.get("account").to_owned()).filter(|name| !name.is_empty());
    let page_wanted = form.get("page").parse::<usize>().unwrap_or(1).clamp(1, 1_000_000);
    let asked = |page: usize| CameraQuery {
        account: own.clone().or_else(|| named.clone()),
        find: form.get("q").to_owned(),
        state: form.get("state").parse::<CameraState>().ok(),
        sort: form.get("sort").parse().unwrap_or_default(),
        skip: (page - 1).saturating_mul(LINES),
        most: LINES,
    };
    let caller = &session.signed.caller;
    let mut found = match portal.engine.camera_page(caller, asked(page_wanted)).await {
        Ok(found) => found,
        Err(error) => return shell.failed(&error),
    };
    let pager = Pager::new(&shell.here, page_wanted as u64, found.total, LINES as u64);
    if found.rows.is_empty() && found.total > 0 {
        let last = usize::try_from(pager.page).unwrap_or(1);
        found = match portal.engine.camera_page(caller, asked(last)).await {
            Ok(found) => found,
            Err(error) => return shell.failed(&error),
        };
    }
    let left = match own.as_ref().map(|name| name.parse()) {
        Some(Ok(name)) => portal
            .engine
            .account(caller, &name)
            .await
            .ok()
            .map(|account| show::bytes(account.free_gb.saturating_mul(portal.settings.gigabyte.get()))),
        _ => None,
    };
    let lines = std::mem::take(&mut found.rows).into_iter().map(|camera| line(&shell, camera)).collect();
    let view = CamerasPage {
        left,
        one: own.is_some(),
        account: named.unwrap_or_default(),
        q: form.get("q").to_owned(),
        state: form.get("state").to_owned(),
        sort: form.get("sort").to_owned(),
        found,
        lines,
        pager,
        shell,
    };
    page(StatusCode::OK, &view)
}

fn line(shell: &Shell, camera: CameraLine) -> Line {
    let space = &camera.space;
    let reach = match (space.loops, camera.kept_ms, space.full_ms) {
        (true, Some(kept), _) => format!("{} {}", shell.say("已保留", "kept"), shell.duration(kept / 1000)),
        (false, _, Some(at)) if at > shell.now => {
            format!("{} {}", shell.duration((at - shell.now) / 1000), shell.say("后写满", "to full"))
        }
        _ => "–".to_owned(),
    };
    Line {
        bar: shell.space_bar(space.used_bytes, space.locked_bytes, space.reserved_bytes, space.granted_bytes),
        share: show::percent(space.used_bytes, space.granted_bytes),
        space: format!("{} / {}", show::bytes(space.used_bytes), show::bytes(space.granted_bytes)),
        last_upload: shell.time(camera.last_upload_ms),
        reach,
        camera,
    }
}

/// Those that need somebody come first.
pub(super) fn fullest_first(all: &mut [SubAccountView]) {
    let fullness =
        |sub: &SubAccountView| (u128::from(sub.used_bytes) * 10_000).checked_div(u128::from(sub.space_bytes));
    all.sort_by_key(|sub| std::cmp::Reverse(fullness(sub)));
}

pub(super) fn row(shell: &Shell, sub: &SubAccountView) -> Row {
    Row {
        ak: sub.ak.clone(),
        bar: shell.space_bar(sub.used_bytes, sub.locked_bytes, sub.reserved_bytes, sub.space_bytes),
        share: format!("{} · {}", show::bytes(sub.used_bytes), show::percent(sub.used_bytes, sub.space_bytes)),
        full: sub.episodes.contains(&"full"),
        warned: sub.episodes.contains(&"nearly_full"),
        space: show::bytes(sub.space_bytes),
        loops: sub.loops,
        recordings: show::count(sub.recordings),
        pictures: show::count(sub.pictures),
        locked: show::count(sub.locked_files),
        overwrites: show::count(sub.overwrites),
        last_upload: shell.time(sub.last_upload_ms),
    }
}
