//! The outbox over the API: pages of it, one alert with its attempts, what people do about it, a test.

use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::door::By;
use super::refusal::No;
use super::routes::{Answered, Control, name, ok, read};
use super::types::{Acknowledge, Comment, TestAlert};
use crate::domain::Alert;
use crate::engine::observe::NoteView;
use crate::engine::{ALERT_KINDS, ALERT_STATES, AlertQuery, AlertView};

/// An alert with all that is known about it.
#[derive(Serialize)]
struct Told {
    alert: AlertView,
    #[serde(flatten)]
    note: NoteView,
}

pub(super) async fn page(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    ok(&control.engine.alert_page(&caller, alert_query(query.as_deref())?).await?)
}

pub(super) async fn show(State(control): State<Control>, By(caller): By, Path(id): Path<String>) -> Answered {
    let id = number(&id)?;
    let alert = control.engine.alert(&caller, id).await?;
    ok(&Told { alert, note: control.engine.alert_note(&caller, id).await? })
}

pub(super) async fn acknowledge(
    State(control): State<Control>,
    By(caller): By,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered {
    let (number, asked) = (number(&id)?, read::<Acknowledge>(&body)?);
    let done = control.engine.acknowledge_alert(&caller, number, asked.acknowledged).await;
    let what = if asked.acknowledged { "AcknowledgeAlert" } else { "UnacknowledgeAlert" };
    control.audit(&caller, what, &id, done)?;
    ok(&json!({"id": number, "acknowledged": asked.acknowledged}))
}

pub(super) async fn comment(
    State(control): State<Control>,
    By(caller): By,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered {
    let (number, asked) = (number(&id)?, read::<Comment>(&body)?);
    if asked.text.trim().is_empty() {
        return Err(No::bad_request("a comment has 1 to 1000 characters"));
    }
    let done = control.engine.comment_on_alert(&caller, number, &asked.text).await;
    control.audit(&caller, "CommentOnAlert", &id, done)?;
    ok(&json!({"id": number}))
}

pub(super) async fn test(
    State(control): State<Control>,
    By(caller): By,
    Path(account): Path<String>,
    body: Bytes,
) -> Answered {
    let asked: TestAlert = if body.is_empty() { TestAlert::default() } else { read(&body)? };
    let account = name(&account)?;
    let kind = match asked.alert.as_deref() {
        Some("full") => Alert::Full,
        None | Some("nearly_full") => Alert::NearlyFull,
        Some("idle") => Alert::Idle,
        Some(other) => return Err(No::bad_request(format!("{other:?} is none of full, nearly_full and idle"))),
    };
    let ak = match asked.ak {
        Some(ak) => ak,
        None => control.engine.first_sub_account(&caller, &account)?,
    };
    let sent = control.engine.test_alert(&caller, &account, &ak, kind).await;
    let shown: String = ak.chars().take(64).collect();
    let id = control.audit(&caller, "TestAlert", &format!("{account} {shown}"), sent)?;
    ok(&json!({"id": id}))
}

fn number(id: &str) -> Result<u64, No> {
    id.parse().map_err(|_| No::bad_request(format!("{id:?} is no number of an alert")))
}

fn alert_query(query: Option<&str>) -> Result<AlertQuery, No> {
    let mut asked = AlertQuery { most: 100, ..AlertQuery::default() };
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let bad = || No::bad_request(format!("{key} cannot be {value:?}"));
        let is = || value.parse().map(Some).map_err(|_| bad());
        match &*key {
            "state" if ALERT_STATES.contains(&&*value) => asked.state = value.into_owned(),
            "kind" if ALERT_KINDS.contains(&&*value) => asked.kind = value.into_owned(),
            "account" => asked.account = value.into_owned(),
            "ak" => asked.ak = value.into_owned(),
            "acknowledged" => asked.acknowledged = is()?,
            "test" => asked.test = is()?,
            "before" => asked.before = Some(value.parse().map_err(|_| bad())?),
            "most" => match value.parse() {
                Ok(most @ 1..=1000) => asked.most = most,
                _ => return Err(bad()),
            },
            "state" | "kind" => return Err(bad()),
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
    fn a_query_of_the_outbox_is_read_whole_or_refused() {
        let asked = alert_query(Some("state=given_up&kind=full&acknowledged=false&before=9&most=7")).unwrap();
        assert_eq!((asked.state.as_str(), asked.kind.as_str()), ("given_up", "full"));
        assert_eq!((asked.acknowledged, asked.test, asked.before, asked.most), (Some(false), None, Some(9), 7));
        for bad in ["state=lost", "kind=", "acknowledged=1", "most=0", "most=1001", "before=x", "colour=red"] {
            assert!(alert_query(Some(bad)).is_err(), "{bad}");
        }
    }
}
