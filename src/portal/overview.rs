//! 总览: the health of the box, its disks, its space.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::{Response, StatusCode};

use super::guard::Session;
use super::page_words::PageWords;
use super::shell::{Shell, page};
use super::show::Html;
use super::{Needs, Portal, Route, show};
use crate::domain::Action;
use crate::engine::DiskView;

struct Disk {
    dir: String,
    state: &'static str,
    class: &'static str,
    bar: Html,
    free: String,
    total: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    w: &'static PageWords,
    healthy: bool,
    used: String,
    files: String,
    promised: String,
    over_promised: bool,
    handed_out: String,
    accounts: String,
    sub_accounts: String,
    alerts: String,
    given_up: String,
    reserved: String,
    queue: String,
    disks: Vec<Disk>,
    s3: String,
    soap: String,
    passes: String,
    scrubbed: String,
    damaged: String,
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { path: "/overview", needs: Needs::Role(Action::SeeOverview), pages: get(overview) }]
}

async fn overview(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    let shell = session.shell(&portal);
    let status = match portal.engine.status(&session.signed.caller).await {
        Ok(status) => status,
        Err(error) => return shell.failed(&error),
    };
    let room: u64 = status.disks.iter().map(|disk| disk.total_bytes.saturating_sub(disk.reserve_bytes)).sum();
    let addresses = (portal.settings.addresses)();
    let view = OverviewPage {
        w: PageWords::of(shell.lang),
        healthy: status.disks.iter().all(|disk| disk.state == "ok") && status.scrub.damaged == 0,
        used: show::bytes(status.used_bytes),
        files: show::count(status.files),
        promised: show::bytes(status.promised_bytes),
        over_promised: status.promised_bytes > room,
        handed_out: show::bytes(status.handed_out_bytes),
        accounts: show::count(status.accounts),
        sub_accounts: show::count(status.sub_accounts),
        alerts: show::count(status.alerts_pending),
        given_up: show::count(status.alerts_given_up),
        reserved: show::bytes(status.reserved_bytes),
        queue: show::count(status.commit_queue as u64),
        disks: status.disks.iter().map(|disk| disk_row(&shell, disk)).collect(),
        s3: addresses.s3,
        soap: addresses.soap,
        passes: show::count(status.scrub.passes),
        scrubbed: show::count(status.scrub.objects),
        damaged: show::count(status.scrub.damaged),
        shell,
    };
    page(StatusCode::OK, &view)
}

fn disk_row(shell: &Shell, disk: &DiskView) -> Disk {
    let (t, w) = (shell.t, PageWords::of(shell.lang));
    let (state, class) = match disk.state {
        "ok" => (w.disk_ok, "good"),
        "full" => (w.disk_full, "bad"),
        "offline" => (w.disk_offline, "bad"),
        _ => (w.disk_failed, "bad"),
    };
    let used = disk.total_bytes.saturating_sub(disk.free_bytes);
    let label = format!("{} {}", t.used, show::percent(used, disk.total_bytes));
    Disk {
        dir: disk.dir.clone(),
        state,
        class,
        bar: show::bar(&label, &[("used", t.used, used)], disk.total_bytes),
        free: show::bytes(disk.free_bytes),
        total: show::bytes(disk.total_bytes),
    }
}
