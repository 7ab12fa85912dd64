//! 空间监控: the sub-accounts of an account, what they hold and how full they are.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::{Response, StatusCode};

use super::form::Form;
use super::guard::Session;
use super::page_words::PageWords;
use super::shell::{Pager, Shell, page};
use super::show::Html;
use super::{Needs, Portal, Route, show};
use crate::domain::Action;
use crate::engine::SubAccountView;

/// Rows on a page.
const PAGE: usize = 100;

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

#[derive(Template)]
#[template(path = "cameras.html")]
struct CamerasPage {
    shell: Shell,
    w: &'static PageWords,
    space: String,
    free: String,
    used: String,
    files: String,
    warned: String,
    full: String,
    cameras: Vec<Row>,
    pager: Pager,
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { path: "/cameras", needs: Needs::Role(Action::SeeSpace), pages: get(cameras) }]
}

async fn cameras(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    let shell = session.shell(&portal);
    let Some(Ok(name)) = session.signed.account.as_ref().map(|name| name.parse()) else { return shell.refused() };
    let caller = &session.signed.caller;
    let account = match portal.engine.account(caller, &name).await {
        Ok(account) => account,
        Err(error) => return shell.failed(&error),
    };
    let mut all = match portal.engine.sub_accounts(caller, &name).await {
        Ok(all) => all,
        Err(error) => return shell.failed(&error),
    };
    let counted = |word: &str| show::count(all.iter().filter(|sub| sub.episodes.contains(&word)).count() as u64);
    let (warned, full) = (counted("nearly_full"), counted("full"));
    fullest_first(&mut all);
    let (shown, pager) = cut(all, &shell.here);
    let gigabytes = |number: u64| show::bytes(number.saturating_mul(portal.settings.gigabyte.get()));
    let view = CamerasPage {
        w: PageWords::of(shell.lang),
        space: gigabytes(u64::from(account.space_gb)),
        free: gigabytes(account.free_gb),
        used: show::bytes(account.used_bytes),
        files: show::count(account.files),
        warned,
        full,
        cameras: shown.iter().map(|sub| row(&shell, sub)).collect(),
        pager,
        shell,
    };
    page(StatusCode::OK, &view)
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
