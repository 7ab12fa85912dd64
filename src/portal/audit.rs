//! 审计: who did what.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::{Request, Response, StatusCode};

use super::cameras::cut;
use super::form::Form;
use super::guard::Session;
use super::page_words::PageWords;
use super::shell::{Pager, Shell, page};
use super::show::Html;
use super::{Needs, Portal, Route};
use crate::domain::Action;
use crate::engine::AuditEntry;

/// Lines that are looked through, newest first.
const LINES_MAX: usize = 10_000;

struct Row {
    at: Html,
    entry: AuditEntry,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    w: &'static PageWords,
    who: String,
    what: String,
    target: String,
    rows: Vec<Row>,
    pager: Pager,
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { path: "/audit", needs: Needs::Role(Action::SeeAudit), pages: get(list) }]
}

async fn list(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let shell = session.shell(&portal);
    let query = Form::of_query(request.uri().query());
    let log = match portal.engine.audit_log(&session.signed.caller, LINES_MAX).await {
        Ok(log) => log,
        Err(error) => return shell.failed(&error),
    };
    let has = |text: &str, name: &str| text.to_lowercase().contains(&query.get(name).to_lowercase());
    let found: Vec<_> = log
        .into_iter()
        .filter(|(_, entry)| has(&entry.who, "who") && has(&entry.what, "what") && has(&entry.target, "target"))
        .collect();
    let (shown, pager) = cut(found, &shell.here);
    let rows = shown.into_iter().map(|(at, entry)| Row { at: shell.time(at), entry }).collect();
    let kept = |name: &str| query.get(name).to_owned();
    let view = AuditPage {
        w: PageWords::of(shell.lang),
        who: kept("who"),
        what: kept("what"),
        target: kept("target"),
        shell,
        rows,
        pager,
    };
    page(StatusCode::OK, &view)
}
