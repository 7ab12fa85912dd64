//! What the office asks of accounts and of the audit log, beyond opening and closing.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use futures_util::Stream;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};

use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, name, ok};
use crate::domain::Timestamp;
use crate::engine::AuditQuery;

pub(super) async fn suspend(State(control): State<Control>, By(caller): By, Path(account): Path<String>) -> Answered {
    let account = name(&account)?;
    let done = control.engine.suspend_account(&caller, &account, true).await;
    ok(&control.audit(&caller, "SuspendAccount", account.as_str(), done)?)
}

pub(super) async fn resume(State(control): State<Control>, By(caller): By, Path(account): Path<String>) -> Answered {
    let account = name(&account)?;
    let done = control.engine.suspend_account(&caller, &account, false).await;
    ok(&control.audit(&caller, "ResumeAccount", account.as_str(), done)?)
}

pub(super) async fn contents(State(control): State<Control>, By(caller): By, Path(account): Path<String>) -> Answered {
    ok(&control.engine.account_contents(&caller, &name(&account)?).await?)
}

pub(super) async fn audit_page(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    ok(&control.engine.audit_page(&caller, audit_query(query.as_deref())?).await?)
}

pub(super) async fn export_audit(
    State(control): State<Control>,
    By(caller): By,
    RawQuery(query): RawQuery,
) -> Answered {
    let asked = audit_query(query.as_deref())?;
    let lines = control.engine.export_audit(&caller, asked)?;
    control.audit(&caller, "ExportAudit", "", Ok(()))?;
    Ok(csv_response(lines))
}

/// A CSV on its way.
fn csv_response(lines: impl Stream<Item = crate::engine::Result<Bytes>> + Send + 'static) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"audit.csv\""));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

pub(super) async fn audit_chain(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    let mut after = None;
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match (&*key, value.parse()) {
            ("after", Ok(number)) => after = Some(number),
            _ => return Err(No::bad_request(format!("{key} cannot be {value:?}"))),
        }
    }
    let page = control.engine.audit_chain(&caller, after).await;
    if after.is_none() {
        let taken = page.as_ref().map(|_| ()).map_err(Clone::clone);
        control.audit(&caller, "ExportAudit", "chain", taken)?;
    }
    ok(&page?)
}

pub(super) async fn verify_audit(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.verify_audit(&caller).await?)
}

fn audit_query(query: Option<&str>) -> Result<AuditQuery, No> {
    let mut asked = AuditQuery { most: 100, ..AuditQuery::default() };
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let bad = || No::bad_request(format!("{key} cannot be {value:?}"));
        let time = || value.parse().map(|ms| Some(Timestamp::from_millis(ms))).map_err(|_| bad());
        match &*key {
            "who" => asked.who = value.into_owned(),
            "what" => asked.what = value.into_owned(),
            "target" => asked.target = value.into_owned(),
            "account" => asked.account = value.into_owned(),
            "text" => asked.text = value.into_owned(),
            "done" => asked.done = Some(value.parse().map_err(|_| bad())?),
            "from_ms" => asked.from = time()?,
            "until_ms" => asked.until = time()?,
            "before" => asked.before = Some(value.parse().map_err(|_| bad())?),
            "most" => match value.parse() {
                Ok(most @ 1..=1000) => asked.most = most,
                _ => return Err(bad()),
            },
            // A filter that is not known must not give more than was asked for.
            _ => return Err(No::bad_request(format!("there is no parameter {key:?}"))),
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_of_the_audit_log_is_read_whole_or_refused() {
        let asked = audit_query(Some("who=%E6%9D%8E&what=Close&from_ms=5&before=9&most=7")).unwrap();
        assert_eq!((asked.who.as_str(), asked.what.as_str(), asked.before, asked.most), ("李", "Close", Some(9), 7));
        assert_eq!((asked.from, asked.until), (Some(Timestamp::from_millis(5)), None));
        assert_eq!(audit_query(None).unwrap().most, 100);
        for bad in ["most=0", "most=1001", "before=x", "until_ms=today", "whom=a"] {
            assert!(audit_query(Some(bad)).is_err(), "{bad}");
        }
    }
}
