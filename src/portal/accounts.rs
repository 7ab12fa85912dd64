//! 开户: accounts of provinces, opened, changed and closed by operations staff (6.1).

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use http::{Request, Response, StatusCode};

use super::cameras::{Row as CameraRow, cut, fullest_first, row as camera_row};
use super::form::Form;
use super::guard::Session;
use super::page_words::PageWords;
use super::shell::{Pager, Shell, page};
use super::show::Html;
use super::{Needs, Portal, Route, show};
use crate::domain::ids::BadName;
use crate::domain::{AccountName, Action, Gigabytes, account};
use crate::engine::{AccountChanges, AccountView, NewAccount};

struct Row {
    name: String,
    bar: Html,
    used: String,
    handed_out: String,
    space: String,
    sub_accounts: String,
    files: String,
    opened: Html,
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    shell: Shell,
    w: &'static PageWords,
    q: String,
    rows: Vec<Row>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "account_new.html")]
struct NewPage {
    shell: Shell,
    w: &'static PageWords,
    error: Option<String>,
    name: String,
    space: String,
    alert_url: String,
    max_sub_accounts: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    shell: Shell,
    w: &'static PageWords,
    error: Option<String>,
    name: String,
    space: String,
    space_gb: String,
    free: String,
    handed_out: String,
    sub_accounts: String,
    used: String,
    files: String,
    locked: String,
    locked_files: String,
    opened: Html,
    alert_url: String,
    max_sub_accounts: String,
    cameras: Vec<CameraRow>,
    pager: Pager,
}

/// What is shown once, to be printed.
#[derive(Template)]
#[template(path = "slip.html")]
pub(super) struct Slip {
    pub(super) shell: Shell,
    pub(super) w: &'static PageWords,
    pub(super) title: String,
    pub(super) help: &'static str,
    pub(super) lines: Vec<(&'static str, String)>,
    pub(super) back: String,
}

pub(super) fn routes() -> Vec<Route> {
    let see = Needs::Role(Action::SeeSpace);
    let manage = Needs::Role(Action::ManageAccounts);
    vec![
        Route { path: "/accounts", needs: see, pages: get(list) },
        Route { path: "/accounts/show", needs: see, pages: get(show_account) },
        Route { path: "/accounts/new", needs: manage, pages: get(ask_new).post(open) },
        Route { path: "/accounts/modify", needs: manage, pages: post(modify) },
        Route { path: "/accounts/close", needs: manage, pages: post(close) },
    ]
}

/// Gigabytes as bytes are shown.
fn gigabytes(portal: &Portal, number: u64) -> String {
    show::bytes(number.saturating_mul(portal.settings.gigabyte.get()))
}

async fn list(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let shell = PageWords::flash(session.shell(&portal));
    let query = Form::of_query(request.uri().query());
    let q = query.get("q").to_lowercase();
    let all = match portal.engine.accounts(&session.signed.caller).await {
        Ok(all) => all,
        Err(error) => return shell.failed(&error),
    };
    let found = all.into_iter().filter(|account| account.account.to_lowercase().contains(&q)).collect();
    let (shown, pager) = cut(found, &shell.here);
    let rows = shown.iter().map(|account| row(&portal, &shell, account)).collect();
    let q = query.get("q").to_owned();
    page(StatusCode::OK, &AccountsPage { w: PageWords::of(shell.lang), shell, q, rows, pager })
}

fn row(portal: &Portal, shell: &Shell, account: &AccountView) -> Row {
    let whole = u64::from(account.space_gb).saturating_mul(portal.settings.gigabyte.get());
    let granted = account.handed_out_gb.saturating_mul(portal.settings.gigabyte.get());
    Row {
        name: account.account.clone(),
        bar: shell.space_bar(account.used_bytes, 0_u64, granted.saturating_sub(account.used_bytes), whole),
        used: show::bytes(account.used_bytes),
        handed_out: gigabytes(portal, account.handed_out_gb),
        space: gigabytes(portal, u64::from(account.space_gb)),
        sub_accounts: show::count(u64::from(account.sub_accounts)),
        files: show::count(account.files),
        opened: shell.time(account.created_ms),
    }
}

async fn show_account(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let query = Form::of_query(request.uri().query());
    one(&portal, &session, query.get("name"), None).await
}

/// The page of an account; `error` says what was not done.
async fn one(portal: &Portal, session: &Session, name: &str, error: Option<String>) -> Response<Body> {
    let shell = PageWords::flash(session.shell(portal));
    let caller = &session.signed.caller;
    let Ok(name) = name.parse::<AccountName>() else { return shell.not_found() };
    let account = match portal.engine.account(caller, &name).await {
        Ok(account) => account,
        Err(error) => return shell.failed(&error),
    };
    let mut all = match portal.engine.sub_accounts(caller, &name).await {
        Ok(all) => all,
        Err(error) => return shell.failed(&error),
    };
    let locked = all.iter().map(|sub| sub.locked_bytes).sum();
    let locked_files = all.iter().map(|sub| sub.locked_files).sum();
    fullest_first(&mut all);
    let (shown, pager) = cut(all, &shell.here);
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let view = AccountPage {
        w: PageWords::of(shell.lang),
        error,
        name: account.account.clone(),
        space: gigabytes(portal, u64::from(account.space_gb)),
        space_gb: account.space_gb.to_string(),
        free: gigabytes(portal, account.free_gb),
        handed_out: gigabytes(portal, account.handed_out_gb),
        sub_accounts: show::count(u64::from(account.sub_accounts)),
        used: show::bytes(account.used_bytes + account.own_bytes),
        files: show::count(account.files + account.own_files),
        locked: show::bytes(locked),
        locked_files: show::count(locked_files),
        opened: shell.time(account.created_ms),
        alert_url: account.alert_url.clone().unwrap_or_default(),
        max_sub_accounts: account.max_sub_accounts.to_string(),
        cameras: shown.iter().map(|sub| camera_row(&shell, sub)).collect(),
        pager,
        shell,
    };
    page(status, &view)
}

async fn ask_new(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    let shell = session.shell(&portal);
    page(StatusCode::OK, &empty_form(shell))
}

fn empty_form(shell: Shell) -> NewPage {
    let none = String::new;
    NewPage {
        w: PageWords::of(shell.lang),
        shell,
        error: None,
        name: none(),
        space: none(),
        alert_url: none(),
        max_sub_accounts: none(),
    }
}

async fn open(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let asked = read_new(&form);
    let opened = match asked {
        Ok(new) => {
            let target = format!("{} {}", new.name, new.space);
            let opened = portal.engine.open_account(&session.signed.caller, new).await;
            portal.engine.audit_by(&session.signed.caller, "OpenAccount", &target, &opened);
            opened.map_err(|error| error.to_string())
        }
        Err(error) => Err(error),
    };
    let shell = session.shell(&portal);
    match opened {
        Ok((account, password)) => {
            let addresses = (portal.settings.addresses)();
            let lines = vec![
                (PageWords::of(shell.lang).account, account.account.clone()),
                (PageWords::of(shell.lang).password, password.expose().to_owned()),
                (PageWords::of(shell.lang).space, gigabytes(&portal, u64::from(account.space_gb))),
                (PageWords::of(shell.lang).address_soap, addresses.soap.clone()),
                (PageWords::of(shell.lang).wsdl, format!("{}?wsdl", addresses.soap)),
                (PageWords::of(shell.lang).address_s3, addresses.s3),
            ];
            let (title, help) = (PageWords::of(shell.lang).slip.to_owned(), PageWords::of(shell.lang).slip_help);
            page(
                StatusCode::CREATED,
                &Slip { w: PageWords::of(shell.lang), shell, title, help, lines, back: "/accounts".to_owned() },
            )
        }
        Err(error) => {
            let kept = |name: &str| form.get(name).to_owned();
            let view = NewPage {
                error: Some(error),
                name: kept("name"),
                space: kept("space"),
                alert_url: kept("alert_url"),
                max_sub_accounts: kept("max_sub_accounts"),
                ..empty_form(shell)
            };
            page(StatusCode::BAD_REQUEST, &view)
        }
    }
}

fn read_new(form: &Form) -> std::result::Result<NewAccount, String> {
    Ok(NewAccount {
        name: form.get("name").parse().map_err(|bad: BadName| bad.to_string())?,
        password: said(form.raw("password"), account::password)?,
        space: space(form.get("space"))?,
        alert_url: said(form.get("alert_url"), account::alert_url)?,
        max_sub_accounts: match form.get("max_sub_accounts") {
            "" => None,
            number => Some(at_least_one(number)?),
        },
    })
}

fn space(text: &str) -> std::result::Result<Gigabytes, String> {
    account::space(number(text)?).map_err(|bad| bad.to_string())
}

fn at_least_one(text: &str) -> std::result::Result<u32, String> {
    account::sub_accounts(number(text)?).map_err(|bad| bad.to_string())
}

fn number(text: &str) -> std::result::Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?}: 0 … {}", u32::MAX))
}

/// What is said in a field that may be empty.
fn said<T>(text: &str, read: fn(&str) -> std::result::Result<T, BadName>) -> std::result::Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some).map_err(|bad| bad.to_string()) }
}

async fn modify(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let name = form.get("name").to_owned();
    let changed = match (name.parse::<AccountName>(), read_changes(&form)) {
        (Ok(account), Ok(changes)) => {
            let changed = portal.engine.modify_account(&session.signed.caller, &account, changes).await;
            portal.engine.audit_by(&session.signed.caller, "ModifyAccount", &name, &changed);
            changed.map(|_| ()).map_err(|error| error.to_string())
        }
        (Err(bad), _) => Err(bad.to_string()),
        (_, Err(bad)) => Err(bad),
    };
    match changed {
        Ok(()) => {
            let named: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
            Redirect::to(&format!("/accounts/show?name={named}&done=saved")).into_response()
        }
        Err(error) => one(&portal, &session, &name, Some(error)).await,
    }
}

fn read_changes(form: &Form) -> std::result::Result<AccountChanges, String> {
    Ok(AccountChanges {
        password: said(form.raw("password"), account::password)?,
        space: Some(space(form.get("space"))?),
        alert_url: Some(said(form.get("alert_url"), account::alert_url)?),
        max_sub_accounts: Some(at_least_one(form.get("max_sub_accounts"))?),
        callback: None,
    })
}

async fn close(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let name = form.get("name").to_owned();
    if form.get("typed") != name {
        let wrong = session.shell(&portal).t.type_name_wrong.to_owned();
        return one(&portal, &session, &name, Some(wrong)).await;
    }
    let Ok(account) = name.parse::<AccountName>() else { return session.shell(&portal).not_found() };
    let closed = portal.engine.close_account(&session.signed.caller, &account).await;
    portal.engine.audit_by(&session.signed.caller, "CloseAccount", &name, &closed);
    match closed {
        Ok(()) => Redirect::to("/accounts?done=closed").into_response(),
        Err(error) => session.shell(&portal).failed(&error),
    }
}
