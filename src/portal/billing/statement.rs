//! A statement: its lines, and the steps from trial to settled.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{Request, Response, StatusCode};

use super::super::Portal;
use super::super::form::Form;
use super::super::guard::Session;
use super::super::refusals::Typed;
use super::super::shell::{Shell, page};
use super::{at, charge_word, file, go, last, state_word, tone, who, yuan};
use crate::domain::Action;
use crate::domain::billing::{Charge, Day, Line, Money, Month, gb_months};
use crate::engine::billing::{BillingAccount, Export, StatementView};

type At = Path<(u64, String)>;

#[derive(Template)]
#[template(path = "billing_statement.html")]
struct View {
    shell: Shell,
    id: u64,
    s: StatementView,
    /// Of an issued one: whether it is the same computed again.
    same: Option<bool>,
    problem: String,
    amount: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "billing_confirm.html")]
struct Confirm {
    shell: Shell,
    id: u64,
    s: StatementView,
    /// `issue` or `settle`.
    act: &'static str,
}

impl View {
    fn may_manage(&self) -> bool {
        self.shell.may(Action::ManageBilling)
    }

    fn quantity(&self, line: &Line) -> String {
        gb_months(line.byte_hours, self.s.statement.bytes_per_gb, self.s.statement.month_hours)
    }

    fn charge(&self, charge: &Charge) -> &'static str {
        charge_word(self.shell.lang, *charge)
    }

    fn who<'a>(&self, by: &'a str) -> &'a str {
        who(self.shell.lang, by)
    }

    fn last(&self, to: &Day) -> Day {
        last(to)
    }

    fn yuan(&self, amount: &Money) -> String {
        yuan(amount)
    }

    fn state(&self) -> &'static str {
        state_word(self.shell.lang, self.s.state)
    }

    fn tone(&self) -> &'static str {
        tone(self.s.state)
    }
}

impl Confirm {
    fn yuan(&self, amount: &Money) -> String {
        yuan(amount)
    }
}

pub(super) async fn show(
    State(portal): State<Arc<Portal>>,
    session: Session,
    Path(path): At,
    request: Request<Body>,
) -> Response<Body> {
    let done = match Form::of_query(request.uri().query()).get("done") {
        "issue" => Some(session.shell(&portal).say("账单已出账，账期已锁定", "Issued; the period is locked")),
        "settle" => Some(session.shell(&portal).say("账单已结清", "Settled")),
        "adjust" => Some(session.shell(&portal).say("调整已登记", "The correction is entered")),
        _ => None,
    };
    let shell = session.shell(&portal).saying(done);
    let Some((account, month)) = at(&path) else { return shell.not_found() };
    shown(&portal, &session, shell, path.0, &account, month, [String::new(), String::new(), String::new()]).await
}

/// The page, with what was wrong and what was typed.
async fn shown(
    portal: &Portal,
    session: &Session,
    shell: Shell,
    id: u64,
    account: &BillingAccount,
    month: Month,
    [problem, amount, reason]: [String; 3],
) -> Response<Body> {
    let caller = &session.signed.caller;
    let s = match portal.engine.statement(caller, account, month).await {
        Ok(s) => s,
        Err(error) => return shell.failed(&error),
    };
    let same = if s.issued_ms.is_some() {
        match portal.engine.verify_statement(caller, account, month).await {
            Ok(verified) => Some(verified.same),
            Err(error) => return shell.failed(&error),
        }
    } else {
        None
    };
    let status = if problem.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    page(status, &View { shell, id, s, same, problem, amount, reason })
}

pub(super) async fn confirm(
    State(portal): State<Arc<Portal>>,
    session: Session,
    Path(path): At,
    request: Request<Body>,
) -> Response<Body> {
    let shell = session.shell(&portal);
    let Some((account, month)) = at(&path) else { return shell.not_found() };
    let act = if request.uri().path().ends_with("/issue") { "issue" } else { "settle" };
    match portal.engine.statement(&session.signed.caller, &account, month).await {
        Ok(s) => page(StatusCode::OK, &Confirm { shell, id: path.0, s, act }),
        Err(error) => shell.failed(&error),
    }
}

pub(super) async fn issue(State(portal): State<Arc<Portal>>, session: Session, Path(path): At) -> Response<Body> {
    let shell = session.shell(&portal);
    let Some((account, month)) = at(&path) else { return shell.not_found() };
    let done = portal.engine.issue_statement(&session.signed.caller, &account, month).await;
    portal.engine.audit_by(&session.signed.caller, "IssueStatement", &format!("@{} {month}", path.0), &done);
    match done {
        Ok(_) => go(&format!("/billing/statements/{}/{month}?done=issue", path.0)),
        Err(error) => shell.failed(&error),
    }
}

pub(super) async fn settle(State(portal): State<Arc<Portal>>, session: Session, Path(path): At) -> Response<Body> {
    let shell = session.shell(&portal);
    let Some((account, month)) = at(&path) else { return shell.not_found() };
    let done = portal.engine.settle_statement(&session.signed.caller, &account, month).await;
    portal.engine.audit_by(&session.signed.caller, "SettleStatement", &format!("@{} {month}", path.0), &done);
    match done {
        Ok(_) => go(&format!("/billing/statements/{}/{month}?done=settle", path.0)),
        Err(error) => shell.failed(&error),
    }
}

pub(super) async fn adjust(
    State(portal): State<Arc<Portal>>,
    session: Session,
    Path(path): At,
    request: Request<Body>,
) -> Response<Body> {
    let shell = session.shell(&portal);
    let Some((account, month)) = at(&path) else { return shell.not_found() };
    let form = Form::of_body(request).await;
    let typed = |problem: String| [problem, form.get("amount").to_owned(), form.get("reason").to_owned()];
    let amount: Money = match form.get("amount").parse() {
        Ok(amount) => amount,
        Err(_) => {
            let problem = shell.refusal(&Typed::Amount(form.get("amount").to_owned()));
            return shown(&portal, &session, shell, path.0, &account, month, typed(problem)).await;
        }
    };
    let caller = &session.signed.caller;
    let done = portal.engine.adjust_statement(caller, &account, month, amount, form.get("reason")).await;
    portal.engine.audit_by(&session.signed.caller, "AdjustStatement", &format!("@{} {month} {amount}", path.0), &done);
    match done {
        Ok(_) => go(&format!("/billing/statements/{}/{month}?done=adjust", path.0)),
        Err(crate::engine::Error::Refused(refusal)) => {
            let problem = shell.refusal(&refusal);
            shown(&portal, &session, shell, path.0, &account, month, typed(problem)).await
        }
        Err(error) => shell.failed(&error),
    }
}

pub(super) async fn export(
    State(portal): State<Arc<Portal>>,
    session: Session,
    Path((id, month, name)): Path<(u64, String, String)>,
) -> Response<Body> {
    let shell = session.shell(&portal);
    let Some((account, month)) = at(&(id, month)) else { return shell.not_found() };
    let caller = &session.signed.caller;
    if name == "statement.json" {
        // The canonical bytes: what the digest is of.
        return match portal.engine.statement(caller, &account, month).await {
            Ok(s) => {
                let mut response = file(s.canonical.into_bytes(), Export::Csv, &format!("statement-{id}-{month}.json"));
                let kind = http::HeaderValue::from_static("application/json");
                response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
                response
            }
            Err(error) => shell.failed(&error),
        };
    }
    let Some((ending, format)) =
        name.strip_prefix("statement.").and_then(|ending| Some((ending, Export::named(ending)?)))
    else {
        return shell.not_found();
    };
    match portal.engine.export_statement(caller, &account, month, format).await {
        Ok(bytes) => file(bytes, format, &format!("statement-{id}-{month}.{ending}")),
        Err(error) => shell.failed(&error),
    }
}
