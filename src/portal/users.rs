//! 用户: who may sign in to the portals.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use http::{Request, Response, StatusCode};

use super::accounts::Slip;
use super::form::Form;
use super::guard::Session;
use super::page_words::PageWords;
use super::refusals::{No, Typed};
use super::shell::{Shell, page, role_word};
use super::show::Html;
use super::{Needs, Portal, Route};
use crate::domain::users::UserName;
use crate::domain::{AccountName, Action, Role, Secret};
use crate::engine::NewUser;

struct Row {
    name: String,
    remove: String,
    role: &'static str,
    account: String,
    totp: bool,
    disabled: bool,
    signed_in: Html,
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    shell: Shell,
    w: &'static PageWords,
    error: Option<String>,
    rows: Vec<Row>,
    accounts: Vec<String>,
}

/// What goes with a user, and its name to be typed.
#[derive(Template)]
#[template(path = "user_remove.html")]
struct RemovePage {
    shell: Shell,
    w: &'static PageWords,
    action: String,
    error: String,
    name: String,
    role: &'static str,
    account: Option<String>,
    totp: bool,
    sessions: usize,
    own: bool,
}

pub(super) fn routes() -> Vec<Route> {
    let needs = Needs::Role(Action::ManageUsers);
    vec![
        Route { path: "/users", needs, pages: get(list) },
        Route { path: "/users/add", needs, pages: post(add) },
        Route { path: "/users/change", needs, pages: post(change) },
        Route { path: "/users/remove", needs, pages: get(ask_remove).post(remove) },
    ]
}

async fn list(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    listed(&portal, &session, None).await
}

async fn listed(portal: &Portal, session: &Session, error: Option<String>) -> Response<Body> {
    let shell = PageWords::flash(session.shell(portal));
    let caller = &session.signed.caller;
    let (users, accounts) = match (portal.engine.users(caller).await, portal.engine.accounts(caller).await) {
        (Ok(users), Ok(accounts)) => (users, accounts),
        (Err(error), _) | (_, Err(error)) => return shell.failed(&error),
    };
    let rows = users
        .into_iter()
        .map(|user| Row {
            remove: remove_href(&user.user),
            name: user.user,
            role: role_word(shell.t, user.role),
            account: user.account.unwrap_or_else(|| PageWords::of(shell.lang).account_none.to_owned()),
            totp: user.totp,
            disabled: user.disabled,
            signed_in: shell.time(user.signed_in_ms),
        })
        .collect();
    let accounts = accounts.into_iter().map(|account| account.account).collect();
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    page(status, &UsersPage { w: PageWords::of(shell.lang), shell, error, rows, accounts })
}

/// The list with what was not done.
async fn again(portal: &Portal, session: &Session, no: &impl No) -> Response<Body> {
    let words = session.shell(portal).refusal(no);
    listed(portal, session, Some(words)).await
}

async fn add(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let new = match read_new(&form) {
        Ok(new) => new,
        Err(typed) => return again(&portal, &session, &typed).await,
    };
    let target = format!("{} {}", new.name, new.role.word());
    let added = portal.engine.add_user(&session.signed.caller, new).await;
    portal.engine.audit_by(&session.signed.caller, "AddUser", &target, &added);
    match added {
        Ok((user, password)) => {
            let w = PageWords::of(session.shell(&portal).lang);
            once(&portal, &session, &user.user, &password, (w.user_added, w.user_slip_help))
        }
        Err(error) => again(&portal, &session, &error).await,
    }
}

fn read_new(form: &Form) -> Result<NewUser, Typed> {
    let account = match form.get("account") {
        "" => None,
        name => Some(name.parse::<AccountName>()?),
    };
    Ok(NewUser {
        name: form.get("name").parse::<UserName>()?,
        role: form.get("role").parse::<Role>().map_err(|_| Typed::Choice)?,
        account,
        password: (!form.raw("password").is_empty()).then(|| Secret::new(form.raw("password"))),
    })
}

/// A password, shown this once, under a title and what to know of it.
fn once(
    portal: &Portal,
    session: &Session,
    user: &str,
    password: &Secret,
    (title, help): (&'static str, &'static str),
) -> Response<Body> {
    let shell = session.shell(portal);
    let lines = vec![
        (PageWords::of(shell.lang).user_name, user.to_owned()),
        (PageWords::of(shell.lang).password, password.expose().to_owned()),
    ];
    let title = title.to_owned();
    page(
        StatusCode::CREATED,
        &Slip { w: PageWords::of(shell.lang), shell, title, help, lines, back: "/users".to_owned() },
    )
}

async fn change(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let form = Form::of_body(request).await;
    let (caller, engine) = (&session.signed.caller, &portal.engine);
    let name: UserName = match form.get("name").parse() {
        Ok(name) => name,
        Err(bad) => return again(&portal, &session, &bad).await,
    };
    // What a change does to sessions is said: who sits at one sees only that it is over.
    let mut said = "saved";
    let (what, done) = match form.get("do") {
        "disable" => {
            said = "user-disabled";
            ("DisableUser", engine.disable_user(caller, &name, true).await)
        }
        "enable" => ("EnableUser", engine.disable_user(caller, &name, false).await),
        "factor" => ("RemoveSecondFactor", engine.remove_second_factor(caller, name.as_str(), None).await),
        "password" if name == session.signed.user => return Redirect::to("/me").into_response(),
        "password" => {
            let reset = engine.change_password(caller, &name, None, None).await;
            portal.engine.audit_by(&session.signed.caller, "ResetPassword", name.as_str(), &reset);
            return match reset {
                Ok(password) => {
                    let w = PageWords::of(session.shell(&portal).lang);
                    once(&portal, &session, name.as_str(), &password, (w.password_reset, w.password_reset_help))
                }
                Err(error) => again(&portal, &session, &error).await,
            };
        }
        _ => return session.shell(&portal).not_found(),
    };
    portal.engine.audit_by(&session.signed.caller, what, name.as_str(), &done);
    match done {
        Ok(()) => Redirect::to(&format!("/users?done={said}")).into_response(),
        Err(error) => again(&portal, &session, &error).await,
    }
}

fn remove_href(name: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("name", name).finish();
    format!("/users/remove?{query}")
}

async fn ask_remove(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let query = Form::of_query(request.uri().query());
    asked(&portal, &session, query.get("name"), None).await
}

/// The page that asks; `wrong` where the name that was typed is another.
async fn asked(portal: &Portal, session: &Session, name: &str, wrong: Option<&str>) -> Response<Body> {
    let shell = session.shell(portal);
    let caller = &session.signed.caller;
    let (users, sessions) =
        match (portal.engine.users(caller).await, portal.engine.sessions(caller, Some(&session.token)).await) {
            (Ok(users), Ok(sessions)) => (users, sessions),
            (Err(error), _) | (_, Err(error)) => return shell.failed(&error),
        };
    let Some(user) = users.into_iter().find(|user| user.user == name) else { return shell.not_found() };
    let status = if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page_of_it = RemovePage {
        w: PageWords::of(shell.lang),
        action: remove_href(&user.user),
        error: wrong.unwrap_or_default().to_owned(),
        role: role_word(shell.t, user.role),
        account: user.account,
        totp: user.totp,
        sessions: sessions.iter().filter(|session| session.user == user.user).count(),
        own: session.signed.user.as_str() == user.user,
        name: user.user,
        shell,
    };
    page(status, &page_of_it)
}

async fn remove(State(portal): State<Arc<Portal>>, session: Session, request: Request<Body>) -> Response<Body> {
    let query = Form::of_query(request.uri().query());
    let form = Form::of_body(request).await;
    let Ok(name) = query.get("name").parse::<UserName>() else { return session.shell(&portal).not_found() };
    if form.get("confirm") != name.as_str() {
        let wrong = session.shell(&portal).t.type_name_wrong;
        return asked(&portal, &session, name.as_str(), Some(wrong)).await;
    }
    let removed = portal.engine.remove_user(&session.signed.caller, &name).await;
    portal.engine.audit_by(&session.signed.caller, "RemoveUser", name.as_str(), &removed);
    match removed {
        Ok(()) => Redirect::to("/users?done=user-removed").into_response(),
        Err(error) => again(&portal, &session, &error).await,
    }
}
