//! `/billing/reconcile`: a month against a CSV of the CRM's.

use std::sync::Arc;

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};

use super::super::Portal;
use super::super::form::Form;
use super::super::guard::{self, Session};
use super::super::shell::{Shell, page};
use super::{present, yuan};
use crate::domain::billing::{Match, Money, Month, Outcome};
use crate::wire::sheet::read_crm;

/// Rows that are shown.
const ROWS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "billing_reconcile.html")]
struct View {
    shell: Shell,
    month: Month,
    found: Option<Vec<Match>>,
    counts: [usize; 4],
    problem: String,
}

const OUTCOMES: [Outcome; 4] = [Outcome::Differs, Outcome::OnlyOurs, Outcome::OnlyTheirs, Outcome::Matches];

impl View {
    fn word(&self, outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Differs => self.shell.say("金额不符", "Differs"),
            Outcome::OnlyOurs => self.shell.say("CRM 缺少", "Missing in the CRM"),
            Outcome::OnlyTheirs => self.shell.say("本系统缺少", "Missing here"),
            Outcome::Matches => self.shell.say("相符", "Matches"),
        }
    }

    fn tone(&self, outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Differs => "bad",
            Outcome::OnlyOurs | Outcome::OnlyTheirs => "warn",
            Outcome::Matches => "good",
        }
    }

    fn amount(&self, amount: &Option<Money>) -> String {
        amount.as_ref().map_or_else(|| "–".to_owned(), yuan)
    }

    fn yuan(&self, amount: &Money) -> String {
        yuan(amount)
    }
}

pub(super) async fn form(
    State(portal): State<Arc<Portal>>,
    session: Session,
    request: Request<Body>,
) -> Response<Body> {
    let shell = session.shell(&portal);
    if session.signed.role.of_one_account() {
        return shell.refused();
    }
    let month = Form::of_query(request.uri().query()).get("month").parse();
    let month = month.unwrap_or_else(|_| present(&portal).before());
    page(StatusCode::OK, &View { shell, month, found: None, counts: [0; 4], problem: String::new() })
}

pub(super) async fn compare(
    State(portal): State<Arc<Portal>>,
    session: Session,
    request: Request<Body>,
) -> Response<Body> {
    let shell = session.shell(&portal);
    let kind = request.headers().get(CONTENT_TYPE).cloned().unwrap_or(HeaderValue::from_static(""));
    let bytes = to_bytes(request.into_body(), guard::BODY_BYTES_MAX).await.unwrap_or_default();
    let (fields, file) = guard::multipart(kind.to_str().unwrap_or_default(), &bytes);
    let month = fields.iter().find(|(name, _)| name == "month").and_then(|(_, month)| month.parse().ok());
    let month: Month = month.unwrap_or_else(|| present(&portal).before());
    let theirs = match read_crm(&file) {
        Ok(theirs) => theirs,
        Err(fault) => {
            let problem = shell.refusal(&fault);
            let view = View { shell, month, found: None, counts: [0; 4], problem };
            return page(StatusCode::UNPROCESSABLE_ENTITY, &view);
        }
    };
    match portal.engine.reconcile_month(&session.signed.caller, month, theirs).await {
        Ok(mut found) => {
            let counts = OUTCOMES.map(|outcome| found.iter().filter(|row| row.outcome == outcome).count());
            found.truncate(ROWS_MAX);
            page(StatusCode::OK, &View { shell, month, found: Some(found), counts, problem: String::new() })
        }
        Err(error) => shell.failed(&error),
    }
}
