//! Signing in and out, and the first setup.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use http::header::USER_AGENT;
use http::{Request, Response, StatusCode};

use super::form::Form;
use super::guard::{Session, Visitor};
use super::page_words::PageWords;
use super::preferences::back;
use super::shell::{Shell, page, session_cookie};
use super::{Needs, Portal, Route};
use crate::domain::users::UserRefusal;
use crate::domain::{Refusal, Secret};
use crate::engine::Error;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    shell: Shell,
    w: &'static PageWords,
    user: String,
    next: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    shell: Shell,
    w: &'static PageWords,
    user: String,
    error: Option<String>,
}

pub(super) fn routes() -> Vec<Route> {
    let open = |path, pages| Route { path, needs: Needs::Nothing, pages };
    vec![
        open("/sign-in", get(ask).post(sign_in)),
        open("/setup", get(ask_setup).post(set_up)),
        Route { path: "/sign-out", needs: Needs::SignIn, pages: post(sign_out) },
    ]
}

async fn ask(State(portal): State<Arc<Portal>>, visitor: Visitor) -> Response<Body> {
    if visitor.signed.is_some() {
        return Redirect::to("/").into_response();
    }
    if portal.engine.is_to_be_set_up().await.unwrap_or(false) {
        return Redirect::to("/setup").into_response();
    }
    let query = visitor.here.split_once('?').map(|(_, query)| query.to_owned());
    let next = Form::of_query(query.as_deref()).get("next").to_owned();
    let shell = PageWords::flash(visitor.shell(&portal));
    page(StatusCode::OK, &SignInPage { w: PageWords::of(shell.lang), shell, user: String::new(), next, error: None })
}

async fn sign_in(State(portal): State<Arc<Portal>>, visitor: Visitor, request: Request<Body>) -> Response<Body> {
    let agent = agent(&request);
    let form = Form::of_body(request).await;
    let (user, next) = (form.get("user").to_owned(), form.get("next").to_owned());
    let (password, code) = (Secret::new(form.raw("password")), form.get("code").to_owned());
    match portal.engine.sign_in_user(&user, &password, Some(&code), &visitor.from, &agent).await {
        Ok(token) => {
            let mut response = Redirect::to(back(&next)).into_response();
            session_cookie(&mut response, token.expose(), visitor.secured);
            response
        }
        Err(error) => {
            let shell = visitor.shell(&portal);
            let Some(status) = status(&error) else { return shell.failed(&error) };
            let words = shell.refusal(&error);
            page(status, &SignInPage { w: PageWords::of(shell.lang), shell, user, next, error: Some(words) })
        }
    }
}

async fn ask_setup(State(portal): State<Arc<Portal>>, visitor: Visitor) -> Response<Body> {
    if !portal.engine.is_to_be_set_up().await.unwrap_or(false) {
        return Redirect::to("/").into_response();
    }
    let shell = visitor.shell(&portal);
    page(StatusCode::OK, &SetupPage { w: PageWords::of(shell.lang), shell, user: String::new(), error: None })
}

async fn set_up(State(portal): State<Arc<Portal>>, visitor: Visitor, request: Request<Body>) -> Response<Body> {
    let agent = agent(&request);
    let form = Form::of_body(request).await;
    let (user, password) = (form.get("user").to_owned(), Secret::new(form.raw("password")));
    let done = match user.parse() {
        Ok(name) => portal.engine.set_up(form.get("code"), name, password.clone(), &visitor.from).await,
        Err(bad) => {
            let shell = visitor.shell(&portal);
            let error = Some(shell.refusal(&bad));
            return page(StatusCode::BAD_REQUEST, &SetupPage { w: PageWords::of(shell.lang), shell, user, error });
        }
    };
    if let Err(error) = done {
        let shell = visitor.shell(&portal);
        let Some(status) = status(&error) else { return shell.failed(&error) };
        let words = shell.refusal(&error);
        return page(status, &SetupPage { w: PageWords::of(shell.lang), shell, user, error: Some(words) });
    }
    let mut response = Redirect::to("/").into_response();
    if let Ok(token) = portal.engine.sign_in_user(&user, &password, None, &visitor.from, &agent).await {
        session_cookie(&mut response, token.expose(), visitor.secured);
    }
    response
}

async fn sign_out(State(portal): State<Arc<Portal>>, session: Session) -> Response<Body> {
    if let Err(error) = portal.engine.sign_out(&session.token).await {
        return session.shell(&portal).failed(&error);
    }
    let mut response = Redirect::to("/sign-in").into_response();
    session_cookie(&mut response, "", session.visitor.secured);
    response
}

fn agent(request: &Request<Body>) -> String {
    request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_owned()
}

/// The status of a page that is shown again with a refusal; `None` where something broke.
pub(super) fn status(error: &Error) -> Option<StatusCode> {
    match error {
        Error::Refused(Refusal::User(UserRefusal::Slow { .. })) => Some(StatusCode::TOO_MANY_REQUESTS),
        Error::Refused(Refusal::User(_)) => Some(StatusCode::UNAUTHORIZED),
        Error::Refused(_) => Some(StatusCode::CONFLICT),
        Error::Busy(_) | Error::NoRoom | Error::Unavailable(_) | Error::Broken(_) => None,
    }
}
