//! Settlement over the API: tariffs, who has which, months, statements, samples.

use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use http::StatusCode;

use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, json, ok, read};
use super::types::{AdjustStatement, AssignTariff};
use crate::domain::billing::{Day, Month, Tariff};
use crate::engine::billing::BillingAccount;

/// Rows of a page of a month, where the query does not say.
const PAGE: usize = 100;

fn account(text: &str) -> BillingAccount {
    let Ok(account) = text.parse();
    account
}

pub(super) fn written<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, No> {
    text.parse().map_err(No::bad_request)
}

/// A field of a query; empty where it did not come.
pub(super) fn field(query: Option<&str>, name: &str) -> String {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).last().unwrap_or_default()
}

/// A number in a query.
pub(super) fn number<T: std::str::FromStr>(query: Option<&str>, name: &str, absent: T) -> Result<T, No> {
    let text = field(query, name);
    if text.is_empty() {
        return Ok(absent);
    }
    text.parse().map_err(|_| No::bad_request(format!("{name} must be a number")))
}

pub(super) async fn tariffs(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.tariffs(&caller).await?)
}

pub(super) async fn add_tariff(State(control): State<Control>, By(caller): By, body: Bytes) -> Answered {
    let tariff: Tariff = read(&body)?;
    let target: String = tariff.name.chars().take(64).collect();
    let added = control.engine.add_tariff(&caller, tariff).await;
    json(StatusCode::CREATED, &control.audit(&caller, "AddTariff", &target, added)?)
}

pub(super) async fn assignments(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    let of = field(query.as_deref(), "account");
    let of = (!of.is_empty()).then(|| account(&of));
    ok(&control.engine.tariff_assignments(&caller, of.as_ref()).await?)
}

pub(super) async fn assign(State(control): State<Control>, By(caller): By, body: Bytes) -> Answered {
    let asked: AssignTariff = read(&body)?;
    let from: Day = written(&asked.from)?;
    let to: Option<Day> = asked.to.as_deref().map(written).transpose()?;
    let tariff: Option<String> = asked.tariff.map(|name| name.chars().take(64).collect());
    let target = format!("{} {} {}", asked.account, tariff.as_deref().unwrap_or("-"), asked.from);
    let done = control.engine.assign_tariff(&caller, &account(&asked.account), tariff, from, to).await;
    json(StatusCode::CREATED, &control.audit(&caller, "AssignTariff", &target, done)?)
}

pub(super) async fn month(
    State(control): State<Control>,
    By(caller): By,
    Path(month): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let (after, most) = (number(query.as_deref(), "after", 0)?, number(query.as_deref(), "most", PAGE)?);
    ok(&control.engine.billing_month(&caller, written::<Month>(&month)?, after, most).await?)
}

pub(super) async fn statements(State(control): State<Control>, By(caller): By, Path(of): Path<String>) -> Answered {
    ok(&control.engine.statements(&caller, &account(&of)).await?)
}

pub(super) async fn statement(
    State(control): State<Control>,
    By(caller): By,
    Path((of, month)): Path<(String, String)>,
) -> Answered {
    ok(&control.engine.statement(&caller, &account(&of), written(&month)?).await?)
}

pub(super) async fn issue(
    State(control): State<Control>,
    By(caller): By,
    Path((of, month)): Path<(String, String)>,
) -> Answered {
    let done = control.engine.issue_statement(&caller, &account(&of), written(&month)?).await;
    ok(&control.audit(&caller, "IssueStatement", &format!("{of} {month}"), done)?)
}

pub(super) async fn adjust(
    State(control): State<Control>,
    By(caller): By,
    Path((of, month)): Path<(String, String)>,
    body: Bytes,
) -> Answered {
    let AdjustStatement { amount_li, reason } = read(&body)?;
    let done = control.engine.adjust_statement(&caller, &account(&of), written(&month)?, amount_li, &reason).await;
    ok(&control.audit(&caller, "AdjustStatement", &format!("{of} {month} {amount_li}"), done)?)
}

pub(super) async fn settle(
    State(control): State<Control>,
    By(caller): By,
    Path((of, month)): Path<(String, String)>,
) -> Answered {
    let done = control.engine.settle_statement(&caller, &account(&of), written(&month)?).await;
    ok(&control.audit(&caller, "SettleStatement", &format!("{of} {month}"), done)?)
}

pub(super) async fn verify(
    State(control): State<Control>,
    By(caller): By,
    Path((of, month)): Path<(String, String)>,
) -> Answered {
    ok(&control.engine.verify_statement(&caller, &account(&of), written(&month)?).await?)
}

pub(super) async fn samples(
    State(control): State<Control>,
    By(caller): By,
    Path(of): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let day = |name| written::<Day>(&field(query.as_deref(), name));
    ok(&control.engine.billing_samples(&caller, &account(&of), day("from")?, day("to")?).await?)
}
