//! Numbers over time, the box at a glance, and settlement's tables as files.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};

use super::billing::{field, written};
use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, name, ok};
use crate::domain::billing::Month;
use crate::engine::billing::{BillingAccount, Export};
use crate::engine::observe::{Period, TopBy};
use crate::wire::sheet::read_crm;

pub(super) async fn statistics(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    let asked = |name| field(query.as_deref(), name);
    let period: Period = match asked("period").as_str() {
        "" => Period::Day,
        word => written(word)?,
    };
    let by: TopBy = written(&asked("by"))?;
    let account = match asked("account").as_str() {
        "" => None,
        account => Some(name(account)?),
    };
    let series = control.engine.statistics(&caller, account.as_ref(), period, by).await?;
    match asked("as").as_str() {
        "" | "json" => ok(&series),
        "csv" => Ok(file(series.to_csv(), "text/csv; charset=utf-8")),
        other => Err(No::bad_request(format!("{other:?} is no format; there are json and csv"))),
    }
}

pub(super) async fn overview(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.overview(&caller).await?)
}

pub(super) async fn export_month(
    State(control): State<Control>,
    By(caller): By,
    Path(month): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let format = format(query.as_deref())?;
    let bytes = control.engine.export_month(&caller, written::<Month>(&month)?, format).await?;
    Ok(file(bytes, format.content_type()))
}

pub(super) async fn export_statement(
    State(control): State<Control>,
    By(caller): By,
    Path((of, month)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Answered {
    let format = format(query.as_deref())?;
    let Ok(account): Result<BillingAccount, _> = of.parse();
    let bytes = control.engine.export_statement(&caller, &account, written(&month)?, format).await?;
    Ok(file(bytes, format.content_type()))
}

/// The body is the CRM's CSV.
pub(super) async fn reconcile(
    State(control): State<Control>,
    By(caller): By,
    Path(month): Path<String>,
    body: Bytes,
) -> Answered {
    let theirs = read_crm(&body).map_err(|fault| No::bad_request(fault.to_string()))?;
    ok(&control.engine.reconcile_month(&caller, written(&month)?, theirs).await?)
}

/// `as` of a query.
fn format(query: Option<&str>) -> Result<Export, No> {
    let asked = field(query, "as");
    let ending = if asked.is_empty() { "csv" } else { &asked };
    Export::named(ending).ok_or_else(|| No::bad_request(format!("{ending:?} is no format; there are csv and xlsx")))
}

/// Bytes to be kept.
pub(super) fn file(bytes: Vec<u8>, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
