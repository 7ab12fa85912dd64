//! The routes under `/api/v1`. Whoever reaches them is the operator: the socket has mode 0600.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::refusal::{No, json_response};
use super::types::{AuditRow, KeyPair, ModifyAccount, ModifyCallback, OpenAccount, OpenedAccount, ReloadReport, Urls};
use crate::domain::{AccountName, CallbackProfile, Gigabytes, Secret, limits};
use crate::engine::{AccountChanges, AuditEntry, Caller, Engine, NewAccount, Result as EngineResult};

/// Reads the configuration again; the error is for the operator.
pub type Reload = Arc<dyn Fn() -> Result<ReloadReport, String> + Send + Sync>;

/// What the control API works on.
#[derive(Clone)]
pub struct Control {
    /// The use cases.
    pub engine: Engine,
    /// What clients are told now.
    pub urls: Arc<dyn Fn() -> Urls + Send + Sync>,
    /// `None` on a closed store.
    pub reload: Option<Reload>,
}

type Answered = Result<Response<Body>, No>;

/// The control API.
pub fn router(control: Control) -> Router {
    Router::new()
        .route("/api/v1/accounts", get(list_accounts).post(open_account))
        .route("/api/v1/accounts/{name}", get(show_account).patch(modify_account).delete(close_account))
        .route("/api/v1/accounts/{name}/key", post(account_key))
        .route("/api/v1/accounts/{name}/sub-accounts", get(list_sub_accounts))
        .route("/api/v1/sub-accounts/{ak}", get(show_sub_account))
        .route("/api/v1/status", get(status))
        .route("/api/v1/alerts", get(list_alerts))
        .route("/api/v1/alerts/{id}/resend", post(resend_alert))
        .route("/api/v1/audit", get(list_audit))
        .route("/api/v1/index/check", post(check))
        .route("/api/v1/scrub", post(scrub))
        .route("/api/v1/config/reload", post(reload))
        .fallback(async || No::not_found("there is no such resource").into_response())
        .with_state(control)
}

impl axum::response::IntoResponse for No {
    fn into_response(self) -> Response<Body> {
        Self::into_response(self)
    }
}

impl Control {
    /// Every change by the operator leaves a line in the audit log, whatever came of it.
    fn audit<T>(&self, what: &str, target: &str, result: EngineResult<T>) -> Result<T, No> {
        let outcome = match &result {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        let (who, from, target) = ("operator".to_owned(), "control socket".to_owned(), target.to_owned());
        self.engine.audit(AuditEntry { who, from, what: what.to_owned(), target, outcome });
        Ok(result?)
    }
}

async fn list_accounts(State(control): State<Control>) -> Answered {
    ok(&control.engine.accounts(&Caller::operator()).await?)
}

async fn open_account(State(control): State<Control>, body: Bytes) -> Answered {
    let asked: OpenAccount = read(&body)?;
    let new = NewAccount {
        name: name(&asked.account)?,
        password: asked.password.as_deref().map(password).transpose()?,
        space: gigabytes(asked.space_gb)?,
        alert_url: asked.alert_url.as_deref().filter(|url| !url.is_empty()).map(alert_url).transpose()?,
        max_sub_accounts: asked.max_sub_accounts.map(sub_accounts).transpose()?,
    };
    let target = format!("{} {}", new.name, new.space);
    let opened = control.engine.open_account(&Caller::operator(), new).await;
    let (view, password) = control.audit("OpenAccount", &target, opened)?;
    let urls = (control.urls)();
    let soap_url = urls.soap_service();
    let answer = OpenedAccount {
        account: view.account,
        password: password.expose().to_owned(),
        wsdl_url: format!("{soap_url}?wsdl"),
        soap_url,
        s3_url: urls.s3,
    };
    json(StatusCode::CREATED, &answer)
}

async fn show_account(State(control): State<Control>, Path(account): Path<String>) -> Answered {
    ok(&control.engine.account(&Caller::operator(), &name(&account)?).await?)
}

async fn modify_account(State(control): State<Control>, Path(account): Path<String>, body: Bytes) -> Answered {
    let (account, asked) = (name(&account)?, read::<ModifyAccount>(&body)?);
    let callback = match asked.callback {
        None => None,
        Some(changes) => {
            let now = control.engine.account(&Caller::operator(), &account).await?.callback;
            Some(merged(now, changes)?)
        }
    };
    let changes = AccountChanges {
        password: asked.password.as_deref().map(password).transpose()?,
        space: asked.space_gb.map(gigabytes).transpose()?,
        alert_url: match asked.alert_url.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(url) => Some(Some(alert_url(url)?)),
        },
        max_sub_accounts: asked.max_sub_accounts.map(sub_accounts).transpose()?,
        callback,
    };
    let changed = control.engine.modify_account(&Caller::operator(), &account, changes).await;
    ok(&control.audit("ModifyAccount", account.as_str(), changed)?)
}

async fn close_account(State(control): State<Control>, Path(account): Path<String>) -> Answered {
    let account = name(&account)?;
    let closed = control.engine.close_account(&Caller::operator(), &account).await;
    control.audit("CloseAccount", account.as_str(), closed)?;
    ok(&json!({"closed": account.as_str()}))
}

async fn account_key(State(control): State<Control>, Path(account): Path<String>) -> Answered {
    let account = name(&account)?;
    let key = control.engine.account_key(&Caller::operator(), &account).await;
    let (ak, sk) = control.audit("AccountKey", account.as_str(), key)?;
    ok(&KeyPair { ak: ak.as_str().to_owned(), sk: sk.expose().to_owned() })
}

async fn list_sub_accounts(State(control): State<Control>, Path(account): Path<String>) -> Answered {
    ok(&control.engine.sub_accounts(&Caller::operator(), &name(&account)?).await?)
}

async fn show_sub_account(State(control): State<Control>, Path(ak): Path<String>) -> Answered {
    ok(&control.engine.sub_account_view(&Caller::operator(), &ak).await?)
}

async fn status(State(control): State<Control>) -> Answered {
    ok(&control.engine.status(&Caller::operator()).await?)
}

async fn list_alerts(State(control): State<Control>, RawQuery(query): RawQuery) -> Answered {
    ok(&control.engine.alerts(&Caller::operator(), most(query.as_deref())?).await?)
}

async fn resend_alert(State(control): State<Control>, Path(id): Path<String>) -> Answered {
    let number: u64 = id.parse().map_err(|_| No::bad_request(format!("{id:?} is no number of an alert")))?;
    let sent = control.engine.resend_alert(&Caller::operator(), number).await;
    control.audit("ResendAlert", &id, sent)?;
    ok(&json!({"resent": number}))
}

async fn list_audit(State(control): State<Control>, RawQuery(query): RawQuery) -> Answered {
    let log = control.engine.audit_log(&Caller::operator(), most(query.as_deref())?).await?;
    let rows: Vec<_> = log.into_iter().map(|(at, entry)| AuditRow { at_ms: at.millis(), entry }).collect();
    ok(&rows)
}

async fn check(State(control): State<Control>) -> Answered {
    ok(&control.engine.check(&Caller::operator()).await?)
}

async fn scrub(State(control): State<Control>) -> Answered {
    ok(&control.engine.scrub(&Caller::operator()).await?)
}

async fn reload(State(control): State<Control>) -> Answered {
    let Some(reload) = &control.reload else {
        return Err(No::conflict("not_running", "the server is not running"));
    };
    ok(&reload().map_err(|problems| No::conflict("bad_configuration", problems))?)
}

// --- reading and writing ---

fn ok(answer: &impl Serialize) -> Answered {
    json(StatusCode::OK, answer)
}

fn json(status: StatusCode, answer: &impl Serialize) -> Answered {
    let body = serde_json::to_string(answer).map_err(|error| No::bad_request(error.to_string()))?;
    Ok(json_response(status, body))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, No> {
    serde_json::from_slice(body).map_err(|error| No::bad_request(error.to_string()))
}

fn most(query: Option<&str>) -> Result<usize, No> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    match pairs.filter(|(key, _)| *key == "most").map(|(_, value)| value).next_back() {
        None => Ok(100),
        Some(number) => match number.parse() {
            Ok(most @ 1..=100_000) => Ok(most),
            _ => Err(No::bad_request("most must be from 1 to 100000")),
        },
    }
}

fn name(text: &str) -> Result<AccountName, No> {
    text.parse().map_err(|error: crate::domain::ids::BadName| No::bad_request(error.to_string()))
}

fn gigabytes(number: u32) -> Result<Gigabytes, No> {
    let right = Gigabytes::new(number).filter(|space| *space > Gigabytes::default());
    right.ok_or_else(|| No::bad_request(format!("a space is 1 GB to {}, this one {number} GB", Gigabytes::MAX)))
}

fn sub_accounts(number: u32) -> Result<u32, No> {
    if number == 0 { Err(No::bad_request("an account has at least 1 sub-account")) } else { Ok(number) }
}

/// A password goes over SOAP as text: what XML cannot carry would never match.
fn password(text: &str) -> Result<Secret, No> {
    let fine = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control) && text.trim() == text;
    if fine {
        Ok(Secret::new(text))
    } else {
        Err(No::bad_request(
            "a password has 1 to 256 characters, none of them a control character, and no white space at its ends",
        ))
    }
}

fn alert_url(text: &str) -> Result<String, No> {
    let right = || No::bad_request(format!("{text:?} cannot be called; write one like \"http://10.1.2.3:8080/alert\""));
    let uri: http::Uri = text.parse().map_err(|_| right())?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().is_some_and(|host| !host.is_empty());
    if scheme && host && text.len() <= limits::URL_BYTES_MAX { Ok(text.to_owned()) } else { Err(right()) }
}

fn merged(now: CallbackProfile, changes: ModifyCallback) -> Result<CallbackProfile, No> {
    let text = |what: &str, old: Option<String>, new: Option<String>| match new {
        None => Ok(old),
        Some(new) if new.is_empty() => Ok(None),
        Some(new) if new.len() > limits::URL_BYTES_MAX || new.chars().any(char::is_control) => {
            Err(No::bad_request(format!("{what} is too long, or has control characters")))
        }
        Some(new) => Ok(Some(new)),
    };
    let operation = text("the operation", now.operation, changes.operation)?;
    let first = |c: char| c.is_alphabetic() || c == '_';
    let rest = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if let Some(name) = &operation
        && !(name.starts_with(first) && name.chars().all(rest))
    {
        return Err(No::bad_request(format!("{name:?} is no name of an XML element (without a prefix)")));
    }
    Ok(CallbackProfile {
        namespace: text("the namespace", now.namespace, changes.namespace)?,
        operation,
        soap_action: text("the SOAPAction", now.soap_action, changes.soap_action)?,
        soap12: changes.soap12.unwrap_or(now.soap12),
        unqualified: changes.unqualified.unwrap_or(now.unqualified),
        gbk: changes.gbk.unwrap_or(now.gbk),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_takes_a_callback_value_away() {
        let now = CallbackProfile { namespace: Some("urn:a".to_owned()), soap12: true, ..CallbackProfile::default() };
        let changes = ModifyCallback { namespace: Some(String::new()), gbk: Some(true), ..ModifyCallback::default() };
        let after = merged(now, changes).expect("right");
        assert_eq!(after, CallbackProfile { soap12: true, gbk: true, ..CallbackProfile::default() });
        for bad in ["a b", "a:b", "1a", "<a>"] {
            let changes = ModifyCallback { operation: Some(bad.to_owned()), ..ModifyCallback::default() };
            assert!(merged(CallbackProfile::default(), changes).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_could_not_be_called_is_refused() {
        assert!(alert_url("http://10.1.2.3:8080/alert?x=1").is_ok());
        for bad in ["", "10.1.2.3", "ftp://a/b", "/alert", "http://", "http://a b"] {
            assert!(alert_url(bad).is_err(), "{bad}");
        }
        assert!(password("密码 1").is_ok());
        for bad in ["", " a", "a\n", &"x".repeat(257)] {
            assert!(password(bad).is_err(), "{bad:?}");
        }
        assert!(matches!(most(Some("most=7")), Ok(7)));
        assert!(most(Some("most=0")).is_err() && most(Some("most=x")).is_err());
    }
}
