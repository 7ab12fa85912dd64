//! Users of the portals and their sessions, over the API.

use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::json;

use super::door::{Asker, By};
use super::refusal::No;
use super::routes::{Answered, Control, json, name, ok, read};
use super::types::{
    AddUser, ChangePassword, ConfirmSecondFactor, EndSecondFactor, ModifyUser, OncePassword, SetUp, SignIn,
};
use crate::domain::Secret;
use crate::domain::users::{UserName, UserRefusal};
use crate::domain::{Refusal, Role};
use crate::engine::{Error, NewUser, SignedIn};

fn user(text: &str) -> Result<UserName, No> {
    text.parse().map_err(|error: crate::domain::ids::BadName| No::bad_request(error.to_string()))
}

pub(super) async fn sign_in(
    State(control): State<Control>,
    asker: Asker,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, No> {
    let asked: SignIn = read(&body)?;
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let (password, code) = (Secret::new(asked.password), asked.totp.as_deref());
    let token = control.engine.sign_in_user(&asked.user, &password, code, &asker.from, agent).await?;
    json(StatusCode::CREATED, &json!({"token": token.expose()}))
}

fn session(asker: Asker) -> Result<(SignedIn, String), No> {
    asker.session.ok_or_else(|| Error::from(Refusal::User(UserRefusal::NoSession)).into())
}

pub(super) async fn whoami(asker: Asker) -> Answered {
    let (signed, _) = session(asker)?;
    let (user, role) = (signed.user.as_str(), signed.role);
    ok(&json!({"user": user, "role": role, "account": signed.account, "form_token": signed.form_token}))
}

pub(super) async fn sign_out(State(control): State<Control>, asker: Asker) -> Answered {
    let (signed, token) = session(asker.clone())?;
    let done = control.engine.sign_out(&token).await;
    control.audit(&By::of(&asker)?.0, "SignOut", signed.user.as_str(), done)?;
    ok(&json!({}))
}

pub(super) async fn sessions(State(control): State<Control>, asker: Asker) -> Answered {
    let token = asker.session.as_ref().map(|(_, token)| token.as_str());
    ok(&control.engine.sessions(&By::of(&asker)?.0, token).await?)
}

pub(super) async fn end_session(State(control): State<Control>, By(caller): By, Path(id): Path<String>) -> Answered {
    let done = control.engine.end_session(&caller, &id).await;
    // What was asked for may be anything: it is cut.
    let target: String = id.chars().take(16).collect();
    control.audit(&caller, "EndSession", &target, done)?;
    ok(&json!({}))
}

pub(super) async fn list(State(control): State<Control>, By(caller): By) -> Answered {
    ok(&control.engine.users(&caller).await?)
}

pub(super) async fn add(State(control): State<Control>, By(caller): By, body: Bytes) -> Answered {
    let asked: AddUser = read(&body)?;
    let role: Role = asked.role.parse().map_err(No::bad_request)?;
    let new = NewUser {
        name: user(&asked.user)?,
        role,
        account: asked.account.as_deref().filter(|account| !account.is_empty()).map(name).transpose()?,
        password: asked.password.map(Secret::new),
    };
    let target = match &new.account {
        Some(account) => format!("{} {} {account}", new.name, role.word()),
        None => format!("{} {}", new.name, role.word()),
    };
    let made = control.engine.add_user(&caller, new).await;
    let (view, password) = control.audit(&caller, "AddUser", &target, made)?;
    json(StatusCode::CREATED, &OncePassword { user: view.user, password: password.expose().to_owned() })
}

pub(super) async fn modify(
    State(control): State<Control>,
    By(caller): By,
    Path(named): Path<String>,
    body: Bytes,
) -> Answered {
    let (named, asked) = (user(&named)?, read::<ModifyUser>(&body)?);
    let done = control.engine.disable_user(&caller, &named, asked.disabled).await;
    let what = if asked.disabled { "DisableUser" } else { "EnableUser" };
    control.audit(&caller, what, named.as_str(), done)?;
    ok(&json!({"user": named.as_str(), "disabled": asked.disabled}))
}

pub(super) async fn remove(State(control): State<Control>, By(caller): By, Path(named): Path<String>) -> Answered {
    let named = user(&named)?;
    let done = control.engine.remove_user(&caller, &named).await;
    control.audit(&caller, "RemoveUser", named.as_str(), done)?;
    ok(&json!({"removed": named.as_str()}))
}

pub(super) async fn password(
    State(control): State<Control>,
    By(caller): By,
    Path(named): Path<String>,
    body: Bytes,
) -> Answered {
    let (named, asked) = (user(&named)?, read::<ChangePassword>(&body)?);
    let (old, new) = (asked.old.map(Secret::new), asked.password.map(Secret::new));
    let done = control.engine.change_password(&caller, &named, old.as_ref(), new).await;
    let password = control.audit(&caller, "ChangePassword", named.as_str(), done)?;
    ok(&OncePassword { user: named.as_str().to_owned(), password: password.expose().to_owned() })
}

pub(super) async fn remove_second_factor(
    State(control): State<Control>,
    By(caller): By,
    Path(named): Path<String>,
) -> Answered {
    let named = user(&named)?;
    let done = control.engine.remove_second_factor(&caller, named.as_str(), None).await;
    control.audit(&caller, "RemoveSecondFactor", named.as_str(), done)?;
    ok(&json!({}))
}

// --- one's own ---

pub(super) async fn set_up(State(control): State<Control>, asker: Asker, body: Bytes) -> Answered {
    let asked: SetUp = read(&body)?;
    let named = user(&asked.user)?;
    control.engine.set_up(&asked.code, named, Secret::new(asked.password), &asker.from).await?;
    json(StatusCode::CREATED, &json!({"user": asked.user}))
}

pub(super) async fn new_second_factor(State(control): State<Control>, By(caller): By) -> Answered {
    let new = control.engine.new_second_factor(&caller)?;
    ok(&json!({"secret": new.secret.expose(), "url": new.url.expose()}))
}

pub(super) async fn confirm_second_factor(State(control): State<Control>, asker: Asker, body: Bytes) -> Answered {
    let asked: ConfirmSecondFactor = read(&body)?;
    let By(caller) = By::of(&asker)?;
    let (signed, _) = session(asker)?;
    let done = control.engine.confirm_second_factor(&caller, &Secret::new(asked.secret), &asked.code).await;
    control.audit(&caller, "SecondFactor", signed.user.as_str(), done)?;
    ok(&json!({}))
}

pub(super) async fn end_second_factor(State(control): State<Control>, asker: Asker, body: Bytes) -> Answered {
    let asked: EndSecondFactor = read(&body)?;
    let By(caller) = By::of(&asker)?;
    let (signed, _) = session(asker)?;
    let done = control.engine.remove_second_factor(&caller, signed.user.as_str(), Some(&asked.code)).await;
    control.audit(&caller, "RemoveSecondFactor", signed.user.as_str(), done)?;
    ok(&json!({}))
}
