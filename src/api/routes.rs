//! What serves the routes of the table.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::billing::number;
use super::door::{By, Door};
use super::refusal::{No, json_response};
use super::table;
use super::types::{
    AuditRow, CertificateView, KeyPair, ModifyAccount, ModifyCallback, ModifySubAccount, OpenAccount, OpenSubAccount,
    OpenedAccount, PendingChanges, ReloadReport, Scrub, StatusView, TakeBackup, Urls,
};
use crate::domain::ids::BadName;
use crate::domain::{AccountName, Action, AtTheEnd, CallbackProfile, Gigabytes, Secret, account};
use crate::engine::{AccountChanges, Caller, Engine, Error, NewAccount, NewSubAccount, Result as EngineResult};

/// Reads the configuration again; the error is for the operator.
pub type Reload = Arc<dyn Fn() -> Result<ReloadReport, String> + Send + Sync>;

/// Says what reading it again would do; the error is for the operator.
pub type Pending = Arc<dyn Fn() -> Result<PendingChanges, String> + Send + Sync>;

/// Gives what `/metrics` says.
pub type Metrics = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;

/// What the control API works on.
#[derive(Clone)]
pub struct Control {
    /// The use cases.
    pub engine: Engine,
    /// What clients are told now.
    pub urls: Arc<dyn Fn() -> Urls + Send + Sync>,
    /// `None` on a closed store.
    pub reload: Option<Reload>,
    /// `None` on a closed store.
    pub pending: Option<Pending>,
    /// What `/metrics` says; `None` on a closed store.
    pub metrics: Option<Metrics>,
    /// What the listeners show now.
    pub certificates: Arc<dyn Fn() -> Vec<CertificateView> + Send + Sync>,
}

pub(super) type Answered = Result<Response<Body>, No>;

/// The API on the control socket: whoever reaches it is the operator, as the socket has mode 0600.
pub fn router(control: Control) -> Router {
    table::router(control, Door::Socket)
}

/// The API on the portal's listener: whoever has a session.
pub fn portal_router(control: Control) -> Router {
    table::router(control, Door::Sessions)
}

impl axum::response::IntoResponse for No {
    fn into_response(self) -> Response<Body> {
        Self::into_response(self)
    }
}

impl Control {
    /// Every change leaves a line in the audit log, whatever came of it.
    pub(super) fn audit<T>(&self, caller: &Caller, what: &str, target: &str, result: EngineResult<T>) -> Result<T, No> {
        self.engine.audit_by(caller, what, target, &result);
        Ok(result?)
    }
}

pub(super) async fn list_accounts(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.accounts(&caller).await?)
}

pub(super) async fn open_account(State(control): State<Control>, By(caller): By, body: Bytes) -> Answered {
    let asked: OpenAccount = read(&body)?;
    let new = NewAccount {
        name: name(&asked.account)?,
        password: asked.password.as_deref().map(password).transpose()?,
        space: gigabytes(asked.space_gb)?,
        alert_url: asked.alert_url.as_deref().filter(|url| !url.is_empty()).map(alert_url).transpose()?,
        max_sub_accounts: asked.max_sub_accounts.map(sub_accounts).transpose()?,
    };
    let target = format!("{} {}", new.name, new.space);
    let opened = control.engine.open_account(&caller, new).await;
    let (view, password) = control.audit(&caller, "OpenAccount", &target, opened)?;
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

pub(super) async fn show_account(
    State(control): State<Control>,
    By(caller): By,
    Path(account): Path<String>,
) -> Answered {
    ok(&control.engine.account(&caller, &name(&account)?).await?)
}

pub(super) async fn modify_account(
    State(control): State<Control>,
    By(caller): By,
    Path(account): Path<String>,
    body: Bytes,
) -> Answered {
    let (account, asked) = (name(&account)?, read::<ModifyAccount>(&body)?);
    let callback = match asked.callback {
        None => None,
        Some(changes) => {
            let now = control.engine.account(&caller, &account).await?.callback;
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
    let changed = control.engine.modify_account(&caller, &account, changes).await;
    ok(&control.audit(&caller, "ModifyAccount", account.as_str(), changed)?)
}

pub(super) async fn close_account(
    State(control): State<Control>,
    By(caller): By,
    Path(account): Path<String>,
) -> Answered {
    let account = name(&account)?;
    let closed = control.engine.close_account(&caller, &account).await;
    control.audit(&caller, "CloseAccount", account.as_str(), closed)?;
    ok(&json!({"closed": account.as_str()}))
}

pub(super) async fn account_key(
    State(control): State<Control>,
    By(caller): By,
    Path(account): Path<String>,
) -> Answered {
    let account = name(&account)?;
    let key = control.engine.account_key(&caller, &account).await;
    let (ak, sk) = control.audit(&caller, "AccountKey", account.as_str(), key)?;
    ok(&KeyPair { ak: ak.as_str().to_owned(), sk: sk.expose().to_owned() })
}

pub(super) async fn list_sub_accounts(
    State(control): State<Control>,
    By(caller): By,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
) -> Answered {
    let all = control.engine.sub_accounts(&caller, &name(&account)?).await?;
    // Whole where it is not asked in pages, as it was before there were any.
    let (skip, most) = (number(query.as_deref(), "skip", 0)?, number(query.as_deref(), "most", usize::MAX)?);
    ok(&all.into_iter().skip(skip).take(most).collect::<Vec<_>>())
}

pub(super) async fn show_sub_account(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
) -> Answered {
    ok(&control.engine.sub_account_view(&caller, &ak).await?)
}

pub(super) async fn open_sub_account(State(control): State<Control>, By(caller): By, body: Bytes) -> Answered {
    let asked: OpenSubAccount = read(&body)?;
    let space = gigabytes(asked.space_gb)?;
    let account = asked.account.as_deref().map(str::parse).transpose();
    let new = NewSubAccount {
        account: account.map_err(|bad: BadName| No::bad_request(bad.to_string()))?,
        space,
        at_the_end: if asked.loops { AtTheEnd::Overwrite } else { AtTheEnd::Stop },
        name: asked.name,
        place: asked.place,
    };
    let opened = control.engine.add_sub_account(&caller, new).await;
    let target = opened.as_ref().map_or_else(|_| space.to_string(), |opened| format!("{} {space}", opened.access_key));
    let opened = control.audit(&caller, "OpenSubAccount", &target, opened)?;
    let answer = json!({
        "ak": opened.access_key.as_str(),
        "sk": opened.secret.expose(),
        "s3_url": opened.s3_url,
        "record_bucket": opened.record_bucket.as_str(),
        "picture_bucket": opened.picture_bucket.as_str(),
    });
    json(StatusCode::CREATED, &answer)
}

pub(super) async fn modify_sub_account(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
    body: Bytes,
) -> Answered {
    let asked: ModifySubAccount = read(&body)?;
    let space = asked.space_gb.map(gigabytes).transpose()?;
    let sub = control.engine.sub_account_for(&caller, Action::ManageSubAccounts, &ak)?;
    if let Some(space) = space {
        let done = control.engine.modify_sub_account_space(&caller, &sub, space).await;
        control.audit(&caller, "ModifySubAccountSpace", &format!("{ak} {space}"), done)?;
    }
    if let Some(loops) = asked.loops {
        let at_the_end = if loops { AtTheEnd::Overwrite } else { AtTheEnd::Stop };
        let done = control.engine.set_sub_account_space_policy(&caller, &sub, at_the_end).await;
        let word = if loops { "overwrite" } else { "stop" };
        control.audit(&caller, "SetSubAccountSpacePolicy", &format!("{ak} {word}"), done)?;
    }
    ok(&control.engine.sub_account_view(&caller, &ak).await?)
}

pub(super) async fn close_sub_account(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
) -> Answered {
    let sub = control.engine.sub_account_for(&caller, Action::ManageSubAccounts, &ak)?;
    let done = control.engine.close_sub_account(&caller, &sub).await;
    control.audit(&caller, "CloseSubAccount", &ak, done)?;
    ok(&json!({"closed": ak}))
}

pub(super) async fn clear_sub_account(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
) -> Answered {
    let sub = control.engine.sub_account_for(&caller, Action::ManageSubAccounts, &ak)?;
    let done = control.engine.clear_sub_account_files(&caller, &sub).await;
    control.audit(&caller, "ClearSubAccountFiles", &ak, done)?;
    ok(&control.engine.sub_account_view(&caller, &ak).await?)
}

pub(super) async fn sub_account_key(
    State(control): State<Control>,
    By(caller): By,
    Path(ak): Path<String>,
) -> Answered {
    let key = control.engine.sub_account_key(&caller, &ak).await;
    let sk = control.audit(&caller, "SeeKey", &ak.chars().take(64).collect::<String>(), key)?;
    ok(&KeyPair { ak, sk: sk.expose().to_owned() })
}

pub(super) async fn status(State(control): State<Control>, By(caller): By) -> Answered {
    let status = control.engine.status(&caller).await?;
    ok(&StatusView { status, certificates: (control.certificates)() })
}

pub(super) async fn list_alerts(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    ok(&control.engine.alerts(&caller, most(query.as_deref())?).await?)
}

pub(super) async fn resend_alert(State(control): State<Control>, By(caller): By, Path(id): Path<String>) -> Answered {
    let number: u64 = id.parse().map_err(|_| No::bad_request(format!("{id:?} is no number of an alert")))?;
    let sent = control.engine.resend_alert(&caller, number).await;
    control.audit(&caller, "ResendAlert", &id, sent)?;
    ok(&json!({"resent": number}))
}

pub(super) async fn list_audit(State(control): State<Control>, By(caller): By, RawQuery(query): RawQuery) -> Answered {
    let log = control.engine.audit_log(&caller, most(query.as_deref())?).await?;
    let rows: Vec<_> = log.into_iter().map(|(at, entry)| AuditRow { at_ms: at.millis(), entry }).collect();
    ok(&rows)
}

pub(super) async fn check(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.check(&caller).await?)
}

pub(super) async fn scrub(State(control): State<Control>, By(caller): By, body: Bytes) -> Answered {
    // Without a body as it was before there was a pace.
    let asked: Option<Scrub> = if body.is_empty() { None } else { read(&body)? };
    ok(&control.engine.scrub_at(&caller, asked.unwrap_or_default().rate).await?)
}

pub(super) async fn master_key(State(control): State<Control>, By(caller): By) -> Answered {
    let (id, file, exchanged) = control.engine.master_key(&caller)?;
    ok(&json!({"id": id, "file": file, "exchange_under_way": exchanged}))
}

pub(super) async fn rotate_key(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.rotate_master_key(&caller).await?)
}

pub(super) async fn backup(State(control): State<Control>, By(caller): By, body: Bytes) -> Answered {
    let asked: TakeBackup = read(&body)?;
    let taken = control.engine.back_up(&caller, std::path::Path::new(&asked.dir), asked.master_key).await;
    ok(&taken.map_err(|error| match error {
        Error::Broken(why) => No::conflict("not_backed_up", why.to_string()),
        other => other.into(),
    })?)
}

pub(super) async fn reload(State(control): State<Control>) -> Answered {
    let Some(reload) = &control.reload else {
        return Err(No::conflict("not_running", "the server is not running"));
    };
    ok(&reload().map_err(|problems| No::conflict("bad_configuration", problems))?)
}

// --- reading and writing ---

pub(super) fn ok(answer: &impl Serialize) -> Answered {
    json(StatusCode::OK, answer)
}

pub(super) fn json(status: StatusCode, answer: &impl Serialize) -> Answered {
    let body = serde_json::to_string(answer).map_err(|error| No::bad_request(error.to_string()))?;
    Ok(json_response(status, body))
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, No> {
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

pub(super) fn name(text: &str) -> Result<AccountName, No> {
    right(text.parse())
}

fn gigabytes(number: u32) -> Result<Gigabytes, No> {
    right(account::space(number))
}

fn sub_accounts(number: u32) -> Result<u32, No> {
    right(account::sub_accounts(number))
}

fn password(text: &str) -> Result<Secret, No> {
    right(account::password(text))
}

fn alert_url(text: &str) -> Result<String, No> {
    right(account::alert_url(text))
}

/// What was said, if it can be.
fn right<T>(said: Result<T, BadName>) -> Result<T, No> {
    said.map_err(|bad| No::bad_request(bad.to_string()))
}

fn merged(now: CallbackProfile, changes: ModifyCallback) -> Result<CallbackProfile, No> {
    let after = CallbackProfile {
        namespace: changes.namespace.or(now.namespace),
        operation: changes.operation.or(now.operation),
        soap_action: changes.soap_action.or(now.soap_action),
        soap12: changes.soap12.unwrap_or(now.soap12),
        unqualified: changes.unqualified.unwrap_or(now.unqualified),
        gbk: changes.gbk.unwrap_or(now.gbk),
    };
    right(after.checked())
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
