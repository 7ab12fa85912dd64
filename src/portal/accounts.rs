//! 开户: accounts of provinces, listed, and opened by operations staff (6.1).

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::{Request, Response, StatusCode};

use super::cameras::cut;
use super::form::Form;
use super::guard::Session;
use super::page_words::PageWords;
use super::refusals::{No, Typed};
use super::shell::{Pager, Shell, page};
use super::show::Html;
use super::text::Lang;
use super::{Needs, Portal, Route, show};
use crate::domain::ids::BadName;
use crate::domain::{Action, Gigabytes, Secret, account};
use crate::engine::{AccountView, NewAccount};

struct Row {
    name: String,
    bar: Html,
    used: String,
    handed_out: String,
    space: String,
    sub_accounts: String,
    files: String,
    opened: Html,
    suspended: bool,
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
        Route { path: "/accounts/new", needs: manage, pages: get(ask_new).post(open) },
    ]
}

/// Gigabytes as bytes are shown.
pub(super) fn gigabytes(portal: &Portal, number: u64) -> String {
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
        suspended: account.suspended_ms.is_some(),
    }
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
    let shell = session.shell(&portal);
    let asked = read_new(shell.lang, &form);
    let opened = match asked {
        Ok(new) => {
            let target = format!("{} {}", new.name, new.space);
            let opened = portal.engine.open_account(&session.signed.caller, new).await;
            portal.engine.audit_by(&session.signed.caller, "OpenAccount", &target, &opened);
            opened.map_err(|error| shell.refusal(&error))
        }
        Err(error) => Err(error),
    };
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

fn read_new(lang: Lang, form: &Form) -> Result<NewAccount, String> {
    Ok(NewAccount {
        name: form.get("name").parse().map_err(|bad: BadName| bad.said(lang))?,
        password: said(lang, form.raw("password"), account::password)?,
        space: space(lang, form.get("space"))?,
        alert_url: url(lang, form.get("alert_url"))?,
        max_sub_accounts: match form.get("max_sub_accounts") {
            "" => None,
            number => Some(at_least_one(lang, number)?),
        },
    })
}

/// A space, GB.
pub(super) fn space(lang: Lang, text: &str) -> Result<Gigabytes, String> {
    account::space(number(lang, text)?).map_err(|bad| bad.said(lang))
}

/// Sub-accounts at most.
pub(super) fn at_least_one(lang: Lang, text: &str) -> Result<u32, String> {
    account::sub_accounts(number(lang, text)?).map_err(|bad| bad.said(lang))
}

fn number(lang: Lang, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| Typed::Number(text.to_owned()).said(lang))
}

/// An alert URL, or none.
pub(super) fn url(lang: Lang, text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    account::alert_url(text).map(Some).map_err(|bad| bad.said(lang))
}

/// A password, or none.
pub(super) fn said(
    lang: Lang,
    text: &str,
    read: fn(&str) -> Result<Secret, BadName>,
) -> Result<Option<Secret>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    read(text).map(Some).map_err(|bad| bad.said(lang))
}
