//! `/api/v1/billing`: settlement.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;

use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, json, ok, read};
use crate::domain::Refusal;
use crate::domain::billing::{BillingRefusal, Day, Money, Month, Tariff};
use crate::engine::Error;
use crate::engine::billing::{BillingAccount, Export};
use crate::wire::sheet::read_crm;

/// `POST /api/v1/billing/assignments`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    account: String,
    tariff: Option<String>,
    from: Day,
    #[serde(default)]
    to: Option<Day>,
}

/// `POST /api/v1/billing/statements/ACCOUNT/MONTH/adjust`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Adjust {
    amount_li: Money,
    reason: String,
}

fn account(text: &str) -> BillingAccount {
    text.parse().unwrap_or_else(|never| match never {})
}

fn month(text: &str) -> Result<Month, No> {
    text.parse().map_err(No::bad_request)
}

fn value<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
}

fn file(bytes: Vec<u8>, format: Export) -> Response<Body> {
    let kind = HeaderValue::from_static(format.content_type());
    (StatusCode::OK, [(CONTENT_TYPE, kind)], bytes).into_response()
}

pub(super) async fn tariffs(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.tariffs(&caller).await?)
}

pub(super) async fn add_tariff(State(control): State<Control>, By(caller): By, body: Bytes) -> Answered {
    let tariff: Tariff = read(&body)?;
    let target = format!("{} {}", tariff.name, tariff.from);
    let added = control.engine.add_tariff(&caller, tariff).await;
    json(StatusCode::CREATED, &control.audit(&caller, "AddTariff", &target, added)?)
}

pub(super) async fn assignments(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.tariff_assignments(&caller, None).await?)
}

pub(super) async fn assign(State(control): State<Control>, By(caller): By, body: Bytes) -> Answered {
    let Assign { account: name, tariff, from, to } = read(&body)?;
    let target = format!("{name} {} {from}", tariff.as_deref().unwrap_or("-"));
    let assigned = control.engine.assign_tariff(&caller, &account(&name), tariff, from, to).await;
    json(StatusCode::CREATED, &control.audit(&caller, "AssignTariff", &target, assigned)?)
}

pub(super) async fn months(
    State(control): State<Control>,
    By(caller): By,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let month = month(&text)?;
    if let Some(format) = value(query.as_deref(), "format").and_then(Export::named) {
        return Ok(file(control.engine.export_month(&caller, month, format).await?, format));
    }
    let after = value(query.as_deref(), "after").and_then(|after| after.parse().ok()).unwrap_or(0);
    ok(&control.engine.billing_month(&caller, month, after, 100).await?)
}

pub(super) async fn reconcile(
    State(control): State<Control>,
    By(caller): By,
    Path(text): Path<String>,
    body: Bytes,
) -> Answered {
    let theirs = read_crm(&body).map_err(|why| Error::from(Refusal::Billing(BillingRefusal::BadCrmFile { why })))?;
    ok(&control.engine.reconcile_month(&caller, month(&text)?, theirs).await?)
}

pub(super) async fn statements(State(control): State<Control>, By(caller): By, Path(name): Path<String>) -> Answered {
    ok(&control.engine.statements(&caller, &account(&name)).await?)
}

pub(super) async fn statement(
    State(control): State<Control>,
    By(caller): By,
    Path((name, text)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Answered {
    let (account, month) = (account(&name), month(&text)?);
    if let Some(format) = value(query.as_deref(), "format").and_then(Export::named) {
        return Ok(file(control.engine.export_statement(&caller, &account, month, format).await?, format));
    }
    ok(&control.engine.statement(&caller, &account, month).await?)
}

pub(super) async fn issue(
    State(control): State<Control>,
    By(caller): By,
    Path((name, text)): Path<(String, String)>,
) -> Answered {
    let issued = control.engine.issue_statement(&caller, &account(&name), month(&text)?).await;
    ok(&control.audit(&caller, "IssueStatement", &format!("{name} {text}"), issued)?)
}

pub(super) async fn adjust(
    State(control): State<Control>,
    By(caller): By,
    Path((name, text)): Path<(String, String)>,
    body: Bytes,
) -> Answered {
    let Adjust { amount_li, reason } = read(&body)?;
    let adjusted = control.engine.adjust_statement(&caller, &account(&name), month(&text)?, amount_li, &reason).await;
    ok(&control.audit(&caller, "AdjustStatement", &format!("{name} {text} {amount_li}"), adjusted)?)
}

pub(super) async fn settle(
    State(control): State<Control>,
    By(caller): By,
    Path((name, text)): Path<(String, String)>,
) -> Answered {
    let settled = control.engine.settle_statement(&caller, &account(&name), month(&text)?).await;
    ok(&control.audit(&caller, "SettleStatement", &format!("{name} {text}"), settled)?)
}

pub(super) async fn verify(
    State(control): State<Control>,
    By(caller): By,
    Path((name, text)): Path<(String, String)>,
) -> Answered {
    ok(&control.engine.verify_statement(&caller, &account(&name), month(&text)?).await?)
}

pub(super) async fn samples(
    State(control): State<Control>,
    By(caller): By,
    Path((name, text)): Path<(String, String)>,
) -> Answered {
    let month = month(&text)?;
    ok(&control.engine.billing_samples(&caller, &account(&name), month.first_day(), month.end()).await?)
}
