//! `/billing`: a month over all accounts; for a province, its issued statements.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{Request, Response, StatusCode};

use super::super::Portal;
use super::super::form::Form;
use super::super::guard::Session;
use super::super::shell::{Shell, page};
use super::{file, present, state_word, tone, yuan};
use crate::domain::billing::{Money, Month};
use crate::engine::billing::{BillingAccount, Export, MonthPage, MonthRow};

/// Accounts on a page.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "billing_month.html")]
struct MonthView {
    shell: Shell,
    months: [Month; 3],
    found: MonthPage,
    first: bool,
}

#[derive(Template)]
#[template(path = "billing_own.html")]
struct Own {
    shell: Shell,
    rows: Vec<MonthRow>,
}

pub(super) async fn show(
    State(portal): State<Arc<Portal>>,
    session: Session,
    request: Request<Body>,
) -> Response<Body> {
    let shell = session.shell(&portal);
    let caller = &session.signed.caller;
    if let Some(account) = &session.signed.account {
        let account = BillingAccount::Name(account.clone());
        return match portal.engine.statements(caller, &account).await {
            Ok(rows) => page(StatusCode::OK, &Own { shell, rows }),
            Err(error) => shell.failed(&error),
        };
    }
    let query = Form::of_query(request.uri().query());
    // The month that is to be issued next is the one before this.
    let month = query.get("month").parse().unwrap_or_else(|_| present(&portal).before());
    let after = query.get("after").parse().unwrap_or(0);
    match portal.engine.billing_month(caller, month, after, PAGE).await {
        Ok(found) => {
            let months = [month.before(), month, month.next()];
            page(StatusCode::OK, &MonthView { shell, months, found, first: after == 0 })
        }
        Err(error) => shell.failed(&error),
    }
}

pub(super) async fn export(
    State(portal): State<Arc<Portal>>,
    session: Session,
    Path((month, name)): Path<(String, String)>,
) -> Response<Body> {
    let shell = session.shell(&portal);
    let format = name.strip_prefix("month.").and_then(Export::named);
    let (Ok(month), Some(format)) = (month.parse::<Month>(), format) else { return shell.not_found() };
    match portal.engine.export_month(&session.signed.caller, month, format).await {
        Ok(bytes) => file(bytes, format, &format!("billing-{month}.{}", name.trim_start_matches("month."))),
        Err(error) => shell.failed(&error),
    }
}

impl MonthView {
    fn count(&self, state: &str) -> usize {
        self.found.rows.iter().filter(|row| row.state == state).count()
    }

    fn yuan(&self, amount: &Money) -> String {
        yuan(amount)
    }
}

impl Own {
    fn yuan(&self, amount: &Money) -> String {
        yuan(amount)
    }
}

/// What both tables say of a row.
trait Stated {
    fn word(&self, shell: &Shell) -> &'static str;
    fn tone(&self) -> &'static str;
}

impl Stated for MonthRow {
    fn word(&self, shell: &Shell) -> &'static str {
        state_word(shell.lang, self.state)
    }

    fn tone(&self) -> &'static str {
        tone(self.state)
    }
}
