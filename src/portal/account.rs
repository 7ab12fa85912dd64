//! 开户: one account: its sub-accounts, its settings, how its platform is alerted, suspension and the end.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use http::{Request, Response, StatusCode};

use super::accounts::{Slip, at_least_one, gigabytes, said, space, url};
use super::alerts::kind_word;
use super::cameras::{Row as CameraRow, cut, fullest_first, row as camera_row};
use super::form::Form;
use super::guard::Session;
use super::page_words::PageWords;
use super::shell::{Pager, Shell, page};
use super::show::Html;
use super::{Needs, Portal, Route};
use crate::domain::{AccountName, Action, Alert, CallbackProfile, account};
use crate::engine::{ALERT_KINDS, AccountChanges, AccountContents, AccountView};

/// AKs that are suggested for a test.
const SUGGESTED: usize = 50;

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Cameras,
    Settings,
    Callback,
    State,
}

/// What was typed into a form that was refused, or asked to be previewed.
#[derive(Default)]
struct Typed {
    error: String,
    callback: Option<CallbackProfile>,
    /// Space, alert URL, sub-accounts at most.
    settings: Option<[String; 3]>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    shell: Shell,
    w: &'static PageWords,
    tab: Tab,
    /// The tabs: where each leads, its word, whether it is shown.
    tabs: [(String, &'static str, bool); 4],
    error: String,
    account: AccountView,
    named: String,
    space: String,
    free: String,
    handed_out: String,
    opened: Html,
    cameras: Vec<CameraRow>,
    pager: Pager,
    /// Space, alert URL, sub-accounts at most, as in the form.
    settings: [String; 3],
    callback: CallbackProfile,
    preview: Option<String>,
    suggested: Vec<(String, String)>,
    contents: AccountContents,
}

impl AccountPage {
    fn href(&self, tab: &str) -> String {
        format!("/accounts/show?name={}&tab={tab}", self.named)
    }

    fn close_href(&self) -> String {
        format!("/accounts/close?name={}", self.named)
    }

    fn is(&self, tab: &str) -> bool {
        Tab::of(tab) == self.tab
    }

    /// The test that does least harm: it stops no camera.
    fn is_usual(&self, kind: &str) -> bool {
        kind == "nearly_full"
    }

    fn kind(&self, kind: &str) -> &'static str {
        kind_word(self.shell.lang, kind)
    }

    fn text<'t>(&self, text: &'t Option<String>) -> &'t str {
        text.as_deref().unwrap_or_default()
    }
}

impl Tab {
    fn of(text: &str) -> Self {
        match text {
            "settings" => Self::Settings,
            "callback" => Self::Callback,
            "state" => Self::State,
            _ => Self::Cameras,
        }
    }
}

pub(super) fn routes() -> Vec<Route> {
    let see = Needs::Role(Action::SeeSpace);
    let manage = Needs::Role(Action::ManageAccounts);
    vec![
        Route { path: "/accounts/show", needs: see, pages: get(show_account) },
        Route { path: "/accounts/modify", needs: manage, pages: post(modify) },
        Route { path: "/accounts/password", needs: manage, pages: post(password) },
        Route { path: "/accounts/key", needs: manage, pages: post(key) },
        Route { path: "/accounts/callback", needs: manage, pages: post(callback) },
        Route { path: "/accounts/test-alert", needs: Needs::Role(Action::ManageAlerts), pages: post(test_alert) },
        Route { path: "/accounts/suspend", needs: manage, pages: post(suspend) },
        Route { path: "/accounts/close", needs: manage, pages: post(close) },
    ]
}

fn encoded(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect()
}

/// The tabs of an account's page.
fn tabs(shell: &Shell, name: &str, here: Tab) -> [(String, &'static str, bool); 4] {
    [
        (Tab::Cameras, "cameras", PageWords::of(shell.lang).sub_accounts),
        (Tab::Settings, "settings", shell.say("设置与密钥", "Settings and keys")),
        (Tab::Callback, "callback", shell.say("告警回调", "Alert callback")),
        (Tab::State, "state", shell.say("暂停与销户", "Suspend or close")),
    ]
    .map(|(tab, word, label)| (format!("/accounts/show?name={}&tab={word}", encoded(name)), label, tab == here))
}

/// Back to a part of the account's page, that says what was done.
fn back(name: &str, tab: &str, done: &str) -> Response<Body> {
    Redirect::to(&format!("/accounts/show?name={}&tab={tab}&done={done}", encoded(name))).into_response()
}

async fn show_account(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let query = Form::of_query(request.uri().query());
    one(&portal, &session, query.get("name"), Tab::of(query.get("tab")), Typed::default()).await
}

/// The page of an account.
async fn one(portal: &Portal, session: &Session, name: &str, tab: Tab, typed: Typed) -> Response<Body> {
    let shell = PageWords::flash(session.shell(portal));
    let caller = &session.signed.caller;
    let Ok(name) = name.parse::<AccountName>() else { return shell.not_found() };
    let account = match portal.engine.account(caller, &name).await {
        Ok(account) => account,
        Err(error) => return shell.failed(&error),
    };
    // The other parts are forms of what only those may do.
    let tab = if shell.may(Action::ManageAccounts) { tab } else { Tab::Cameras };
    let callback = typed.callback.unwrap_or_else(|| account.callback.clone());
    let (mut all, mut preview, mut contents) = (Vec::new(), None, AccountContents::default());
    let filled = match tab {
        Tab::Cameras | Tab::Callback => portal.engine.sub_accounts(caller, &name).await.map(|found| all = found),
        Tab::State => portal.engine.account_contents(caller, &name).await.map(|found| contents = found),
        Tab::Settings => Ok(()),
    };
    let filled = match (filled, tab) {
        (Ok(()), Tab::Callback) => {
            portal.engine.callback_preview(caller, &name, callback.clone()).await.map(|shown| preview = shown)
        }
        (filled, _) => filled,
    };
    if let Err(error) = filled {
        return shell.failed(&error);
    }
    let suggested = all.iter().take(SUGGESTED).map(|sub| (sub.ak.clone(), sub.name.clone())).collect();
    fullest_first(&mut all);
    let (shown, pager) = cut(all, &shell.here);
    let settings = typed.settings.unwrap_or_else(|| {
        let url = account.alert_url.clone().unwrap_or_default();
        [account.space_gb.to_string(), url, account.max_sub_accounts.to_string()]
    });
    let status = if typed.error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let view = AccountPage {
        w: PageWords::of(shell.lang),
        tab,
        tabs: tabs(&shell, &account.account, tab),
        error: typed.error,
        named: encoded(&account.account),
        space: gigabytes(portal, u64::from(account.space_gb)),
        free: gigabytes(portal, account.free_gb),
        handed_out: gigabytes(portal, account.handed_out_gb),
        opened: shell.time(account.created_ms),
        cameras: shown.iter().map(|sub| camera_row(&shell, sub)).collect(),
        pager,
        settings,
        callback,
        preview,
        suggested,
        contents,
        account,
        shell,
    };
    page(status, &view)
}

/// Changes the account that the form names; where that is refused, `typed` is shown again with the reason.
async fn change(
    portal: &Portal,
    session: &Session,
    form: &Form,
    tab: (Tab, &str),
    changes: Result<AccountChanges, String>,
    typed: Typed,
) -> Response<Body> {
    let name = form.get("name");
    let Ok(account) = name.parse::<AccountName>() else { return session.shell(portal).not_found() };
    let changed = match changes {
        Ok(changes) => {
            let changed = portal.engine.modify_account(&session.signed.caller, &account, changes).await;
            portal.engine.audit_by(&session.signed.caller, "ModifyAccount", name, &changed);
            changed.map(|_| ()).map_err(|error| session.shell(portal).refusal(&error))
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(()) => back(name, tab.1, "saved"),
        Err(error) => one(portal, session, name, tab.0, Typed { error, ..typed }).await,
    }
}

async fn modify(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let lang = session.shell(&portal).lang;
    let read = || -> Result<AccountChanges, String> {
        Ok(AccountChanges {
            space: Some(space(lang, form.get("space"))?),
            alert_url: Some(url(lang, form.get("alert_url"))?),
            max_sub_accounts: Some(at_least_one(lang, form.get("max_sub_accounts"))?),
            ..AccountChanges::default()
        })
    };
    let settings = ["space", "alert_url", "max_sub_accounts"].map(|field| form.get(field).to_owned());
    let typed = Typed { settings: Some(settings), ..Typed::default() };
    change(&portal, &session, &form, (Tab::Settings, "settings"), read(), typed).await
}

async fn password(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let shell = session.shell(&portal);
    let changes = match said(shell.lang, form.raw("password"), account::password) {
        Ok(None) => Err(shell.say("请填写新密码", "Type the new password").to_owned()),
        Ok(password) => Ok(AccountChanges { password, ..AccountChanges::default() }),
        Err(error) => Err(error),
    };
    change(&portal, &session, &form, (Tab::Settings, "settings"), changes, Typed::default()).await
}

async fn callback(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let text = |name: &str| Some(form.get(name).to_owned());
    let profile = CallbackProfile {
        namespace: text("namespace"),
        operation: text("operation"),
        soap_action: text("soap_action"),
        soap12: form.get("soap") == "1.2",
        unqualified: form.is_set("unqualified"),
        gbk: form.get("charset") == "GBK",
    };
    let typed = Typed { callback: Some(profile.clone()), ..Typed::default() };
    let checked = profile.checked().map_err(|bad| session.shell(&portal).refusal(&bad));
    match (checked, form.get("act")) {
        (Ok(profile), "preview") => {
            let typed = Typed { callback: Some(profile), ..typed };
            one(&portal, &session, form.get("name"), Tab::Callback, typed).await
        }
        (checked, _) => {
            let changes =
                checked.map(|profile| AccountChanges { callback: Some(profile), ..AccountChanges::default() });
            change(&portal, &session, &form, (Tab::Callback, "callback"), changes, typed).await
        }
    }
}

async fn test_alert(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let (name, ak) = (form.get("name"), form.get("ak"));
    let shell = session.shell(&portal);
    let Ok(account) = name.parse::<AccountName>() else { return shell.not_found() };
    let refused = |error: &str| Typed { error: error.to_owned(), ..Typed::default() };
    let kind = match form.get("kind") {
        "full" => Alert::Full,
        "idle" => Alert::Idle,
        _ => Alert::NearlyFull,
    };
    if !form.is_set("understood") {
        let why =
            shell.say("请先勾选：平台会当作真实告警处理", "Tick the box first: the platform takes it for a real one");
        return one(&portal, &session, name, Tab::Callback, refused(why)).await;
    }
    let sent = portal.engine.test_alert(&session.signed.caller, &account, ak, kind).await;
    let cut: String = ak.chars().take(64).collect();
    portal.engine.audit_by(&session.signed.caller, "TestAlert", &format!("{account} {cut}"), &sent);
    match sent {
        Ok(id) => Redirect::to(&format!("/alerts/show?id={id}&done=tested")).into_response(),
        Err(error) => one(&portal, &session, name, Tab::Callback, refused(&shell.refusal(&error))).await,
    }
}

async fn key(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let shell = session.shell(&portal);
    let Ok(account) = form.get("name").parse::<AccountName>() else { return shell.not_found() };
    let key = portal.engine.account_key(&session.signed.caller, &account).await;
    portal.engine.audit_by(&session.signed.caller, "AccountKey", account.as_str(), &key);
    match key {
        Ok((ak, sk)) => {
            let (w, addresses) = (PageWords::of(shell.lang), (portal.settings.addresses)());
            let lines = vec![
                (w.account, account.as_str().to_owned()),
                (w.ak, ak.as_str().to_owned()),
                (shell.say("密钥 SK", "Secret key"), sk.expose().to_owned()),
                (w.address_s3, addresses.s3),
            ];
            let title = shell.say("管理密钥", "Administration key").to_owned();
            let help = shell.say(
                "持有此密钥者可以管理该账户的自有存储桶，并读写其全部文件。查看已记入审计日志。",
                "Whoever has it manages the account's own buckets and reads and writes all its files. That it was shown is in the audit log.",
            );
            let back = format!("/accounts/show?name={}&tab=settings", encoded(account.as_str()));
            page(StatusCode::OK, &Slip { w, shell, title, help, lines, back })
        }
        Err(error) => shell.failed(&error),
    }
}

async fn suspend(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let name = form.get("name");
    let Ok(account) = name.parse::<AccountName>() else { return session.shell(&portal).not_found() };
    let suspended = form.get("suspended") == "yes";
    let done = portal.engine.suspend_account(&session.signed.caller, &account, suspended).await;
    let what = if suspended { "SuspendAccount" } else { "ResumeAccount" };
    portal.engine.audit_by(&session.signed.caller, what, name, &done);
    match done {
        Ok(_) => back(name, "state", if suspended { "suspended" } else { "resumed" }),
        Err(error) => session.shell(&portal).failed(&error),
    }
}

async fn close(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let query = Form::of_query(request.uri().query());
    let form = Form::of_body(request).await;
    let name = query.get("name").to_owned();
    if form.get("confirm") != name {
        let error = session.shell(&portal).t.type_name_wrong.to_owned();
        return one(&portal, &session, &name, Tab::State, Typed { error, ..Typed::default() }).await;
    }
    let Ok(account) = name.parse::<AccountName>() else { return session.shell(&portal).not_found() };
    let closed = portal.engine.close_account(&session.signed.caller, &account).await;
    portal.engine.audit_by(&session.signed.caller, "CloseAccount", &name, &closed);
    match closed {
        Ok(()) => Redirect::to("/accounts?done=closed").into_response(),
        Err(error) => session.shell(&portal).failed(&error),
    }
}
